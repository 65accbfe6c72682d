"""The body of a request, in bounded memory and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import Receive

from facesearch.web.refusals import RefusedRequestError

_MOST_JSON = 1 << 20  # bytes: ids of 100,000 faces in one change
_MOST_PHOTO = 64 << 20  # bytes: a raw photo of 60 megapixels
_PHOTOS_AT_ONCE = 4  # bodies of photos in memory: 256 MB


@dataclass(frozen=True, slots=True)
class Patience:
    """For how many seconds a request is waited for: for its head, while its body stands still, and for a whole body,
    which is 64 MB by 5 Mbit/s through ssh."""

    head: float = 10.0
    pause: float = 10.0
    whole: float = 120.0


PATIENCE = Patience()


class Bodies:
    """Reads the bodies of requests."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._photos = patience, asyncio.Semaphore(_PHOTOS_AT_ONCE)

    @asynccontextmanager
    async def in_turn(self, is_photo: bool) -> AsyncIterator[None]:
        """Waits, with a photo, until few others are read or answered: each is in memory until its answer is sent,
        and takes one of the threads that answer everything else, too."""
        if not is_photo:
            yield
            return
        async with self._photos:
            yield

    async def read(self, kind: bytes | None, declared: bytes | None, receive: Receive, is_photo: bool) -> bytes:
        """The body of a request that says this content type and length, where an address takes a photo or JSON.
        Raises RefusedRequestError for one of another type, that is too long, or that does not come."""
        media = (kind or b"").partition(b";")[0].strip().lower()
        if not is_photo:
            return await self._read(receive, declared, _MOST_JSON, _check_json(media))
        if not media.startswith(b"image/") and media != b"application/octet-stream":
            raise RefusedRequestError(
                415, "not_a_photo", "A photo is sent as it is, with the content type image/jpeg or the like."
            )
        return await self._read(receive, declared, _MOST_PHOTO, is_typed=True)

    async def _read(self, receive: Receive, declared: bytes | None, most: int, is_typed: bool) -> bytes:
        if declared is not None and int(declared) > most:
            raise _too_long(most)
        try:
            async with asyncio.timeout(self._patience.whole):
                return await _parts(receive, most, is_typed, self._patience.pause)
        except TimeoutError:
            sentence = "The request did not come to its end; send it again."
            raise RefusedRequestError(408, "too_slow", sentence, closes=True) from None


async def _parts(receive: Receive, most: int, is_typed: bool, pause: float) -> bytes:
    body = bytearray()
    while (part := await asyncio.wait_for(receive(), pause))["type"] == "http.request":
        body += part.get("body", b"")
        if len(body) > most:
            raise _too_long(most)
        if body and not is_typed:
            raise _no_json()
        if not part.get("more_body", False):
            return bytes(body)
    raise RefusedRequestError(400, "malformed", "The request was broken off.", closes=True)


def _check_json(media: bytes) -> bool:
    """Whether there is a type. A body may be absent, and then it has none."""
    if media and media != b"application/json":
        raise _no_json()
    return bool(media)


def _no_json() -> RefusedRequestError:
    return RefusedRequestError(
        415, "not_json", "This address takes JSON; send it with the content type application/json."
    )


def _too_long(most: int) -> RefusedRequestError:
    what = "a photo" if most == _MOST_PHOTO else "a request"
    return RefusedRequestError(
        413, "too_long", f"This has more than {most >> 20} MB, the most that {what} may have here; send less."
    )
