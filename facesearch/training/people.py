"""Folders of people: who is on which photo, and who is held out of a training."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.files import printable
from facesearch.photos.formats import looks_like_photo

LEAST_PHOTOS = 2  # of a person who can be an anchor
LEAST_PEOPLE = 2  # who have so many


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
    """The people to train on, and those held out: that share of those with two photos or more, chosen by their names
    and the seed, so that one person more or less changes nothing for the others."""
    several = np.flatnonzero(np.bincount(people.who) >= LEAST_PHOTOS)
    order = sorted(several.tolist(), key=lambda i: hashlib.sha256(f"{seed} {people.names[i]}".encode()).digest())
    kept = np.array(order[: round(held_out * len(several))], np.intp)
    others = np.setdiff1d(np.arange(len(people.names)), kept)
    return people.subset(others), people.subset(kept)
