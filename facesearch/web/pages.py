"""The page itself: one document for all its addresses, and the files that it loads. No other host is asked for
anything."""

from pathlib import Path

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from facesearch.web.service import Service

_HERE = Path(__file__).parent
_ADDRESSES = ("/people", "/people/{id:int}", "/questions", "/photos/{id:int}", "/search", "/log", "/gallery")
_templates = jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True)


def page(request: Request) -> Response:
    """The document; its script shows what belongs to the address."""
    service: Service = request.app.state.service
    service.uploads.warm_up()
    return HTMLResponse(_templates.get_template("page.html").render(gallery=service.gallery.name))


def static(request: Request) -> Response:
    """A file of the page, by a name that is known."""
    name = request.path_params["name"]
    if name not in {path.name for path in (_HERE / "static").iterdir()}:
        raise HTTPException(404)
    return FileResponse(_HERE / "static" / name)


def to_people(_: Request) -> Response:
    """Where the page begins."""
    return RedirectResponse("/people", 303)


ROUTES = [
    Route("/", to_people),
    *(Route(address, page) for address in _ADDRESSES),
    Route("/static/{name}", static),
]
