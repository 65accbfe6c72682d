"""Batches of chips to train on, drawn and altered at random: the seed decides all of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips
from facesearch.errors import FaceSearchError
from facesearch.training.augmentation import altered, enlarged
from facesearch.training.chips import ChipStore
from facesearch.training.people import LEAST_PEOPLE, LEAST_PHOTOS, People

# photos: each as often as any other; people: several photos of each of several people; triplets: prepared ones.
Draw: TypeAlias = Literal["photos", "people", "triplets"]
Batch: TypeAlias = tuple[Chips, NDArray[np.intp]]  # (n, chip_px, chip_px, 3), and who is on each, (n,)


class Batches:
    """Endless batches of `people` x `per_person` chips, cut, mirrored and lit at random."""

    def __init__(self, data: People, people: int, per_person: int, chip_px: int) -> None:
        """Raises FaceSearchError when there are fewer people than that with two photos."""
        counts = np.bincount(data.who)
        self._several = np.flatnonzero(counts >= LEAST_PHOTOS)
        if len(self._several) < LEAST_PEOPLE:
            raise FaceSearchError(
                f"Training needs {LEAST_PEOPLE} people with two photos or more, and there are {len(self._several)}; "
                "add photos, each person's in a folder."
            )
        if len(self._several) < people:
            raise FaceSearchError(
                f"There are {len(self._several):,} people with two photos or more to train on, fewer than the "
                f"{people} of a batch; lower --people, or add photos."
            )
        self._data, self._people, self._per_person, self._chip_px = data, people, per_person, chip_px
        self._rows = [np.flatnonzero(data.who == i) for i in range(len(data.names))]
        self._alone = np.flatnonzero(counts < LEAST_PHOTOS)
        self._store = ChipStore(data.photos, enlarged(chip_px))

    def drawn(self, draw: Draw, seed: int, prepared: int = 0) -> Iterator[Batch]:
        """The batches of a seed. `people` are so many photos of each of so many persons, some twice (but altered
        otherwise) of a person with fewer, where people with a single photo serve as negatives. `triplets` are as many
        as fit, anchors, then positives, then negatives; `prepared` batches of them are drawn beforehand and come
        again in ever other order. One batch is made ahead on a thread. Raises FaceSearchError for a photo that cannot
        be read."""
        self._store.load()  # by the caller's thread, which an interruption reaches
        batches = self._altered(draw, seed, prepared)
        with ThreadPoolExecutor(1, "batches") as thread:
            coming = thread.submit(next, batches)
            while True:
                batch = coming.result()
                coming = thread.submit(next, batches)
                yield batch

    def _altered(self, draw: Draw, seed: int, prepared: int) -> Iterator[Batch]:
        rng = np.random.default_rng([seed, 0])
        drawn: list[NDArray[np.intp]] = []  # what is read ahead, and not altered yet
        rows = (
            self._photos(rng) if draw == "photos" else self._groups(rng) if draw == "people"
            else self._triplets(rng, prepared)
        )  # fmt: skip

        def remembered() -> Iterator[NDArray[np.intp]]:
            for each in rows:
                drawn.append(each)
                yield each

        for number, chips in zip(count(1), self._store.batches(remembered()), strict=False):
            own = np.random.default_rng([seed, number])
            yield np.stack([altered(chip, self._chip_px, own) for chip in chips]), self._data.who[drawn.pop(0)]

    def _photos(self, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
        """All photos in some order, then all in another."""
        left = np.empty(0, np.intp)
        while True:
            while len(left) < self._people * self._per_person:
                left = np.concatenate([left, rng.permutation(len(self._data.who))])
            now, left = np.split(left, [self._people * self._per_person])
            yield now

    def _groups(self, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
        """The photos of a batch. Where there are people with one photo, as many of them as one or more others have
        photos in it take the others' places, so that every batch has one size."""
        share = len(self._alone) / len(self._rows) / 2  # they are negatives, and that is worth less
        places = min(round(self._people * share), len(self._alone) // self._per_person, self._people - LEAST_PHOTOS)
        while True:
            several = rng.choice(self._several, self._people - places, replace=False)
            rows = [
                rng.choice(self._rows[i], self._per_person, replace=len(self._rows[i]) < self._per_person)
                for i in several
            ]
            alone = rng.choice(self._alone, places * self._per_person, replace=False)
            yield np.concatenate([*rows, *(self._rows[i] for i in alone)])

    def _triplets(self, rng: np.random.Generator, prepared: int) -> Iterator[NDArray[np.intp]]:
        """The photos of a batch of triplets that were prepared."""
        size = self._people * self._per_person // 3
        persons = rng.choice(self._several, (prepared, size))
        pairs = np.array([rng.choice(self._rows[i], 2, replace=False) for i in persons.ravel()])
        first, second = pairs.T.reshape(2, *persons.shape)
        negatives = rng.integers(0, len(self._data.who), persons.shape)
        while (clash := self._data.who[negatives] == persons).any():
            negatives[clash] = rng.integers(0, len(self._data.who), int(clash.sum()))
        batches = np.concatenate([first, second, negatives], axis=1)
        while True:
            yield from rng.permutation(batches)
