"""Which faces in a folder are those of the person after whom it is named: a rule on arrays.

A photo with one face shows that person. In a photo with several, bystanders are there too: the one who looks like the
person in the photos with one face is meant, and nobody else."""

import os
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import UsageError
from facesearch.people import names
from facesearch.photos.addresses import parts_inside

Flags = NDArray[np.bool_]

# Photos with which a face is compared: one alone may be of a day on which the person looks like somebody else. In the
# photos of LFW that show several, three name 1,200 of 1,227 people right and 3 bystanders wrong; one 1,206 and 2.
_BEST = 3


_LEVEL = re.compile(r"folder(?::([1-9][0-9]{0,2}))?")


def level_of(people_from: str) -> int | None:
    """Which folder of a photo is named after a person: 0 for `folder`, the photo's own; n for `folder:n`, the n-th
    below the root; None for `none`. Raises UsageError for anything else."""
    if people_from == "none":
        return None
    found = _LEVEL.fullmatch(people_from)
    if not found:
        raise UsageError(
            f"{people_from!r} does not say whose folders name people; type none, folder (a photo's own), or folder:1 "
            "(the first below the folder that is indexed; folder:2 is the one in it)."
        )
    return int(found[1] or 0)


def people_from(level: int | None) -> str:
    """The words that `level_of` reads."""
    return "none" if level is None else f"folder:{level}" if level else "folder"


def name_at(path: str, root: str, level: int) -> str | None:
    """The person after whom a photo's folder at this level is named; None where the photo does not lie in one."""
    if not level:
        return names.of_folder(path)
    inside = parts_inside(path, root)
    if len(inside) <= level or inside[0] == os.pardir:
        return None
    return names.of_folder(os.path.join(root, *inside[:level], ""))


@dataclass(frozen=True, slots=True)
class FolderFaces:
    """All n faces in one folder's photos. `embeddings` is (n, dim) float32 of unit length (zeros
    where a face has none), `shifts` (n,) how much
    higher each face's own threshold lies than the model's; `photos` and `contents` are (n,) numbers: copies of a
    photo have the same content. `said_is` and `said_not` (n,) mark the faces of which somebody said more than the
    folder does: that they are this person's, or that they are not, or no faces."""

    embeddings: Embeddings
    shifts: NDArray[np.float32]
    photos: NDArray[np.int64]
    contents: NDArray[np.int64]
    said_is: Flags
    said_not: Flags

    @property
    def alone(self) -> Flags:
        """(n,) whether a face is the only one in its photo, and nobody said that it is somebody else's."""
        _, place, faces = np.unique(self.photos, return_inverse=True, return_counts=True)
        alone: Flags = (faces[place] == 1) & ~self.said_not
        return alone

    def judged(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float32]:
        """Judged values, -1..1, (rows, others)."""
        between = (self.shifts[rows][:, None] + self.shifts[others][None, :]) / 2
        return np.asarray(self.embeddings[rows] @ self.embeddings[others].T - between, np.float32)


def of_the_person(faces: FolderFaces, threshold: float | None) -> Flags:
    """(n,) which faces are the person's. `threshold` is the judged value from which on two faces are one person;
    without it nobody can be told from a bystander, and photos with several faces name nobody but whom somebody
    named."""
    chosen = faces.alone | faces.said_is
    if threshold is None:
        return chosen
    known = _one_of_each_content(faces, np.flatnonzero(chosen & faces.embeddings.any(axis=1)))
    if not len(known):
        known = _in_common(faces, threshold)
    shown = np.isin(faces.photos, faces.photos[chosen])
    asked = np.flatnonzero(~shown & ~faces.said_not)
    if len(known) and len(asked):
        values = _against(faces, asked, known)
        fits = _best_of_each_photo(faces.photos[asked], values) & (values >= threshold)
        chosen[asked[fits]] = True
    return chosen


def _one_of_each_content(faces: FolderFaces, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """So that a photo does not count as often as it was copied."""
    firsts: NDArray[np.int64] = rows[np.unique(faces.contents[rows], return_index=True)[1]]
    return firsts


def _against(faces: FolderFaces, asked: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.float32]:
    """(asked,) the mean of the best few judged values against known faces in other photos; -1 where there is none."""
    values = faces.judged(asked, known)
    values[faces.contents[asked][:, None] == faces.contents[known][None, :]] = -np.inf
    best = -np.sort(-values, axis=1)[:, :_BEST]
    is_there = np.isfinite(best)
    sums = np.where(is_there, best, 0).sum(axis=1)
    return np.where(is_there.any(axis=1), sums / np.maximum(is_there.sum(axis=1), 1), -1).astype(np.float32)


def _best_of_each_photo(photos: NDArray[np.int64], values: NDArray[np.float32]) -> Flags:
    """(n,) whether a face has the highest value in its photo; of equal ones the first."""
    order = np.lexsort((np.arange(len(photos)), -values, photos))
    first = np.ones(len(photos), bool)
    first[1:] = photos[order][1:] != photos[order][:-1]
    best = np.zeros(len(photos), bool)
    best[order[first]] = True
    return best


def _in_common(faces: FolderFaces, threshold: float) -> NDArray[np.int64]:
    """The faces of the one person whom more than half of the photos show, and more of them than show anybody else,
    where no photo shows somebody alone; none where that may be said of nobody, or of two people."""
    rows = _first_photo_of_each_content(faces, np.flatnonzero(~faces.said_not))
    contents = np.unique(faces.contents[rows])
    if len(contents) < 2:
        return rows[:0]
    alike = faces.judged(rows, rows) >= threshold
    np.fill_diagonal(alike, True)
    in_content = (faces.contents[rows][:, None] == contents[None, :]).astype(np.float32)
    photos_with = ((alike.astype(np.float32) @ in_content) > 0).sum(axis=1)  # in how many somebody like this one is
    best = int(photos_with.argmax())
    others = photos_with[~alike[best]]
    if photos_with[best] * 2 <= len(contents) or (len(others) and others.max() >= photos_with[best]):
        return rows[:0]
    like = rows[alike[best]]
    values = faces.judged(like, rows[best : best + 1])[:, 0]
    theirs: NDArray[np.int64] = like[_best_of_each_photo(faces.photos[like], values)]
    return theirs


def _first_photo_of_each_content(faces: FolderFaces, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    _, place = np.unique(faces.contents[rows], return_inverse=True)
    first = np.full(place.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, place, faces.photos[rows])
    kept: NDArray[np.int64] = rows[faces.photos[rows] == first[place]]
    return kept
