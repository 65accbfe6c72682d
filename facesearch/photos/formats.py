"""A file's format, found by its bytes and never by its name alone, and what the tags of a TIFF say about it."""

import io
import os
from collections.abc import Iterator
from typing import BinaryIO, Literal

HEAD = 256  # bytes that tell every format, the list of a HEIC's brands included

ORIENTATION = 274  # the tags of a TIFF that are read here, by their numbers in TIFF 6.0, TIFF/EP and DNG
_PHOTOMETRIC, _SUBFILE, _SUB_FOLDERS, _DNG_VERSION = 262, 254, 330, 50706
_SENSOR = (32803, 34892)  # photometric: a colour filter array, and linear raw
_MOST_FOLDERS, _MOST_TAGS = 16, 512  # that are read, at most
_SIZES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of an integer, by TIFF type
_SIGNED = (6, 8, 9, 17)

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
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
)
_AVIF_BRANDS = frozenset((b"avif", b"avis", b"MA1A", b"MA1B"))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"MiHE", b"MiHB"))
_PICTURE_BRANDS = frozenset((b"mif1", b"msf1", b"mif2", b"miaf"))  # of any codec
_PHOTO_NAMES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"))
_PHOTO_NAMES |= {".avif", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".jp2"}
_RAW_NAMES = frozenset((".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".cr2", ".pef", ".srw", ".3fr", ".erf"))
_RAW_NAMES |= {".mef", ".mos", ".iiq", ".kdc", ".dcr", ".rwl", ".gpr", ".orf", ".rw2"}


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
    if os.path.splitext(path)[1].lower() in _RAW_NAMES:
        return True
    try:
        return any(_is_of_a_sensor(tags, number) for number, tags in enumerate(_folders(file)))
    except (OSError, ValueError, OverflowError):
        return False  # the decoder says what is wrong with it


def orientation_of(exif: bytes) -> int:
    """The orientation in a block of EXIF, 1 to 8; 0 where it has none that makes sense."""
    try:
        tags = next(_folders(io.BytesIO(exif.removeprefix(b"Exif\0\0"))), {})
    except (ValueError, OverflowError):
        return 0
    orientation = tags.get(ORIENTATION, [0])[0]
    return orientation if 1 <= orientation <= 8 else 0


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


def _is_of_a_sensor(tags: dict[int, list[int]], number: int) -> bool:
    if _DNG_VERSION in tags or tags.get(_PHOTOMETRIC, [0])[0] in _SENSOR:
        return True
    return number == 0 and bool(tags.get(_SUBFILE, [0])[0] & 1) and _SUB_FOLDERS in tags


def _folders(file: BinaryIO) -> Iterator[dict[int, list[int]]]:
    """The whole numbers under each tag of each folder, at most four of each, the first folder first."""
    file.seek(0)
    head = file.read(16)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    if head[:2] not in (b"II", b"MM") or int.from_bytes(head[2:4], order) not in (42, 43):
        return
    wide = 8 if int.from_bytes(head[2:4], order) == 43 else 4
    waiting = [int.from_bytes(head[wide : 2 * wide], order)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_FOLDERS:
        at = waiting.pop(0)
        if at and at not in seen:
            seen.add(at)
            tags, following = _folder(file, at, order, wide)
            yield tags
            waiting += [*tags.get(_SUB_FOLDERS, ()), following]


def _folder(file: BinaryIO, at: int, order: Literal["little", "big"], wide: int) -> tuple[dict[int, list[int]], int]:
    """The tags of the folder at this place, and the place of the next (0 after the last)."""
    count_size, entry = (8, 20) if wide == 8 else (2, 12)
    file.seek(at)
    count = int.from_bytes(file.read(count_size), order)
    listed = file.read(entry * min(count, _MOST_TAGS))
    following = int.from_bytes(file.read(wide), order) if count <= _MOST_TAGS else 0
    tags: dict[int, list[int]] = {}
    for start in range(0, len(listed) - entry + 1, entry):
        one = listed[start : start + entry]
        size = _SIZES.get(kind := int.from_bytes(one[2:4], order), 0)
        values = int.from_bytes(one[4 : 4 + wide], order)
        if not size or not values:
            continue
        data = one[4 + wide :]
        if size * values > wide:
            file.seek(int.from_bytes(data, order))
            data = file.read(size * min(values, 4))
        read = [
            int.from_bytes(data[i : i + size], order, signed=kind in _SIGNED)
            for i in range(0, min(len(data), size * min(values, 4)), size)
        ]
        if read:
            tags.setdefault(int.from_bytes(one[:2], order), read)
    return tags, following


def looks_like_photo(path: str) -> bool:
    """Whether a file is named like a photo."""
    return os.path.splitext(path)[1].lower() in _PHOTO_NAMES
