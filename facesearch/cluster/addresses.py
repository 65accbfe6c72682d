"""Where a vector store is."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from facesearch.errors import UsageError
from facesearch.files import without_secrets

_SCHEMES: Final = {"milvus": "http", "milvus+tls": "https"}  # and what pymilvus calls them
_PORT: Final = 19530  # Milvus' own
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")  # what Milvus takes
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_EXAMPLE = "write it as milvus://HOST:19530/NAME, or milvus+tls://HOST:PORT/NAME."


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A collection of a Milvus. Who may use it is told by MILVUS_TOKEN, and stands in no address."""

    scheme: str
    server: str  # HOST:PORT
    collection: str

    @classmethod
    def parse(cls, text: str) -> "StoreAddress":
        """The address that was typed. Raises UsageError where it is none."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port or _PORT
        except ValueError:
            parts, host, port = urlsplit(""), "", _PORT
        if parts.username is not None or parts.password is not None or "@" in text:
            raise UsageError(
                "A password does not belong in an address, which is stored and shown; set MILVUS_TOKEN=USER:PASSWORD "
                "and " + _EXAMPLE
            )
        host = f"[{host}]" if ":" in host else host
        name = parts.path.removeprefix("/")
        is_whole = parts.scheme in _SCHEMES and _HOST.fullmatch(host) and _NAME.fullmatch(name)
        # Under such a name pymilvus would ask its server for other addresses, and go there.
        if not is_whole or parts.query or parts.fragment or "global-cluster" in host:
            raise UsageError(f"{without_secrets(text)[:200]!a} is not the address of a vector store; {_EXAMPLE}")
        return cls(parts.scheme, f"{host}:{port}", name)

    @property
    def uri(self) -> str:
        """As pymilvus wants it, without the collection."""
        return f"{_SCHEMES[self.scheme]}://{self.server}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.server}/{self.collection}"
