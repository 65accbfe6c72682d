"""The program of a process that parses what strangers wrote about people: XMP is read and merged here and nowhere
else, as expat is code in C."""

import base64
from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.errors import PhotoError
from facesearch.people import sidecar, xmp
from facesearch.people.packet import UnusableError
from facesearch.photos.decoding_process import Reply, as_array, serve
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Status

SECONDS = 20  # that a packet may take, at most; one of 10 megabytes takes 2
_MEGAPIXELS = 1  # that its memory is measured by
_PROGRAM = "facesearch.people.parsing_process"


class Parsers(Decoders):
    """Such processes; a context manager, which ends them."""

    def __init__(self, count: int = 1) -> None:
        super().__init__(count, _MEGAPIXELS, SECONDS, _PROGRAM)

    def __enter__(self) -> Self:
        return self

    def described(self, packets: Sequence[bytes]) -> xmp.Described:
        """What the first packet that names people says of them. Raises PhotoError where none can be read."""
        return msgspec.json.decode(self.ask("describe", tuple(packets)), type=xmp.Described)

    def merged(self, existing: bytes | None, shown: sidecar.Shown) -> bytes:
        """As `sidecar.merged`. Raises PhotoError where the sidecar cannot be kept as it is."""
        return base64.b64decode(self.ask("merge", existing, msgspec.json.encode(shown)).strip())


def describe(packets: Sequence[bytes]) -> tuple[Reply, NDArray[np.uint8]]:
    """The call of that name: JSON of what the first packet that names people says."""
    found: xmp.Described | None = None
    reason = "it has no XMP"
    for packet in packets:
        try:
            read = xmp.read(packet)
        except UnusableError as error:
            reason = str(error)
            continue
        if found is None or (read.names_people and not found.names_people):
            found = read
    if found is None:
        raise PhotoError(Status.UNREADABLE, reason)
    return as_array(msgspec.json.encode(found))


def merge(existing: bytes | None, shown: bytes) -> tuple[Reply, NDArray[np.uint8]]:
    """The call of that name: the sidecar in base64, as what surrounds it are spaces."""
    try:
        merged = sidecar.merged(existing, msgspec.json.decode(shown, type=sidecar.Shown))
    except UnusableError as error:
        raise PhotoError(Status.UNREADABLE, str(error)) from error
    return as_array(base64.b64encode(merged))


if __name__ == "__main__":
    serve([describe, merge])
