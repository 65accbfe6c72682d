"""Figures of groups: how far groups that were found agree with who the people are.

`people` says who is in each of n faces, (n,); `labels` says in which group a face is, (n,), where a number below 0 is
a face that is alone. Neither names anybody: any integers do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]  # (n,): the group of each face


@dataclass(frozen=True, slots=True)
class Agreement:
    """Precision and recall, 0..1. Where nothing was joined, or nothing should be, nothing is wrong either: 1."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Their harmonic mean, 0..1."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """How good groups are. `pairs` counts pairs of faces (Manning, Raghavan and Schuetze 2008, 16.3), where a person
    of 500 photos has 125,000; `bcubed` is the mean over faces of the shares of a face's group that are the same
    person, and of the person's faces that are in the group (Bagga and Baldwin 1998; Amigo et al. 2009). `purity` is
    the share of faces that are of the person whom most faces of their group show. `strays` are the other faces, and
    `pieces` are the groups to join to others: what is left to a user is the sum. `groups` and `mixed` count groups of
    two faces or more, and those that show several people."""

    faces: int
    people: int
    groups: int
    mixed: int
    pairs: Agreement
    bcubed: Agreement
    purity: float
    strays: int
    pieces: int

    @property
    def work(self) -> int:
        """Strays to take out, and pieces to join."""
        return self.strays + self.pieces


def group_figures(people: NDArray[np.integer], labels: NDArray[np.integer]) -> GroupFigures:
    """The figures of n faces, n above 0. Of a group that shows two people equally often, the one with the lower
    number owns it."""
    of_person = np.unique(people, return_inverse=True)[1]
    of_group = np.unique(_each_alone(labels), return_inverse=True)[1]
    person, group, count = _common(of_person, of_group)
    faces, sizes, shown = len(of_person), np.bincount(of_group), np.bincount(of_person)
    owner, own = _owners(person, group, count)
    owned = np.bincount(owner, minlength=len(shown))
    parts = np.bincount(group)  # people a group
    strays = faces - int(own.sum())
    return GroupFigures(
        faces=faces,
        people=len(shown),
        groups=int((sizes > 1).sum()),
        mixed=int((parts > 1).sum()),
        pairs=Agreement(_share(_pairs(count), _pairs(sizes)), _share(_pairs(count), _pairs(shown))),
        bcubed=Agreement(
            float((count**2 / sizes[group]).sum() / faces), float((count**2 / shown[person]).sum() / faces)
        ),
        purity=1 - strays / faces,
        strays=strays,
        pieces=int((owned[owned > 0] - 1).sum()),
    )


def _each_alone(labels: NDArray[np.integer]) -> Labels:
    """Numbers below 0 become groups of one face."""
    found: Labels = np.array(labels, np.int64)
    alone = found < 0
    found[alone] = found.max(initial=0) + 1 + np.arange(alone.sum())
    return found


def _common(of_person: NDArray[np.intp], of_group: NDArray[np.intp]) -> tuple[Labels, Labels, Labels]:
    """Each person and group that have faces in common, by group, and how many."""
    people = int(of_person.max()) + 1
    keys, count = np.unique(of_group.astype(np.int64) * people + of_person, return_counts=True)
    return np.mod(keys, people), keys // people, count.astype(np.int64)


def _owners(person: Labels, group: Labels, count: Labels) -> tuple[Labels, Labels]:
    """Whom most faces of each group show, and how many these are."""
    order = np.lexsort((person, -count, group))
    first = order[np.unique(group[order], return_index=True)[1]]
    return person[first], count[first]


def _pairs(counts: NDArray[np.integer]) -> int:
    return int((counts.astype(np.int64) * (counts.astype(np.int64) - 1) // 2).sum())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
