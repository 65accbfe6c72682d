"""The one guard of the page. It looks at each request as it came, before any route, and turns away what neither this
page nor a program of its owner can have sent. What passes has a session, a plain address and a bounded body."""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from facesearch.web.bodies import PATIENCE, Bodies, Patience
from facesearch.web.refusals import RefusedRequestError, SafeSend, refuse, send_whole
from facesearch.web.session import Session

_METHODS = ("GET", "HEAD", "POST")
_ADDRESS = re.compile(rb"/|(?:/(?!\.\.?(?:/|$))[A-Za-z0-9_.-]+)+")  # no escape, no empty part, no way up
_LONGEST_ADDRESS, _LONGEST_QUERY = 300, 4000  # bytes; the longest of the page's own are about 60 and 300
_OWN_SITE = (b"none", b"same-origin")  # the user has typed the address, or this page asks
_ONCE = (b"host", b"origin", b"authorization", b"content-type", b"content-length", b"transfer-encoding")
_NOT_PASSED_ON = (b"range", b"if-range")  # an answer is always whole
_IDLE_CALL = "/api/state"  # a page that is left open asks for it all the time
_AGAIN = "open the address that facesearch web has printed, or run it again"
_log = logging.getLogger("facesearch.web")


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in. `bearer` is the token of programs, where there is one; `photo_addresses` take raw photos;
    `tell` hears the new address where the one before has been used, `failed` what nobody has foreseen."""

    session: Session
    bearer: str | None = None
    photo_addresses: Collection[str] = ()
    patience: Patience = PATIENCE
    tell: Callable[[str], None] = lambda _: None
    failed: Callable[[Exception], None] = lambda _: None


class _Request:
    """What the guard reads of a request."""

    def __init__(self, scope: Scope) -> None:
        self.version: str = scope["http_version"]
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path") or b""
        self.query: bytes = scope["query_string"]
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]

    def all(self, name: bytes) -> list[bytes]:
        """The values of a header, by its name in small letters."""
        return [value for each, value in self._headers if each == name]

    def one(self, name: bytes) -> bytes | None:
        """The value of a header that comes once."""
        return next(iter(self.all(name)), None)

    @property
    def is_reading(self) -> bool:
        """Whether it changes nothing."""
        return self.method in ("GET", "HEAD")


class Guard:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door, self._told = app, door, ""
        self._bodies = Bodies(door.patience)
        port = door.session.port
        names = (b"127.0.0.1", b"localhost")
        # Of the port 80 browsers do not speak.
        self._hosts = (*(b"%b:%d" % (name, port) for name in names), *(names if port == 80 else ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, SafeSend(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: SafeSend) -> None:
        request = _Request(scope)
        try:
            await self._pass(request, scope, receive, send)
        except RefusedRequestError as error:
            await refuse(error, request.path, send)
        except asyncio.CancelledError:  # the server ends
            if not send.has_begun:
                sentence = "facesearch web has ended; run it again, with the same --port to go on here."
                await refuse(RefusedRequestError(503, "ending", sentence, closes=True), request.path, send)
            raise
        except Exception as error:
            _log.error("An answer failed", exc_info=error)
            self._door.failed(error)
            if not send.has_begun:
                sentence = "Something unforeseen happened; the terminal of facesearch web shows what."
                await refuse(RefusedRequestError(500, "unforeseen", sentence), request.path, send)

    async def _pass(self, request: _Request, scope: Scope, receive: Receive, send: Send) -> None:
        self._check_host(request)
        _check_shape(request)
        self._check_origin(request)
        if request.path == "/enter":
            return await self._enter(request, send)
        self._check_session(request)
        if request.path != _IDLE_CALL:
            self._door.session.use()
        headers = [each for each in scope["headers"] if each[0] not in _NOT_PASSED_ON]
        is_photo = not request.is_reading and request.path in self._door.photo_addresses
        async with self._bodies.in_turn(is_photo):
            receive = await self._with_body(request, receive, is_photo)
            return await self._app({**scope, "headers": headers}, receive, send)

    def _check_host(self, request: _Request) -> None:
        """Another name that leads here is how a stranger's page would get around the browser's rules."""
        hosts = request.all(b"host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            where = self._hosts[0].decode()
            raise RefusedRequestError(
                421, "wrong_host", f"This server is at http://{where} alone; open that address."
            )

    def _check_origin(self, request: _Request) -> None:
        if any(site not in _OWN_SITE for site in request.all(b"sec-fetch-site")):
            raise RefusedRequestError(
                403, "foreign", "Another site has asked for this; type the address into the browser's address bar."
            )
        origin, host = request.one(b"origin"), request.all(b"host")[0]
        is_needed = not request.is_reading and request.one(b"authorization") is None
        if origin != b"http://" + host and (origin is not None or is_needed):
            raise RefusedRequestError(403, "foreign", "This did not come from this page; use the page itself.")

    def _check_session(self, request: _Request) -> None:
        """By the token of programs, or by the cookie: never by one where the other is there and wrong."""
        authorization = request.one(b"authorization")
        if authorization is not None:
            if not self._is_bearer(authorization):
                sentence = "This token is not the server's; take the one in the file that --token-file names."
                raise RefusedRequestError(401, "wrong_token", sentence, ((b"www-authenticate", b"Bearer"),))
        elif not self._has_cookie(request):
            headers = ((b"www-authenticate", b"Bearer"),) if request.path.startswith("/api/") else ()
            raise RefusedRequestError(401, "no_session", f"This browser has no session here; {_AGAIN}.", headers)
        if self._door.session.is_over:
            raise RefusedRequestError(401, "no_session", f"The session has ended; {_AGAIN}.")

    def _is_bearer(self, authorization: bytes) -> bool:
        scheme, _, token = authorization.partition(b" ")
        bearer = self._door.bearer
        is_same = secrets.compare_digest(token.strip(), (bearer or secrets.token_urlsafe()).encode())
        return bearer is not None and scheme.lower() == b"bearer" and is_same

    def _has_cookie(self, request: _Request) -> bool:
        name, session = self._door.session.cookie, self._door.session
        pairs = [pair.partition("=") for pair in b";".join(request.all(b"cookie")).decode("latin-1").split(";")]
        values = [value.strip() for key, _, value in pairs if key.strip() == name]
        if len(values) > 1:
            raise RefusedRequestError(
                400,
                "two_cookies",
                f"There are two cookies {name}; remove those of 127.0.0.1 in the browser, then {_AGAIN}.",
            )
        return bool(values) and session.is_of(values[0])

    async def _enter(self, request: _Request, send: Send) -> None:
        """Gives the session to whoever brings the token. A browser that looks ahead does not use it up."""
        if request.method == "HEAD" or _is_looking_ahead(request):
            raise RefusedRequestError(503, "not_yet", "Open this address to use it.")
        if not request.is_reading:
            raise _wrong_method(b"GET, HEAD")
        session = self._door.session
        token = parse_qs(request.query.decode("latin-1")).get("token", [])
        entry = session.enter(token[0]) if len(token) == 1 else "wrong"
        if entry != "in" and not self._has_cookie(request):
            raise self._not_in(entry)
        session.use()
        headers = ((b"location", b"/people"), (b"set-cookie", session.cookie_to_set().encode()))
        await send_whole(send, 303, b"", headers)

    def _not_in(self, entry: str) -> RefusedRequestError:
        if entry == "wrong":
            return RefusedRequestError(403, "wrong_token", f"The token of this address is wrong; {_AGAIN}.")
        if self._told != self._door.session.address:  # once, however often the used one is tried
            self._told = self._door.session.address
            self._door.tell(self._told)
        sentence = "This address has been used; open the new one that facesearch web has just printed."
        return RefusedRequestError(403, "used_token", sentence)

    async def _with_body(self, request: _Request, receive: Receive, is_photo: bool) -> Receive:
        if request.is_reading:
            return receive
        kind, length = request.one(b"content-type"), request.one(b"content-length")
        body = await self._bodies.read(kind, length, receive, is_photo)
        return _replayed(body, receive)


def _check_shape(request: _Request) -> None:
    if request.version not in ("1.0", "1.1"):
        raise _malformed(f"HTTP/{request.version} is not spoken here; use HTTP/1.1.")
    if request.method not in _METHODS:
        raise _wrong_method(b"GET, HEAD, POST")
    if len(request.raw_path) > _LONGEST_ADDRESS or len(request.query) > _LONGEST_QUERY:
        raise RefusedRequestError(414, "too_long", "The address is too long; leave something out.")
    if not _ADDRESS.fullmatch(request.raw_path) or request.raw_path != request.path.encode():
        raise RefusedRequestError(404, "not_there", "There is no such address; begin at /people.")
    if twice := [name for name in _ONCE if len(request.all(name)) > 1]:
        raise _malformed(f"The request has two headers {twice[0].decode()}; send one.")
    if request.all(b"upgrade"):
        raise _malformed("The request asks for another protocol, and there is none; leave out the header upgrade.")
    sizes = request.all(b"content-length") + request.all(b"transfer-encoding")
    if len(sizes) > 1 or (request.is_reading and any(each != b"0" for each in sizes)):
        raise _malformed("The request's body cannot be told from what follows; send content-length alone.")


def _malformed(sentence: str) -> RefusedRequestError:
    return RefusedRequestError(400, "malformed", sentence, closes=True)


def _wrong_method(allowed: bytes) -> RefusedRequestError:
    return RefusedRequestError(405, "method", f"This address takes {allowed.decode()} alone.", ((b"allow", allowed),))


def _is_looking_ahead(request: _Request) -> bool:
    names = (b"sec-purpose", b"purpose", b"x-moz", b"x-purpose")
    said = b" ".join(value for name in names for value in request.all(name)).lower()
    return b"prefetch" in said or b"preview" in said


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, and then what comes."""
    given = asyncio.Event()

    async def next_message() -> dict[str, object]:
        if given.is_set():
            return dict(await receive())
        given.set()
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message
