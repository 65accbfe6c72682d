"""Requests to the page as no browser would send them."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse

_SECONDS = 60.0  # that an answer may take on a machine with much other work


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. The names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, as text."""
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who talks to the server at this port, and may have a cookie. `extra` is sent with each request."""

    port: int
    extra: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The server's own name."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """The line of a request that comes from the page itself."""
        return f"Origin: http://{self.host}"

    def having(self, *lines: str) -> "Client":
        """The same, with these lines in each request."""
        return Client(self.port, (*self.extra, *lines))

    def get(self, target: str, *lines: str, method: str = "GET") -> Answer:
        """Asks for an address with further lines."""
        return self.ask(f"{method} {target} HTTP/1.1", f"Host: {self.host}", *lines)

    def post(self, target: str, body: bytes, *lines: str, kind: str = "application/json") -> Answer:
        """Sends a body as the page does."""
        typed = (f"Content-Type: {kind}",) if kind else ()
        length = f"Content-Length: {len(body)}"
        return self.ask(f"POST {target} HTTP/1.1", f"Host: {self.host}", *typed, length, *lines, body=body)

    def change(self, *lines: str, body: bytes = b'{"people": [1], "hidden": true}') -> Answer:
        """Hides the first person, as a program would."""
        return self.post("/api/people/hide", body, *lines)

    def ask(self, *lines: str, body: bytes = b"") -> Answer:
        """Sends these lines, and reads one answer."""
        with self.connection() as connection:
            connection.sendall(head((*lines, *self.extra, "Connection: close")) + body)
            return answer(connection)

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """A connection, on which nothing was sent yet."""
        with socket.create_connection(("127.0.0.1", self.port), _SECONDS) as connection:
            yield connection


def head(lines: Sequence[str]) -> bytes:
    """The head of a request."""
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


def answer(connection: socket.socket, method: str = "GET") -> Answer:
    """Reads one answer."""
    response = HTTPResponse(connection, method=method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def target(address: str) -> str:
    """What is asked of the server where this address is opened."""
    return "/enter" + address.partition("/enter")[2]


def enter(address: str, *lines: str) -> Answer:
    """Opens the address that the server printed."""
    return Client(int(address.split(":")[2].partition("/")[0])).get(target(address), *lines)


def cookie_of(given: Answer) -> str:
    """The line of a request with the cookie that came back."""
    return "Cookie: " + given.headers["set-cookie"].partition(";")[0]
