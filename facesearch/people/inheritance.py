"""Who the groups of a new grouping are: each keeps the id of the people before it."""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
ALONE = 0  # the person of a face that belongs to no group


def inherit(labels: Ids, before: Ids, said: Ids) -> Ids:
    """The person of each of n faces, (n,): of the groups `labels`, (n,), each gets the id that somebody said one of
    its faces has (`said`, 0 where nobody did); else the id of the people `before` it (0 where a face had none) with
    whom it shares most faces, each id once: the pair that shares most comes first, then the lower id, then the group
    with the lower label. What is left are new people, -1, -2 and so on in the order of their labels. A face whose
    group has no other one, and of whom nothing was said, is ALONE."""
    groups, rows = np.unique(labels, return_inverse=True)
    people = np.zeros(len(groups), np.int64)
    np.maximum.at(people, rows, said)
    sizes = np.bincount(rows, minlength=len(groups))
    free = (people == ALONE) & (sizes > 1)
    _take_over(people, free, rows, np.where(np.isin(before, people[people > 0]), ALONE, before))
    left = np.flatnonzero(free & (people == ALONE))
    people[left] = -1 - np.arange(len(left))
    return np.asarray(people[rows], np.int64)


def _take_over(people: Ids, free: NDArray[np.bool_], rows: NDArray[np.intp], before: Ids) -> None:
    """Gives the free groups the ids of before."""
    moving = free[rows] & (before != ALONE)
    pairs, shared = np.unique(np.stack([rows[moving], before[moving]]), axis=1, return_counts=True)  # (2, p), (p,)
    taken: set[int] = set()
    for at in np.lexsort((pairs[0], pairs[1], -shared)).tolist():
        group, person = int(pairs[0, at]), int(pairs[1, at])
        if people[group] == ALONE and person not in taken:
            people[group] = person
            taken.add(person)
