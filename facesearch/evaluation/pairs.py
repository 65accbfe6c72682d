"""Pairs of photos that show one person or two, and pairs drawn at random from people's photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.evaluation.metrics import Folds, Same

Rows: TypeAlias = NDArray[np.intp]  # (n,) positions in a list of photos
Allowed: TypeAlias = Callable[[Rows, Rows], NDArray[np.bool_]]

FOLDS = 10
RANDOM_PAIRS = 10_000
_MOST_OF_A_PERSON = 200  # photos from which one person's pairs are drawn: 19,900 pairs


@dataclass(frozen=True, slots=True)
class Pairs:
    """`first` and `second` are rows of `photos`, each of which is there once; `folds` is None where the pairs make
    no folds. `groups` names the group of each pair, None for one that names none; it is empty where no pair can."""

    photos: tuple[str, ...]
    first: Rows
    second: Rows
    same: Same
    folds: Folds | None
    groups: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.same)


def paired(paths: Sequence[tuple[str, str]], same: Sequence[bool], folds: Folds | None) -> Pairs:
    """Pairs of paths as Pairs."""
    photos = sorted({path for pair in paths for path in pair})
    row = {path: i for i, path in enumerate(photos)}
    rows = np.array([[row[a], row[b]] for a, b in paths], np.intp).reshape(-1, 2)
    return Pairs(tuple(photos), rows[:, 0], rows[:, 1], np.array(same, bool), folds)


def random_pairs(
    photos: Sequence[str],
    people: Sequence[str],
    seed: int,
    count: int = RANDOM_PAIRS,
    allowed: Allowed = lambda first, second: np.ones(len(first), bool),
) -> Pairs:
    """About `count` pairs, a third of one person and two thirds of two, in ten folds that share nobody; `people`
    names who is in each photo, `allowed` says of rows of photos which pairs may be drawn.

    Every person counts the same, however many photos there are. Where a fold has too few pairs of one person it gets
    fewer of both kinds. Raises FaceSearchError when there are too few people for two in a fold, one of them with two
    photos."""
    rng = np.random.default_rng(seed)
    _, who = np.unique(np.asarray(people), return_inverse=True)
    fold_of = _folds_of_people(np.bincount(who), rng)
    parts = []
    for fold in range(FOLDS):
        (rows,) = np.nonzero(fold_of[who] == fold)
        wanted = _split(count // 3, fold), _split(count - count // 3, fold)
        same = _same_pairs(rows, who, wanted[0], rng, allowed)
        different = _different_pairs(rows, who, min(wanted[1], 2 * len(same)), rng, allowed)
        if not len(same) or not len(different):
            raise FaceSearchError("A fold has no pair of one person or of two; add photos.")
        parts.append((same, different))
    both = np.concatenate([part for pair in parts for part in pair])
    used, rows = np.unique(both, return_inverse=True)
    first, second = rows.reshape(-1, 2).T
    return Pairs(
        tuple(photos[i] for i in used),
        first,
        second,
        np.concatenate([np.arange(len(s) + len(d)) < len(s) for s, d in parts]),
        np.repeat(np.arange(FOLDS), [len(s) + len(d) for s, d in parts]),
    )


def _split(count: int, fold: int) -> int:
    """How many of them belong to this fold."""
    return count // FOLDS + (fold < count % FOLDS)


def _folds_of_people(counts: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A fold for each person: those with several photos, and those with one, spread evenly."""
    if len(counts) < 2 * FOLDS or (counts > 1).sum() < FOLDS:
        raise FaceSearchError(
            f"There are photos of {len(counts)} people, several of {(counts > 1).sum()}; {FOLDS} folds that share "
            f"nobody need {2 * FOLDS}, and several photos of {FOLDS}."
        )
    folds = np.empty(len(counts), np.intp)
    for group in (np.flatnonzero(counts > 1), np.flatnonzero(counts == 1)):
        folds[rng.permutation(group)] = np.arange(len(group)) % FOLDS
    return folds


def _same_pairs(rows: Rows, who: Rows, wanted: int, rng: np.random.Generator, allowed: Allowed) -> Rows:
    """Pairs of one person, (at most wanted, 2)."""
    pairs, shares = [], []
    for person in np.unique(who[rows]):
        own = rng.permutation(rows[who[rows] == person])[:_MOST_OF_A_PERSON]
        first, second = (own[i] for i in np.triu_indices(len(own), 1))
        may = allowed(first, second)
        pairs.append(np.stack([first[may], second[may]], axis=1))
        shares.append(np.full(len(pairs[-1]), 1 / max(len(pairs[-1]), 1)))
    every, share = np.concatenate(pairs), np.concatenate(shares)
    if not len(every):
        return every
    return every[rng.choice(len(every), min(wanted, len(every)), replace=False, p=share / share.sum())]


def _different_pairs(rows: Rows, who: Rows, wanted: int, rng: np.random.Generator, allowed: Allowed) -> Rows:
    """Pairs of two people, (at most wanted, 2), each once."""
    of = [rows[who[rows] == person] for person in np.unique(who[rows])]
    sizes = np.array([len(own) for own in of])
    every, starts = np.concatenate(of), np.concatenate([[0], np.cumsum(sizes)[:-1]])
    pairs = np.empty((0, 2), np.intp)
    for _ in range(100):  # few rounds suffice unless hardly any pair is allowed
        people = rng.integers(0, len(of), (2 * wanted, 2))
        drawn = np.sort(every[starts[people] + (rng.random(people.shape) * sizes[people]).astype(np.intp)], axis=1)
        drawn = drawn[(people[:, 0] != people[:, 1]) & allowed(drawn[:, 0], drawn[:, 1])]
        pairs = np.concatenate([pairs, drawn])
        pairs = pairs[np.sort(np.unique(pairs, axis=0, return_index=True)[1])]
        if len(pairs) >= wanted:
            break
    return pairs[:wanted]
