"""Pictures in smaller sizes, fast."""

import cv2
import numpy as np

from facesearch.arrays import Pixels

# A size at which a photo comes at little cost serves in place of another one that is smaller or larger by less.
ABOUT = 1.1
# Pixels. Of a side this long, a row that is left out before halving moves nothing by more than a third of a percent.
_LONG = 300


def shrink_to_fit(size: tuple[int, int], max_side: float) -> float:
    """By how much a photo of this width and height is shrunk to be at most `max_side` pixels long (0: any length), 1
    or more. A panorama counts as twice as long as it is high: shrunk by its whole length it would lose its faces."""
    return max(1.0, min(max(size), 2 * min(size)) / max_side) if max_side else 1.0


def shrunk(photo: Pixels, size: tuple[int, int]) -> Pixels:
    """A photo, (h, w, 3), averaged down to this width and height, which are not above its own. A large one is halved
    as often as that goes and then interpolated: OpenCV averages two by two ten times as fast as by any other
    ratio."""
    width, height = size
    while min(photo.shape[0] / height, photo.shape[1] / width) >= 2 and min(photo.shape[:2]) >= _LONG:
        even = photo[: photo.shape[0] // 2 * 2, : photo.shape[1] // 2 * 2]
        half = even.shape[1] // 2, even.shape[0] // 2
        photo = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), np.uint8)
    interpolation = cv2.INTER_LINEAR if min(photo.shape[:2]) >= _LONG else cv2.INTER_AREA
    return np.asarray(cv2.resize(photo, size, interpolation=interpolation), np.uint8)
