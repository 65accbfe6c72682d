"""A decoder that a photo has taken over: in place of pictures it replies with a page."""

from typing import Any

from facesearch.photos.decoding_process import as_array, serve

_PAGE = b"<html><script>alert(1)</script></html>"


def faces(*_: object) -> Any:
    """In place of the call of that name."""
    return as_array(_PAGE)


def picture(*_: object) -> Any:
    """In place of the call of that name."""
    return as_array(_PAGE)


if __name__ == "__main__":
    serve([faces, picture])
