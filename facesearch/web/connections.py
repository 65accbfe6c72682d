"""Connections of the page's server: one that sends no request for some time makes room, and what is no HTTP is
refused with the same headers as all else."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from facesearch.web.bodies import PATIENCE, Patience
from facesearch.web.refusals import made_safe

_MOST = 400  # connections at once; a browser opens 6, and a process may have 1,024 files
_REFUSED = b"This is no HTTP request that can be understood."
_HEADERS = made_safe(
    [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_REFUSED)).encode()),
        (b"connection", b"close"),
    ]
)
_LINES = (b"HTTP/1.1 400 Bad Request", *(b": ".join(each) for each in _HEADERS), b"", _REFUSED)
_REFUSAL = b"\r\n".join(_LINES)


def connection_of(patience: Patience) -> type["Connection"]:
    """The kind of connection that waits so long for the head of a request."""
    return type("PatientConnection", (Connection,), {"head_seconds": patience.head})


class Connection(H11Protocol):
    """One connection."""

    head_seconds = PATIENCE.head
    _ends: asyncio.TimerHandle | None = None
    _since = 0.0  # when it last had something to do

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if len(self.connections) > _MOST:
            self._make_room()
        self._wait_or_not()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing more."""
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        """Takes a part of a request."""
        super().data_received(data)
        self._wait_or_not()

    def on_response_complete(self) -> None:
        """Notes when it was used last."""
        self._since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answers what is no HTTP."""
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(_REFUSAL)
        self.transport.close()

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> None:
        """Ends the connection that has had nothing to do for longest, which may be this one."""
        idle = (each for each in self.connections if isinstance(each, Connection) and not each._is_busy)
        min(idle, key=lambda each: each._since).transport.abort()

    def _wait_or_not(self) -> None:
        """The time for a head begins with its first byte, and no further byte makes it longer."""
        if self._is_busy:
            self._stop_waiting()
        elif self._ends is None and not self.transport.is_closing():
            self._ends = self.loop.call_later(self.head_seconds, self._end)

    def _stop_waiting(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _end(self) -> None:
        self._ends = None
        if not self._is_busy:
            self.transport.abort()
