"""Figures of identification: who of a gallery is in a photo, and is it anybody of it at all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.evaluation.pairs import Rows
from facesearch.models.cards import Threshold
from facesearch.people.cohort import MOST, JudgedFaces, OwnThresholds, Shifts, distinct

OPEN_FAR = 1e-2
PAIR_FAR = 1e-4
_RATES = (1e-2, 1e-3)  # FARs
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


@dataclass(frozen=True, slots=True)
class Split:
    """Half of those who are not enrolled are known as strangers, and the others are asked about beside the known,
    then the other way round: the means of both. `rates` is the DIR by FAR; `tar` is the share of pairs of one person,
    of a probe and an enrolled photo, that reach the threshold that the share `tar_far` of the other pairs reach."""

    cohort: int
    rank1: float
    rates: dict[float, float]
    tar: float
    tar_far: float = PAIR_FAR


def enrol_first(people: NDArray[np.intp]) -> tuple[Rows, Rows]:
    """The row of each person's first photo, and all other rows: the gallery and the probes."""
    enrolled = np.unique(people, return_index=True)[1]
    return enrolled, np.setdiff1d(np.arange(len(people)), enrolled)


def closed_set(
    embeddings: Embeddings, people: NDArray[np.intp], enrolled: Rows, probes: Rows, shifts: Shifts | None = None
) -> ClosedSet:
    """`embeddings` is (n, dim), `people` (n,) says who is in each row; everyone in `probes` must be in `enrolled`
    once. Who is equally similar as the right person ranks before. With `shifts`, (n,), judged values count."""
    ranks = _ranks(_Judged(embeddings, shifts), people, enrolled, probes)
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
    shifts: Shifts | None = None,
) -> OpenSet:
    """Detection and identification rate at a FAR (Phillips et al. 2011). Nobody in `unknown` may be in `enrolled`.
    With `shifts`, (n,), judged values count."""
    judged = _Judged(embeddings, shifts)
    strangers = np.sort(np.concatenate([best for _, best in _searched(judged, enrolled, unknown)]))
    # Between the most similar stranger that must be refused and the next, who may pass.
    allowed = int(far * len(strangers) + 1e-9)
    two = np.append(strangers, strangers[-1] + _ABOVE)[len(strangers) - allowed - 1 :][:2]
    threshold = float(two.mean())
    right = np.concatenate(
        [
            (people[enrolled[nearest]] == people[rows]) & (best >= threshold)
            for rows, (nearest, best) in zip(_parts(known), _searched(judged, enrolled, known), strict=True)
        ]
    )
    return OpenSet(len(enrolled), len(known), len(unknown), far, threshold, float(right.mean()))


def split_halves(
    embeddings: Embeddings, people: NDArray[np.intp], enrolled: Rows, once: Rows, threshold: Threshold | None
) -> Split:
    """The open and the closed set with own thresholds measured on a half of the people in `once`, those with one
    photo; by cosine where no threshold is given. Nobody of that half is enrolled or asked about."""
    halves = np.array_split(np.random.default_rng(0).permutation(once), 2)
    probes = np.setdiff1d(np.arange(len(people)), enrolled)
    found = []
    for cohort, unknown in (halves, halves[::-1]):
        shifts = None if threshold is None else _shifts(embeddings, people, cohort[:MOST], threshold)
        several = np.setdiff1d(enrolled, once)
        closed = closed_set(embeddings, people, np.setdiff1d(enrolled, cohort), probes, shifts)
        rates = [open_set(embeddings, people, several, probes, unknown, far, shifts).rate for far in _RATES]
        judged = _Judged(embeddings, shifts).values(probes, several)  # (probes, several)
        same = people[probes][:, None] == people[several]
        tar = float((judged[same] >= np.quantile(judged[~same], 1 - PAIR_FAR)).mean())
        found.append((closed.rank1, *rates, tar))
    rank1, *of_fars, tar = np.mean(found, axis=0).tolist()
    size = min(MOST, *map(len, halves)) if threshold else 0
    return Split(size, rank1, dict(zip(_RATES, of_fars, strict=True)), tar)


def _shifts(embeddings: Embeddings, people: NDArray[np.intp], cohort: Rows, threshold: Threshold) -> Shifts:
    """Nobody's name is used."""
    named = JudgedFaces(cohort + 1, people[cohort] + 1, -cohort, embeddings[cohort])
    return OwnThresholds(distinct(named, named[:0], threshold), threshold).shifts(JudgedFaces.strange(embeddings))


@dataclass(frozen=True, slots=True)
class _Judged:
    """Similarities of rows, less the mean of both shifts where there are some."""

    embeddings: Embeddings
    shifts: Shifts | None

    def values(self, rows: Rows, columns: Rows) -> NDArray[np.float32]:
        """(rows, columns)."""
        similarities = self.embeddings[rows] @ self.embeddings[columns].T
        if self.shifts is not None:
            similarities -= (self.shifts[rows][:, None] + self.shifts[columns]) / 2
        return similarities


def _ranks(judged: _Judged, people: NDArray[np.intp], enrolled: Rows, probes: Rows) -> NDArray[np.intp]:
    of_person = np.full(people.max() + 1, -1)
    of_person[people[enrolled]] = np.arange(len(enrolled))
    ranks = []
    for rows in _parts(probes):
        similarities = judged.values(rows, enrolled)
        right = np.take_along_axis(similarities, of_person[people[rows]][:, None], axis=1)
        ranks.append((similarities >= right).sum(axis=1))
    return np.concatenate(ranks)


def _searched(judged: _Judged, enrolled: Rows, probes: Rows) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """For each part of the probes the nearest enrolled photo, as a position in `enrolled`, and its similarity."""
    for rows in _parts(probes):
        similarities = judged.values(rows, enrolled)
        nearest = similarities.argmax(axis=1)
        yield nearest, np.take_along_axis(similarities, nearest[:, None], axis=1)[:, 0]


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + _PROBES_AT_ONCE] for start in range(0, len(rows), _PROBES_AT_ONCE))
