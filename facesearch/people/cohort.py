"""Own thresholds: what a similarity means depends on the two faces, as some lie near many strangers.

A gallery keeps a cohort, faces of distinct people of its own. How much nearer than usual a face lies to its nearest
strangers of the cohort is how much higher its own threshold lies. The judged value of two faces is their similarity
less the mean of both shifts: it stays on the cosine's scale, so that one threshold holds for all. It is the local
scaling of Zelnik-Manor and Perona 2004, as CSLS of Conneau et al. 2018 applies it to similarities, measured on
strangers alone. Pure arrays."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.models.cards import Threshold

MOST = 2000  # faces; LFW's DIR at FAR 0.01 is 0.546 with 100, 0.680 with 250, 0.787 with 2,000 (0.592 with none)
# Where one face of each group is taken: grouped by 2,000 of LFW's people 974 faces are left to put right, by 8,000
# 828.
MOST_GROUPED = 8000
UNNAMED = 0  # the person of a face that has no name
_NEAREST = 10  # strangers; 3 give a DIR of 0.77, 50 one of 0.78
# Of n strangers the share n / (n + trust) of what they say is believed. Who is surely a stranger, as by name, may
# raise a threshold sooner: of 20 people of LFW who look alike, 42 in 1,000 pairs of strangers reach the threshold of
# the default model, 27 with 250 for all, 3.5 with 50 for raising, where the same person is still found in 0.89 of
# pairs.
_TRUST, _TRUST_TO_RAISE = 250, 50
_PARTS = 20  # of the strangers, over which the nearness to a number of them is averaged
_AT_ONCE = 1024  # faces: 32 MB of similarities to a full cohort

Ids = NDArray[np.int64]
Shifts = NDArray[np.float32]  # (n,): how much higher each face's own threshold lies than the model's


@dataclass(frozen=True, slots=True)
class JudgedFaces:
    """Faces of a gallery, n of them: their ids, the ids of who they are and of their photos, (n,) each, and their
    embeddings, (n, dim). Who has a name has an id above 0; below 0 are groups, of which two may be one person after
    all; UNNAMED says that nothing is known."""

    ids: Ids
    people: Ids
    photos: Ids
    embeddings: Embeddings

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "JudgedFaces":
        return JudgedFaces(self.ids[chosen], self.people[chosen], self.photos[chosen], self.embeddings[chosen])

    @classmethod
    def strange(cls, embeddings: Embeddings) -> "JudgedFaces":
        """Faces that are not of the gallery, as those that it is asked about: each of a photo of its own."""
        none = np.zeros(len(embeddings), np.int64)
        return cls(none, none, -1 - np.arange(len(embeddings), dtype=np.int64), embeddings)


def has_facts(threshold: Threshold | None) -> bool:
    """Whether a model's card says what own thresholds need."""
    return threshold is not None and threshold.unit > 0 and len(threshold.nearest) > 0


def distinct(named: JudgedFaces, unnamed: JudgedFaces, threshold: Threshold, most: int = MOST) -> JudgedFaces:
    """A cohort: at most so many faces of distinct people. `named` has one face a person. Of the unnamed those count
    as distinct that are below the threshold at a tenth of its FAR to all others, or share a photo with the other one;
    photos of many people come first. A damaged embedding takes no part."""
    chosen = named[_sound(named.embeddings)][:most]
    if len(chosen) == most or not len(unnamed):
        return chosen
    candidates = unnamed[_sound(unnamed.embeddings)]
    candidates = candidates[_most_together_first(candidates.photos)]
    return _thinned(chosen, candidates, threshold)


def _sound(embeddings: Embeddings) -> NDArray[np.bool_]:
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
    return np.asarray(np.abs(lengths - 1) < 1e-3)  # False for NaN


def _most_together_first(photos: Ids) -> NDArray[np.intp]:
    """An order of faces: those of photos with many first, each photo's together."""
    _, photo, counts = np.unique(photos, return_inverse=True, return_counts=True)
    return np.lexsort((photo, -counts[photo]))


def _thinned(chosen: JudgedFaces, candidates: JudgedFaces, threshold: Threshold) -> JudgedFaces:
    alike, twice = _alike(threshold), _twice(threshold)
    kept = np.zeros((MOST, candidates.embeddings.shape[1]), np.float32)
    photos = np.zeros(MOST, np.int64)
    count = len(chosen)
    kept[:count], photos[:count] = chosen.embeddings, chosen.photos
    rows = []
    for i, (embedding, photo) in enumerate(zip(candidates.embeddings, candidates.photos, strict=True)):
        if count == MOST:
            break
        similarities = kept[:count] @ embedding  # (count,)
        if (similarities < np.where(photos[:count] == photo, twice, alike)).all():
            kept[count], photos[count] = embedding, photo
            rows.append(i)
            count += 1
    return _joined(chosen, candidates[np.array(rows, np.intp)])


def _joined(a: JudgedFaces, b: JudgedFaces) -> JudgedFaces:
    columns = ((getattr(a, name), getattr(b, name)) for name in ("ids", "people", "photos", "embeddings"))
    return JudgedFaces(*map(np.concatenate, columns))


def _alike(threshold: Threshold) -> float:
    """The similarity from which a face of the cohort is taken for another one of the same person."""
    return threshold.similarity + threshold.unit


def _twice(threshold: Threshold) -> float:
    """The similarity from which two faces in one photo are taken for one person, as in a collage."""
    return (1 + _alike(threshold)) / 2


class OwnThresholds:
    """How much higher the own threshold of a face lies than the model's, measured on a cohort."""

    def __init__(self, cohort: JudgedFaces, threshold: Threshold) -> None:
        """`threshold` is of the model's card, which has facts on own thresholds."""
        self.cohort = cohort[np.argsort(cohort.people == UNNAMED, kind="stable")]  # who is known comes first
        self._threshold = threshold
        self._known = int((cohort.people != UNNAMED).sum())
        self._same = np.zeros((0, 0), bool)
        if self._known < len(self.cohort):
            rows = self.cohort.embeddings
            self._same = rows @ rows.T >= threshold.similarity  # (c, c)
            self._same[: self._known, : self._known] = False  # two people, or taken for two

    def shifts(self, faces: JudgedFaces) -> Shifts:
        """One a face, 0 where nothing is known of strangers or the embedding is damaged. The faces of a photo must
        follow each other."""
        parts = (faces[start : start + _AT_ONCE] for start in range(0, len(faces), _AT_ONCE))
        with ThreadPoolExecutor(os.cpu_count() if len(faces) > _AT_ONCE else 1) as threads:
            shifts = np.concatenate([np.zeros(0, np.float32), *threads.map(self._by_cohort, parts)])
        together = self._together(faces)
        shifts = np.where(together > 0, np.maximum(shifts, together), shifts)
        return np.asarray(np.nan_to_num(shifts, nan=0.0, posinf=0.0, neginf=0.0), np.float32)

    def _by_cohort(self, faces: JudgedFaces) -> Shifts:
        if not len(self.cohort):
            return np.zeros(len(faces), np.float32)
        similarities = faces.embeddings @ self.cohort.embeddings.T  # (n, c)
        similarities[_equal(faces.ids, self.cohort.ids)] = -np.inf
        similarities[_equal(faces.people, self.cohort.people[: self._known])] = -np.inf
        if self._known == len(self.cohort) and (faces.people > UNNAMED).all():  # who is a stranger is known of all
            mean, count = _nearest(similarities)
            surely, usual = (_shrunk(mean, count, self._threshold, trust) for trust in (_TRUST_TO_RAISE, _TRUST))
            return np.where(surely > 0, np.maximum(usual, surely), usual)
        surely = self._by_names(faces, similarities)
        self._leave_out_the_same(faces, similarities)
        usual = shift_of(similarities, self._threshold)
        return np.where(surely > 0, np.maximum(usual, surely), usual)

    def _by_names(self, faces: JudgedFaces, similarities: NDArray[np.float32]) -> Shifts:
        """By those alone whom the face surely is not: a face without a name can have one of the names."""
        if not self._known:
            return np.zeros(len(faces), np.float32)
        named = similarities[:, : self._known].copy()
        unnamed = np.flatnonzero(faces.people <= UNNAMED)
        named[unnamed, named[unnamed].argmax(axis=1)] = -np.inf
        return shift_of(named, self._threshold, _TRUST_TO_RAISE)

    def _leave_out_the_same(self, faces: JudgedFaces, similarities: NDArray[np.float32]) -> None:
        """Who of the cohort is likely the same person is no stranger, nor is who is the same as one of these: a face
        in profile, or blurred. Of those with a name it can be the nearest alone."""
        rows, columns = np.nonzero(similarities >= _alike(self._threshold))
        nearest = np.full(len(faces), -1)
        if self._known:
            nearest = np.where(faces.people <= UNNAMED, similarities[:, : self._known].argmax(axis=1), -1)
            likely = (columns >= self._known) | (columns == nearest[rows])
            rows, columns = rows[likely], columns[likely]
        if not len(rows):
            return
        if len(self._same):
            who, starts = np.unique(rows, return_index=True)
            linked = np.logical_or.reduceat(self._same[columns], starts)  # (who, c)
            linked[:, : self._known] &= np.arange(self._known) == nearest[who][:, None]
            similarities[who] = np.where(linked, -np.inf, similarities[who])
        similarities[rows, columns] = -np.inf

    def _together(self, faces: JudgedFaces) -> Shifts:
        """What faces that share a photo say of each other, which may raise a threshold and never lower it: 0 or more,
        one a face."""
        shifts = np.zeros(len(faces), np.float32)
        borders = np.flatnonzero(np.diff(faces.photos, prepend=np.nan, append=np.nan))
        for start, end in pairwise(borders.tolist()):
            if end - start > 1:
                shifts[start:end] = self._of_one_photo(faces[start:end])
        return shifts

    def _of_one_photo(self, faces: JudgedFaces) -> Shifts:
        similarities = faces.embeddings @ faces.embeddings.T
        named_the_same = (faces.people[:, None] == faces.people) & (faces.people != UNNAMED)
        strangers = ~np.eye(len(faces), dtype=bool) & ~named_the_same & (similarities < _twice(self._threshold))
        among = np.where(strangers, similarities, np.float32(-np.inf))
        return np.maximum(shift_of(among, self._threshold, _TRUST_TO_RAISE), 0)


def _equal(values: Ids, of_cohort: Ids) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where a value is one of the cohort's, which are all different: rows of `values`, and columns of the cohort."""
    order = np.argsort(of_cohort)
    if not len(order):
        return order, order
    places = order[np.searchsorted(of_cohort, values, sorter=order).clip(max=len(order) - 1)]
    rows = np.flatnonzero(of_cohort[places] == values)
    return rows, places[rows]


def shift_of(similarities: NDArray[np.float32], threshold: Threshold, trust: int = _TRUST) -> Shifts:
    """How much nearer the nearest strangers of each face are than so many are to other faces, (n,): of their
    similarities, (n, m), -inf where somebody is no stranger, and shrunk towards 0 where they are few."""
    mean, count = _nearest(similarities)
    return _shrunk(mean, count, threshold, trust)


def _nearest(similarities: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The mean of the greatest similarities to strangers, and how many strangers there are, (n,) each."""
    count = (similarities > -np.inf).sum(axis=1)
    most = min(_NEAREST, similarities.shape[1])
    if not most:
        return np.zeros(len(similarities), np.float32), count
    nearest = np.partition(similarities, -most, axis=1)[:, -most:]  # (n, most)
    found = nearest > -np.inf
    return np.where(found, nearest, 0).sum(axis=1) / np.maximum(found.sum(axis=1), 1), count


def _shrunk(mean: NDArray[np.float32], count: NDArray[np.intp], threshold: Threshold, trust: int) -> Shifts:
    shift = (mean - usual_nearness(count, threshold)) * count / (count + trust)
    return np.asarray(np.where(count > 0, shift, 0), np.float32)


def usual_nearness(count: NDArray[np.intp], threshold: Threshold) -> NDArray[np.float64]:
    """The mean of a face's 10 greatest similarities to `count` strangers, (n,), as the card says it; between its
    numbers of people, and beyond them, it follows their logarithm."""
    people, means = np.array(threshold.nearest, np.float64).T  # (numbers,) both
    at, known = np.log(np.maximum(count, 1)), np.log(people)
    usual = np.asarray(np.interp(at, known, means))
    if len(people) > 1:
        rise = (means[-1] - means[-2]) / (known[-1] - known[-2])
        usual += np.maximum(at - known[-1], 0) * rise
    return usual


def measured_nearness(strangers: Embeddings, numbers: Sequence[int], seed: int = 0) -> tuple[tuple[int, float], ...]:
    """What a card says of how alike strangers look, from one face of each of n people, (n, dim): for each number of
    people, below n, the mean over all faces and over parts drawn at random."""
    similarities = strangers @ strangers.T
    np.fill_diagonal(similarities, -np.inf)
    shuffled = similarities[:, np.random.default_rng(seed).permutation(len(similarities))]
    return tuple((number, _nearness_among(shuffled, number)) for number in numbers if number < len(strangers))


def _nearness_among(similarities: NDArray[np.float32], number: int) -> float:
    """The mean over the faces, of which a part of the strangers may contain the face itself."""
    most = min(_NEAREST, number)
    starts = range(0, similarities.shape[1] - number + 1, number)[:_PARTS]
    nearest = (np.partition(similarities[:, i : i + number], -most, axis=1)[:, -most:] for i in starts)
    means = [np.where(np.isfinite(each), each, np.nan) for each in nearest]
    return float(np.mean([np.nanmean(each, axis=1).mean() for each in means]))
