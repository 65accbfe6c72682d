"""Chips, the aligned face crops that networks see: where they lie in a photo, and how they are cut out of it.

Positions are continuous: a pixel covers a square of side 1, the photo's upper left corner is (0, 0) and the
centre of its first pixel (0.5, 0.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips, Pixels
from facesearch.geometry.face import Face

_BLACK = (0, 0, 0)
_TINY = 1e-6  # pixels: keeps a division defined where all landmarks are one point
_MOST_SHRINK = 2.0  # bilinear interpolation reads 2 x 2 pixels: shrunk by more, it skips some, and aliases


def similarity_transforms(
    landmarks: NDArray[np.float64], template: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The turn, scale and shift that bring each face's landmarks nearest to the template, as (n, 2, 3) matrices
    from the photo to the chip. `landmarks` is (n, points, 2), `template` (points, 2); `weights`, (points,), say how
    much each point counts.

    Weighted least squares in the complex plane, where turn and scale are one factor (Umeyama 1991, without
    reflection)."""
    z = landmarks[..., 0] + 1j * landmarks[..., 1]  # (n, points)
    w = template[:, 0] + 1j * template[:, 1]  # (points,)
    shares = weights / weights.sum()  # (points,)
    z_mean, w_mean = (z * shares).sum(axis=1, keepdims=True), (w * shares).sum()  # (n, 1), a number
    spread = (shares * np.abs(z - z_mean) ** 2).sum(axis=1)  # (n,)
    product = (shares * (z - z_mean).conj() * (w - w_mean)).sum(axis=1)  # (n,)
    factor = product / np.maximum(spread, np.finfo(np.float64).tiny)  # (n,)
    shift = w_mean - factor * z_mean[:, 0]  # (n,)
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]  # (2, 3, n)
    return np.moveaxis(np.array(rows), -1, 0)  # (n, 2, 3)


class Aligner(Protocol):
    """Cuts chips of chip_px x chip_px pixels out of photos."""

    @property
    def chip_px(self) -> int: ...

    def shrinks(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        """For each face, how many of the photo's pixels one pixel of its chip stands for along a side: (n,)."""
        ...

    def cut(self, photo: Pixels, faces: Sequence[Face], shrink: tuple[float, float] = (1.0, 1.0)) -> Chips:
        """One chip a face, (n, chip_px, chip_px, 3). `photo` may be a smaller version of the one that the faces
        belong to: a pixel of it then stands for `shrink` of that one's, (x, y)."""
        ...


@dataclass(frozen=True, slots=True)
class ByLandmarks:
    """Turns, scales and shifts a face so that its landmarks come near the template, (points, 2) in pixels of the
    chip; `weights`, (points,), say how much each point counts. Chips are black outside the photo."""

    template: NDArray[np.float64]
    weights: NDArray[np.float64]
    chip_px: int

    def shrinks(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        transforms = self._transforms(faces)
        return 1 / np.maximum(np.hypot(transforms[:, 0, 0], transforms[:, 1, 0]), _TINY)

    def cut(self, photo: Pixels, faces: Sequence[Face], shrink: tuple[float, float] = (1.0, 1.0)) -> Chips:
        chips = np.zeros((len(faces), self.chip_px, self.chip_px, 3), np.uint8)
        for chip, transform in zip(chips, self._transforms(faces), strict=True):
            transform[:, :2] *= shrink
            _warp(photo, transform, chip)
        return chips

    def _transforms(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        """(n, 2, 3), from the photo to the chip."""
        landmarks = np.array([face.landmarks for face in faces], np.float64).reshape(-1, len(self.template), 2)
        return similarity_transforms(landmarks, self.template, self.weights)


@dataclass(frozen=True, slots=True)
class ByBox:
    """The box is widened by half the margin (pixels of the photo) on each side, cut at the photo's edge and stretched
    to the chip, as by align_dataset_mtcnn.py of David Sandberg's facenet (MIT). A face that lies on its side or its
    head, as its landmarks show, is turned by quarters."""

    margin: float
    chip_px: int

    def shrinks(self, faces: Sequence[Face]) -> NDArray[np.float64]:
        sides = [min(f.box.right - f.box.left, f.box.bottom - f.box.top) + self.margin for f in faces]
        return np.maximum(np.array(sides, np.float64) / self.chip_px, _TINY)

    def cut(self, photo: Pixels, faces: Sequence[Face], shrink: tuple[float, float] = (1.0, 1.0)) -> Chips:
        chips = np.zeros((len(faces), self.chip_px, self.chip_px, 3), np.uint8)
        limits = photo.shape[1::-1]
        half = self.margin / 2
        for chip, face in zip(chips, faces, strict=True):
            corners = np.array(face.box).reshape(2, 2) + np.array([[-half], [half]])
            (left, top), (right, bottom) = np.clip(corners / shrink, 0, limits).astype(int)  # pixels of `photo`
            part = photo[
                min(top, limits[1] - 1) : max(bottom, top + 1), min(left, limits[0] - 1) : max(right, left + 1)
            ]
            interpolation = cv2.INTER_AREA if part.shape[0] > _MOST_SHRINK * self.chip_px else cv2.INTER_LINEAR
            cv2.resize(part, (self.chip_px, self.chip_px), dst=chip, interpolation=interpolation)
            if turns := _quarter_turns(face):
                chip[:] = np.rot90(chip, turns).copy()
        return chips


def _quarter_turns(face: Face) -> int:
    """Counter-clockwise, 0 to 3: those after which the eye on the left is most to the left of the other one."""
    left, right = face.landmarks[:2]
    degrees = np.degrees(np.arctan2(right.y - left.y, right.x - left.x))  # clockwise, as y points down
    return round(float(degrees) / 90) % 4


def _warp(photo: Pixels, transform: NDArray[np.float64], chip: Pixels) -> None:
    """Fills the chip, (chip_px, chip_px, 3), by a transform, (2, 3), from the photo to the chip. A face much larger
    than its chip is first averaged down, or its pixels would alias."""
    shrink = 1 / max(float(np.hypot(*transform[:, 0])), _TINY)  # pixels of the photo for each of the chip
    if shrink > _MOST_SHRINK:
        photo, transform = _reduced(photo, transform, chip.shape[0], shrink)
    # cv2 takes positions of pixel centres, half a pixel less than ours on both sides.
    matrix = transform.copy()
    matrix[:, 2] += transform[:, :2].sum(axis=1) / 2 - 0.5
    size = (chip.shape[1], chip.shape[0])
    cv2.warpAffine(photo, matrix, size, dst=chip, flags=cv2.INTER_LINEAR, borderValue=_BLACK)


def _reduced(
    photo: Pixels, transform: NDArray[np.float64], chip_px: int, shrink: float
) -> tuple[Pixels, NDArray[np.float64]]:
    """The part of the photo that the chip shows, averaged down to about the chip's scale, and the transform
    from it."""
    corners = np.array([[0, 0], [chip_px, 0], [0, chip_px], [chip_px, chip_px]], np.float64)  # (4, 2)
    inverse = np.linalg.inv(transform[:, :2])  # (2, 2)
    seen = (corners - transform[:, 2]) @ inverse.T  # (4, 2), pixels of the photo
    height, width = photo.shape[:2]
    # (2,) each: the first and, not included, the last column and row of the part.
    low = np.clip(np.floor(seen.min(axis=0) - shrink), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) + shrink), low + 1, [width, height]).astype(int)
    part = photo[low[1] : high[1], low[0] : high[0]]
    size = np.maximum(np.round((high - low) / shrink), 1).astype(int)
    small = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    scale = (high - low) / size  # (2,): pixels of the part for each of the small one, (x, y)
    reduced = transform.copy()
    reduced[:, :2] = transform[:, :2] * scale
    reduced[:, 2] = transform[:, :2] @ low + transform[:, 2]
    return small, reduced  # type: ignore[return-value]
