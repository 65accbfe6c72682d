"""How likely it is that the content of a file is known, without reading it: a run on a cluster sends away what it
need not read itself."""

import os

import numpy as np
from numpy.typing import NDArray

from facesearch.cluster.ray_flow import Likeness
from facesearch.gallery.database import Database
from facesearch.gallery.tables.sqlite import to_sql
from facesearch.photos.file import PhotoFile

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 by the golden ratio: spreads numbers that lie close together


class Likenesses:
    """Sizes and times of all photos of a gallery whose content is known, as they were when the first was asked about:
    16 bytes a photo."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._sizes: NDArray[np.int64] | None = None
        self._both = np.empty(0, np.uint64)

    def of(self, file: PhotoFile) -> Likeness:
        """`likely` where a known photo has the file's size and time, or its size and path, `perhaps` where one has
        its size."""
        if self._sizes is None:
            self._sizes, self._both = self._read()
        if not _holds(self._sizes, np.int64(file.size)):
            return "no"
        if self._has_both(file) or self._has_path(file):
            return "likely"
        return "perhaps"

    def _read(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        rows = self._db.connection.execute("SELECT size, mtime_ns FROM photos WHERE digest NOTNULL")
        known = np.fromiter((number for row in rows for number in row), np.int64).reshape(-1, 2)
        return np.unique(known[:, 0]), np.unique(_mixed(known[:, 0], known[:, 1]))

    def _has_both(self, file: PhotoFile) -> bool:
        both = _mixed(np.array([file.size]), np.array([file.mtime_ns]))[0]
        return _holds(self._both, both)

    def _has_path(self, file: PhotoFile) -> bool:
        statement = "SELECT 1 FROM photos WHERE path = ? AND size = ? AND digest NOTNULL"
        path = to_sql(os.fspath(file.path))
        return self._db.connection.execute(statement, (path, file.size)).fetchone() is not None


def _mixed(sizes: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each pair; two pairs may share one, which costs a look at a file."""
    mixed: NDArray[np.uint64] = sizes.astype(np.uint64) * _MIX ^ times.astype(np.uint64)
    return mixed


def _holds(ordered: NDArray[np.int64] | NDArray[np.uint64], number: np.int64 | np.uint64) -> bool:
    place = int(np.searchsorted(ordered, number))
    return place < len(ordered) and bool(ordered[place] == number)
