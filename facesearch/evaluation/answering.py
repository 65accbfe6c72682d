"""A user who answers what facesearch asks, by the names of LFW's photos."""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from facesearch.evaluation.album import BYSTANDER, Album
from facesearch.evaluation.clustering import Labels
from facesearch.people.grouping import Facts, Groups, Mode, group

_BETWEEN = 50  # answers, after which all faces are grouped again with what was said


def answered(album: Album, facts: Facts, mode: Mode, counts: Sequence[int]) -> Iterator[tuple[int, Labels, float]]:
    """For each ascending number of answers the labels, (n,), and the seconds of one grouping. After 50 answers
    all is grouped again, so that what was said leads to what is asked."""
    user = _User(album)
    given = 0
    for count in counts:
        while True:
            started = time.perf_counter()
            faces = album.to_group(user.people, sorted(user.barred))
            found = group(faces, facts, mode)
            seconds = time.perf_counter() - started
            if given == count:
                break
            asked = user.answer(found, min(_BETWEEN, count - given))
            given += asked
            if not asked:
                break
        yield given, found.labels, seconds


class _User:
    """What was said so far: `people`, (n,), one number a person who was said to be one, 0 where nothing was; and
    `barred` pairs of rows, two groups that are not one. A group's name is that which most of its known faces have."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self.people = np.zeros(len(album), np.int64)
        self.barred: set[tuple[int, int]] = set()

    def answer(self, found: Groups, most: int) -> int:
        """Answers the first questions, at most so many; how many these were. One that an answer before it has settled
        is not asked."""
        labels = found.labels.copy()
        parted = {self._key(labels, a, b) for a, b in self.barred}
        asked = 0
        for a, b in found.questions.tolist():
            if asked == most:
                break
            key = self._key(labels, a, b)
            if key[0] == key[1] or key in parted:
                continue
            asked += 1
            if self._name(labels, a) == self._name(labels, b) != BYSTANDER:
                self._join(labels, a, b)
                parted = {self._key(labels, *pair) for pair in self.barred}
            else:
                self.barred.add((min(a, b), max(a, b)))
                parted.add(key)
                self._keep(labels, a, b)
        return asked

    def _key(self, labels: Labels, a: int, b: int) -> tuple[int, int]:
        low, high = sorted((int(labels[a]), int(labels[b])))
        return low, high

    def _name(self, labels: Labels, row: int) -> int:
        shown = self._album.people[labels == labels[row]]
        shown = shown[shown != BYSTANDER]
        return int(np.bincount(shown).argmax()) if len(shown) else BYSTANDER

    def _join(self, labels: Labels, a: int, b: int) -> None:
        """What the user saw as one stays one."""
        rows = (labels == labels[a]) | (labels == labels[b])
        said = np.unique(self.people[rows & (self.people > 0)])
        self.people[np.isin(self.people, said) & (self.people > 0)] = a + 1
        self.people[rows] = a + 1
        labels[rows] = labels[a]

    def _keep(self, labels: Labels, a: int, b: int) -> None:
        """Each of two who are not one keeps the face that was shown."""
        for row in (a, b):
            if not self.people[row]:
                of_group = self.people[labels == labels[row]]
                self.people[row] = of_group.max(initial=0) or row + 1
