"""The page itself: one document for all its addresses, and the files that it loads. No other host is asked for
anything."""

import posixpath
import re
from functools import cache
from pathlib import Path

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from facesearch.web.service import Service

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_ADDRESSES = ("/people", "/people/{id:int}", "/questions", "/photos/{id:int}", "/search", "/log", "/gallery")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FIRST = ("app.js", "people/people.js")
_IMPORTED = re.compile(r"""^(?:import|export)\b[^;"]*?"(\.[\w./]+)";""", re.MULTILINE)
_templates = jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True)


def page(request: Request, status: int = 200) -> Response:
    """The document; its script shows what belongs to the address, and at one that is none it says so."""
    service: Service = request.app.state.service
    words = {"gallery": service.gallery.name, "modules": modules(*_FIRST)}
    return HTMLResponse(_templates.get_template("page.html").render(words), status)


@cache
def modules(*names: str) -> tuple[str, ...]:
    """These modules and all that they import, in the order in which they are met. A browser that is told of them at
    once need not find them one after the other."""
    found: list[str] = []
    waiting = [*reversed(names)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            imported = _IMPORTED.findall((_STATIC / name).read_text(encoding="utf-8"))
            waiting += (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), each)) for each in reversed(imported)
            )
    return tuple(found)


@cache
def _files() -> dict[str, Path]:
    """The page's files, by their names below its folder."""
    return {path.relative_to(_STATIC).as_posix(): path for path in _STATIC.rglob("*.*")}


async def static(request: Request) -> Response:
    """A file of the page, by a name that is known. They are small and many: read here, each is there in a
    millisecond, of which a thread alone would take several."""
    path = _files().get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix])


def to_people(_: Request) -> Response:
    """Where the page begins."""
    return RedirectResponse("/people", 303)


ROUTES = [
    Route("/", to_people),
    *(Route(address, page) for address in _ADDRESSES),
    Route("/static/{name:path}", static),
]
