"""Folders of people as batches: several photos of each of several people, turned and cropped at random."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips, Pixels
from facesearch.errors import FaceSearchError
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import MOST_WORKERS, Pace
from facesearch.flow.stream import chunks
from facesearch.home import cores
from facesearch.photos.file import PhotoFile
from facesearch.photos.formats import looks_like_photo

_LARGEST = 1.15  # times a chip: a photo's size before the chip is cut from it at random
_LEAST = 2  # photos of a person who can be an anchor
_AT_ONCE = 256  # photos

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class People:
    """Photos by person: `photos[i]` shows `names[who[i]]`. `names` are in order."""

    photos: tuple[str, ...]
    who: NDArray[np.intp]
    names: tuple[str, ...]

    def subset(self, people: NDArray[np.intp]) -> "People":
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
    return people.subset(others), people.subset(kept)


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
        """Chips, (n, chip_px, chip_px, 3), and who is in each, (n,). Photos are read ahead on threads. Raises
        FaceSearchError for a photo that cannot be read."""
        size = 3 * (self._people * self._per_person // 3) if self._prepared else self._people * self._per_person
        work = _reading(self._cut, size)
        for part in chunks(_results(stages.run(self._jobs(), work)), size):
            yield np.stack([chip for _, chip in part]), self._data.who[[draw.row for draw, _ in part]]

    def _jobs(self) -> Iterator[stages.Job["_Draw"]]:
        for rows in self._triplets() if self._prepared else self._groups():
            seeds = self._rng.integers(0, 2**63, len(rows))
            for row, seed in zip(rows, seeds, strict=True):
                yield stages.Job(_Draw(int(row), int(seed)), PhotoFile(self._data.photos[row], 0, 0))

    def _cut(self, photo: stages.Decoded["_Draw"]) -> Pixels:
        """A chip of the photo, a little enlarged, cut and mirrored at random."""
        rng = np.random.default_rng(photo.key.seed)
        chip = _resized(photo.view.pixels, round(self._chip_px * rng.uniform(1, _LARGEST)))
        left, top = rng.integers(0, chip.shape[0] - self._chip_px + 1, 2)
        chip = chip[top : top + self._chip_px, left : left + self._chip_px]
        return chip[:, ::-1] if rng.random() < 0.5 else chip

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


class _Draw(NamedTuple):
    """A photo that was drawn for a batch, by its row, and the seed of what is random in its chip."""

    row: int
    seed: int


def load_chips(photos: Sequence[str], size: int) -> Iterator[Chips]:
    """All photos as chips, (n, size, size, 3), some hundred at a time, as they are: nothing is random. Raises
    FaceSearchError for a photo that cannot be read."""
    jobs = (stages.Job(None, PhotoFile(photo, 0, 0)) for photo in photos)
    work: stages.Work[None, Pixels] = _reading(lambda photo: _resized(photo.view.pixels, size), _AT_ONCE)
    for part in chunks(_results(stages.run(jobs, work)), _AT_ONCE):
        yield np.stack([chip for _, chip in part])


def _reading(cut: Callable[[stages.Decoded[_Key]], Pixels], batch: int) -> stages.Work[_Key, Pixels]:
    """Crops are read and made chips; no network takes part."""
    pace = Pace(min(cores(), MOST_WORKERS), batch)
    return stages.Work(lambda: lambda photos: [cut(photo) for photo in photos], pace)


def _results(
    batches: Iterator[list[stages.Found[_Key, Pixels] | stages.Failed[_Key]]],
) -> Iterator[tuple[_Key, Pixels]]:
    for rows in batches:
        for row in rows:
            if isinstance(row, stages.Failed):
                raise FaceSearchError(
                    f"{printable(row.file.path)} cannot be trained on: {row.error.reason}; remove it."
                )
            yield row.key, row.result


def _resized(pixels: Pixels, size: int) -> Pixels:
    """A photo as a chip, (size, size, 3)."""
    method = cv2.INTER_AREA if pixels.shape[0] > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=method), np.uint8)
