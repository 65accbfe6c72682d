"""A second look at photos in which a detector finds no face, or none that it is sure of.

A detector is not the same in a mirror, and it misses a face that fills the photo or is cut by its edge: so a photo
without a face is looked at mirrored, and in a frame of grey. And it knows faces that are upright alone: so a photo of
which nothing says which way is up is looked at in the three other turns. All that happens in a small version; where
something turns up, that way is gone again with all pixels, and its faces are given in pixels of the photo as it
was."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Pixels
from facesearch.faces.detector import Detector
from facesearch.geometry.face import Box, Face, Point
from facesearch.geometry.scaling import shrunk

# Of a side: a twenty-fifth of the pixels, in which a face of a tenth of the photo is still found. With 0.3 photos
# without a face cost 1.83 times the first look in place of 1.41, and no more faces are found
# (benchmarks/second_look.py).
_SMALL = 0.2
_LEAST_PX = 100  # the longest side of a small version, at the least
_FRAME = 0.25  # of a side
_GREY = (128, 128, 128)
# Scores. Of 19 false faces in 200 pictures without people the surest has 0.943. LFW has 34 photos, of 13,233, whose
# surest face is below 0.95, and in another turn of these the surest has 0.980: only what is clearly surer takes the
# place of a face that was found upright. Of 60 people of LFW 56 have 0.99 or more.
_SURE = 0.95
# Of a turn in both sizes: of 400 pictures without people three had more than 0.97 in one turn, and at most 0.956 in
# its small version; all of 180 turned photos of LFW have more.
_SURE_IN_A_TURN, _SURE_IN_A_SMALL_ONE = 0.975, 0.96
_CLEARLY_SURER = 0.99


@dataclass(frozen=True, slots=True)
class Look:
    """One way to look at a photo: turned by so many quarters against the clock, then mirrored, then in a frame."""

    quarters: int = 0
    mirrored: bool = False
    framed: bool = False

    def at(self, photo: Pixels) -> Pixels:
        """The photo, looked at in this way."""
        turned = np.rot90(photo, self.quarters)
        seen = np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)
        if not self.framed:
            return seen
        y, x = self._frame(seen.shape[0]), self._frame(seen.shape[1])
        return cv2.copyMakeBorder(seen, y, y, x, x, cv2.BORDER_CONSTANT, value=_GREY)  # type: ignore[return-value]

    def back(self, face: Face, size: tuple[int, int]) -> Face | None:
        """A face that was found in this look, in pixels of the photo of this width and height; None where it lies in
        the frame."""
        points = np.array([face.box[:2], face.box[2:], *face.landmarks], np.float64)  # (7, 2)
        width, height = size if self.quarters % 2 == 0 else size[::-1]  # of the turned photo
        if self.framed:
            points -= [self._frame(width), self._frame(height)]
        if self.mirrored:
            points[:, 0] = width - points[:, 0]
        for _ in range(self.quarters % 4):  # a quarter with the clock each, as seen before the turn
            points = np.column_stack([height - points[:, 1], points[:, 0]])
            width, height = height, width
        return _face(points, face.score, self.mirrored, size)

    @staticmethod
    def _frame(side: int) -> int:
        return round(side * _FRAME)


def _face(points: NDArray[np.float64], score: float, mirrored: bool, size: tuple[int, int]) -> Face | None:
    low, high = points[:2].min(axis=0), points[:2].max(axis=0)
    centre = (low + high) / 2
    if (centre < 0).any() or (centre > size).any():
        return None
    box = Box(*np.clip(np.concatenate([low, high]), 0, [*size, *size]).tolist())
    a, b, nose, c, d = (Point(*point) for point in points[2:].tolist())
    return Face(box, score, (b, a, nose, d, c) if mirrored else (a, b, nose, c, d))


_FRAMES = (Look(mirrored=True), Look(framed=True), Look(mirrored=True, framed=True))
_TURNS = tuple(Look(quarters) for quarters in (1, 2, 3))


def look_again(
    detector: Detector, photos: Sequence[Pixels], may_be_turned: Sequence[bool], found: Sequence[list[Face]]
) -> list[list[Face]]:
    """What the first look `found` in each photo, or where that is nothing, or nothing sure, what a second one finds.
    `may_be_turned` says of each photo that nothing tells which way is up."""
    faces = list(found)
    _try(detector, photos, [i for i, each in enumerate(faces) if not each], _FRAMES, faces)
    unsure = [i for i, each in enumerate(faces) if may_be_turned[i] and _surest(each) < _SURE]
    _try(detector, photos, unsure, _TURNS, faces)
    return faces


def _try(
    detector: Detector,
    photos: Sequence[Pixels],
    chosen: Sequence[int],
    looks: Sequence[Look],
    faces: list[list[Face]],
) -> None:
    """Looks at the chosen photos in each of these ways, and puts what is sure enough in the place of their faces."""
    best = _surest_looks(detector, [photos[i] for i in chosen], looks)
    again = [(i, look) for i, look in zip(chosen, best, strict=True) if look is not None]
    seen = detector.detect([look.at(photos[i]) for i, look in again])
    for (i, look), each in zip(again, seen, strict=True):
        size = photos[i].shape[1], photos[i].shape[0]
        back = [face for face in (look.back(face, size) for face in each) if face is not None]
        if back and _surest(back) >= _least_score(look, faces[i]):
            faces[i] = back


def _least_score(look: Look, before: Sequence[Face]) -> float:
    """How sure a face must be that is found in a look, to count and to take the place of those from before."""
    if not look.quarters:
        return 0.0
    return _CLEARLY_SURER if before else _SURE_IN_A_TURN


def _surest_looks(detector: Detector, photos: Sequence[Pixels], looks: Sequence[Look]) -> list[Look | None]:
    """Of each photo the look in whose small version the surest faces are found; None where none are."""
    small = [_shrunk(photo) for photo in photos]
    seen = iter(detector.detect([look.at(photo) for photo in small for look in looks]))
    chosen: list[Look | None] = []
    for _ in photos:
        scores = [_merit(look, next(seen)) for look in looks]
        best = int(np.argmax(scores)) if scores else 0
        chosen.append(looks[best] if scores and scores[best] > 0 else None)
    return chosen


def _shrunk(photo: Pixels) -> Pixels:
    longest = max(photo.shape[:2])
    share = min(1.0, max(_SMALL, _LEAST_PX / longest))
    size = max(1, round(photo.shape[1] * share)), max(1, round(photo.shape[0] * share))
    return shrunk(photo, size)


def _surest(faces: Sequence[Face]) -> float:
    return max((face.score for face in faces), default=0.0)


def _merit(look: Look, faces: Sequence[Face]) -> float:
    """The sum of the scores; nothing where a turn shows no sure face."""
    if look.quarters and _surest(faces) < _SURE_IN_A_SMALL_ONE:
        return 0.0
    return sum(face.score for face in faces)
