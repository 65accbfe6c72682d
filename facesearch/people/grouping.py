"""Grouping: which of many faces are of one person, as far as nobody has said. Pure arrays.

Average linkage on the graph of each face's nearest neighbours: the likeness of two groups is the mean of all their
pairs, which follows from the sums of their embeddings alone, moved by the faces' own thresholds. In rounds, all pairs
of groups that are each other's best are joined where they reach their bar, which is lower the larger they are; when
a round joins few, the pairs are joined one by one, best first. What was said, and that one photo shows nobody twice,
bars a pair however alike it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.models.card import EmbedderCard
from facesearch.people.linkage import Bar, Linkage
from facesearch.people.neighbours import neighbours
from facesearch.people.tokens import Tokens, tokens_of

ALGORITHM = "average linkage 1"  # another one groups all faces anew
Mode: TypeAlias = Literal["careful", "balanced", "eager"]
Rows = NDArray[np.int64]

_REACH = 2.0  # units: pairs that lie further below their bar never came to be joined
_ASKED = 1.5  # units below their bar: pairs of groups of which it is worth asking
_WEAK = 0.5  # units that a small or doubtful face must lie over the careful bar
_LARGE = 3  # faces: two groups of so many are not joined because of new faces alone


@dataclass(frozen=True, slots=True)
class Facts:
    """What the similarities of a model mean to grouping: its threshold and unit, and in units over the threshold the
    bars of each mode, for two single faces and for two large groups."""

    similarity: float
    unit: float
    bars: Mapping[Mode, tuple[float, float]]

    def bar(self, mode: Mode) -> Bar:
        """The bar of a mode, in similarities."""
        one, many = self.bars[mode]
        return Bar(self.similarity + one * self.unit, self.similarity + many * self.unit, _REACH * self.unit)


@dataclass(frozen=True, slots=True)
class FacesToGroup:
    """Faces, n of them in any order: embeddings, (n, dim), of unit length; photos, (n,); boxes, (n, 4); whether each
    is `weak`, small or doubtful, (n,); the person whom somebody said it is, (n,), 0 where nobody did; pairs of rows
    that must never be together, (m, 2); whether its photo may show one person twice, (n,); and how much higher its
    own threshold lies, (n,)."""

    embeddings: Embeddings
    photos: Rows
    boxes: NDArray[np.float32]
    weak: NDArray[np.bool_]
    people: Rows
    barred: Rows
    repeats: NDArray[np.bool_]
    shifts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.embeddings)

    def in_order(self, order: Rows) -> "FacesToGroup":
        """The faces in another order, (n,) rows."""
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        columns = (self.embeddings, self.photos, self.boxes, self.weak, self.people)
        return FacesToGroup(
            *(column[order] for column in columns), places[self.barred], self.repeats[order], self.shifts[order]
        )


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of n faces: the least row of each face's group, (n,); how far over its bar each face's mean likeness to
    the rest of its group lies, (n,), 0 for a face that is alone; and pairs of rows, (q, 2), each of which stands for
    its group, with how far the groups lie from their bar, (q,): what is most worth asking first."""

    labels: Rows
    margins: NDArray[np.float32]
    questions: Rows
    question_margins: NDArray[np.float32]


def facts_of(card: EmbedderCard) -> Facts | None:
    """What a model's card says; None where it has no threshold, or no unit of it."""
    known = card.threshold
    if known is None or not known.unit:
        return None
    return Facts(known.similarity, known.unit, _USUAL)


_USUAL: Mapping[Mode, tuple[float, float]] = {"careful": (1.5, 0.2), "balanced": (1.33, 0.0), "eager": (1.0, -0.3)}


def group(faces: FacesToGroup, facts: Facts, mode: Mode) -> Groups:
    """Groups all faces. The same faces give the same groups in whatever order they come. Raises ValueError for an
    embedding that is not finite."""
    return _Grouping(faces, facts, mode).run()


def group_new(faces: FacesToGroup, new: NDArray[np.bool_], before: Rows, facts: Facts, mode: Mode) -> Groups:
    """Groups the faces that are `new`, (n,): those of `before`, (n,) labels, stay together. Two groups of three faces
    or more, one of them without a new face... are not joined but asked about."""
    return _Grouping(faces, facts, mode, new, before).run()


class _Grouping:
    """One grouping, in an order of the faces that follows from them alone."""

    def __init__(
        self,
        faces: FacesToGroup,
        facts: Facts,
        mode: Mode,
        new: NDArray[np.bool_] | None = None,
        before: Rows | None = None,
    ) -> None:
        if not np.isfinite(faces.embeddings).all():
            raise ValueError("an embedding is not finite")
        self._order = _order(faces.embeddings)
        self._faces = faces.in_order(self._order)
        self._facts, self._mode = facts, mode
        self._new = None if new is None else new[self._order]
        start = np.arange(len(faces)) if before is None else _relabelled(before, self._order)
        self._start = _with_people(start, self._faces.people)

    def run(self) -> Groups:
        faces = self._faces
        a, b, _ = neighbours(faces.embeddings, least=self._least())
        is_strong = ~(faces.weak & (faces.people == 0))
        is_strong |= self._start != np.arange(len(faces))
        tokens = tokens_of(
            self._start, np.where(faces.repeats, -1, faces.photos), faces.boxes, faces.people, faces.barred
        )
        linkage = Linkage(faces.embeddings, faces.shifts, self._start, self._facts.bar(self._mode))
        both = is_strong[a] & is_strong[b]
        if self._new is not None:
            both &= self._new[a] | self._new[b]
        low, high, margins = linkage.join(self._start[a[both]], self._start[b[both]], tokens)
        labels = linkage.labels()
        labels = self._with_weak(labels, linkage, tokens, a, b, is_strong)
        own = linkage.of_faces(np.arange(len(faces)), faces.embeddings, faces.shifts)
        return self._in_given_order(labels, own, low, high, margins)

    def _least(self) -> float:
        return self._facts.similarity - _REACH * self._facts.unit

    def _with_weak(
        self, labels: Rows, linkage: Linkage, tokens: Tokens, a: Rows, b: Rows, is_strong: NDArray[np.bool_]
    ) -> Rows:
        return labels

    def _in_given_order(
        self, labels: Rows, own: NDArray[np.float32], low: Rows, high: Rows, margins: NDArray[np.float32]
    ) -> Groups:
        order = self._order
        found = np.empty(len(order), np.int64)
        least = np.full(len(order), len(order), np.int64)
        np.minimum.at(least, labels, order)
        found[order] = least[labels]
        of_faces = np.empty(len(order), np.float32)
        of_faces[order] = own
        near = np.argsort(-margins, kind="stable")
        near = near[margins[near] > -_ASKED * self._facts.unit]
        questions = np.stack([order[low[near]], order[high[near]]], axis=1).reshape(-1, 2)
        return Groups(found, of_faces, questions, margins[near])


def _order(embeddings: Embeddings) -> Rows:
    """An order of faces that follows from their embeddings: that of their bytes."""
    count = len(embeddings)
    words = np.ascontiguousarray(embeddings, np.float32).view(np.uint32)[:, :4]
    return np.lexsort(words.T[::-1]) if count else np.empty(0, np.int64)


def _relabelled(labels: Rows, order: Rows) -> Rows:
    """Labels of faces in another order: of each group the first row there."""
    return _firsts(labels[order])


def _with_people(labels: Rows, people: Rows) -> Rows:
    """Labels in which the groups of faces who are one person by what was said are one group."""
    said = people > 0
    if not said.any():
        return labels
    keys = _firsts(people)
    into = labels.copy()
    into[labels[said]] = labels[keys[said]]
    while (into[into] != into).any():
        into = into[into]
    return _firsts(into[labels])


def _firsts(values: Rows) -> Rows:
    """For each row the first row with the same value."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)
