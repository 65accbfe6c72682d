"""When a photo was taken, by its EXIF: whether two files are of one shot."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import BinaryIO

from facesearch.errors import PhotoError
from facesearch.photos import tiff
from facesearch.photos.file import PhotoFile, open_regular

_WITHIN = 1 << 22  # bytes in which a file's EXIF is looked for
_MARK = re.compile(rb"(?:Exif\0\0|CMT2)(?=II\*\0|MM\0\*)")  # what it stands behind in a JPEG or HEIC, and in a CR3
_MOST_MARKS = 16
_LENGTH = len("2024:05:01 10:20:30")
_SECONDS = 2  # between the times of two files of one shot: a card's times are even numbers of seconds


def are_of_one_shot(a: PhotoFile, b: PhotoFile) -> bool:
    """Whether two files were taken in the same second; where one does not say, whether they were written then."""
    times = taken(a.path), taken(b.path)
    if all(times):
        return times[0] == times[1]
    return abs(a.mtime_ns - b.mtime_ns) <= _SECONDS * 1_000_000_000


def taken(path: str) -> str:
    """When the camera took it, as EXIF writes it, in whatever zone; empty where the file does not say or cannot be
    read."""
    with suppress(OSError, PhotoError, ValueError, OverflowError), open_regular(path) as file:
        for start in _starts(file):
            for folder in tiff.folders(file, start):
                text = folder.texts.get(tiff.TAKEN, b"")[:_LENGTH]
                if text.strip(b" :0\0"):  # a clock that was never set says nothing
                    return text.decode("ascii", "replace")
    return ""


def _starts(file: BinaryIO) -> Iterator[int]:
    """Where a TIFF may begin that holds the EXIF: many raw photos are one."""
    yield 0
    file.seek(0)
    data = file.read(_WITHIN)
    for found in islice(_MARK.finditer(data), _MOST_MARKS):
        yield found.end()
