"""The application: pages and interface under one roof."""

from starlette.applications import Starlette

from facesearch.web.api import OPERATIONS
from facesearch.web.operations import route
from facesearch.web.pages import ROUTES
from facesearch.web.service import Service


def make_app(service: Service) -> Starlette:
    """The page of this service, without its guard."""
    app = Starlette(routes=[*ROUTES, *(route(operation) for operation in OPERATIONS)])
    app.state.service = service
    return app
