"""JPEG XL: what its header says, read here, and its pixels, by libjxl. (Pillow does not know it.)"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.packages import how_to_install
from facesearch.photos.status import Cause, Status

MODULE = "imagecodecs"
_CODESTREAM = b"\xff\x0a"
_BOXES = {b"jxlc": 0, b"jxlp": 4}  # that hold it, and the bytes before it: of parts, the number
_MOST_BOXES = 64
_HEADER = 32  # bytes, more than what is read of it
_LENGTHS = (9, 13, 18, 30)  # bits (ISO/IEC 18181-1, size header)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height


def header(data: bytes) -> tuple[tuple[int, int], bool]:
    """Width and height as they are stored, not yet turned upright (0 where the header is damaged), and whether there
    are several frames."""
    bits = _Bits(_codestream(data))
    size = _size(bits)
    if not all(size) or bits.read(1) or not bits.read(1):  # all as usual, or no further facts
        return size, False
    bits.read(3)  # the orientation, which libjxl follows
    if bits.read(1):  # the size at which it is to be shown
        _size(bits)
    has_preview = bits.read(1)
    return size, not has_preview and bool(bits.read(1))


def decode(data: bytes) -> Pixels:
    """The first frame, upright RGB, (height, width, 3). Raises PhotoError where the package is missing, ValueError
    for damaged data."""
    try:
        import imagecodecs

        pixels = imagecodecs.jpegxl_decode(data, 0, numthreads=1)
    except ImportError as error:
        reason = f"JPEG XL; to read it: {how_to_install(MODULE)}"
        raise PhotoError(Status.SKIPPED, reason, Cause.PACKAGE, MODULE) from error
    except imagecodecs.JpegxlError as error:
        raise ValueError(str(error)) from error
    return _rgb(_in_eight_bits(pixels))


def _in_eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    return (pixels.astype(np.float32).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _rgb(pixels: NDArray[np.uint8]) -> Pixels:
    """Without transparency, and in three colours."""
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        gray = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., 0])
        return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
    return np.ascontiguousarray(pixels[..., :3])


class _Bits:
    """Reads whole numbers of a few bits, the lowest first; zeros after the end."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def read(self, count: int) -> int:
        found = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return found


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.read(1)

    def length() -> int:
        return 8 * (1 + bits.read(5)) if is_small else 1 + bits.read(_LENGTHS[bits.read(2)])

    height = length()
    ratio = bits.read(3)
    if not ratio:
        return length(), height
    wide, high = _RATIOS[ratio - 1]
    return height * wide // high, height


def _codestream(data: bytes) -> bytes:
    """The beginning of the picture's data, after the two bytes that tell it; empty where they are not there."""
    at = start = 0
    for _ in range(_MOST_BOXES):
        if data.startswith(_CODESTREAM, start):
            return data[start + 2 : start + 2 + _HEADER]
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if name in _BOXES:
            start = at + head + _BOXES[name]
            continue
        if length < head:
            break
        at += length
    return b""
