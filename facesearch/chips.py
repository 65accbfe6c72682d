"""Geometry: overlaps of boxes, windows cut from a photo, and chips, the aligned face crops.

Positions are continuous: a pixel covers a square of side 1, the photo's upper left corner is (0, 0) and the
centre of its first pixel (0.5, 0.5)."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.records import Chips, Face, Pixels

Boxes: TypeAlias = NDArray[np.float64]  # (n, 4): left, top, right, bottom
Scores: TypeAlias = NDArray[np.float32]  # (n,)
Indices: TypeAlias = NDArray[np.intp]  # (n,)

_MID_GREY = (128, 128, 128)  # what lies outside the photo: the networks' zero
_BLACK = (0, 0, 0)
_MOST_SHRINK = 2.0  # bilinear interpolation skips pixels, and aliases, when it shrinks by more than this


def non_maximum_suppression(boxes: Boxes, scores: Scores, most_overlap: float) -> Indices:
    """The boxes to keep, best first: none overlaps a better one that is kept by more than `most_overlap`
    (intersection over union, 0..1)."""
    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners_and_sizes, scores, 0.0, most_overlap)  # type: ignore[arg-type]
    return np.asarray(kept, np.intp).reshape(-1)


def suppress_nested(boxes: Boxes, scores: Scores, most_overlap: float) -> Indices:
    """As non_maximum_suppression, but the overlap is the intersection over the smaller box, so that a box
    inside another one goes too."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        corners = np.maximum(boxes[kept, :2], boxes[i, :2]), np.minimum(boxes[kept, 2:], boxes[i, 2:])
        shared = np.prod(np.maximum(corners[1] - corners[0], 0), axis=1)
        if not (shared > most_overlap * np.minimum(areas[kept], areas[i])).any():
            kept.append(int(i))
    return np.asarray(kept, np.intp)


def squared(boxes: Boxes) -> Boxes:
    """The boxes widened or heightened around their centres to squares."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def cut(photo: Pixels, box: NDArray[np.float64], side: int, scale: tuple[float, float], out: Pixels) -> None:
    """Writes what lies in the box to `out`, (side, side, 3); grey where the box leaves the photo. `photo` may be
    a smaller version of the one that the box belongs to: scale is its size over that one's, (x, y)."""
    width, height = (box[2] - box[0]) * scale[0] / side, (box[3] - box[1]) * scale[1] / side
    window = np.array(
        [[width, 0, box[0] * scale[0] + width / 2 - 0.5], [0, height, box[1] * scale[1] + height / 2 - 0.5]]
    )
    cv2.warpAffine(
        photo,
        window,
        (side, side),
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_MID_GREY,
    )


def similarity_transforms(
    landmarks: NDArray[np.float64], template: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The turn, scale and shift that bring each face's landmarks nearest to the template, as (n, 2, 3) matrices
    from the photo to the chip. `landmarks` is (n, points, 2), `template` (points, 2); `weights`, (points,), say how
    much each point counts.

    Weighted least squares in the complex plane, where turn and scale are one factor (Umeyama 1991, without
    reflection)."""
    z = landmarks[..., 0] + 1j * landmarks[..., 1]
    w = template[:, 0] + 1j * template[:, 1]
    shares = weights / weights.sum()
    z_mean, w_mean = (z * shares).sum(axis=1, keepdims=True), (w * shares).sum()
    spread = (shares * np.abs(z - z_mean) ** 2).sum(axis=1)
    product = (shares * (z - z_mean).conj() * (w - w_mean)).sum(axis=1)
    factor = product / np.maximum(spread, np.finfo(np.float64).tiny)
    shift = w_mean - factor * z_mean[:, 0]
    rows = [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    return np.moveaxis(np.array(rows), -1, 0)


def align(
    photo: Pixels, faces: Sequence[Face], template: NDArray[np.float64], weights: NDArray[np.float64], chip_px: int
) -> Chips:
    """One chip a face, (n, chip_px, chip_px, 3), with the landmarks brought to the template (in chip pixels), each
    as near as its weight demands; black where the chip leaves the photo."""
    chips = np.zeros((len(faces), chip_px, chip_px, 3), np.uint8)
    if not faces:
        return chips
    landmarks = np.array([face.landmarks for face in faces], np.float64)
    for chip, transform in zip(chips, similarity_transforms(landmarks, template, weights), strict=True):
        _warp(photo, transform, chip)
    return chips


def crop(photo: Pixels, faces: Sequence[Face], margin: float, chip_px: int) -> Chips:
    """One chip a face, (n, chip_px, chip_px, 3), without turning it: the box widened by half the margin (pixels of
    the photo) on each side and cut at the photo's edge, then stretched bilinearly, as the original FaceNet's were."""
    chips = np.zeros((len(faces), chip_px, chip_px, 3), np.uint8)
    height, width = photo.shape[:2]
    for chip, face in zip(chips, faces, strict=True):
        left, top = max(0, int(face.box.left - margin / 2)), max(0, int(face.box.top - margin / 2))
        right, bottom = min(width, int(face.box.right + margin / 2)), min(height, int(face.box.bottom + margin / 2))
        part = photo[top : max(bottom, top + 1), left : max(right, left + 1)]
        shrinks = part.shape[0] > _MOST_SHRINK * chip_px
        cv2.resize(part, (chip_px, chip_px), dst=chip, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return chips


def _warp(photo: Pixels, transform: NDArray[np.float64], chip: Pixels) -> None:
    """Fills the chip. A face much larger than its chip is first averaged down, or its pixels would alias."""
    shrink = 1 / max(float(np.hypot(*transform[:, 0])), 1e-6)  # photo pixels for each chip pixel
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
    corners = np.array([[0, 0], [chip_px, 0], [0, chip_px], [chip_px, chip_px]], np.float64)
    inverse = np.linalg.inv(transform[:, :2])
    seen = (corners - transform[:, 2]) @ inverse.T
    height, width = photo.shape[:2]
    low = np.clip(np.floor(seen.min(axis=0) - shrink), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) + shrink), low + 1, [width, height]).astype(int)
    part = photo[low[1] : high[1], low[0] : high[0]]
    size = np.maximum(np.round((high - low) / shrink), 1).astype(int)
    small = cv2.resize(part, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    scale = (high - low) / size  # pixels of the part for each pixel of the small one, (x, y)
    reduced = transform.copy()
    reduced[:, :2] = transform[:, :2] * scale
    reduced[:, 2] = transform[:, :2] @ low + transform[:, 2]
    return small, reduced  # type: ignore[return-value]
