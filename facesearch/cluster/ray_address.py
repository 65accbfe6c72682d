"""Where a Ray cluster is, and whether something of that kind answers there: Ray itself would wait for a minute and
more, and print what it waits for."""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import printable

_PATIENCE = 5.0  # seconds
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_MOST_PORT = 65_535
# How a client of HTTP/2 begins, in which Ray's processes speak: a server answers with its settings (type 4).
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HEADER, _TYPE, _SETTINGS = 9, 3, 4  # bytes, a place in them, and what stands there
_OTHERS = ("192.0.2.1", 9)  # an address that nobody has, by RFC 5737
HOW_TO_START = "ray start --head --disable-usage-stats"


@dataclass(frozen=True, slots=True)
class RayAddress:
    """The head of a cluster."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "RayAddress":
        """The address that was typed. Raises UsageError where it is none."""
        found = _ADDRESS.fullmatch(text)
        if not found or not 0 < int(found["port"]) <= _MOST_PORT:
            why = "is that of a Ray Client, by which no cluster is reached here" if "://" in text else "is no address"
            raise UsageError(
                f"'{printable(text[:200])}' {why}; name the cluster's head as HOST:PORT, as 10.0.0.1:6379, or auto."
            )
        return cls(found["host"].strip("[]"), int(found["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def refuse_silent(self) -> None:
        """Raises FaceSearchError where no Ray answers."""
        try:
            with socket.create_connection((self.host, self.port), _PATIENCE) as opened:
                opened.settimeout(_PATIENCE)
                opened.sendall(_HELLO)
                answer = opened.recv(_HEADER)
        except socket.gaierror as error:
            raise FaceSearchError(
                f"The host of the Ray cluster {self} has no address ({error.strerror}); check its name."
            ) from error
        except OSError as error:
            raise FaceSearchError(
                f"No Ray cluster answers at {self} ({error.strerror or 'it is silent'}); start one there with: "
                f"{HOW_TO_START}"
            ) from error
        if len(answer) < _HEADER or answer[_TYPE] != _SETTINGS:
            raise FaceSearchError(
                f"What answers at {self} is no Ray cluster; name the port of its head, which is 6379 by default."
            )

    def answers(self) -> bool:
        """Whether something still listens there."""
        try:
            socket.create_connection((self.host, self.port), _PATIENCE).close()
        except OSError:
            return False
        return True

    @property
    def is_loopback(self) -> bool:
        """Whether it leads back to this machine, and no other machine could mean the same."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def is_elsewhere_too(self) -> bool:
        """Whether the same port answers at the address by which others reach this machine."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            try:
                asked.connect(_OTHERS)  # nothing is sent: the system chooses from where it would be
            except OSError:
                return False
            return RayAddress(asked.getsockname()[0], self.port).answers()


def of_environment() -> RayAddress | None:
    """The address that the user has set for all programs of Ray. Raises UsageError where it is none."""
    text = os.environ.get("RAY_ADDRESS", "")
    return RayAddress.parse(text) if text and text != "auto" else None
