"""What bars two groups from being one person."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_ONE_FACE_TWICE = 0.3  # of the smaller box: a detector found one face twice, as it does in 1 of 200 photos of LFW

Rows = NDArray[np.int64]
Key = tuple[str, int]


class Tokens:
    """Of each group what it holds: under a key (a photo, somebody who was named, two faces that were parted) one of
    several things that exclude each other. Two groups that hold different things under one key are never joined. A
    crowd in one photo costs as many entries as there are faces."""

    def __init__(self) -> None:
        self._held: dict[int, dict[Key, int]] = {}

    def give(self, group: int, key: Key, thing: int) -> None:
        """What a group holds from the start."""
        self._held.setdefault(group, {})[key] = thing

    def bar(self, a: int, b: int) -> bool:
        """Whether two groups must not be joined; for ever, as groups only grow."""
        few, many = self._held.get(a), self._held.get(b)
        if not few or not many:
            return False
        if len(few) > len(many):
            few, many = many, few
        return any(many.get(key, thing) != thing for key, thing in few.items())

    def settle(self, a: int, b: int) -> bool:
        """Whether it is known that two groups are two people, so that nobody need be asked: they were parted, or one
        photo shows both."""
        few, many = self._held.get(a), self._held.get(b)
        if not few or not many:
            return False
        return any(key[0] in ("photo", "parted") and many.get(key, thing) != thing for key, thing in few.items())

    def merge(self, kept: int, gone: int) -> None:
        """A group holds what another one held, too."""
        held, more = self._held.get(kept), self._held.pop(gone, None)
        if not more:
            return
        if not held:
            self._held[kept] = more
        elif len(held) >= len(more):
            held.update(more)
        else:
            more.update(held)
            self._held[kept] = more


def tokens_of(labels: Rows, photos: Rows, boxes: NDArray[np.float32], people: Rows, barred: Rows) -> Tokens:
    """What groups, (n,) rows of their first faces, hold: people who were said, > 0; what was parted, (m, 2) rows; and
    photos, < 0 where one person may be there twice, without faces that are one found twice."""
    tokens = Tokens()
    for row in np.flatnonzero(people > 0).tolist():
        tokens.give(int(labels[row]), ("person", 0), int(people[row]))
    for number, (a, b) in enumerate(barred.tolist()):
        if labels[a] != labels[b]:
            tokens.give(int(labels[a]), ("parted", number), 0)
            tokens.give(int(labels[b]), ("parted", number), 1)
    for photo, rows in _of_several(photos):
        for row, place in zip(rows, _places(boxes[rows]), strict=True):
            tokens.give(int(labels[row]), ("photo", photo), place)
    return tokens


def _of_several(photos: Rows) -> Iterable[tuple[int, list[int]]]:
    """The photos with several faces, and the rows of these."""
    found: dict[int, list[int]] = defaultdict(list)
    counts = Counter(photos[photos >= 0].tolist())
    for row, photo in enumerate(photos.tolist()):
        if photo >= 0 and counts[photo] > 1:
            found[photo].append(row)
    return found.items()


def _places(boxes: NDArray[np.float32]) -> list[int]:
    """A number for each place of a photo, from boxes of faces, (n, 4): those that lie over each other share one."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)  # (n, n)
    areas = sides.prod(axis=1)
    together = shared > _ONE_FACE_TWICE * np.maximum(np.minimum(areas[:, None], areas), 1e-9)
    places = list(range(len(boxes)))
    for i, j in zip(*(each.tolist() for each in np.nonzero(np.triu(together, 1))), strict=True):
        places[j] = min(places[i], places[j])
    return places
