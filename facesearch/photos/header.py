"""A photo's width and height, as its header announces them, and what decoding it will cost."""

import io
import math
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from PIL import Image

from facesearch.geometry.scaling import ABOUT, shrink_to_fit
from facesearch.photos import developing, formats, jpegxl
from facesearch.photos.pixels import reduction_for

_HEADER_BYTES = 16_000_000  # that may be read in search of these: some cameras put a map of depths before them
_HEADER_READS = 20_000
# Pillow reads the headers of these in Python alone, and no more of them than that; those of others in a decoder.
_HARMLESS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
_RISKY = ("WebP", "AVIF", "HEIC")

HEAD = formats.HEAD
_MOST_BOXES = 64  # at the top of a file
_NOTED_WITHIN = 1 << 17  # bytes, for a size that is noted far from the start


def announced_size(data: bytes) -> tuple[int, int]:
    """The width and height that the header says, not yet turned upright; 0 for the few kinds that Pillow does not
    know, where OpenCV's own limit holds. For decoders alone: Pillow and LibRaw parse some headers with code in C."""
    kind = formats.format_of(data[:HEAD])
    if kind == "JPEG XL":
        return jpegxl.header(data)[0]
    if kind == "RAW" or (kind == "TIFF" and formats.is_raw(io.BytesIO(data))):
        with suppress(ValueError):  # to develop it will say what is wrong
            return developing.sensor_size(data)
        return 0, 0
    return _size_by_pillow(io.BytesIO(data))


def header_size(data: bytes) -> tuple[int, int]:
    """As `announced_size`, but read in bounded time and memory, by Python alone; 0 where that does not find it."""
    return size_in_header(io.BytesIO(data))


def decoding_cost(data: bytes, size: tuple[int, int], max_side: int) -> int:
    """How many pixels a decoder holds while it decodes a photo whose header announces this width and height: all of
    them, or fewer of a JPEG that is decoded at a smaller scale. `sys.maxsize` where the size is unknown."""
    pixels = math.prod(size)
    if not pixels:
        return sys.maxsize
    reduction = 1.0 if _comes_in_scans(data) else reduction_for(data, ABOUT * shrink_to_fit(size, max_side))
    return int(pixels / reduction**2)


def _comes_in_scans(data: bytes) -> bool:
    """Whether a JPEG is progressive, or stores one colour after the other: it is held whole until its last scan."""
    at, colours = 2, 0
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return data[at + 4] < colours
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if marker not in (0xC0, 0xC1):
                return True
            colours = data[at + 9] if at + 9 < len(data) else 0
        at += 1 if marker == 0xFF else 2 + max(length, 2)
    return True  # it says too little


class _Head:
    """A file for Pillow's readers, of which they get no more than a header can need, wherever they seek. (Where a
    header announces a segment of a terabyte they ask for a terabyte.)"""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._bytes, self._reads = file, _HEADER_BYTES, _HEADER_READS
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        self._reads -= 1
        if count < 0 or count > self._bytes or self._reads < 0:
            raise ValueError("it asks for more than a header has")
        self._bytes -= count
        return self._file.read(count)


def size_in_header(file: BinaryIO) -> tuple[int, int]:
    """As `header_size`, of an open file, of which only the header is read."""
    file.seek(0)
    kind = formats.format_of(file.read(HEAD))
    if kind in _RISKY:
        return _noted_size(file)
    if kind == "JPEG XL":
        file.seek(0)
        return jpegxl.header(file.read(_NOTED_WITHIN))[0]
    if kind == "RAW" or (kind == "TIFF" and formats.is_raw(file)):
        return 0, 0
    file.seek(0)
    return _size_by_pillow(_Head(file), _HARMLESS)


def _size_by_pillow(file: Any, kinds: tuple[str, ...] | None = None) -> tuple[int, int]:
    try:
        return _by_pillow(file, kinds).size
    except Exception:  # its readers give up in many ways; what the decoder says of the file will count
        return 0, 0


def _by_pillow(file: Any, kinds: tuple[str, ...] | None) -> Image.Image:
    """As Image.open, which refuses a large photo by a limit that another program in this process may have set. Raises
    what Pillow's readers raise, LookupError where none knows the file."""
    Image.preinit()
    if kinds is None or not Image.OPEN.keys() >= set(kinds):
        Image.init()
    file.seek(0)
    start = file.read(16)
    for kind in Image.ID if kinds is None else kinds:
        factory, knows = Image.OPEN[kind]
        if knows is None or knows(start) is True:
            file.seek(0)
            with suppress(SyntaxError, IndexError, TypeError, struct.error):  # not of this kind after all
                return factory(file, "")
    raise LookupError("no reader of Pillow knows it")


def _noted_size(file: BinaryIO) -> tuple[int, int]:
    """What the head of a WebP, AVIF or HEIC file notes as its size, 0 where it is not found there."""
    file.seek(0)
    head = file.read(_NOTED_WITHIN)
    if head[12:16] == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if head[12:16] == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    head = _meta_box(file) or head
    # A box 'ispe' is its name, four bytes of flags, width and height; a tile has one, and so has the whole.
    boxes = [head[at + 8 : at + 16] for at in _places(head, b"ispe")]
    return max((struct.unpack(">II", box) for box in boxes if len(box) == 8), default=(0, 0))


def _meta_box(file: BinaryIO) -> bytes:
    """The beginning of what an AVIF or HEIC file notes about itself, which Samsung's phones put at the end; empty
    where it is not found."""
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if name == b"meta":
            file.seek(at)
            return file.read(_NOTED_WITHIN)
        if length < 8 or at + length > sys.maxsize:
            return b""
        at += length
    return b""


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)
