"""Faces in photos: the MTCNN cascade (Zhang et al. 2016), over many photos at once.

P-Net looks at every window of 12 pixels on each level of an image pyramid, R-Net and O-Net look again at what is
left, in larger windows. Photos of one shape share their pyramid; windows of all photos share their batches."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Boxes, Indices, Pixels, Scores
from facesearch.faces.reporting import report
from facesearch.geometry.boxes import cut_window, non_maximum_suppression, squared, suppress_nested
from facesearch.geometry.face import Box, Face, Point
from facesearch.geometry.scaling import shrink_to_fit, shrunk
from facesearch.models.cards import DetectorCard
from facesearch.models.engines import Network

_CELL = 12  # pixels: the window of P-Net
_STRIDE = 2  # pixels between the windows of P-Net
_P_NET_PIXELS = 1 << 17  # in one call: what lies between its layers then stays in the processor's cache
_WINDOWS = {24: 128, 48: 32}  # in one call of R-Net and O-Net, by their window's side, for the same reason


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Windows that may show a face: in which photo, where (in its pixels), how surely."""

    photo: Indices
    boxes: Boxes
    scores: Scores

    def __getitem__(self, chosen: NDArray[np.bool_] | Indices) -> "_Candidates":
        return _Candidates(self.photo[chosen], self.boxes[chosen], self.scores[chosen])


class MtcnnDetector:
    """Finds faces of at least the card's `min_face_px` pixels of the photo, or of its version of `proposal_side`
    where it is larger. Safe to use from several threads at once."""

    def __init__(self, parts: Mapping[str, Network], card: DetectorCard) -> None:
        """`parts` are the networks pnet, rnet and onet."""
        report(card.name, parts["onet"])
        self._pnet, self._rnet, self._onet = parts["pnet"], parts["rnet"], parts["onet"]
        self.card = card

    def detect(self, photos: Sequence[Pixels]) -> list[list[Face]]:
        """The faces of each photo, surest first. Photos may have any sizes; those of one shape are cheapest."""
        pyramids: list[_Pyramid] = [None] * len(photos)  # type: ignore[list-item]
        found: list[_Candidates] = []
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, photo in enumerate(photos):
            by_shape[photo.shape].append(i)
        for members in by_shape.values():
            levels = self._levels([photos[i] for i in members])
            for row, i in enumerate(members):
                pyramids[i] = _Pyramid(photos[i], [level[row] for level in levels])
            found += self._propose(levels, np.asarray(members), photos[members[0]].shape)
        refined = self._refine(_joined(found), pyramids)
        return self._decide(refined, pyramids)

    def _levels(self, photos: Sequence[Pixels]) -> list[Pixels]:
        """The photos, all of one shape, in each size at which a face may measure 12 pixels: (n, h, w, 3), largest
        first. A level is averaged down from the one two steps above it, which is about twice as large: nothing is
        seen of that in the faces that are found, and much in the time."""
        height, width = photos[0].shape[:2]
        levels: list[Pixels] = []
        scale = _CELL / self.card.min_face_px
        if self.card.proposal_side:
            scale /= shrink_to_fit((width, height), self.card.proposal_side)
        while int(min(height, width) * scale) >= _CELL:
            size = int(width * scale), int(height * scale)
            source = photos if len(levels) < 2 else levels[-2]
            levels.append(np.stack([shrunk(photo, size) for photo in source]))
            scale *= self.card.scale_factor
        return levels

    def _propose(self, levels: list[Pixels], members: Indices, shape: tuple[int, ...]) -> list[_Candidates]:
        """P-Net on all levels of photos of one shape; what it finds twice is kept once."""
        per_level = [self._propose_on(level, shape) for level in levels]
        everything = _joined(per_level)
        kept = _each_photo(everything, non_maximum_suppression, self.card.overlaps[1])
        return [_Candidates(members[kept.photo], kept.boxes, kept.scores)]

    def _propose_on(self, level: Pixels, shape: tuple[int, ...]) -> _Candidates:
        found = []
        for first, top, tile in _tiles(level, _P_NET_PIXELS * self._pnet.breadth):
            scores, offsets = self._pnet(tile)
            row, y, x = np.nonzero(scores > self.card.thresholds[0])
            cells = np.stack([x, y, x, y], axis=1) * _STRIDE + np.array([0, top, _CELL, top + _CELL])
            boxes = cells + offsets[row, y, x].astype(np.float64) * _CELL
            found.append(_Candidates(row + first, boxes, scores[row, y, x]))
        candidates = _joined(found)
        up = np.tile([shape[1] / level.shape[2], shape[0] / level.shape[1]], 2)
        scaled = _Candidates(candidates.photo, candidates.boxes * up, candidates.scores)
        return _each_photo(scaled, non_maximum_suppression, self.card.overlaps[0])

    def _refine(self, candidates: _Candidates, pyramids: Sequence["_Pyramid"]) -> _Candidates:
        """R-Net on each candidate."""
        boxes = squared(candidates.boxes)
        outputs = _look(self._rnet, boxes, candidates.photo, pyramids, side=24)
        if outputs is None:
            return candidates
        scores, offsets = outputs
        moved = _Candidates(candidates.photo, _moved(boxes, offsets), scores)
        likely = moved[scores > self.card.thresholds[1]]
        return _each_photo(likely, non_maximum_suppression, self.card.overlaps[2])

    def _decide(self, candidates: _Candidates, pyramids: Sequence["_Pyramid"]) -> list[list[Face]]:
        """O-Net on each candidate that is left: the faces. Their landmarks come from a second look, at the box
        that the first one found: a centred face is what O-Net places landmarks on best."""
        outputs = _look(self._onet, squared(candidates.boxes), candidates.photo, pyramids, side=48)
        if outputs is None:
            return [[] for _ in pyramids]
        scores, offsets, _ = outputs
        moved = _Candidates(candidates.photo, _moved(squared(candidates.boxes), offsets), scores)
        faces = _each_photo(moved[scores > self.card.thresholds[2]], suppress_nested, self.card.overlaps[3])
        windows = squared(faces.boxes)
        again = _look(self._onet, windows, faces.photo, pyramids, side=48)
        return _as_faces(faces, _placed(again[2], windows) if again else np.empty((0, 5, 2)), pyramids)


@dataclass(frozen=True, slots=True)
class _Pyramid:
    """A photo and its smaller versions, largest first."""

    photo: Pixels
    levels: list[Pixels]

    def nearest(self, shrink: float) -> Pixels:
        """The smallest version that shows what is to be shrunk by `shrink` with at least its final pixels."""
        width = self.photo.shape[1] / max(shrink, 1.0)
        enough = [level for level in self.levels if level.shape[1] >= width]
        return enough[-1] if enough else self.photo


def _tiles(level: Pixels, most: int) -> Iterator[tuple[int, int, Pixels]]:
    """A level, (n, h, w, 3), in parts of about `most` pixels or fewer: first photo, first row, pixels. A part is
    some whole photos or a strip of one; strips overlap so that P-Net sees every window once."""
    count, height, width = level.shape[:3]
    overlap = _CELL - _STRIDE
    rows = max(most // width // _STRIDE * _STRIDE, 2 * _CELL)
    if rows >= height:
        photos = max(most // (height * width), 1)
        for first in range(0, count, photos):
            yield first, 0, level[first : first + photos]
        return
    for first in range(count):
        for top in range(0, height - overlap, rows):
            if top + _CELL <= height:
                yield first, top, level[first : first + 1, top : top + rows + overlap]


def _look(
    network: Network, boxes: Boxes, photo: Indices, pyramids: Sequence[_Pyramid], side: int
) -> tuple[NDArray[np.float32], ...] | None:
    """The network's outputs for the window in each box; None where there is no box."""
    outputs = []
    batch = _WINDOWS[side] * network.breadth
    for start in range(0, len(boxes), batch):
        windows = np.empty((min(batch, len(boxes) - start), side, side, 3), np.uint8)
        for k, window in enumerate(windows, start):
            pyramid = pyramids[photo[k]]
            version = pyramid.nearest((boxes[k, 2] - boxes[k, 0]) / side)
            height, width = pyramid.photo.shape[:2]
            cut_window(version, boxes[k], side, (version.shape[1] / width, version.shape[0] / height), window)
        outputs.append(network(windows))
    return tuple(np.concatenate(parts) for parts in zip(*outputs, strict=True)) if outputs else None


def _moved(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """The boxes with each edge moved by its offset, in units of the (square) box's side."""
    return boxes + offsets * (boxes[:, 2:3] - boxes[:, 0:1])


def _joined(parts: Sequence[_Candidates]) -> _Candidates:
    if not parts:
        return _Candidates(np.empty(0, np.intp), np.empty((0, 4)), np.empty(0, np.float32))
    return _Candidates(
        np.concatenate([part.photo for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _each_photo(
    candidates: _Candidates, suppress: Callable[[Boxes, Scores, float], Indices], most_overlap: float
) -> _Candidates:
    """What is left of each photo's candidates, best first, when none may overlap a better one by more than
    `most_overlap`."""
    kept = [np.empty(0, np.intp)]
    for i in sorted(set(candidates.photo.tolist())):
        (rows,) = np.nonzero(candidates.photo == i)
        kept.append(rows[suppress(candidates.boxes[rows], candidates.scores[rows], most_overlap)])
    return candidates[np.concatenate(kept)]


def _placed(landmarks: NDArray[np.float32], windows: Boxes) -> NDArray[np.float64]:
    """O-Net's landmarks, (n, 10) in units of the window, as (n, 5, 2) positions in the photo."""
    inside = landmarks.reshape(-1, 2, 5).transpose(0, 2, 1)
    return windows[:, None, :2] + inside * (windows[:, 2:] - windows[:, :2])[:, None]


def _as_faces(found: _Candidates, landmarks: NDArray[np.float64], pyramids: Sequence[_Pyramid]) -> list[list[Face]]:
    faces: list[list[Face]] = [[] for _ in pyramids]
    for i, box, score, points in zip(found.photo, found.boxes, found.scores, landmarks, strict=True):
        height, width = pyramids[i].photo.shape[:2]
        inside = Box(*np.clip(box, 0, [width, height, width, height]).tolist())
        five = tuple(Point(*point) for point in points.tolist())
        faces[i].append(Face(inside, float(score), five))  # type: ignore[arg-type]
    return faces
