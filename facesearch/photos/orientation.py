"""How a JPEG, PNG or WebP says that it is turned: by EXIF, and by XMP where EXIF is silent."""

import re
from collections.abc import Iterator

import cv2
import numpy as np

from facesearch.arrays import Pixels
from facesearch.photos.formats import orientation_of

_MOST = 1 << 17  # bytes of a block that are read, at most
_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]")


def orientation(data: bytes, kind: str) -> int:
    """1 to 8, as EXIF counts them; 1 is upright, and what a file is that says nothing."""
    return stated_orientation(data, kind) or 1


def says_which_way_is_up(data: bytes, kind: str | None) -> bool:
    """Whether a file tells how it is to be turned, be it not at all: by EXIF or XMP, or as HEIC and AVIF do by their
    own means. A scan tells nothing, and neither does a photo that came through a messenger."""
    return kind in ("HEIC", "AVIF") or stated_orientation(data, kind or "") > 0


def stated_orientation(data: bytes, kind: str) -> int:
    """1 to 8, as EXIF counts them; 0 where the file says nothing."""
    by_xmp = 0
    for block in described_in(data, kind):
        found = _XMP.search(block)
        if exif := orientation_of(block):
            return exif
        by_xmp = by_xmp or (int(found[1]) if found else 0)
    return by_xmp


def described_in(data: bytes, kind: str) -> Iterator[bytes]:
    """The blocks of EXIF and of XMP in a JPEG, PNG or WebP."""
    read = {"JPEG": _jpeg_blocks, "PNG": _png_blocks, "WebP": _webp_blocks}.get(kind)
    return read(data) if read else iter(())


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """A picture that is stored in this orientation, as it is to be seen."""
    if orientation in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels)  # type: ignore[assignment]
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else np.ascontiguousarray(cv2.flip(pixels, flip))


def _jpeg_blocks(data: bytes) -> Iterator[bytes]:
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 4:
        marker = data[at + 1]
        if marker in (0, 1, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xE1:
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _png_blocks(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"eXIf" or data[at + 4 : at + 26] == b"iTXtXML:com.adobe.xmp\0":
            yield data[at + 8 : at + 8 + min(length, _MOST)]
        at += 12 + length


def _webp_blocks(data: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] in (b"EXIF", b"XMP "):
            yield data[at + 8 : at + 8 + min(length, _MOST)]
        at += 8 + length + length % 2
