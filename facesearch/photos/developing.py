"""A raw photo without a large preview, made into a picture by LibRaw. For decoders alone: it is a parser in C++."""

import io
from typing import Any

import numpy as np

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.packages import how_to_install
from facesearch.photos.status import Cause, Status

MODULE = "rawpy"


def missing() -> PhotoError:
    """The error for a raw photo where the package is missing."""
    reason = f"RAW without a large preview; to develop it: {how_to_install(MODULE)}"
    return PhotoError(Status.RAW, reason, Cause.PACKAGE, MODULE)


def sensor_size(data: bytes) -> tuple[int, int]:
    """Width and height of what the sensor saw, of which only the header is read. Raises as `develop`."""
    with _opened(data) as raw:
        return raw.sizes.width, raw.sizes.height


def develop(data: bytes) -> Pixels:
    """The photo at half its size, upright RGB, (height, width, 3): each group of four sensor cells becomes one pixel,
    which takes a fourth of the time and leaves more than faces are looked for in. Raises PhotoError where the package
    is missing, ValueError for damaged data, MemoryError where there is too little."""
    with _opened(data) as raw:
        import rawpy

        try:
            pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        except rawpy.LibRawError as error:
            raise _as_known(error) from error
    if not pixels.size or pixels.shape[2] not in (1, 3):
        raise ValueError(f"a picture of {pixels.shape}")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


def _opened(data: bytes) -> Any:
    try:
        import rawpy
    except ImportError as error:
        raise missing() from error
    try:
        return rawpy.imread(io.BytesIO(data))
    except rawpy.LibRawError as error:
        raise _as_known(error) from error


def _as_known(error: Exception) -> Exception:
    """LibRaw's error as one of Python's, which all formats share."""
    import rawpy

    of_memory = isinstance(error, rawpy.LibRawUnsufficientMemoryError | rawpy.LibRawTooBigError)
    return MemoryError() if of_memory else ValueError(str(error))
