"""The body of a request, in bounded memory and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive

from facesearch.web.refusals import RefusedRequestError

_MOST_JSON = 1 << 20  # bytes: ids of 100,000 faces in one change
_MOST_PHOTO = 64 << 20  # bytes: a raw photo of 60 megapixels
_PAUSE = 10.0  # seconds that a body may stand still
_WHOLE = 120.0  # seconds for a whole body: 64 MB by 5 Mbit/s through ssh
_PHOTOS_AT_ONCE = 4  # bodies of photos in memory: 256 MB

_photos = asyncio.Semaphore(_PHOTOS_AT_ONCE)


@asynccontextmanager
async def in_turn(is_photo: bool) -> AsyncIterator[None]:
    """Waits, with a photo, until few others are read or answered: each is in memory until its answer is sent, and
    takes one of the threads that answer everything else, too."""
    if not is_photo:
        yield
        return
    async with _photos:
        yield


async def read_body(kind: bytes | None, declared: bytes | None, receive: Receive, is_photo: bool) -> bytes:
    """The body of a request that says this content type and length, where an address takes a photo or JSON. Raises
    RefusedRequestError for one of another type, that is too long, or that does not come."""
    media = (kind or b"").partition(b";")[0].strip().lower()
    if not is_photo:
        return await _read(receive, declared, _MOST_JSON, _check_json(media))
    if not media.startswith(b"image/") and media != b"application/octet-stream":
        raise RefusedRequestError(
            415, "not_a_photo", "A photo is sent as it is, with the content type image/jpeg or the like."
        )
    return await _read(receive, declared, _MOST_PHOTO, is_typed=True)


def _check_json(media: bytes) -> bool:
    """Whether there is a type. A body may be absent, and then it has none."""
    if media and media != b"application/json":
        raise _no_json()
    return bool(media)


def _no_json() -> RefusedRequestError:
    return RefusedRequestError(
        415, "not_json", "This address takes JSON; send it with the content type application/json."
    )


async def _read(receive: Receive, declared: bytes | None, most: int, is_typed: bool) -> bytes:
    if declared is not None and int(declared) > most:
        raise _too_long(most)
    body = bytearray()
    try:
        async with asyncio.timeout(_WHOLE):
            while (part := await asyncio.wait_for(receive(), _PAUSE))["type"] == "http.request":
                body += part.get("body", b"")
                if len(body) > most:
                    raise _too_long(most)
                if body and not is_typed:
                    raise _no_json()
                if not part.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise RefusedRequestError(
            408, "too_slow", "The request did not come to its end; send it again.", closes=True
        ) from None
    raise RefusedRequestError(400, "malformed", "The request was broken off.", closes=True)


def _too_long(most: int) -> RefusedRequestError:
    what = "a photo" if most == _MOST_PHOTO else "a request"
    return RefusedRequestError(
        413, "too_long", f"This has more than {most >> 20} MB, the most that {what} may have here; send less."
    )
