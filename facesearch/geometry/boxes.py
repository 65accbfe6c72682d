"""Boxes: how much they overlap, which of them to keep (NMS), and the windows of a photo that lie in them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Boxes, Indices, Pixels, Scores

_MID_GREY = (128, 128, 128)  # outside the photo: MTCNN's networks see (x - 127.5) / 128, so about 0


def non_maximum_suppression(boxes: Boxes, scores: Scores, most_overlap: float) -> Indices:
    """The indices of the boxes to keep, (k,), best first: none overlaps a better one that is kept by more than
    `most_overlap` (intersection over union, 0..1)."""
    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # (n, 4)
    kept = cv2.dnn.NMSBoxes(corners_and_sizes, scores, 0.0, most_overlap)  # type: ignore[arg-type]
    return np.asarray(kept, np.intp).reshape(-1)


def suppress_nested(boxes: Boxes, scores: Scores, most_overlap: float) -> Indices:
    """As non_maximum_suppression, but the overlap is the intersection over the smaller box, so that a box inside
    another one is removed too, as the code of MTCNN's authors does after O-Net."""
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)  # (n,)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        upper_left = np.maximum(boxes[kept, :2], boxes[i, :2])  # (kept, 2)
        lower_right = np.minimum(boxes[kept, 2:], boxes[i, 2:])  # (kept, 2)
        shared = np.prod(np.maximum(lower_right - upper_left, 0), axis=1)  # (kept,)
        if not (shared > most_overlap * np.minimum(areas[kept], areas[i])).any():
            kept.append(int(i))
    return np.asarray(kept, np.intp)


def squared(boxes: Boxes) -> Boxes:
    """The boxes widened or heightened around their centres to squares."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # (n, 2)
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2  # (n, 1)
    return np.concatenate([centres - halves, centres + halves], axis=1)


def cut_window(photo: Pixels, box: NDArray[np.float64], side: int, scale: tuple[float, float], out: Pixels) -> None:
    """Writes what lies in the box, (4,), to `out`, (side, side, 3); grey outside the photo. `photo` may be a smaller
    version of the one that the box belongs to: `scale` is its size divided by that one's, (x, y)."""
    width, height = (box[2] - box[0]) * scale[0] / side, (box[3] - box[1]) * scale[1] / side  # of one pixel of `out`
    # From `out` to `photo`; cv2 takes positions of pixel centres, half a pixel less than ours.
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
