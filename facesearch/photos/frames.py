"""Whether a file holds more than the one picture that is looked at: an animation, or pages."""

import io
from collections.abc import Iterator

from facesearch.photos import jpegxl, tiff

FIRST_ALONE = "of several frames or pages, the first"  # the note for such a photo
_MOST_BLOCKS = 4096  # of a GIF, to find its second picture
_SEQUENCES = (b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs")
_REDUCED, _MASK = 1, 4  # bits of a TIFF's kind of picture: it belongs to another one
_ANIMATED = 2  # bit of a WebP's header


def has_more(data: bytes, kind: str | None) -> bool:
    """Whether there are further frames or pages. A smaller version of the same picture is none, nor is its mask."""
    match kind:
        case "GIF":
            return _pictures_of_gif(data) > 1
        case "PNG":
            return 0 <= data.find(b"acTL", 0, 4096) < data.find(b"IDAT", 0, 1 << 20)
        case "WebP":
            return data[12:16] == b"VP8X" and bool(data[20] & _ANIMATED) if len(data) > 20 else False
        case "TIFF":
            return sum(_pages_of_tiff(data)) > 1
        case "AVIF" | "HEIC":
            return data[8:12] in _SEQUENCES
        case "JPEG XL":
            return jpegxl.header(data)[1]
    return False


def _pages_of_tiff(data: bytes) -> Iterator[bool]:
    """Of each folder whether it is a page."""
    try:
        for folder in tiff.folders(io.BytesIO(data)):
            is_picture = tiff.STRIPS in folder.numbers or tiff.TILES in folder.numbers
            yield is_picture and not folder.number(tiff.SUBFILE) & (_REDUCED | _MASK)
    except (ValueError, OverflowError):
        return


def _pictures_of_gif(data: bytes) -> int:
    """How many pictures follow each other: 2 stands for more."""
    at = 13 + _colours(data, 10)
    pictures = 0
    for _ in range(_MOST_BLOCKS):
        introducer = data[at : at + 1]
        if introducer == b",":
            pictures += 1
            at += 10 + _colours(data, at + 9) + 1
        elif introducer == b"!":
            at += 2
        else:
            break
        if pictures > 1:
            break
        while at < len(data) and data[at]:  # blocks of up to 255 bytes, each after its length
            at += 1 + data[at]
        at += 1
    return pictures


def _colours(data: bytes, at: int) -> int:
    """The bytes of the table of colours that the flags at this place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0
