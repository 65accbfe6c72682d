"""Photos on disk: walk folders, read a file, tell its format by its content, decode it to upright RGB."""

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageOps

from facesearch.errors import FaceSearchError, PhotoError
from facesearch.records import PhotoFile, Pixels, Status

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it cannot read is our outcome

MAX_MEGAPIXELS = 200
Image.MAX_IMAGE_PIXELS = None  # Pillow only tells sizes here, and warns of what our own limit refuses

CannotList = Callable[[str, OSError], None]

_HEAD = 32  # bytes that tell every format
_DIGEST = 16  # bytes
_PHOTO_NAMES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
_PHOTO_NAMES |= {".avif", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".jp2"}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class LoadedPhoto:
    """A photo's bytes, not yet decoded, the digest that recognises its content wherever it lies, and how many pixels
    its header announces."""

    file: PhotoFile
    data: bytes
    digest: bytes
    pixels: int


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
    return LoadedPhoto(file, data, digest, _announced_pixels(data))


def _refuse_if_named_like_a_photo(file: PhotoFile, head: bytes) -> None:
    if not looks_like_photo(file.path):
        return
    if not head:
        raise PhotoError(Status.UNREADABLE, "the file is empty")
    raise PhotoError(Status.UNSUPPORTED, "its content is no image of a known format")


def decode(data: bytes) -> Pixels:
    """One upright RGB image, (height, width, 3), whatever the file's depth, colours and orientation.
    Raises PhotoError when the data cannot be decoded or the image is too large."""
    kind = _format_of(data[:_HEAD])
    if kind == "HEIC":
        _register_heic()
    megapixels = _announced_pixels(data) / 1e6
    if megapixels > MAX_MEGAPIXELS:
        reason = f"{megapixels:,.0f} megapixels, more than the {MAX_MEGAPIXELS} that are read"
        raise PhotoError(Status.TOO_LARGE, reason)
    try:
        # AVIF and HEIC turn their pictures by a property of their own, which OpenCV leaves out or cannot read.
        pixels = _decode_with_pillow(data) if kind in ("AVIF", "HEIC") else _decode_with_opencv(data)
    except (cv2.error, OSError, ValueError, SyntaxError, RuntimeError) as error:
        reason = f"its {kind or 'image'} data are damaged, cut short or of a rare kind"
        raise PhotoError(Status.UNREADABLE, reason) from error
    return pixels


def read(path: str) -> Pixels:
    """One photo by its path, upright RGB. Raises PhotoError."""
    loaded = load(PhotoFile(path, 0, 0))
    if loaded is None:
        raise PhotoError(Status.UNSUPPORTED, "its content is no image of a known format")
    return decode(loaded.data)


def looks_like_photo(path: str) -> bool:
    """Whether a file is named like a photo."""
    return os.path.splitext(path)[1].lower() in _PHOTO_NAMES


def printable(text: str) -> str:
    """Text that a terminal shows and does not obey: control characters and bytes that are no UTF-8 are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _announced_pixels(data: bytes) -> int:
    """What the header says, before any memory is taken; 0 for the few kinds that Pillow does not know, where
    OpenCV's own limit of 1,074 megapixels holds."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except (OSError, ValueError, SyntaxError, RuntimeError):
        return 0


def _decode_with_opencv(data: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
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
