"""A face in a photo: its box, its landmarks, the detector's confidence."""

from dataclasses import dataclass
from typing import NamedTuple


class Box(NamedTuple):
    """A face's rectangle in pixels of the upright photo; (0, 0) is the photo's upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Square pixels, 0 when the box is empty."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


class Point(NamedTuple):
    """A position in pixels of the upright photo, with fractions."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face. `score` is the detector's confidence in 0..1; landmarks are the eye on the image's left, the
    eye on its right, the nose, the left and the right corner of the mouth. `quality`, 0..1, says how good it is to
    recognise somebody by (see `facesearch.faces.quality`); None before it was measured."""

    box: Box
    score: float
    landmarks: tuple[Point, Point, Point, Point, Point]
    quality: float | None = None
