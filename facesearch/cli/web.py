"""`facesearch web`: people seen, named and searched in a browser, on this machine alone."""

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from facesearch.cli import exits, show
from facesearch.cli.options import Device, GalleryName, Precision
from facesearch.errors import ExitCode, FaceSearchError
from facesearch.packages import required

_NEEDED = ("starlette", "uvicorn", "jinja2")


def web(
    gallery: GalleryName = "default",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 takes one that is free.", min=0, max=65535)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser; print the address.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(help="Write a token for programs to this file, which is gone at the end.", metavar="FILE"),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> ExitCode:
    """See the people of a gallery, name them and search, on a page that this machine alone can open.

    The address is printed, and opens once; whoever opens it may use the page until it was not used for 8 hours. From
    another machine it is reached through ssh -L PORT:127.0.0.1:PORT."""
    for module in _NEEDED:
        required(module)
    from facesearch import Gallery
    from facesearch.web.browser import open_browser
    from facesearch.web.server import Serving, serve
    from facesearch.web.service import served
    from facesearch.web.token_file import token_in

    def opened(address: str) -> None:
        _print(address)
        show.note(f"The page of the gallery '{gallery}' is at this address, which opens once; Ctrl-C ends it.")
        if not no_browser:
            open_browser(address, lambda: show.note("No browser was found; open the address yourself."))

    # One photo is embedded before a GPU would have started.
    chosen = Gallery.open(gallery, "cpu" if device == "auto" else device, show.note, precision)
    with token_in(token_file) if token_file else nullcontext() as token, served(chosen, device, precision) as service:
        serve(service, Serving(port, token, opened=opened, tell=_print_again, failed=_say_failed))
    show.note("Nobody used the page for 8 hours, and it has ended; run facesearch web again.")
    return ExitCode.DONE


def _say_failed(error: Exception) -> None:
    show.warn(f"A request of the page has failed. {exits.describe(error)}")


def _print_again(address: str) -> None:
    with suppress(show.ClosedPipeError, FaceSearchError):  # whoever read the first one may have gone
        _print(address)
    show.note("The address before has been used. If it was not by you, end this with Ctrl-C and take another --port.")


def _print(address: str) -> None:
    show.say(address)
    show.flush()
