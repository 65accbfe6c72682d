"""A file's format, found by its bytes and never by its name alone, and what the tags of a TIFF say about it."""

import io
import os
from typing import BinaryIO

from facesearch.photos import tiff

HEAD = 256  # bytes that tell every format, the list of a HEIC's brands included

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0\x10\0\0\0CR", "RAW"),  # Canon's CR2
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"IIRO", "RAW"),  # Olympus
    (b"IIRS", "RAW"),
    (b"MMOR", "RAW"),
    (b"IIU\0", "RAW"),  # Panasonic
    (b"FUJIFILMCCD-RAW", "RAW"),
    (b"FOVb", "RAW"),  # Sigma
    (b"\0MRM", "RAW"),  # Minolta
    (b"II\x1a\0\0\0HEAPCCDR", "RAW"),  # Canon's CRW
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
)
_AVIF_BRANDS = frozenset((b"avif", b"avis", b"MA1A", b"MA1B"))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"MiHE", b"MiHB"))
_PICTURE_BRANDS = frozenset((b"mif1", b"msf1", b"mif2", b"miaf"))  # of any codec
_PHOTO_NAMES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
_PHOTO_NAMES |= {".avif", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".hif", ".jp2", ".jxl"}
_RAW_NAMES = frozenset((".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".cr2", ".pef", ".srw", ".3fr", ".erf"))
_RAW_NAMES |= {".mef", ".mos", ".iiq", ".kdc", ".dcr", ".rwl", ".gpr", ".orf", ".rw2", ".cr3", ".crw", ".raf", ".x3f"}
_RAW_NAMES |= {".mrw", ".ori"}


def format_of(head: bytes) -> str | None:
    """The format that the first bytes announce; None where they do not begin a picture."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[4:8] == b"ftyp":
        return _by_brands(head[:HEAD])
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PNM"
    return None


def is_raw(file: BinaryIO, path: str = "") -> bool:
    """Whether a TIFF holds what a camera's sensor saw, and pictures only to preview it. A TIFF
    that is named like a raw photo is taken as one. At most 16 of its folders are read, and 512 tags of each."""
    if is_named_raw(path):
        return True
    try:
        return any(_tells_raw(folder, number) for number, folder in enumerate(tiff.folders(file)))
    except (OSError, ValueError, OverflowError):
        return False  # the decoder says what is wrong with it


def orientation_of(exif: bytes) -> int:
    """The orientation in a block of EXIF, 1 to 8; 0 where it has none that makes sense."""
    try:
        folder = next(tiff.folders(io.BytesIO(exif.removeprefix(b"Exif\0\0"))), None)
    except (ValueError, OverflowError):
        return 0
    orientation = folder.number(tiff.ORIENTATION) if folder else 0
    return orientation if 1 <= orientation <= 8 else 0


def is_named_raw(path: str) -> bool:
    """Whether a file is named like a camera's raw photo."""
    return os.path.splitext(path)[1].lower() in _RAW_NAMES


def looks_like_photo(path: str) -> bool:
    """Whether a file is named like a photo."""
    return os.path.splitext(path)[1].lower() in _PHOTO_NAMES or is_named_raw(path)


def may_be_photo(path: str) -> bool:
    """Whether a file may be a photo by its name: it is named like one, or has no ending at all."""
    return looks_like_photo(path) or not os.path.splitext(path)[1]


def _by_brands(head: bytes) -> str | None:
    """The first brand is often that of the whole family of formats; the others name the codec."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    if brands[0] == b"crx ":
        return "RAW"  # Canon's CR3
    if not (_PICTURE_BRANDS | _AVIF_BRANDS | _HEIC_BRANDS) & {brands[0]}:
        return None  # a video may be compatible with a picture
    if _AVIF_BRANDS & set(brands):
        return "AVIF"
    return "HEIC"


def _tells_raw(folder: tiff.Folder, number: int) -> bool:
    if tiff.DNG_VERSION in folder.numbers or folder.is_of_a_sensor:
        return True
    return number == 0 and bool(folder.number(tiff.SUBFILE) & 1) and tiff.SUB_FOLDERS in folder.numbers
