"""Crops as chips: kept in memory where they fit, else read from the disk whenever they are wanted."""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch import interruption
from facesearch.arrays import Chips, Pixels
from facesearch.errors import FaceSearchError
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import MOST_WORKERS, Pace
from facesearch.home import cores
from facesearch.photos.file import PhotoFile

_MOST_BYTES = 2_000_000_000  # 13,233 chips of 184 pixels are 1.3 GB; TensorFlow itself takes as much
_AT_ONCE = 256  # photos


class ChipStore:
    """The chips of photos, each (side, side, 3), in the order of the photos. Those that fit into the memory are read
    once, when the first is wanted: a training does not wait for the disk, and does not mind what becomes of the
    files."""

    def __init__(self, photos: Sequence[str], side: int, most_bytes: int = _MOST_BYTES) -> None:
        self._photos, self._side = photos, side
        self._fits = len(photos) * side * side * 3 <= most_bytes
        self._kept: Chips | None = None

    def load(self) -> None:
        """Reads them now, where they fit. Raises FaceSearchError for a photo that cannot be read."""
        if self._kept is not None or not self._fits:
            return
        kept = np.empty((len(self._photos), self._side, self._side, 3), np.uint8)
        jobs = (stages.Job(None, PhotoFile(photo, 0, 0)) for photo in self._photos)
        with interruption.at_once():
            for i, chip in enumerate(self._read(jobs)):
                kept[i] = chip
        self._kept = kept

    def batches(self, rows: Iterable[NDArray[np.intp]]) -> Iterator[Chips]:
        """The chips of each array of rows, (n, side, side, 3), read ahead where they are not in memory. Raises
        FaceSearchError for a photo that cannot be read."""
        self.load()
        if self._kept is not None:
            yield from map(self._kept.__getitem__, rows)
            return
        sizes: list[int] = []  # of the batches that are being read; an array's rows come in one go

        def wanted() -> Iterator[stages.Job[None]]:
            for each in rows:
                sizes.append(len(each))
                yield from (stages.Job(None, PhotoFile(self._photos[row], 0, 0)) for row in each)

        part: list[Pixels] = []
        for chip in self._read(wanted()):
            part.append(chip)
            if len(part) == sizes[0]:
                yield np.stack(part)
                part = []
                del sizes[0]

    def all(self, batch: int) -> Iterator[Chips]:
        """All chips, so many at a time. Raises FaceSearchError for a photo that cannot be read."""
        starts = range(0, len(self._photos), batch)
        yield from self.batches(np.arange(start, min(start + batch, len(self._photos))) for start in starts)

    def _read(self, jobs: Iterator[stages.Job[None]]) -> Iterator[Pixels]:
        pace = Pace(min(cores(), MOST_WORKERS), _AT_ONCE)
        work: stages.Work[None, Pixels] = stages.Work(lambda: self._resized, pace)
        rows: list[stages.Found[None, Pixels] | stages.Failed[None]]
        for rows in stages.run(jobs, work):
            for row in rows:
                if isinstance(row, stages.Failed):
                    raise FaceSearchError(
                        f"{printable(row.file.path)} cannot be trained on: {row.error.reason}; remove it, and go on "
                        "with --resume if there is a checkpoint."
                    )
                yield row.result

    def _resized(self, photos: Sequence[stages.Decoded[None]]) -> list[Pixels]:
        return [resized(photo.view.pixels, self._side) for photo in photos]


def resized(pixels: Pixels, side: int) -> Pixels:
    """A photo as a chip, (side, side, 3)."""
    method = cv2.INTER_AREA if pixels.shape[0] > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=method), np.uint8)
