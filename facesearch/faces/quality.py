"""How good a face is to recognise somebody by."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips
from facesearch.geometry.face import Box, Face

SMALL_PX = 40  # see `can_tell`
_FULL_PX = 80  # from this side of the box on a face is large enough: with more the embedder gains nothing
# The variance of the Laplacian of a chip, over that of its grey values: the median of LFW's faces is 0.019 in a chip
# of 150 pixels, and 0.0062 once they are shrunk to 25.
_SHARP = 0.012
_CHIP_PX = 112  # chips are compared at this size, whatever the embedder takes
_PROFILE = 0.5  # distances of the eyes by which the nose lies beside their middle in a half profile


def qualities(faces: Sequence[Face], chips: Chips) -> NDArray[np.float32]:
    """The quality of each face, (n,), 0..1: the least of four shares, as a face is as good as its worst side. They
    are the side of its box over 80 pixels; the sharpness of its chip, (n, chip_px, chip_px, 3); how much it looks
    into the camera, by how far its nose is beside the middle of its eyes; and the detector's score."""
    if not faces:
        return np.zeros(0, np.float32)
    shares = [
        [_side(face.box) / _FULL_PX for face in faces],
        [_sharpness(chip) / _SHARP for chip in chips],
        [1 - _turn(face) / _PROFILE for face in faces],
        [face.score for face in faces],
    ]
    return np.asarray(np.clip(np.min(shares, axis=0), 0, 1), np.float32)


def can_tell(a: Box, b: Box) -> bool:
    """Whether two faces can be told apart at all: one of them must have 40 pixels a side. Of LFW's bystanders that
    are both smaller, 7 to 34 in 100 pairs of strangers reach the threshold of the default model; of one of these and
    a large face 1 to 2 in 1,000, as everybody."""
    return max(_side(a), _side(b)) >= SMALL_PX


def _side(box: Box) -> float:
    return min(box.right - box.left, box.bottom - box.top)


def _sharpness(chip: NDArray[np.uint8]) -> float:
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (_CHIP_PX, _CHIP_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(float(grey.var()), 1.0))


def _turn(face: Face) -> float:
    """How far the nose is beside the middle of the eyes, along the line through them, in distances of the eyes."""
    left, right, nose = (np.array(point) for point in face.landmarks[:3])
    along = right - left
    length = float(along @ along)
    return abs(float((nose - (left + right) / 2) @ along)) / length if length else np.inf
