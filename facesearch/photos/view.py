"""A view of a photo: its pixels, upright, perhaps in a smaller version."""

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from facesearch.arrays import Chips, Pixels
from facesearch.errors import PhotoError
from facesearch.geometry.chips import Aligner
from facesearch.geometry.face import Face
from facesearch.geometry.scaling import ABOUT, shrink_to_fit, shrunk
from facesearch.photos import formats, raw
from facesearch.photos.file import (
    MAX_MEGAPIXELS,
    LoadedPhoto,
    PhotoFile,
    load_named_photo,
    refuse_too_large,
)
from facesearch.photos.frames import FIRST_ALONE, has_more
from facesearch.photos.header import HEAD, announced_size, header_size
from facesearch.photos.orientation import orientation, says_which_way_is_up
from facesearch.photos.pixels import decode_with_note, reduction_for, register_heic
from facesearch.photos.status import Cause, Status

_MOST_PIPED = 256_000_000  # bytes


@dataclass(frozen=True, slots=True)
class View:
    """A photo's pixels, upright RGB, perhaps in a smaller version. `size` is the whole photo's width and
    height, `shrink` how many of its pixels, (x, y), one of the view's stands for; `data` is the file where there is
    more to see."""

    pixels: Pixels
    size: tuple[int, int]
    shrink: tuple[float, float] = (1.0, 1.0)
    data: bytes = b""
    note: str = ""  # for the user, of a photo that is there in part
    knows_up: bool = False  # whether the file tells which way is up
    taken: str = ""  # when, by the photo's own clock (see `facesearch.photos.dates`); empty where that is not known
    has_profile: bool = False  # whether its colours are other ones than sRGB's

    def sharper(self, shrink: float) -> "View":
        """The smallest version that can be decoded in which a pixel stands for at most `shrink` (1 or more) of the
        whole photo's; itself where it is such a one, or where its file turns out to be damaged."""
        if max(self.shrink) <= max(shrink, 1) or not self.data:
            return self
        reduction = reduction_for(self.data, shrink)
        with suppress(PhotoError):
            pixels, _ = decode_with_note(self.data, reduction)
            return View(pixels, self.size, _stands_for(self.data, reduction, pixels, self.size))
        return self

    def cut(self, faces: Sequence[Face], aligner: Aligner, shrink: float) -> Chips:
        """The faces' chips, cut from that version."""
        sharper = self.sharper(shrink)
        return aligner.cut(sharper.pixels, faces, sharper.shrink)


Decode: TypeAlias = Callable[[bytes, int], View]


def decode_view(data: bytes, max_side: int = 0, max_megapixels: float = MAX_MEGAPIXELS) -> View:
    """The photo in a version whose longest side is at most about `max_side` pixels (a panorama counts as twice as
    long as it is high), 0 for the whole photo. A JPEG is decoded at the smallest of its own scales that is large
    enough, which takes half of the time. Raises PhotoError for data that cannot be decoded, and for more than
    `max_megapixels`."""
    data = raw.preview_of(data)
    if formats.format_of(data[:HEAD]) == "HEIC":
        register_heic()
    announced = announced_size(data)
    refuse_too_large(announced, max_megapixels)
    reduction = reduction_for(data, ABOUT * shrink_to_fit(announced, max_side))
    pixels, note = decode_with_note(data, reduction)
    note = note or (FIRST_ALONE if has_more(data, formats.format_of(data[:HEAD])) else "")
    height, width = pixels.shape[:2]
    size = _turned(announced, data) if reduction > 1 else (width, height)
    knows_up = says_which_way_is_up(data, formats.format_of(data[:HEAD]))
    too_large = shrink_to_fit((width, height), max_side)
    if reduction == 1 and too_large <= ABOUT:
        return View(pixels, size, note=note, knows_up=knows_up)
    share = 1 / too_large if too_large > ABOUT else 1.0
    small_size = max(1, round(width * share)), max(1, round(height * share))
    small = shrunk(pixels, small_size) if share < 1 else pixels
    each = _stands_for(data, reduction, pixels, size)
    shrink = each[0] * width / small_size[0], each[1] * height / small_size[1]
    return View(small, size, shrink, data, note, knows_up)


def whole_view(pixels: Pixels) -> View:
    """The view of a photo that is already decoded."""
    return View(pixels, (pixels.shape[1], pixels.shape[0]))


def read_view(path: str, max_side: int = 0, decode: Decode = decode_view) -> View:
    """The photo at a path that a user typed, as `decode` gives it: `-` is standard input, and a pipe is read to its
    end. Raises PhotoError."""
    return decode(_bytes_from(path), max_side)


def load_any(file: PhotoFile) -> LoadedPhoto:
    """The bytes of a photo at a path that a user typed, which may be standard input (`-`) or a pipe; the digest is
    left empty. Raises PhotoError."""
    data = _bytes_from(file.path)
    return LoadedPhoto(file, data, b"", header_size(data))


def _bytes_from(path: str) -> bytes:
    if path != "-" and not stat.S_ISFIFO(_mode(path)):
        return _bytes_of_file(path)
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as opened:
            if path == "-" and stat.S_ISCHR(os.fstat(0).st_mode):
                raise PhotoError(Status.UNREADABLE, "standard input is a terminal or a device, not a photo")
            data = opened.read(HEAD)
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


def _bytes_of_file(path: str) -> bytes:
    return load_named_photo(PhotoFile(path, 0, 0)).data


def read(path: str, decode: Decode = decode_view) -> Pixels:
    """One photo by its path, whole, upright RGB, (height, width, 3); never from a pipe, which can be read once only.
    Raises PhotoError."""
    return decode(_bytes_of_file(path), 0).pixels


def _turned(announced: tuple[int, int], data: bytes) -> tuple[int, int]:
    """The whole photo's width and height, as it is seen."""
    kind = formats.format_of(data[:HEAD]) or ""
    return announced if orientation(data, kind) < 5 else (announced[1], announced[0])


def _stands_for(data: bytes, reduction: float, pixels: Pixels, size: tuple[int, int]) -> tuple[float, float]:
    """How many of the whole photo's pixels, (x, y), a pixel stands for that was decoded with this reduction. A JPEG's
    last ones may lie half outside; other pictures are scaled to theirs."""
    if reduction == 1 or formats.format_of(data[:HEAD]) == "JPEG":
        return reduction, reduction
    return size[0] / pixels.shape[1], size[1] / pixels.shape[0]
