"""The bytes of a photo as upright RGB pixels, whatever its format, depth and colours, as far as they are there."""

import io
import math
import os
import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.geometry.scaling import shrunk
from facesearch.packages import how_to_install
from facesearch.photos import developing, formats, jpegxl, raw, truncation
from facesearch.photos.jpeg import REDUCTIONS, decode_jpeg
from facesearch.photos.orientation import orientation, upright
from facesearch.photos.status import Cause, Status

_NOTED_WITHIN = 1 << 16  # bytes, for a PNM's header
_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_PNM_HEADER = re.compile(rb"P[2356]" + 2 * (_GAP + rb"\d+") + _GAP + rb"(\d{1,5})(?!\d)")
_ENOUGH_ROWS = 0.5  # of a photo that was cut off
_FILL, _FILL_CMYK = 128, 65  # of 255: what libjpeg leaves where rows are missing
# OpenCV's names say "grayscale" of the flags that only shrink; its colour ones mean BGR.
_REDUCED = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}


def decode(data: bytes, reduction: float = 1) -> Pixels:
    """As `decode_with_note`, the image alone."""
    return decode_with_note(data, reduction)[0]


def decode_with_note(data: bytes, reduction: float = 1) -> tuple[Pixels, str]:
    """One upright RGB image, (height, width, 3), whatever the file's depth, colours and orientation, and a note for
    the user where its end is missing. The sides are divided by `reduction`, one that `reduction_for` gives; a
    JPEG's are rounded up. Raises PhotoError when the data cannot be decoded."""
    kind = "RAW" if raw.is_raw(data) else formats.format_of(data[: formats.HEAD])
    try:
        # Each of these turns its pictures by a property of its own, which OpenCV leaves out or cannot read.
        if kind == "HEIC":
            return _decode_heic(data), ""
        if kind == "AVIF":
            return _decode_with_pillow(data), ""
        if kind == "JPEG":
            return _decode_jpeg(data, reduction)
        if kind == "JPEG XL":
            return jpegxl.decode(data), ""
        if kind == "RAW":
            return developing.develop(data), ""
        return _decode_with_opencv(data, reduction, kind or "")
    except (cv2.error, OSError, ValueError, SyntaxError, RuntimeError) as error:
        if "CV_IO_MAX_IMAGE" in str(error):  # of a kind whose size Pillow could not tell
            raise PhotoError(Status.TOO_LARGE, "more megapixels than are read", Cause.OPTION) from error
        reason = f"its {kind or 'image'} data are damaged, cut short or of a rare kind"
        raise PhotoError(Status.UNREADABLE, reason) from error


def reduction_for(data: bytes, shrink: float) -> float:
    """The largest divisor of its sides, at most `shrink`, by which a file can be decoded: of a JPEG one of
    `jpeg.REDUCTIONS`, of a PNG 1 or 2, else 1. A PNG takes as long at half its size, and half the memory: OpenCV then
    gives away the picture that it decoded into."""
    offered = {"JPEG": REDUCTIONS, "PNG": (1.0, 2.0)}.get(formats.format_of(data[: formats.HEAD]) or "", (1.0,))
    return max(each for each in offered if each <= max(shrink, 1))


def _decode_jpeg(data: bytes, reduction: float) -> tuple[Pixels, str]:
    pixels = decode_jpeg(data, reduction)
    if pixels is None:
        pixels = decode_jpeg(truncation.completed_jpeg(data), reduction, is_whole=False)
    if pixels is None:
        pixels = _decode_jpeg_with_opencv(truncation.completed_jpeg(data), reduction)
    return upright(pixels, orientation(data, "JPEG")), _note_of_jpeg(data, pixels)


def _decode_jpeg_with_opencv(data: bytes, reduction: float) -> Pixels:
    """As `jpeg.decode_jpeg`, of colours for printers too. Raises ValueError."""
    by_half = max(each for each in (1, *_REDUCED) if each <= reduction)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCED.get(by_half, 0)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise ValueError("OpenCV does not say why")
    share = by_half / reduction
    size = math.ceil(pixels.shape[1] * share), math.ceil(pixels.shape[0] * share)
    return np.asarray(pixels if share == 1 else shrunk(pixels, size), np.uint8)  # type: ignore[arg-type]


def _decode_with_opencv(data: bytes, reduction: float, kind: str) -> tuple[Pixels, str]:
    flags = cv2.IMREAD_COLOR_RGB | _REDUCED.get(int(reduction), 0)
    if kind == "PNM":
        flags |= cv2.IMREAD_ANYDEPTH
    if kind in ("PNG", "WebP"):  # OpenCV reads their EXIF in some of its forms only
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    if kind == "WebP" and truncation.ends_in_zeros(data):
        raise ValueError("its end is missing")
    note = ""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None and kind == "PNG":
        given, share = truncation.completed_png(data)
        note = _note_of_share(share)
        pixels = cv2.imdecode(np.frombuffer(given, np.uint8), flags)
    if pixels is None:
        raise ValueError("OpenCV does not say why")
    if kind == "PNM":
        return _in_eight_bits(data, pixels), note  # type: ignore[arg-type]
    return upright(pixels, orientation(data, kind)), note  # type: ignore[arg-type]


def _in_eight_bits(data: bytes, pixels: NDArray[np.uint8 | np.uint16]) -> Pixels:
    """The pixels in 0..255. A PNM's header names the number that stands for white, which OpenCV does not read."""
    found = _PNM_HEADER.match(data[:_NOTED_WITHIN])
    most = int(found[1]) if found else int(np.iinfo(pixels.dtype).max)
    if most == 255 or not 0 < most <= 65535:
        return pixels.astype(np.uint8, copy=False)
    scale = np.round(np.arange(65536) * (255 / most)).clip(0, 255).astype(np.uint8)
    return scale[pixels]


def _note_of_jpeg(data: bytes, pixels: Pixels) -> str:
    """The note for a JPEG that was cut off, empty for a whole one. Raises PhotoError where less than half of its rows
    are there."""
    last = pixels[-1, -1]
    share = truncation.share_of_rows(data, bool((last == _FILL).all() or (last == _FILL_CMYK).all()))
    if share == 1 and truncation.may_lack_detail(data) and _is_premature_end(data):
        return "cut off, with less detail"
    return _note_of_share(share)


def _is_premature_end(jpeg: bytes) -> bool:
    """Whether the decoder lacks data. libjpeg reports that on standard error and nowhere else."""
    reading, writing = os.pipe()
    stderr = os.dup(2)
    os.dup2(writing, 2)
    try:
        cv2.imdecode(np.frombuffer(truncation.completed_jpeg(jpeg), np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    finally:
        os.dup2(stderr, 2)
        for each in (stderr, writing):
            os.close(each)
    with open(reading, "rb") as warnings:
        return b"premature end" in warnings.read()


def _note_of_share(share: float) -> str:
    """The note for a photo that has this share of its rows, 0 to 1; empty where it has all. Raises PhotoError where
    it has too few."""
    if share == 1:
        return ""
    reason = f"cut off after {int(share * 100)} %"
    if share < _ENOUGH_ROWS:
        raise PhotoError(Status.UNREADABLE, reason)
    return reason


def _decode_with_pillow(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def _decode_heic(data: bytes) -> Pixels:
    """Without Pillow, which would copy the pixels several times: 0.33 s of CPU for 12 megapixels in place of 0.40."""
    try:
        found = _heic_reader().open_heif(data)
        pixels = np.asarray(found)[:, : found.size[0]]
    except (EOFError, IndexError) as error:
        raise ValueError(str(error)) from error
    if pixels.ndim == 2:
        return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
    return np.array(pixels[..., :3], order="C")  # a copy: the memory is the reader's, and goes with it


def register_heic() -> None:
    """Teaches Pillow to read the headers of HEIC. Raises PhotoError where the package for it is missing."""
    _heic_reader().register_heif_opener()


def _heic_reader() -> Any:
    try:
        import pi_heif
    except ImportError as error:
        reason = f"HEIC needs one more package: {how_to_install('pi_heif')}"
        raise PhotoError(Status.UNSUPPORTED, reason, Cause.PACKAGE, "pi_heif") from error
    return pi_heif
