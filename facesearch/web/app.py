"""The application: pages and interface under one roof."""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from facesearch.web.api import OPERATIONS
from facesearch.web.openapi import operation_of
from facesearch.web.operations import as_bytes, route
from facesearch.web.pages import ROUTES, page
from facesearch.web.refusals import is_for_programs
from facesearch.web.service import Service

_KINDS = {404: "not_there", 405: "method"}  # as the guard calls them, and what is not there
_SENTENCES = {
    404: "There is no such address; GET /api/openapi.json lists those of the interface.",
    405: "This address does not take that method; GET /api/openapi.json says which it takes.",
}


def make_app(service: Service) -> Starlette:
    """The page of this service, without its guard."""
    operations = (*OPERATIONS, operation_of(OPERATIONS))
    app = Starlette(
        routes=[*ROUTES, *(route(operation) for operation in operations)],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.state.service = service
    return app


def _refused(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an address that is none, or its method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    sentence = _SENTENCES.get(status, HTTPStatus(status).phrase + ".")
    if status == HTTPStatus.NOT_FOUND and _is_for_a_reader(request):
        return page(request, status)
    if not is_for_programs(request.url.path):
        return PlainTextResponse(sentence, status, headers)
    kind = _KINDS.get(status, HTTPStatus(status).name.lower())
    content = as_bytes({"error": kind, "message": sentence})
    return Response(content, status, headers, "application/json")


def _is_for_a_reader(request: Request) -> bool:
    """Whether a browser asks for a page."""
    return not is_for_programs(request.url.path) and "text/html" in request.headers.get("accept", "")


def _failed(_: Request, __: Exception) -> Response:
    """What nobody has foreseen. The server writes the traceback to stderr, and the client sees none of it."""
    sentence = "Something went wrong that was not foreseen; the terminal of facesearch web shows what."
    return Response(as_bytes({"error": "unforeseen", "message": sentence}), 500, media_type="application/json")
