"""JPEGs, decoded whole or at an eighth, a quarter, three eighths or half of their size.

libjpeg-turbo decodes blocks of 8 x 8 pixels into smaller ones, which takes a fraction of the time. OpenCV has a copy
of it too and gives the same pixels, but of a whole photo in nearly twice the time, and not at three eighths."""

import math

import numpy as np

from facesearch.arrays import Pixels

# What the sides may be divided by. At five to seven eighths it takes as long as at the whole size.
REDUCTIONS = (1.0, 2.0, 8 / 3, 4.0, 8.0)
_IN_COLOUR_OR_GREY = ("YCbCr", "Gray", "RGB")


def decode_jpeg(data: bytes, reduction: float, is_whole: bool = True) -> Pixels | None:
    """The pixels, (height, width, 3), as they are stored, turned or not; the sides are divided by `reduction`, one of
    REDUCTIONS, and rounded up. None for colours of printers, and for a file that is damaged in any way; unless
    `is_whole` is False: then what is there of it, and grey below."""
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in _IN_COLOUR_OR_GREY:
            return None
        least = reduced((width, height), reduction)
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=least[0], min_height=least[1], strict=is_whole)
    except ValueError:
        return None
    return np.asarray(pixels, np.uint8)


def reduced(size: tuple[int, int], reduction: float) -> tuple[int, int]:
    """A width and height, divided and rounded up."""
    eighths = round(8 / reduction)
    return math.ceil(size[0] * eighths / 8), math.ceil(size[1] * eighths / 8)
