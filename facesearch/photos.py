"""Photos on disk: walk folders, read a file, tell its format by its content, decode it to upright RGB."""

import hashlib
import io
import math
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import cv2
from PIL import Image

from facesearch import formats
from facesearch.chips import Aligner
from facesearch.errors import PhotoError, RootError
from facesearch.files import printable as printable
from facesearch.orientation import orientation
from facesearch.pixels import decode, decoded, reduction_for, register_heic
from facesearch.records import Cause, Chips, Face, PhotoFile, Pixels, Status
from facesearch.whereabouts import VANISHED

MAX_MEGAPIXELS = 200
_BYTES_A_PIXEL = 8  # of a file, at most: four channels of 16 bits
_MORE_BYTES = 64_000_000  # of a file, beside its pixels: thumbnails, notes, a short film
_OF_ANY_SIZE = 256_000_000  # bytes: of a file that does not say its width and height
_HEADER_BYTES = 16_000_000  # that may be read in search of these: some cameras put a map of depths before them
_HEADER_READS = 20_000
# Pillow reads the headers of these in Python alone, and no more of them than that; those of others in a decoder.
_HARMLESS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
_RISKY = ("WebP", "AVIF", "HEIC")

CannotSee = Callable[[str, OSError], None]

_HEAD = formats.HEAD
_NOTED_WITHIN = 1 << 16  # bytes, for a size that is noted far behind
_DIGEST = 16  # bytes
_MOST_PIPED = 256_000_000  # bytes
_PHOTO_NAMES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
_PHOTO_NAMES |= {".avif", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".jp2"}
_RAW = "RAW photos are not read yet"


@dataclass(frozen=True, slots=True)
class LoadedPhoto:
    """A photo's bytes, not yet decoded, the digest that recognises its content wherever it lies, and the width and
    height that its header announces (0 where it could not be read)."""

    file: PhotoFile
    data: bytes
    digest: bytes
    size: tuple[int, int]

    def bytes_to_look(self, max_side: int) -> int:
        """How many it takes here while it is looked at with this longest side: its file, and the pixels that come
        of it."""
        width, height = self.size
        shrink = _shrink(self.size, max_side) if width and height else 1.0
        return len(self.data) + math.ceil(3 * width * height / shrink**2)


@dataclass(frozen=True, slots=True)
class View:
    """A photo as it is looked at, upright RGB, perhaps in a smaller version. `size` is the whole photo's width and
    height, `shrink` how many of its pixels, (x, y), one of the view's stands for; `data` is the file where there is
    more to see."""

    pixels: Pixels
    size: tuple[int, int]
    shrink: tuple[float, float] = (1.0, 1.0)
    data: bytes = b""
    note: str = ""  # what is to be said of a photo that is there in part

    def sharper(self, shrink: float) -> "View":
        """The smallest version that can be decoded in which a pixel stands for at most `shrink` (1 or more) of the
        whole photo's; itself where it is such a one, or where its file turns out to be damaged."""
        if max(self.shrink) <= max(shrink, 1) or not self.data:
            return self
        reduction = reduction_for(self.data, shrink)
        with suppress(PhotoError):
            return View(decode(self.data, reduction), self.size, (reduction, reduction))
        return self

    def cut(self, faces: Sequence[Face], aligner: Aligner, shrink: float) -> Chips:
        """The faces' chips, cut from that version."""
        sharper = self.sharper(shrink)
        return aligner.cut(sharper.pixels, faces, sharper.shrink)


Look: TypeAlias = Callable[[bytes, int], View]


def walk(root: str, cannot_see: CannotSee = lambda path, error: None) -> Iterator[PhotoFile]:
    """The files under a root, in name order, absolute; the root may be a file. Hidden files and folders are left
    out, a folder that is reached twice (through a symbolic link) is walked once, and `cannot_see` hears of each
    folder that cannot be listed and of each file that cannot be looked at, but for those that vanish meanwhile.
    Raises RootError for a root that cannot be read."""
    path = os.path.abspath(root)
    try:
        found = os.stat(path)
    except OSError as error:
        raise RootError(
            f"{printable(path)} cannot be read ({error.strerror}); nothing was marked missing: check the path, "
            "or mount its disk."
        ) from error
    if stat.S_ISDIR(found.st_mode):
        yield from _walk_folder(path, cannot_see)
    elif stat.S_ISREG(found.st_mode):
        yield PhotoFile.of(path, found)


def _walk_folder(top: str, cannot_see: CannotSee) -> Iterator[PhotoFile]:
    seen: set[tuple[int, int]] = set()
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            _unless_vanished(folder, error, cannot_see)
            continue
        inner = []
        for entry in listed:
            try:
                if entry.is_dir():
                    inner.append(entry.path)
                elif entry.is_file():
                    yield PhotoFile.of(entry.path, entry.stat())
            except OSError as error:
                _unless_vanished(entry.path, error, cannot_see)
        folders += reversed(inner)


def _unless_vanished(path: str, error: OSError, cannot_see: CannotSee) -> None:
    if error.errno not in VANISHED:
        cannot_see(path, error)


def may_be_photo(path: str) -> bool:
    """Whether a file is named like a photo or begins like one."""
    if looks_like_photo(path):
        return True
    with suppress(OSError, PhotoError), _opened(path) as opened:
        return formats.format_of(opened.read(_HEAD)) is not None
    return False


def load(file: PhotoFile, max_megapixels: float = MAX_MEGAPIXELS) -> LoadedPhoto | None:
    """The file's bytes; None for a file that neither is an image nor is named like one.
    Raises PhotoError when it is named like a photo and is none, cannot be read, or is larger than a photo of
    `max_megapixels`: its memory is then not taken."""
    try:
        with _opened(file.path) as opened:
            head = opened.read(_HEAD)
            if formats.format_of(head) is None:
                _refuse_if_named_like_a_photo(file, head)
                return None
            _refuse_raw(opened, head, file.path)
            size = _header_size(opened)
            _refuse_too_large(size, max_megapixels)
            data = _bytes_of(opened, math.prod(size))
    except OSError as error:
        reason = f"cannot be opened: {error.strerror or error}"
        raise PhotoError(Status.UNREADABLE, reason, Cause.MACHINE) from error
    except MemoryError as error:
        raise PhotoError(Status.CRASHED, "there is not enough memory for it now", Cause.MACHINE) from error
    digest = hashlib.blake2b(data, digest_size=_DIGEST).digest()
    return LoadedPhoto(file, data, digest, size)


def _opened(path: str) -> BinaryIO:
    """The file, if it is one still: to open a pipe for reading would wait for whoever writes to it."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PhotoError(Status.UNREADABLE, "it is not a file any more", Cause.MACHINE)
    return open(handle, "rb")


def _bytes_of(file: BinaryIO, pixels: int) -> bytes:
    """The whole file, which has so many pixels, 0 where that is unknown. A sparse file of any size takes no memory
    before its size is known."""
    most = _BYTES_A_PIXEL * pixels + _MORE_BYTES if pixels else _OF_ANY_SIZE
    there = os.fstat(file.fileno()).st_size
    if there <= most:
        file.seek(0)
        data = file.read(most + 1)
        if len(data) <= most:
            return data
        there = len(data)
    reason = f"{there / 1e6:,.0f} megabytes, more than the {most / 1e6:,.0f} that a photo of its size needs"
    raise PhotoError(Status.TOO_LARGE, reason)


def _refuse_too_large(size: tuple[int, int], max_megapixels: float) -> None:
    pixels = math.prod(size)
    if pixels > max_megapixels * 1e6:
        reason = f"{math.ceil(pixels / 1e6):,} megapixels, more than the {max_megapixels:g} that are read"
        raise PhotoError(Status.TOO_LARGE, reason, Cause.OPTION, str(pixels / 1e6))


def _refuse_raw(file: BinaryIO, head: bytes, path: str = "") -> None:
    """A camera's raw photo would be seen as the thumbnail that it begins with."""
    kind = formats.format_of(head)
    if kind == "RAW" or (kind == "TIFF" and formats.is_raw(file, path)):
        raise PhotoError(Status.RAW, _RAW)
    file.seek(0)


def _refuse_if_named_like_a_photo(file: PhotoFile, head: bytes) -> None:
    if not looks_like_photo(file.path):
        return
    if not head:
        raise PhotoError(Status.UNREADABLE, "the file is empty")
    raise PhotoError(Status.UNSUPPORTED, "its content is not an image of a known format")


def look(data: bytes, max_side: int = 0, max_megapixels: float = MAX_MEGAPIXELS) -> View:
    """The photo in a version whose longest side is at most `max_side` pixels (a panorama counts as twice as long as
    it is high), 0 for the whole photo. A JPEG is decoded at the smallest of its own scales that serves, which takes a
    quarter of the time. Raises as `decode`, and PhotoError for more than `max_megapixels`."""
    _refuse_raw(io.BytesIO(data), data[:_HEAD])
    if formats.format_of(data[:_HEAD]) == "HEIC":
        register_heic()
    announced = announced_size(data)
    _refuse_too_large(announced, max_megapixels)
    reduction = reduction_for(data, _shrink(announced, max_side))
    pixels, note = decoded(data, reduction)
    height, width = pixels.shape[:2]
    size = _turned(announced, data) if reduction > 1 else (width, height)
    if _shrink(size, max_side) == 1:
        return View(pixels, size, note=note)
    share = 1 / _shrink((width, height), max_side)
    looked_at = max(1, round(width * share)), max(1, round(height * share))
    small = cv2.resize(pixels, looked_at, interpolation=cv2.INTER_AREA)
    shrink = reduction * width / looked_at[0], reduction * height / looked_at[1]
    return View(small, size, shrink, data, note)  # type: ignore[arg-type]


def whole(pixels: Pixels) -> View:
    """The view of a photo that is already decoded."""
    return View(pixels, (pixels.shape[1], pixels.shape[0]))


def look_at(path: str, max_side: int = 0, how: Look | None = None) -> View:
    """As `look`, by the photo's path; with another function of its kind, that one."""
    return (how or look)(_asked(path), max_side)


def _asked(path: str) -> bytes:
    """The bytes of a photo that a question is about: `-` is standard input, and a pipe is read to its end."""
    if path != "-" and not stat.S_ISFIFO(_mode(path)):
        return _loaded_bytes(path)
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as opened:
            if path == "-" and stat.S_ISCHR(os.fstat(0).st_mode):
                raise PhotoError(Status.UNREADABLE, "standard input is a terminal or a device, not a photo")
            data = opened.read(_HEAD)
            if formats.format_of(data) is None:
                reason = "its content is not an image of a known format" if data else "it is empty"
                raise PhotoError(Status.UNSUPPORTED if data else Status.UNREADABLE, reason)
            data += opened.read(_MOST_PIPED)
    except OSError as error:
        raise PhotoError(Status.UNREADABLE, f"cannot be opened: {error.strerror or error}") from error
    except MemoryError as error:
        raise PhotoError(Status.CRASHED, "there is not enough memory for it now", Cause.MACHINE) from error
    if len(data) > _MOST_PIPED:
        raise PhotoError(Status.TOO_LARGE, f"more than {_MOST_PIPED / 1e6:,.0f} megabytes came through the pipe")
    return data


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0  # to open it will say why


def _loaded_bytes(path: str) -> bytes:
    loaded = load(PhotoFile(path, 0, 0))
    if loaded is None:
        raise PhotoError(Status.UNSUPPORTED, "its content is not an image of a known format")
    return loaded.data


def read(path: str, how: Look | None = None) -> Pixels:
    """One photo by its path, whole, upright RGB, (height, width, 3); never from a pipe, which can be read once only.
    Raises PhotoError."""
    return (how or look)(_loaded_bytes(path), 0).pixels


def looks_like_photo(path: str) -> bool:
    """Whether a file is named like a photo."""
    return os.path.splitext(path)[1].lower() in _PHOTO_NAMES


def announced_size(data: bytes) -> tuple[int, int]:
    """The width and height that the header says, not yet turned upright; 0 for the few kinds that Pillow does not
    know, where OpenCV's own limit holds. For decoders alone: Pillow parses some headers with libraries in C."""
    return _size_by_pillow(io.BytesIO(data))


def header_size(data: bytes) -> tuple[int, int]:
    """As `announced_size`, read in bounded time and memory and without any library in C; 0 where that tells
    nothing."""
    return _header_size(io.BytesIO(data))


def decoding_cost(data: bytes, size: tuple[int, int], max_side: int) -> int:
    """How many pixels a decoder holds while it looks at a photo whose header announces this width and height: all of
    them, but of a JPEG that can be shrunk on its way. More than any where the size is unknown."""
    pixels = math.prod(size)
    if not pixels:
        return sys.maxsize
    reduction = 1 if _comes_in_scans(data) else reduction_for(data, _shrink(size, max_side))
    return pixels // reduction**2


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
    """A file for Pillow's readers, of which they get no more than a header can need, wherever they look. (One that is
    told of a segment of a terabyte asks for it.)"""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._bytes, self._reads = file, _HEADER_BYTES, _HEADER_READS
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int = -1) -> bytes:
        self._reads -= 1
        if count < 0 or count > self._bytes or self._reads < 0:
            raise ValueError("it asks for more than a header has")
        self._bytes -= count
        return self._file.read(count)


def _header_size(file: BinaryIO) -> tuple[int, int]:
    file.seek(0)
    if formats.format_of(file.read(_HEAD)) in _RISKY:
        return _noted_size(file)
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
    # A box 'ispe' is its name, four bytes of flags, width and height; a tile has one, and so has the whole.
    boxes = [head[at + 8 : at + 16] for at in _places(head, b"ispe")]
    return max((struct.unpack(">II", box) for box in boxes if len(box) == 8), default=(0, 0))


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + 1)


def _turned(announced: tuple[int, int], jpeg: bytes) -> tuple[int, int]:
    """The whole photo's width and height, as it is seen."""
    return announced if orientation(jpeg, "JPEG") < 5 else (announced[1], announced[0])


def _shrink(size: tuple[int, int], max_side: int) -> float:
    """By how much a photo of this width and height is shrunk to look at it, 1 or more. All of a panorama's length
    would cost it its faces."""
    return max(1.0, min(max(size), 2 * min(size)) / max_side) if max_side else 1.0
