"""Photos that are read over a network by their address: listed a page at a time, and read in bounded time and memory.

The packages that do it (fsspec, and s3fs for s3://) are imported when the first address is met. Whatever they raise
becomes an OSError: ENOENT says that there is no such object, all else that it may well be there."""

import errno
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import BinaryIO, TypeVar

from facesearch.photos.addresses import ON_THE_WEB, inside_of, scheme_of
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.sources import Entry, Page, Read, Source

_FIRST = 4 << 20  # bytes that are asked for at first of what is named like a photo: most are smaller, and then whole
_FIRST_OF_OTHERS = 1 << 16  # of anything else: its beginning says whether it is a photo
_MOST_AT_ONCE = 16 << 20  # bytes in one request
_LONGEST, _REST, _BETWEEN = 30.0, 30.0, 1.0  # seconds: see _Patience
NO_ANSWER = (errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EHOSTUNREACH)
Answer = TypeVar("Answer")
_SETTINGS = ("AWS_", "FSSPEC_", "GOOGLE_", "AZURE_", "GCSFS_")  # environment: with other ones it is another source


def is_folder(address: str) -> bool:
    """Whether anything but marks of folders lies below an address. Raises OSError where that cannot be told."""
    return _asked(address, lambda source: source.holds(inside_of(address)))


def file_at(address: str) -> Entry | None:
    """The object at an address; None where there is none. Raises OSError where that cannot be told."""
    return _asked(address, lambda source: source.file(inside_of(address)))


def files_in(address: str, is_deep: bool = True) -> Iterator[Entry]:
    """All that lies below an address, or directly in it, in the order of its names. Raises OSError, in mid-list
    too."""
    place: object = None
    while True:
        page = _asked(address, partial(_page, address, is_deep, place))
        yield from page.entries
        if page.place is None:
            return
        if page.place == place:
            raise OSError(errno.EIO, "its list does not end")
        place = page.place


def _page(address: str, is_deep: bool, place: object, source: Source) -> Page:
    return source.page(inside_of(address), is_deep, place)


def opened(address: str) -> BinaryIO:
    """The object, opened for reading. What is read is asked for as it is needed. Raises OSError."""
    first = _FIRST if looks_like_photo(address) else _FIRST_OF_OTHERS
    return io.BufferedReader(RemoteFile(address, first), first)


class RemoteFile(io.RawIOBase):
    """An object as a file, which must not change while it is read."""

    def __init__(self, address: str, first: int) -> None:
        """Asks for its first bytes at once. Raises OSError."""
        self._address, self._at = address, 0
        self._begin = self._read(0, first)
        self.size = self._begin.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        end = min(self._at + min(len(buffer), _MOST_AT_ONCE), self.size)
        data = self._between(self._at, end) if end > self._at else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        blocks = []
        while block := self.read(_MOST_AT_ONCE):
            blocks.append(block)
        return b"".join(blocks)

    def _between(self, start: int, end: int) -> bytes:
        if start < len(self._begin.data):
            return self._begin.data[start:end]
        found = self._read(start, end)
        if (found.size, found.tag) != (self._begin.size, self._begin.tag) or not found.data:
            raise OSError(errno.ESTALE, "it was changed while it was read")
        return found.data

    def _read(self, start: int, end: int) -> Read:
        return _asked(self._address, lambda source: source.read(inside_of(self._address), start, end))


class _Patience:
    """How long a place that does not answer is asked again: not at all where it has never answered, half a minute
    where it has; then nothing asks it for a while, or each photo of a thousand would wait in vain."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_answered = False
        self._failing_since: float | None = None
        self._rests_until, self._said = 0.0, ""

    def check(self) -> None:
        """Raises OSError while it is not asked."""
        if time.monotonic() < self._rests_until:
            raise OSError(errno.ETIMEDOUT, self._said)

    def answered(self) -> None:
        """Notes an answer, be it a refusal."""
        with self._lock:
            self._has_answered, self._failing_since = True, None

    def is_over(self, began: float, said: str) -> bool:
        """Whether it is to be given up, when what began then was not answered."""
        with self._lock:
            self._failing_since = min(self._failing_since or began, began)
            is_over = not self._has_answered or time.monotonic() - self._failing_since > _LONGEST
            if is_over:
                self._rests_until, self._said = time.monotonic() + _REST, said
            return is_over


def _asked(address: str, ask: Callable[[Source], Answer]) -> Answer:
    """The answer of the source of an address. Raises OSError, whatever a package raises."""
    source, patience = _source(scheme_of(address), _settings())
    while True:
        patience.check()
        began = time.monotonic()
        try:
            found = ask(source)
        except OSError as error:
            if error.errno not in NO_ANSWER:
                if error.errno != errno.EINTR:  # nobody waited for the answer
                    patience.answered()
                raise
            if patience.is_over(began, error.strerror or ""):
                raise
            time.sleep(_BETWEEN)
        except ValueError as error:  # of a name that no request can hold
            raise OSError(errno.EINVAL, f"{type(error).__name__}: {error}") from error
        else:
            patience.answered()
            return found


def _settings() -> tuple[tuple[str, str], ...]:
    chosen = (each for each in os.environ.items() if each[0].startswith(_SETTINGS))
    return tuple(sorted(each for each in chosen if each[0] != "AWS_EC2_METADATA_DISABLED"))  # which is set on the way


@lru_cache(maxsize=8)
def _source(scheme: str, _: tuple[tuple[str, str], ...]) -> tuple[Source, _Patience]:
    if scheme == "s3":
        from facesearch.photos.s3 import S3

        return S3(), _Patience()
    if scheme in ON_THE_WEB:
        raise OSError(errno.EINVAL, "a page's address is not opened; download it first")
    from facesearch.photos.file_systems import FileSystem

    return FileSystem(scheme), _Patience()
