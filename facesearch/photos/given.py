"""A photo as a program hands it over: a path, the bytes of its file, or its pixels."""

import os
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.errors import UsageError
from facesearch.photos.view import Decode, View, read_view

if TYPE_CHECKING:
    from PIL import Image

# A path, `-` for standard input; a file's bytes; a picture of Pillow's; or an array of uint8, (height, width, 3) in
# RGB or (height, width) in grey.
GivenPhoto: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image"
UNNAMED = "(image)"  # stands for the path of a photo that has none


def name_of(photo: GivenPhoto) -> str:
    """The path of a photo, or what stands for it."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else UNNAMED


def given_view(photo: GivenPhoto, max_side: int, decode: Decode) -> View:
    """The photo in a version whose longest side is at most `max_side`, as `decode` gives it. Raises PhotoError where
    it cannot be read, UsageError for what is no photo."""
    if isinstance(photo, str | os.PathLike):
        return read_view(os.fspath(photo), max_side, decode)
    return decode(photo if isinstance(photo, bytes) else _as_file(photo), max_side)


def _as_file(photo: "NDArray[np.uint8] | Image.Image") -> bytes:
    """Pixels as a file, so that they go the way of every photo; BMP takes no time to be written and read."""
    pixels = photo if isinstance(photo, np.ndarray) else _pixels_of(photo)
    is_image = pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2:] == (3,)) and pixels.size > 0
    if not is_image:
        kind = f"{pixels.dtype} of shape {pixels.shape}"
        raise UsageError(
            f"An array of {kind} is not a photo; give uint8, (height, width, 3) in RGB or (height, width)."
        )
    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".bmp", stored)[1])


def _pixels_of(photo: "Image.Image") -> NDArray[np.uint8]:
    """Upright RGB. Raises UsageError for what is no picture, or cannot be read."""
    from PIL import Image, ImageOps

    if not isinstance(photo, Image.Image):
        raise UsageError(f"A {type(photo).__name__} is not a photo; give a path, bytes, a picture or an array.")
    try:
        return np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
    except (OSError, ValueError) as error:
        raise UsageError(f"The picture cannot be read: {error}.") from error
