"""When a photo was taken, by what its file says: EXIF, and XMP where EXIF is silent."""

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from facesearch.errors import PhotoError
from facesearch.photos import formats
from facesearch.photos.file import open_regular
from facesearch.photos.orientation import described_in

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"  # a date as it is stored: by the photo's own clock, which has no time zone
_EXIF, _ORIGINAL, _DIGITIZED = 34665, 36867, 36868  # tags of EXIF 2.32: where its folder is, and two dates
_WRITTEN = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_XMP = re.compile(rb"(?:exif:DateTimeOriginal|photoshop:DateCreated)\s*(?:=\s*[\"']|>)\s*([0-9T: -]{19})")
_INSIDE = re.compile(rb"(?:Exif\0\0|CMT2)(?=II\*\0|MM\0\*)")  # as HEIC, AVIF and Canon's CR3 hold EXIF
_BLOCK = 1 << 17  # bytes of EXIF that are read, at most
_HEAD = 1 << 17  # bytes of a JPEG: what describes it comes first
_MOST = 64_000_000  # bytes of another file, where it may come last


def date_of(data: bytes) -> str:
    """When a photo was taken, such as 2024-07-31T18:05:59, by its own clock; empty where it does not say. `data` is
    its file, or the beginning of a JPEG. When a file was changed says nothing, and neither does its name."""
    by_xmp = ""
    for block in _descriptions(data):
        if found := _of_exif(block):
            return found
        written = _XMP.search(block)
        by_xmp = by_xmp or (_valid(written[1].decode("ascii", "replace")) if written else "")
    return by_xmp


def date_in_file(path: str) -> str:
    """As `date_of`, of a file of which no more is read than it takes. Raises OSError and PhotoError."""
    with open_regular(path) as opened:
        head = opened.read(_HEAD)
        is_enough = formats.format_of(head[: formats.HEAD]) in ("JPEG", None)
        return date_of(head if is_enough else head + opened.read(_MOST))


def _descriptions(data: bytes) -> Iterator[bytes]:
    kind = formats.format_of(data[: formats.HEAD]) or ""
    if kind in ("JPEG", "PNG", "WebP"):
        yield from described_in(data, kind)
    elif kind == "TIFF":
        yield data
    elif kind in ("HEIC", "AVIF", "RAW"):
        for found in _INSIDE.finditer(data):
            yield data[found.end() : found.end() + _BLOCK]
        if data[:4] in (b"II*\0", b"IIRO", b"IIRS", b"IIU\0"):  # a TIFF but for its number
            yield b"II*\0" + data[4:]


def _of_exif(block: bytes) -> str:
    from PIL import Image

    if block.removeprefix(b"Exif\0\0")[:4] not in (b"II*\0", b"MM\0*"):
        return ""
    with warnings.catch_warnings(action="ignore"), suppress(Exception):  # its reader gives up in many ways
        exif = Image.Exif()
        exif.load(block)
        tags = exif.get_ifd(_EXIF)
        for tag in (_ORIGINAL, _DIGITIZED):
            if found := _valid(str(tags.get(tag) or exif.get(tag) or "")):
                return found
    return ""


def _valid(written: str) -> str:
    """The date as it is stored; empty where it is none, as where a camera's clock was never set."""
    found = _WRITTEN.match(written)
    if not found:
        return ""
    try:
        return datetime(*map(int, found.groups())).isoformat()  # type: ignore[arg-type]
    except ValueError:
        return ""


def date_if_there(path: str) -> str | None:
    """As `date_in_file`; None where the file cannot be read now."""
    try:
        return date_in_file(path)
    except (OSError, PhotoError, ValueError, MemoryError):
        return None
