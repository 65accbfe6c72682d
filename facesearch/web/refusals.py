"""What a request hears that is turned away before any route: a sentence, as JSON for the interface and as a small
page for an address of the page. And the headers that every answer has, refusals and errors too."""

import html
from collections.abc import Iterable

import msgspec
from starlette.types import Message, Send

from facesearch.errors import FaceSearchError

Headers = tuple[tuple[bytes, bytes], ...]

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
_NOT_NEEDED = ("camera", "display-capture", "geolocation", "hid", "microphone", "midi", "payment", "serial", "usb")
SAFE: Headers = (
    (b"content-security-policy", "; ".join(_POLICY).encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),  # a form's origin is null then; the page's own calls are made by fetch
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"permissions-policy", ", ".join(f"{each}=()" for each in _NOT_NEEDED).encode()),
)
_REPLACED = {name for name, _ in SAFE} | {b"server", b"etag", b"last-modified", b"accept-ranges"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>facesearch</title>
</head>
<body>
<main>
<h1>facesearch</h1>
<p role="alert">{sentence}</p>
</main>
</body>
</html>
"""


class RefusedRequestError(FaceSearchError):
    """A request is turned away. `kind` is a word for programs; the connection ends where `closes`."""

    def __init__(self, status: int, kind: str, sentence: str, headers: Headers = (), *, closes: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.kind, self.headers = status, kind, headers
        if closes:
            self.headers = (*headers, (b"connection", b"close"))


def is_for_programs(path: str) -> bool:
    """Whether who asks for this address expects JSON."""
    return path.startswith("/api/")


async def refuse(error: RefusedRequestError, path: str, send: Send) -> None:
    """Sends the refusal."""
    if is_for_programs(path):
        body, kind = msgspec.json.encode({"error": error.kind, "message": str(error)}), b"application/json"
    else:
        body, kind = _PAGE.format(sentence=html.escape(str(error))).encode(), b"text/html; charset=utf-8"
    await send_whole(send, error.status, body, ((b"content-type", kind), *error.headers))


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Sends an answer that is at hand."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def made_safe(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those that every answer has."""
    return [*((name, value) for name, value in headers if name.lower() not in _REPLACED), *SAFE]


class SafeSend:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_begun = send, False

    async def __call__(self, message: Message) -> None:
        """Passes a message on."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            message = {**message, "headers": made_safe(message.get("headers", ()))}
        await self._send(message)
