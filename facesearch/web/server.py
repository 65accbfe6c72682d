"""The server of the page: on this machine's own address alone, until it is interrupted or nobody has used it for
long."""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn

from facesearch import interruption
from facesearch.errors import FaceSearchError
from facesearch.web.api import OPERATIONS
from facesearch.web.app import make_app
from facesearch.web.bodies import PATIENCE, Patience
from facesearch.web.connections import connection_of
from facesearch.web.guard import Door, Guard
from facesearch.web.service import Service
from facesearch.web.session import IDLE_SECONDS, Session

_ENDS_IN = 0.2  # seconds for requests that run when the server ends; what they write is whole or not at all
_KEPT = 30  # seconds that a connection without a request is kept
_FILES = 1024  # that the process may open: connections, the database, and what decodes photos
_WAITING = 512  # connections that the system keeps until they are taken


@dataclass(frozen=True, slots=True)
class Serving:
    """How a page is served. `bearer` is a token for programs. `opened` is called with the address before the first
    request, `tell` hears each later address, and `failed` what nobody has foreseen."""

    port: int = 0
    bearer: str | None = None
    idle_seconds: float = IDLE_SECONDS
    patience: Patience = PATIENCE
    opened: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None
    failed: Callable[[Exception], None] = lambda _: None


def serve(service: Service, serving: Serving) -> None:
    """Serves until nobody has used the page for so long. Raises FaceSearchError where the port cannot be had, and
    KeyboardInterrupt."""
    _allow_files()
    with _listening(serving.port) as listener:
        session = Session(service.gallery.name, listener.getsockname()[1], serving.idle_seconds)
        photos = [each.path for each in OPERATIONS if each.body is bytes]
        door = Door(session, serving.bearer, photos, serving.patience, serving.tell, serving.failed)
        server = _Server(Guard(make_app(service), door), door, lambda: service.runs.is_busy, service.uploads.drop_old)
        with interruption.orderly(server.stop):
            serving.opened(session.address)
            server.run(sockets=[listener])
        session.end()


class _Server(uvicorn.Server):
    """Leaves signals to facesearch, and ends with its session, which lasts while it `is_busy`: its end would
    stop what the user has begun. `tidy` is called each second."""

    def __init__(
        self, app: Guard, door: Door, is_busy: Callable[[], bool], tidy: Callable[[], None] = lambda: None
    ) -> None:
        self._session, self._is_busy, self._tidy = door.session, is_busy, tidy
        super().__init__(
            uvicorn.Config(
                app,
                http=connection_of(door.patience),
                ws="none",
                loop="asyncio",
                lifespan="auto",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_WAITING,
                callback_notify=self._look_at_session,
                timeout_notify=0,
                timeout_keep_alive=_KEPT,
                timeout_graceful_shutdown=_ENDS_IN,  # type: ignore[arg-type]
            )
        )

    def stop(self) -> None:
        """Ends soon."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes no signal."""
        yield

    async def _look_at_session(self) -> None:
        if self._is_busy():
            self._session.use()
        if self._session.is_over:
            self.stop()
        else:
            await asyncio.to_thread(self._session.keep)
            await asyncio.to_thread(self._tidy)


def _allow_files() -> None:
    """Takes what the system allows where it gives less at first: macOS gives 256."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < _FILES and soft != resource.RLIM_INFINITY:
            most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (ImportError, OSError, ValueError):  # Windows has no such limit
        return


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """A socket that listens on this machine's own address. Raises FaceSearchError."""
    # Only where the protocol is said does asyncio send at once: else each answer waits 40 ms for the one before.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # a port that was just left is free
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(_WAITING)
        except OSError as error:
            raise FaceSearchError(_why_not(port, error)) from error
        yield listener


def _why_not(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken; name another one, or 0 for one that is free."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be used by you; name one from 1024 on, or 0 for one that is free."
    return f"Port {port} cannot be listened on ({error.strerror}); name another one, or 0 for one that is free."
