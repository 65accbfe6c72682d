"""Upright squares about faces: where they lie in a photo, and how they are cut out of it."""

import math

import cv2
import numpy as np

from facesearch.arrays import Pixels
from facesearch.geometry.face import Box

Colour = tuple[int, int, int]


def square_about(box: Box, around: float) -> Box:
    """A square about the middle of the box; `around` is the share of the box's longer side, in pixels one at least,
    that is shown on each side of it."""
    side = max(box.right - box.left, box.bottom - box.top, 1.0) * (1 + 2 * around)
    left, top = (box.left + box.right - side) / 2, (box.top + box.bottom - side) / 2
    return Box(left, top, left + side, top + side)


def square_inside(box: Box, around: float, size: tuple[int, int]) -> Box:
    """As `square_about`, moved into the photo of this width and height where it would reach beyond it, and no larger
    than the photo is wide and high, but for a box that is longer than that."""
    wanted = square_about(box, around)
    longest = max(box.right - box.left, box.bottom - box.top, 1.0)
    side = max(min(wanted.right - wanted.left, *size), longest)
    left = _moved((box.left + box.right - side) / 2, side, size[0])
    top = _moved((box.top + box.bottom - side) / 2, side, size[1])
    return Box(left, top, left + side, top + side)


def is_in(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box is one, and a part of it lies in a photo of this width and height."""
    if not all(map(math.isfinite, box)):
        return False
    return box.left < min(box.right, size[0]) and box.top < min(box.bottom, size[1]) and box.right > 0 < box.bottom


def cut_square(pixels: Pixels, shrink: tuple[float, float], shown: Box, side: int, empty: Colour) -> Pixels:
    """A square of a photo, (side, side, 3); what of it lies outside of the photo is `empty`. `pixels` may be a
    smaller version of the photo: one of its pixels stands for `shrink` of the photo's, (x, y)."""
    tile = np.full((side, side, 3), empty, np.uint8)
    x, y = shrink
    left, top, right, bottom = shown.left / x, shown.top / y, shown.right / x, shown.bottom / y
    height, width = pixels.shape[:2]
    x0, y0 = max(0, round(left)), max(0, round(top))
    x1, y1 = min(width, max(x0 + 1, round(right))), min(height, max(y0 + 1, round(bottom)))
    if x1 <= x0 or y1 <= y0 or right <= 0 or bottom <= 0:  # the photo has been cropped since
        return tile
    scale = side / (right - left)
    part = pixels[y0:y1, x0:x1]
    # Only where the photo ends is something left empty: rounding must not leave a line at an edge.
    to_x0, to_y0 = (round((at - low) * scale) if low < 0 else 0 for at, low in ((x0, left), (y0, top)))
    to_x1 = side if right <= width else round((x1 - left) * scale)
    to_y1 = side if bottom <= height else round((y1 - top) * scale)
    size = max(1, to_x1 - to_x0), max(1, to_y1 - to_y0)
    scaled = _smaller(part, size) if scale < 1 else cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
    seen = scaled[: side - to_y0, : side - to_x0]
    tile[to_y0 : to_y0 + seen.shape[0], to_x0 : to_x0 + seen.shape[1]] = seen
    return tile


def _smaller(part: Pixels, size: tuple[int, int]) -> Pixels:
    """Halved as often as that goes and then interpolated: in an eighth of the time of OpenCV's average of any other
    ratio, and as good to look at."""
    while min(part.shape[1] / size[0], part.shape[0] / size[1]) >= 2:
        even = part[: part.shape[0] // 2 * 2, : part.shape[1] // 2 * 2]
        half = even.shape[1] // 2, even.shape[0] // 2
        part = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _moved(start: float, side: float, length: int) -> float:
    """The start of a line of this length, moved so that it lies in the photo; about its middle where it cannot."""
    if side > length:
        return (length - side) / 2
    return min(max(start, 0.0), length - side)
