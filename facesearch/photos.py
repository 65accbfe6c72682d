"""Photos on disk: walk folders, read a file, tell its format by its content, decode it to upright RGB."""

import hashlib
import io
import math
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageOps

from facesearch.errors import FaceSearchError, PhotoError
from facesearch.records import PhotoFile, Pixels, Status

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it cannot read is our outcome

MAX_MEGAPIXELS = 200
_LARGE = 60_000_000  # pixels: of such photos one at a time is decoded, as each takes hundreds of megabytes
_one_large = threading.Lock()
Image.MAX_IMAGE_PIXELS = None  # Pillow only tells sizes here, and warns of what our own limit refuses

CannotList = Callable[[str, OSError], None]

_HEAD = 32  # bytes that tell every format
_DIGEST = 16  # bytes
_PHOTO_NAMES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
_PHOTO_NAMES |= {".avif", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".jp2"}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class LoadedPhoto:
    """A photo's bytes, not yet decoded, the digest that recognises its content wherever it lies, and the width and
    height that its header announces (0 where that is of a rare kind)."""

    file: PhotoFile
    data: bytes
    digest: bytes
    size: tuple[int, int]

    def pixels(self, max_side: int) -> int:
        """How many are decoded to look at it with this longest side (0: as it is)."""
        reduction = _reduction(self.data, _shrink(self.size, max_side))
        return math.prod(self.size) // reduction**2


@dataclass(frozen=True, slots=True)
class View:
    """A photo as it is looked at, upright RGB, perhaps in a smaller version. `size` is the whole photo's width and
    height, `shrink` how many of its pixels, (x, y), one of the view's stands for; `data` is the file where there is
    more to see."""

    pixels: Pixels
    size: tuple[int, int]
    shrink: tuple[float, float] = (1.0, 1.0)
    data: bytes = b""

    def sharper(self, shrink: float) -> "View":
        """The smallest version that can be decoded in which a pixel stands for at most `shrink` (1 or more) of the
        whole photo's; itself where it is such a one, or where its file turns out to be damaged."""
        if max(self.shrink) <= max(shrink, 1) or not self.data:
            return self
        reduction = _reduction(self.data, shrink)
        with suppress(PhotoError):
            return View(decode(self.data, reduction), self.size, (reduction, reduction))
        return self


def walk(root: str, cannot_list: CannotList = lambda folder, error: None) -> Iterator[PhotoFile]:
    """The files under a root, in name order, absolute; the root may be a file. Hidden files and folders are left
    out, a folder that is reached twice (through a symbolic link) is walked once, and `cannot_list` hears of each
    folder that cannot be read. Raises FaceSearchError for a root that does not exist."""
    path = os.path.abspath(root)
    try:
        found = os.stat(path)
    except OSError as error:
        raise FaceSearchError(
            f"{printable(path)} cannot be read ({error.strerror}); nothing was marked missing: check the path, "
            "or mount its disk."
        ) from error
    if stat.S_ISDIR(found.st_mode):
        yield from _walk_folder(path, cannot_list)
    elif stat.S_ISREG(found.st_mode):
        yield PhotoFile(path, found.st_size, found.st_mtime_ns)


def _walk_folder(top: str, cannot_list: CannotList) -> Iterator[PhotoFile]:
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
            cannot_list(folder, error)
            continue
        inner = []
        for entry in listed:
            try:
                if entry.is_dir():
                    inner.append(entry.path)
                elif entry.is_file():
                    found = entry.stat()
                    yield PhotoFile(entry.path, found.st_size, found.st_mtime_ns)
            except OSError:
                continue  # it vanished while the folder was read, or is a link to nothing
        folders += reversed(inner)


def load(file: PhotoFile) -> LoadedPhoto | None:
    """The file's bytes; None for a file that neither is an image nor is named like one.
    Raises PhotoError when it is named like a photo and is none, or cannot be read."""
    try:
        with open(file.path, "rb") as opened:
            head = opened.read(_HEAD)
            if _format_of(head) is None:
                _refuse_if_named_like_a_photo(file, head)
                return None
            data = head + opened.read()
    except OSError as error:
        raise PhotoError(Status.UNREADABLE, f"cannot be opened: {error.strerror}") from error
    digest = hashlib.blake2b(data, digest_size=_DIGEST).digest()
    return LoadedPhoto(file, data, digest, _announced_size(data))


def _refuse_if_named_like_a_photo(file: PhotoFile, head: bytes) -> None:
    if not looks_like_photo(file.path):
        return
    if not head:
        raise PhotoError(Status.UNREADABLE, "the file is empty")
    raise PhotoError(Status.UNSUPPORTED, "its content is no image of a known format")


def look(data: bytes, max_side: int = 0) -> View:
    """The photo in a version whose longest side is at most `max_side` pixels (a panorama counts as twice as long as
    it is high), 0 for the whole photo. A JPEG is decoded at the smallest of its own scales that serves, which takes a
    quarter of the time. Raises as `decode`."""
    announced = _announced_size(data)
    reduction = _reduction(data, _shrink(announced, max_side))
    pixels = decode(data, reduction)
    height, width = pixels.shape[:2]
    size = _upright(announced, (width, height), reduction) if reduction > 1 else (width, height)
    if _shrink(size, max_side) == 1:
        return View(pixels, size)
    share = 1 / _shrink((width, height), max_side)
    looked_at = max(1, round(width * share)), max(1, round(height * share))
    small = cv2.resize(pixels, looked_at, interpolation=cv2.INTER_AREA)
    shrink = reduction * width / looked_at[0], reduction * height / looked_at[1]
    return View(small, size, shrink, data)  # type: ignore[arg-type]


def decode(data: bytes, reduction: int = 1) -> Pixels:
    """One upright RGB image, (height, width, 3), whatever the file's depth, colours and orientation; with each side
    shrunk to a half, fourth or eighth (`reduction`, only of a JPEG) and rounded up.
    Raises PhotoError when the data cannot be decoded or the image is too large."""
    kind = _format_of(data[:_HEAD])
    if kind == "HEIC":
        _register_heic()
    pixels = math.prod(_announced_size(data))
    if pixels > MAX_MEGAPIXELS * 1e6:
        reason = f"{pixels / 1e6:,.0f} megapixels, more than the {MAX_MEGAPIXELS} that are read"
        raise PhotoError(Status.TOO_LARGE, reason)
    try:
        with _one_large if pixels / reduction**2 > _LARGE else nullcontext():
            # AVIF and HEIC turn their pictures by a property of their own, which OpenCV leaves out or cannot read.
            return _decode_with_pillow(data) if kind in ("AVIF", "HEIC") else _decode_with_opencv(data, reduction)
    except (cv2.error, OSError, ValueError, SyntaxError, RuntimeError) as error:
        reason = f"its {kind or 'image'} data are damaged, cut short or of a rare kind"
        raise PhotoError(Status.UNREADABLE, reason) from error


def whole(pixels: Pixels) -> View:
    """The view of a photo that is already decoded."""
    return View(pixels, (pixels.shape[1], pixels.shape[0]))


def look_at(path: str, max_side: int = 0) -> View:
    """As `look`, by the photo's path."""
    loaded = load(PhotoFile(path, 0, 0))
    if loaded is None:
        raise PhotoError(Status.UNSUPPORTED, "its content is no image of a known format")
    return look(loaded.data, max_side)


def read(path: str) -> Pixels:
    """One photo by its path, whole, upright RGB. Raises PhotoError."""
    return look_at(path).pixels


def looks_like_photo(path: str) -> bool:
    """Whether a file is named like a photo."""
    return os.path.splitext(path)[1].lower() in _PHOTO_NAMES


def printable(text: str) -> str:
    """Text that a terminal shows and does not obey: control characters and bytes that are no UTF-8 are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _announced_size(data: bytes) -> tuple[int, int]:
    """What the header says, before any memory is taken, not yet turned upright; 0 for the few kinds that Pillow does
    not know, where OpenCV's own limit of 1,074 megapixels holds."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, RuntimeError):
        return 0, 0


def _upright(announced: tuple[int, int], decoded: tuple[int, int], reduction: int) -> tuple[int, int]:
    """The whole photo's width and height, turned as those that were decoded at a reduction are."""
    as_decoded = tuple(math.ceil(side / reduction) for side in announced)
    return announced if as_decoded == decoded else (announced[1], announced[0])


def _shrink(size: tuple[int, int], max_side: int) -> float:
    """By how much a photo of this width and height is shrunk to look at it, 1 or more. All of a panorama's length
    would cost it its faces."""
    return max(1.0, min(max(size), 2 * min(size)) / max_side) if max_side else 1.0


def _reduction(data: bytes, shrink: float) -> int:
    """By how much a file can shrink while it is decoded, at most `shrink`: only a JPEG can."""
    if _format_of(data[:_HEAD]) != "JPEG":
        return 1
    return max(each for each in (1, *_REDUCED) if each <= max(shrink, 1))


def _decode_with_opencv(data: bytes, reduction: int) -> Pixels:
    how = cv2.IMREAD_COLOR_RGB | _REDUCED.get(reduction, 0)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    if pixels is None:
        raise ValueError("OpenCV does not say why")
    return pixels  # type: ignore[return-value]


def _decode_with_pillow(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def _register_heic() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        reason = "HEIC needs one more package: pip install 'facesearch[heic]'"
        raise PhotoError(Status.UNSUPPORTED, reason) from error
    pillow_heif.register_heif_opener()


def _format_of(head: bytes) -> str | None:
    """The image format that the first bytes announce."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIC" if brand in _HEIC_BRANDS else None
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PNM"
    return None


# OpenCV's names say "grayscale" of the flags that only shrink; its colour ones mean BGR.
_REDUCED = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
)
