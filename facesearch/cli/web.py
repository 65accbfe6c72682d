"""`facesearch web`: people seen, named and searched in a browser, on this machine alone."""

from typing import Annotated

import typer

from facesearch.cli import options
from facesearch.errors import ExitCode


def web(
    gallery: options.GalleryName = "default",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes one that is free.", min=0, max=65535)] = 0,
    no_browser: Annotated[  # noqa: ARG001
        bool, typer.Option("--no-browser", help="Open no browser; print the address.")
    ] = False,
) -> ExitCode:
    """See the people of a gallery, name them and search, on a page that this machine alone can open."""
    import uvicorn

    from facesearch import Gallery
    from facesearch.web.app import make_app
    from facesearch.web.service import served

    with served(Gallery.open(gallery)) as service:
        uvicorn.run(make_app(service), host="127.0.0.1", port=port)
    return ExitCode.DONE
