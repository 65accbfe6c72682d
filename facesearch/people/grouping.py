"""Grouping: which of many faces are of one person, as far as nobody has said. Pure arrays.

Average linkage on the graph of each face's nearest neighbours: the likeness of two groups is the mean of all their
pairs, which follows from the sums of their embeddings alone, moved by the faces' own thresholds. In rounds, all pairs
of groups that are each other's best are joined where they reach their bar; when a round joins few, the pairs are
joined one by one, best first. What was said, and that one photo shows nobody twice, bars a pair however alike it is.

All faces are grouped twice: the first groups, loose ones, say who is a stranger to whom, and so what each face's own
threshold is; the second go by these."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log10
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.models.card import EmbedderCard, Threshold
from facesearch.people.beginnings import equal_ones, firsts, large, with_people
from facesearch.people.cohort import MOST_GROUPED, JudgedFaces, OwnThresholds
from facesearch.people.linkage import Bar, Linkage
from facesearch.people.neighbours import Pairs, neighbours
from facesearch.people.telling import Asked, how_telling, nearest_of
from facesearch.people.tokens import Tokens, tokens_of

ALGORITHM = "average linkage 1"  # another one groups all faces anew
Mode: TypeAlias = Literal["careful", "balanced", "eager"]
Rows = NDArray[np.int64]

_FIRST = (1.0, -0.5)  # the loose bars, in units: pieces of one person would be that person's own strangers
_REACH = 2.0  # units: pairs that lie further below their bar never came to be joined
_ASKED = 1.5  # units below their bar: pairs of groups of which it is worth asking
_WEAK = 0.5  # units that a small or doubtful face must lie over the careful bar
# Of own thresholds so much is believed as people are known: people / (people + trust). Of the 610 people of LFW with
# four photos or more alone, work 198 in place of 227, and 207 with none.
_TRUST = 700
# Where the bar of two single faces was measured: so many people, with so many more faces than people for each.
_PEOPLE, _MATES = 6_000, 1.23
_LEAST_MATES = 0.02


@dataclass(frozen=True, slots=True)
class Facts:
    """What the similarities of a model mean to grouping: its threshold, and in units of that over it the bars of each
    mode, for two single faces and for two large groups; and by how many units the first rises with ten times as many
    strangers for each true match."""

    threshold: Threshold
    bars: Mapping[Mode, tuple[float, float]]
    rise: float

    def bar(self, mode: Mode, people: int, faces: int) -> Bar:
        """The bar of a mode in similarities, among so many faces of about so many people. Two single faces are the
        more likely strangers, the more people there are, and the fewer of them have a second face."""
        one, many = self.bars[mode]
        mates = max(faces / max(people, 1) - 1, _LEAST_MATES)
        odds = log10(max(people, 1) / _PEOPLE) - log10(mates / _MATES)
        return self.at(max(one + self.rise * odds, many), many)

    def at(self, one: float, many: float) -> Bar:
        """The bar so many units over the threshold."""
        least, unit = self.threshold.similarity, self.threshold.unit
        return Bar(least + one * unit, least + many * unit, _REACH * unit)


_RISE = 0.7
# Of a model whose card says nothing: between those of two models that were measured.
_USUAL: Mapping[Mode, tuple[float, float]] = {"careful": (1.8, 0.8), "balanced": (1.5, 0.5), "eager": (1.2, 0.2)}


def facts_of(card: EmbedderCard) -> Facts | None:
    """What a model's card says; None where it has no threshold, or no unit of it."""
    known = card.threshold
    if known is None or not known.unit or not known.nearest:
        return None
    if (own := card.grouping) is None:
        return Facts(known, _USUAL, _RISE)
    return Facts(known, {"careful": own.careful, "balanced": own.balanced, "eager": own.eager}, _RISE)


@dataclass(frozen=True, slots=True)
class FacesToGroup:
    """Faces, n of them in any order: embeddings, (n, dim), of unit length; photos, (n,); boxes, (n, 4); whether each
    is `weak`, small or doubtful, (n,); the person whom somebody said it is, (n,), 0 where nobody did; pairs of rows
    that must never be together, (m, 2); whether its photo may show one person twice, (n,); and how much higher its
    own threshold lies, (n,), None where that is to be measured."""

    embeddings: Embeddings
    photos: Rows
    boxes: NDArray[np.float32]
    weak: NDArray[np.bool_]
    people: Rows
    barred: Rows
    repeats: NDArray[np.bool_]
    shifts: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    def in_order(self, order: Rows) -> "FacesToGroup":
        """The faces in another order, (n,) rows."""
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return FacesToGroup(
            self.embeddings[order],
            self.photos[order],
            self.boxes[order],
            self.weak[order],
            self.people[order],
            places[self.barred],
            self.repeats[order],
            None if self.shifts is None else self.shifts[order],
        )

    def tokens(self, labels: Rows) -> Tokens:
        """What bars groups, (n,) labels, from each other."""
        photos = np.where(self.repeats, -1, self.photos)
        return tokens_of(labels, photos, self.boxes, self.people, self.barred)


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of n faces: the least row of each face's group, (n,); how far over its bar each face's mean likeness to
    the rest of its group lies, (n,), 0 for a face that is alone; and pairs of rows, (q, 2), each of which stands for
    its group, with how telling an answer is, (q,), the most telling first. `shifts` say how
    much higher each face's own threshold lies, (n,), and `cohort` are the rows of the faces by which that was
    measured; none where it was given."""

    labels: Rows
    margins: NDArray[np.float32]
    questions: Rows
    worths: NDArray[np.float32]
    shifts: NDArray[np.float32]
    cohort: Rows


def group(faces: FacesToGroup, facts: Facts, mode: Mode) -> Groups:
    """Groups all faces. The same faces give the same groups in whatever order they come. Raises ValueError for an
    embedding that is not finite."""
    order = _order(faces.embeddings)
    work = _Grouping(faces.in_order(order), facts)
    cohort = work.measure()
    return work.group(mode).in_order(order, cohort)


def group_new(
    faces: FacesToGroup, new: NDArray[np.bool_], before: Rows, facts: Facts, mode: Mode, gallery: tuple[int, int]
) -> Groups:
    """Groups the faces that are `new`, (n,), among those that are near them: the groups `before`, (n,) labels, stay
    together. `gallery` is how many people and faces there are in all. `faces` come with their own thresholds."""
    order = _order(faces.embeddings)
    work = _Grouping(faces.in_order(order), facts, firsts(before[order]), new[order])
    return work.group(mode, gallery).in_order(order, np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class _Found:
    """Groups of faces that are in an order of their own."""

    labels: Rows
    margins: NDArray[np.float32]
    questions: Rows
    worths: NDArray[np.float32]
    shifts: NDArray[np.float32]

    def in_order(self, order: Rows, cohort: Rows) -> Groups:
        """The same of faces that were at these rows, (n,), before."""
        count = len(order)
        least = np.full(count, count, np.int64)
        np.minimum.at(least, self.labels, order)
        labels, margins, shifts = np.empty(count, np.int64), np.empty(count, np.float32), np.empty(count, np.float32)
        labels[order], margins[order], shifts[order] = least[self.labels], self.margins, self.shifts
        return Groups(labels, margins, order[self.questions], self.worths, shifts, order[cohort])


class _Grouping:
    """One grouping of faces that are in an order which follows from them alone."""

    def __init__(
        self, faces: FacesToGroup, facts: Facts, before: Rows | None = None, new: NDArray[np.bool_] | None = None
    ) -> None:
        """With `before`, (n,), these groups stay, and only what is `new`, (n,), brings groups together."""
        if not np.isfinite(faces.embeddings).all():
            raise ValueError("an embedding is not finite")
        self._faces, self._facts, self._new = faces, facts, new
        is_free = faces.people == 0
        is_free[faces.barred.reshape(-1)] = False
        start = equal_ones(faces.embeddings, faces.photos, is_free) if before is None else before
        self._start = with_people(start, faces.people)
        self._is_strong = ~faces.weak | (self._start != np.arange(len(faces))) | (faces.people > 0)
        self._is_strong[self._start[self._is_strong]] = True
        least = facts.threshold.similarity - (_REACH + 1) * facts.threshold.unit
        self._pairs: Pairs = neighbours(
            faces.embeddings, least=least, of=None if new is None else np.flatnonzero(new)
        )
        self._people = len(np.unique(self._start))
        self._shifts = np.zeros(len(faces), np.float32)

    def measure(self) -> Rows:
        """Finds the faces' own thresholds by loose groups, and returns the rows of the cohort, (c,)."""
        linkage, *_ = self._linked(self._facts.at(*_FIRST))
        labels = linkage.labels()
        ones = np.unique(labels)
        self._people = len(ones)
        drawn = np.random.default_rng(0).choice(ones, min(MOST_GROUPED, len(ones)), replace=False)
        cohort = np.sort(drawn)
        faces = self._faces
        known = JudgedFaces(np.arange(len(faces)), labels + 1, faces.photos, faces.embeddings)
        by_photo = np.argsort(faces.photos, kind="stable")  # those of a photo must follow each other
        shifts = np.empty(len(faces), np.float32)
        shifts[by_photo] = OwnThresholds(known[cohort], self._facts.threshold).shifts(known[by_photo])
        self._shifts = _believed(shifts, len(ones))
        return cohort

    def group(self, mode: Mode, gallery: tuple[int, int] | None = None) -> _Found:
        """The groups of a mode, by own thresholds."""
        faces = self._faces
        people, count = gallery or (self._people, len(faces))
        if faces.shifts is not None:
            self._shifts = _believed(faces.shifts, people)
        bar = self._facts.bar(mode, people, count)
        linkage, tokens, left = self._linked(bar)
        margins = linkage.of_faces(np.arange(len(faces)), faces.embeddings, self._shifts)
        labels = self._with_weak(linkage, tokens, margins)
        return _Found(labels, margins, *self._questions(left, linkage, tokens), self._shifts)

    def _linked(self, bar: Bar) -> tuple[Linkage, Tokens, Pairs]:
        """What strong faces lead to, and the pairs of groups that are left with their margins."""
        tokens = self._faces.tokens(self._start)
        if self._new is not None:
            for group in large(self._start, self._new):
                tokens.give(group, ("group", 0), group)
        linkage = Linkage(self._faces.embeddings, self._shifts, self._start, bar)
        a, b, _ = self._pairs
        chosen = self._is_strong[a] & self._is_strong[b]
        if self._new is not None:
            chosen &= self._new[a] | self._new[b]
        return linkage, tokens, linkage.join(self._start[a[chosen]], self._start[b[chosen]], tokens)

    def _with_weak(self, linkage: Linkage, tokens: Tokens, margins: NDArray[np.float32]) -> Rows:
        """The labels, (n,), once weak faces have gone to the group of their best neighbour, where they lie well over
        the careful bar; their margins are written into those of all faces, (n,). They do not change a group's sum,
        so that their order does not matter, but for two in one photo: the better one comes first."""
        labels = linkage.labels()
        a, b, similarities = self._pairs
        mixed = self._is_strong[a] != self._is_strong[b]
        weak = np.where(self._is_strong[a], b, a)[mixed]
        strong = np.where(self._is_strong[a], a, b)[mixed]
        order = np.lexsort((strong, -similarities[mixed], weak))
        weak, first = np.unique(weak[order], return_index=True)
        groups = labels[strong[order][first]]
        unit = self._facts.threshold.unit
        one, many = self._facts.bars["careful"]
        over = linkage.margins(weak, groups, self._facts.at(one + _WEAK, many + _WEAK))
        for at in np.argsort(-over, kind="stable").tolist():
            face, label = int(weak[at]), int(groups[at])
            if over[at] < 0 or (self._new is not None and not self._new[face]):
                continue
            if not tokens.bar(label, face):
                tokens.merge(label, face)
                labels[face], margins[face] = label, over[at] + _WEAK * unit
        return labels

    def _questions(self, left: Pairs, linkage: Linkage, tokens: Tokens) -> tuple[Rows, NDArray[np.float32]]:
        low, high, margins = left
        known = self._facts.threshold
        near = np.lexsort((high, low, -margins))
        near = near[margins[near] > -_ASKED * known.unit]
        pairs = zip(low[near].tolist(), high[near].tolist(), strict=True)
        near = near[~np.array([tokens.settle(i, j) for i, j in pairs], bool)]
        low, high, margins = np.minimum(low, high)[near], np.maximum(low, high)[near], margins[near]
        a, b, similarities = self._pairs
        own = (self._shifts[a] + self._shifts[b]) / 2
        links = np.asarray(similarities - own - known.similarity, np.float32)
        labels = linkage.labels()
        nearest = nearest_of(low, high, (labels[a], labels[b], links), len(labels))
        asked = Asked(margins / known.unit, nearest / known.unit, linkage.sizes(low), linkage.sizes(high))
        worths = how_telling(asked)
        order = np.argsort(-worths, kind="stable")
        return np.stack([low[order], high[order]], axis=1).reshape(-1, 2), worths[order]


def _believed(shifts: NDArray[np.float32], people: int) -> NDArray[np.float32]:
    return np.asarray(shifts * np.float32(people / (people + _TRUST)), np.float32)


def _order(embeddings: Embeddings) -> Rows:
    """An order of faces that follows from their embeddings: that of their first numbers."""
    if not len(embeddings):
        return np.empty(0, np.int64)
    return np.lexsort(np.ascontiguousarray(embeddings, np.float32).view(np.uint32)[:, :4].T[::-1])
