"""Figures of identification: who of a gallery is in a photo, and is it anybody of it at all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.evaluation.pairs import Rows

OPEN_FAR = 1e-2
_PROBES_AT_ONCE = 1024
_ABOVE = 1e-5  # more than the rounding of a similarity


@dataclass(frozen=True, slots=True)
class ClosedSet:
    """Everybody asked about is enrolled. `rank1` and `rank5` are shares of the probes whose person is the most
    similar, or among the five most similar, of the gallery; `rank1_by_person` is the mean over people."""

    enrolled: int
    probes: int
    people: int
    rank1: float
    rank5: float
    rank1_by_person: float


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Some of those asked about are not enrolled. `rate` (DIR) is the share of the known probes whose person is the
    most similar and reaches the threshold, at which the share `far` of the unknown probes finds anybody."""

    enrolled: int
    known: int
    unknown: int
    far: float
    threshold: float
    rate: float


def enrol_first(people: NDArray[np.intp]) -> tuple[Rows, Rows]:
    """The row of each person's first photo, and all other rows: the gallery and the probes."""
    enrolled = np.unique(people, return_index=True)[1]
    return enrolled, np.setdiff1d(np.arange(len(people)), enrolled)


def closed_set(embeddings: Embeddings, people: NDArray[np.intp], enrolled: Rows, probes: Rows) -> ClosedSet:
    """`embeddings` is (n, dim), `people` (n,) says who is in each row; everyone in `probes` must be in `enrolled`
    once. Who is equally similar as the right person ranks before."""
    ranks = _ranks(embeddings, people, enrolled, probes)
    first = ranks == 1
    who, position = np.unique(people[probes], return_inverse=True)
    by_person = np.bincount(position, first) / np.bincount(position)
    return ClosedSet(
        enrolled=len(enrolled),
        probes=len(probes),
        people=len(who),
        rank1=float(first.mean()),
        rank5=float((ranks <= 5).mean()),
        rank1_by_person=float(by_person.mean()),
    )


def open_set(
    embeddings: Embeddings,
    people: NDArray[np.intp],
    enrolled: Rows,
    known: Rows,
    unknown: Rows,
    far: float = OPEN_FAR,
) -> OpenSet:
    """Detection and identification rate at a FAR (Phillips et al. 2011). Nobody in `unknown` may be in `enrolled`."""
    strangers = np.sort(np.concatenate([best for _, best in _searched(embeddings, enrolled, unknown)]))
    # Between the most similar stranger that must be refused and the next, who may pass.
    allowed = int(far * len(strangers) + 1e-9)
    two = np.append(strangers, strangers[-1] + _ABOVE)[len(strangers) - allowed - 1 :][:2]
    threshold = float(two.mean())
    right = np.concatenate(
        [
            (people[enrolled[nearest]] == people[rows]) & (best >= threshold)
            for rows, (nearest, best) in zip(_parts(known), _searched(embeddings, enrolled, known), strict=True)
        ]
    )
    return OpenSet(len(enrolled), len(known), len(unknown), far, threshold, float(right.mean()))


def _ranks(embeddings: Embeddings, people: NDArray[np.intp], enrolled: Rows, probes: Rows) -> NDArray[np.intp]:
    of_person = np.full(people.max() + 1, -1)
    of_person[people[enrolled]] = np.arange(len(enrolled))
    ranks = []
    for rows in _parts(probes):
        similarities = embeddings[rows] @ embeddings[enrolled].T
        right = np.take_along_axis(similarities, of_person[people[rows]][:, None], axis=1)
        ranks.append((similarities >= right).sum(axis=1))
    return np.concatenate(ranks)


def _searched(embeddings: Embeddings, enrolled: Rows, probes: Rows) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """For each part of the probes the nearest enrolled photo, as a position in `enrolled`, and its similarity."""
    for rows in _parts(probes):
        similarities = embeddings[rows] @ embeddings[enrolled].T
        nearest = similarities.argmax(axis=1)
        yield nearest, np.take_along_axis(similarities, nearest[:, None], axis=1)[:, 0]


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + _PROBES_AT_ONCE] for start in range(0, len(rows), _PROBES_AT_ONCE))
