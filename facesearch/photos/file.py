"""A photo's file: what the file system knows of it, and its bytes with their digest."""

import hashlib
import math
import os
import stat
from dataclasses import dataclass
from typing import BinaryIO

from facesearch.errors import PhotoError
from facesearch.geometry.scaling import ABOUT, shrink_to_fit
from facesearch.packages import is_installed
from facesearch.photos import developing, formats, raw, remote
from facesearch.photos.addresses import is_remote
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.header import HEAD, size_in_header
from facesearch.photos.sources import Entry
from facesearch.photos.status import Cause, Status

MAX_MEGAPIXELS = 200
_BYTES_A_PIXEL = 8  # of a file, at most: four channels of 16 bits
_MORE_BYTES = 64_000_000  # of a file, beside its pixels: thumbnails, notes, a short film
_OF_ANY_SIZE = 256_000_000  # bytes: of a file that does not say its width and height
_MOST_DEVELOPED = 450_000_000  # bytes: of a raw photo of 200 megapixels, in 16 bits, and some
_DIGEST = 16  # bytes
_MOST_RAW = 1_000_000_000  # bytes: a camera of 240 megapixels that adds up four pictures comes to this
_MOST_STORED = 2**63 - 1  # SQLite's integers; nanoseconds until the year 2262


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo as the file system knows it. Paths may hold bytes that are not UTF-8 (surrogate escapes). `ctime_ns` is
    when its content, name or rights changed last, which nobody can set back; 0 where that is not known."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0

    @classmethod
    def from_stat(cls, path: str, found: os.stat_result) -> "PhotoFile":
        """By what the file system says, brought into the range that a database keeps: a time may be in any year."""
        return cls(path, _stored(found.st_size), _stored(found.st_mtime_ns), _stored(found.st_ctime_ns))

    @classmethod
    def from_entry(cls, entry: Entry) -> "PhotoFile":
        """By what lies at an address: nothing says when it was changed last, but its tag is another one then."""
        return cls(entry.path, _stored(entry.size), _stored(entry.mtime_ns), entry.tag)


def _stored(number: int) -> int:
    return max(-_MOST_STORED, min(number, _MOST_STORED))


@dataclass(frozen=True, slots=True)
class LoadedPhoto:
    """A photo's bytes, not yet decoded, the digest that recognises its content wherever it lies, and the width and
    height that its header announces (0 where it could not be read)."""

    file: PhotoFile
    data: bytes
    digest: bytes
    size: tuple[int, int]

    def bytes_when_decoded(self, max_side: int) -> int:
        """How many bytes it takes in this process while it is decoded with this longest side: its file, and the
        pixels of its view."""
        width, height = self.size
        shrink = shrink_to_fit(self.size, max_side) if width and height else 1.0
        return len(self.data) + math.ceil(3 * width * height * (ABOUT / shrink) ** 2)


def load(file: PhotoFile, max_megapixels: float = MAX_MEGAPIXELS) -> LoadedPhoto | None:
    """The file's bytes; None for a file that neither is an image nor is named like one.
    Raises PhotoError when it is named like a photo and is not one, cannot be read, or is larger than a photo of
    `max_megapixels`, for which no memory is then taken. At an address what is named like no photo is not read."""
    if is_remote(file.path) and not formats.may_be_photo(file.path):
        return None
    return _load(file, max_megapixels)


def _load(file: PhotoFile, max_megapixels: float) -> LoadedPhoto | None:
    try:
        with open_regular(file.path) as opened:
            head = opened.read(HEAD)
            if formats.format_of(head) is None:
                _refuse_if_named_like_a_photo(file, head)
                return None
            if _is_raw(opened, head, file.path):
                return _load_raw(file, opened, max_megapixels)
            size = size_in_header(opened)
            refuse_too_large(size, max_megapixels)
            data = _bytes_of(opened, math.prod(size))
    except OSError as error:
        reason = f"cannot be opened: {error.strerror or error}"
        raise PhotoError(Status.UNREADABLE, reason, Cause.MACHINE) from error
    except MemoryError as error:
        raise PhotoError(Status.CRASHED, "there is not enough memory for it now", Cause.MACHINE) from error
    return LoadedPhoto(file, data, digest_of(data), size)


def digest_of(data: bytes) -> bytes:
    """What recognises the content of a photo, 16 bytes."""
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _is_raw(file: BinaryIO, head: bytes, path: str) -> bool:
    """Whether it is a camera's raw photo. Decoders of TIFF would return the thumbnail that many begin with."""
    kind = formats.format_of(head)
    return kind == "RAW" or (kind == "TIFF" and formats.is_raw(file, path))


def _load_raw(file: PhotoFile, opened: BinaryIO, max_megapixels: float) -> LoadedPhoto:
    """A raw photo: the largest JPEG in it, or all of it where it has none that is large. Raises PhotoError."""
    there = size_of(opened)
    if there > _MOST_RAW:
        reason = f"{there / 1e6:,.0f} megabytes, more than the {_MOST_RAW / 1e6:,.0f} that are read of a raw photo"
        raise PhotoError(Status.TOO_LARGE, reason)
    digest = hashlib.blake2b(digest_size=_DIGEST)
    preview = raw.largest_preview(opened, digest.update)
    if preview and preview.is_large:
        refuse_too_large(preview.size, max_megapixels)
        return LoadedPhoto(file, raw.as_jpeg(opened, preview), digest.digest(), preview.size)
    if not is_installed(developing.MODULE):
        raise developing.missing()
    data = _bytes_of(opened, 0, _MOST_DEVELOPED)
    if not raw.is_raw(data):  # by its name alone: nobody could tell what its decoder makes of it
        raise PhotoError(Status.UNSUPPORTED, "RAW of a rare kind, without a large preview")
    return LoadedPhoto(file, data, digest.digest(), (0, 0))


def load_named_photo(file: PhotoFile) -> LoadedPhoto:
    """As `load`, of a file that somebody called a photo. Raises PhotoError too where it is not one."""
    loaded = _load(file, MAX_MEGAPIXELS)
    if loaded is None:
        raise PhotoError(Status.UNSUPPORTED, "its content is not an image of a known format")
    return loaded


def open_regular(path: str) -> BinaryIO:
    """The file, or the object at an address, opened for reading. Raises OSError, and PhotoError where something else
    has taken its place: opening a pipe would wait for whoever writes to it."""
    if is_remote(path):
        return remote.opened(path)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PhotoError(Status.UNREADABLE, "it is not a file", Cause.MACHINE)
    return open(handle, "rb")


def size_of(file: BinaryIO) -> int:
    """The size in bytes of what `open_regular` opened."""
    raw_file = getattr(file, "raw", None)
    return raw_file.size if isinstance(raw_file, remote.RemoteFile) else os.fstat(file.fileno()).st_size


def _bytes_of(file: BinaryIO, pixels: int, otherwise: int = _OF_ANY_SIZE) -> bytes:
    """The whole file, which has so many pixels; where that is unknown (0), of at most so many bytes. A sparse file of
    any size takes no memory before its size is known."""
    most = _BYTES_A_PIXEL * pixels + _MORE_BYTES if pixels else otherwise
    there = size_of(file)
    if there <= most:
        file.seek(0)
        data = file.read(most + 1)
        if len(data) <= most:
            return data
        there = len(data)
    reason = f"{there / 1e6:,.0f} megabytes, more than the {most / 1e6:,.0f} that a photo of its size needs"
    raise PhotoError(Status.TOO_LARGE, reason)


def refuse_too_large(size: tuple[int, int], max_megapixels: float) -> None:
    """Raises PhotoError for a width and height of more pixels than are read."""
    pixels = math.prod(size)
    if pixels > max_megapixels * 1e6:
        reason = f"{math.ceil(pixels / 1e6):,} megapixels, more than the {max_megapixels:g} that are read"
        raise PhotoError(Status.TOO_LARGE, reason, Cause.OPTION, str(pixels / 1e6))


def _refuse_if_named_like_a_photo(file: PhotoFile, head: bytes) -> None:
    if not looks_like_photo(file.path):
        return
    if not head:
        raise PhotoError(Status.UNREADABLE, "the file is empty")
    raise PhotoError(Status.UNSUPPORTED, "its content is not an image of a known format")
