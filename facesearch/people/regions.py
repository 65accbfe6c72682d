"""The regions that other programs draw around faces: where they lie in a photo as it is seen, and which faces they
mean.

A region's box counts in shares of a picture's width and height. By the guidelines of the Metadata Working Group (2.0,
section 5.9) that picture is the stored one, before it is turned by its EXIF orientation. Some programs take the
upright one: their AppliedToDimensions tell, or the faces that lie there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom

LEAST_OVERLAP = 0.3  # intersection over union of a region and the face that it means
_SAME_SHAPE = 0.02  # by which the ratio of two sizes may differ: a preview's sides are rounded
_TURNED = (5, 6, 7, 8)  # orientations with width and height exchanged
_BACK = {6: 8, 8: 6}  # all others are their own way back

Side = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Region(msgspec.Struct, frozen=True):
    """A person's name and a box, 0..1, of a picture of that width and height; None where the program does not say.
    `is_upright`: the box is known to be of the picture as it is seen."""

    name: str
    box: Box
    applied_to: tuple[Side, Side] | None = None
    is_upright: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A photo: its width and height as it is seen, and the EXIF orientation, 1 to 8, in which it is stored."""

    size: tuple[int, int]
    orientation: int = 1

    @property
    def stored_size(self) -> tuple[int, int]:
        """The width and height before it is turned."""
        return self.size[::-1] if self.orientation in _TURNED else self.size


@dataclass(frozen=True, slots=True)
class Placed:
    """A region in the photo as it is seen: its box in pixels, None where it was drawn in a picture of another shape;
    and the index of the face that it means, None where there is none."""

    region: Region
    box: Box | None
    face: int | None


def turned(box: Box, orientation: int) -> Box:
    """A box of the stored picture, in the upright one."""
    corners = [_turned(x, y, orientation) for x, y in ((box[0], box[1]), (box[2], box[3]))]
    (a, b), (c, d) = corners
    return min(a, c), min(b, d), max(a, c), max(b, d)


def turned_back(box: Box, orientation: int) -> Box:
    """A box of the upright picture, in the stored one."""
    return turned(box, _BACK.get(orientation, orientation))


def is_same_shape(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether two sizes have the same ratio of width to height."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) <= _SAME_SHAPE if min(*a, *b) > 0 else False


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    shared = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    both = _area(a) + _area(b) - shared
    return shared / both if both > 0 else 0.0


def place(regions: Sequence[Region], frame: Frame, faces: Sequence[Box]) -> list[Placed]:
    """Where regions lie, and which of the photo's faces, boxes in pixels, each of them means. Where a program does
    not say which picture it took, that is the stored one, or the upright one if more of the faces lie there then."""
    boxes = [_in_pixels(_upright(region, frame), frame) for region in regions]
    if frame.orientation != 1:
        unsure = [i for i, region in enumerate(regions) if _may_be_upright(region, frame)]
        otherwise = list(boxes)
        for i in unsure:
            otherwise[i] = _in_pixels(regions[i].box, frame)
        if _count(otherwise, faces) > _count(boxes, faces):
            boxes = otherwise
    means = match(boxes, faces)
    return [Placed(region, boxes[i], means.get(i)) for i, region in enumerate(regions)]


def match(boxes: Sequence[Box | None], faces: Sequence[Box]) -> dict[int, int]:
    """Which face each box means, by their indices: the one that it overlaps most, if by 0.3 of their union; else the
    only one that is left whose middle is in it, or whose box its own middle is in. A face is meant once."""
    found: dict[int, int] = {}
    meant: set[int] = set()
    for _, i, j in sorted(_overlaps(boxes, faces), key=lambda pair: (-pair[0], pair[1:])):
        if i not in found and j not in meant:
            found[i] = j
            meant.add(j)
    for i, box in enumerate(boxes):
        if box is None or i in found:
            continue
        inside = [j for j, face in enumerate(faces) if j not in meant and _is_around(box, face)]
        if len(inside) == 1:
            found[i] = inside[0]
            meant.add(inside[0])
    return found


def middle_inside(box: Box, face: Box) -> bool:
    """Whether a face's middle lies in a box."""
    return _contains(box, _middle(face))


def _overlaps(boxes: Sequence[Box | None], faces: Sequence[Box]) -> list[tuple[float, int, int]]:
    pairs = (
        (overlap(box, face), i, j) for i, box in enumerate(boxes) if box is not None for j, face in enumerate(faces)
    )
    return [pair for pair in pairs if pair[0] >= LEAST_OVERLAP]


def _count(boxes: Sequence[Box | None], faces: Sequence[Box]) -> int:
    return len({i for _, i, _ in _overlaps(boxes, faces)})


def _is_around(a: Box, b: Box) -> bool:
    return _contains(a, _middle(b)) or _contains(b, _middle(a))


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _contains(box: Box, point: tuple[float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _upright(region: Region, frame: Frame) -> Box | None:
    """Its box, in shares of the upright picture; None for one of another shape, which was cut since."""
    if region.is_upright:
        return region.box
    if region.applied_to is None or is_same_shape(region.applied_to, frame.stored_size):
        return turned(region.box, frame.orientation)
    return region.box if is_same_shape(region.applied_to, frame.size) else None


def _may_be_upright(region: Region, frame: Frame) -> bool:
    return not region.is_upright and (region.applied_to is None or is_same_shape(region.applied_to, frame.size))


def _in_pixels(box: Box | None, frame: Frame) -> Box | None:
    width, height = frame.size
    return (box[0] * width, box[1] * height, box[2] * width, box[3] * height) if box else None


def _turned(x: float, y: float, orientation: int) -> tuple[float, float]:
    """A point of the stored picture in the upright one, both 0..1, by EXIF 2.32, tag 274."""
    if orientation in _TURNED:
        x, y = y, x
    if orientation in (2, 3, 6, 7):
        x = 1 - x
    return (x, 1 - y) if orientation in (3, 4, 7, 8) else (x, y)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
