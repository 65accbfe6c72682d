"""Folders of people as batches: several photos of each of several people, turned and cropped at random."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips, Pixels
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.files import printable
from facesearch.home import cores
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.pool import Decoders
from facesearch.photos.view import read

_LARGEST = 1.15  # times a chip: a photo's size before the chip is cut from it at random
_LEAST = 2  # photos of a person who can be an anchor


@dataclass(frozen=True, slots=True)
class People:
    """Photos by person: `photos[i]` shows `names[who[i]]`. `names` are in order."""

    photos: tuple[str, ...]
    who: NDArray[np.intp]
    names: tuple[str, ...]

    def of(self, people: NDArray[np.intp]) -> "People":
        """Some of the people alone."""
        rows = np.flatnonzero(np.isin(self.who, people))
        names, who = np.unique(self.who[rows], return_inverse=True)
        return People(tuple(self.photos[i] for i in rows), who, tuple(self.names[i] for i in names))


def find(folder: Path) -> People:
    """A folder for each person. Raises FaceSearchError when there is none with a photo."""
    photos: list[str] = []
    who: list[int] = []
    names: list[str] = []
    for person in sorted(folder.iterdir()) if folder.is_dir() else []:
        found = (
            sorted(str(path) for path in person.rglob("*") if looks_like_photo(path.name)) if person.is_dir() else []
        )
        if found:
            who += [len(names)] * len(found)
            photos += found
            names.append(person.name)
    if not names:
        raise FaceSearchError(
            f"There is no folder of a person with a photo in {printable(str(folder))}; cut faces out with facesearch "
            "align and name the folder that it wrote."
        )
    return People(tuple(photos), np.array(who), tuple(names))


def split(people: People, held_out: float, seed: int) -> tuple[People, People]:
    """The people to train on, and those held out: that share of those with two photos or more."""
    rng = np.random.default_rng(seed)
    several = np.flatnonzero(np.bincount(people.who) >= _LEAST)
    kept = rng.permutation(several)[: round(held_out * len(several))]
    others = np.setdiff1d(np.arange(len(people.names)), kept)
    return people.of(others), people.of(kept)


class Batches:
    """Endless batches of chips, cut and mirrored at random: `people` x `per_person`, so many photos of each of so
    many persons, some twice (but cut otherwise) of a person with fewer, where people with a single photo serve as
    negatives. With `prepared` they are random triplets instead, as many as fit: anchors, then positives, then
    negatives; so many batches are prepared beforehand and come again in ever other order."""

    def __init__(
        self, data: People, people: int, per_person: int, chip_px: int, seed: int, prepared: int = 0
    ) -> None:
        """Raises FaceSearchError when there are fewer people than that with two photos."""
        counts = np.bincount(data.who)
        self._several = np.flatnonzero(counts >= _LEAST)
        if len(self._several) < people:
            raise FaceSearchError(
                f"There are {len(self._several):,} people with two photos or more to train on, fewer than the "
                f"{people} of a batch; lower --people, or add photos."
            )
        self._data, self._people, self._per_person, self._chip_px = data, people, per_person, chip_px
        self._rows = [np.flatnonzero(data.who == i) for i in range(len(data.names))]
        self._alone = np.flatnonzero(counts < _LEAST)
        self._rng = np.random.default_rng(seed)
        self._prepared = prepared

    def __iter__(self) -> Iterator[tuple[Chips, NDArray[np.intp]]]:
        """Chips, (n, chip_px, chip_px, 3), and who is in each, (n,). Photos are read ahead on threads."""
        rows = self._triplets() if self._prepared else self._groups()
        with ThreadPoolExecutor(cores()) as pool, Decoders(cores()) as decoders:
            ahead = [self._begun(pool, decoders, next(rows)) for _ in range(2)]
            while True:
                chips, who = ahead.pop(0)
                ahead.append(self._begun(pool, decoders, next(rows)))
                yield np.stack(list(chips)), who

    def _begun(
        self, pool: ThreadPoolExecutor, decoders: Decoders, rows: NDArray[np.intp]
    ) -> tuple[Iterator[Pixels], NDArray[np.intp]]:
        seeds = self._rng.integers(0, 2**63, len(rows))
        photos = [self._data.photos[i] for i in rows]
        return pool.map(partial(self._chip, decoders), photos, seeds), self._data.who[rows]

    def _groups(self) -> Iterator[NDArray[np.intp]]:
        """The photos of a batch. Where there are people with one photo, as many of them as one or more others have
        photos in it take the others' places, so that every batch has one size."""
        share = len(self._alone) / len(self._rows) / 2  # they are negatives, and that is worth less
        places = min(round(self._people * share), len(self._alone) // self._per_person, self._people - _LEAST)
        while True:
            several = self._rng.choice(self._several, self._people - places, replace=False)
            rows = [
                self._rng.choice(self._rows[i], self._per_person, replace=len(self._rows[i]) < self._per_person)
                for i in several
            ]
            alone = self._rng.choice(self._alone, places * self._per_person, replace=False)
            yield np.concatenate([*rows, *(self._rows[i] for i in alone)])

    def _triplets(self) -> Iterator[NDArray[np.intp]]:
        """The photos of a batch of triplets that were prepared."""
        count = self._people * self._per_person // 3
        persons = self._rng.choice(self._several, (self._prepared, count))
        pairs = np.array([self._rng.choice(self._rows[i], 2, replace=False) for i in persons.ravel()])
        first, second = pairs.T.reshape(2, *persons.shape)
        negatives = self._rng.integers(0, len(self._data.who), persons.shape)
        while (clash := self._data.who[negatives] == persons).any():
            negatives[clash] = self._rng.integers(0, len(self._data.who), int(clash.sum()))
        prepared = np.concatenate([first, second, negatives], axis=1)
        while True:
            yield from self._rng.permutation(prepared)

    def _chip(self, decoders: Decoders, photo: str, seed: int) -> Pixels:
        rng = np.random.default_rng(seed)
        chip = load_chip(photo, round(self._chip_px * rng.uniform(1, _LARGEST)), decoders)
        left, top = rng.integers(0, chip.shape[0] - self._chip_px + 1, 2)
        chip = chip[top : top + self._chip_px, left : left + self._chip_px]
        return chip[:, ::-1] if rng.random() < 0.5 else chip


def load_chip(photo: str, size: int, decoders: Decoders) -> Pixels:
    """A photo as a chip, (size, size, 3). Raises FaceSearchError when it cannot be read."""
    try:
        pixels = read(photo, decoders.decode)
    except PhotoError as error:
        raise FaceSearchError(f"{printable(photo)} cannot be trained on: {error.reason}; remove it.") from error
    shrinks = pixels.shape[0] > size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=method), np.uint8)


def load_chips(photos: Sequence[str], size: int) -> Iterator[Chips]:
    """All photos as chips, some hundred at a time, as they are: nothing is random."""
    with ThreadPoolExecutor(cores()) as pool, Decoders(cores()) as decoders:
        for start in range(0, len(photos), 256):
            part = photos[start : start + 256]
            yield np.stack(list(pool.map(lambda photo: load_chip(photo, size, decoders), part)))
