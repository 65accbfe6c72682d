"""LFW as an album: all faces of its photos, of which the one nearest a photo's centre is known by name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.evaluation.all_faces import AllFaces
from facesearch.evaluation.clustering import GroupFigures, group_figures
from facesearch.people.grouping import FacesToGroup

BYSTANDER = -1
_LEAST_SIDE, _LEAST_SCORE = 40.0, 0.9  # pixels; what is smaller or less sure is weak

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Album:
    """n faces: their photos, (n,), boxes, (n, 4), scores, (n,), embeddings, (n, dim), and who they are, (n,):
    BYSTANDER where nobody knows."""

    photos: Rows
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    embeddings: Embeddings
    people: Rows

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, chosen: NDArray[np.bool_] | Rows) -> "Album":
        return Album(
            self.photos[chosen], self.boxes[chosen], self.scores[chosen], self.embeddings[chosen], self.people[chosen]
        )

    @property
    def bystanders(self) -> int:
        """How many faces nobody knows."""
        return int((self.people == BYSTANDER).sum())

    def of_photos(self, is_chosen: NDArray[np.bool_]) -> "Album":
        """All faces of these photos, (photos,)."""
        return self[is_chosen[self.photos]]

    def of_people(self, people: NDArray[np.integer]) -> "Album":
        """All faces of the photos that are named after these people."""
        return self[np.isin(self.photos, self.photos[np.isin(self.people, people)])]

    def photos_of_each(self) -> NDArray[np.intp]:
        """How many photos each person has, (people,)."""
        return np.bincount(self.people[self.people != BYSTANDER])

    def figures(self, labels: NDArray[np.integer]) -> GroupFigures:
        """The figures of labels, (n,), by the faces that are known. Raises ValueError where none is."""
        known = self.people != BYSTANDER
        return group_figures(self.people[known], labels[known])

    def to_group(
        self,
        people: Rows | None = None,
        barred: Sequence[tuple[int, int]] = (),
        shifts: NDArray[np.float32] | None = None,
    ) -> FacesToGroup:
        """What the grouping is given: nothing of who they are but what `people`, (n,), says, where 0 is nobody; pairs
        of rows that must never be together; own thresholds where they are known."""
        widths, heights = (self.boxes[:, 2:] - self.boxes[:, :2]).T
        return FacesToGroup(
            embeddings=self.embeddings,
            photos=self.photos,
            boxes=self.boxes,
            weak=(np.minimum(widths, heights) < _LEAST_SIDE) | (self.scores < _LEAST_SCORE),
            people=np.zeros(len(self), np.int64) if people is None else people,
            barred=np.array(barred, np.int64).reshape(-1, 2),
            repeats=np.zeros(len(self), bool),
            shifts=shifts,
        )


def album_of(faces: AllFaces, names: Sequence[str]) -> Album:
    """The album of photos, after whom each is named, (photos,)."""
    of_photo = np.unique(names, return_inverse=True)[1]
    people = np.where(faces.is_named, of_photo[faces.photos], BYSTANDER)
    return Album(faces.photos, faces.boxes, faces.scores, faces.embeddings, people)
