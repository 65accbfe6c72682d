"""What own thresholds do on LFW: in a gallery of everybody, in small galleries of people who look alike; and their
cost. `facesearch bench lfw --protocol identify` has the figures of the protocol with enrolled photos.

    python benchmarks/own_thresholds.py LFW [--model NAME]
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.evaluation import lfw
from facesearch.evaluation.portraits import Model, embed_portraits
from facesearch.models.cards import EmbedderCard, Threshold, default_embedder, detector_card, embedder_card
from facesearch.people.cohort import JudgedFaces, OwnThresholds, distinct
from facesearch.people.grouping import FacesToGroup, facts_of, group

_DRAWN = 20  # small galleries of each kind and size
_MOST_PHOTOS = 10  # of one person in a small gallery
_CANDIDATES = 256  # faces that a query judges again
_FARS = (0.01, 0.001)

Rows = NDArray[np.intp]
Flags = NDArray[np.bool_]
Shifts = NDArray[np.float32]


class Lfw:
    """LFW's embeddings, (n, dim), and who is in each row, (n,)."""

    def __init__(
        self, embeddings: Embeddings, people: NDArray[np.intp], threshold: Threshold, card: EmbedderCard
    ) -> None:
        self.embeddings, self.people, self.threshold, self.card = embeddings, people, threshold, card
        self.counts = np.bincount(people)
        self.nobody = self.known(np.empty(0, np.intp))

    def known(self, rows: Rows, named: bool = False, together: Flags | None = None) -> JudgedFaces:
        """The rows as faces of a gallery, those of `together` in one photo."""
        people = self.people[rows] + 1 if named else np.zeros(len(rows), np.int64)
        photos = rows + 1 if together is None else np.where(together, 0, rows + 1)
        return JudgedFaces(rows + 1, people, photos, self.embeddings[rows])

    def own(self, named: JudgedFaces, unnamed: JudgedFaces) -> OwnThresholds:
        return OwnThresholds(distinct(named, unnamed, self.threshold), self.threshold)

    def first_of_each(self, rows: Rows) -> Rows:
        return rows[np.unique(self.people[rows], return_index=True)[1]]

    def judged(self, a: Rows, b: Rows, of_a: Shifts, of_b: Shifts) -> NDArray[np.float32]:
        return np.asarray(self.embeddings[a] @ self.embeddings[b].T - (of_a[:, None] + of_b) / 2, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--model")
    given = parser.parse_args()
    card = embedder_card(given.model or default_embedder())
    assert card.threshold is not None
    photos, names = lfw.everyone(lfw.find(given.lfw).images)
    found = embed_portraits(photos, Model(card, detector_card(card.detector), "cpu"), lfw.EXPECTED_FACE)
    data = Lfw(found.embeddings, np.unique(names, return_inverse=True)[1], card.threshold, card)
    print(f"{card.name}, threshold {card.threshold.similarity}, unit {card.threshold.unit}")
    _everybody(data)
    _small(data)
    _cost(data)


def _everybody(data: Lfw) -> None:
    """A gallery of half of each person's photos and half of the people with one; the others are asked about."""
    one = np.random.default_rng(0).permutation(np.flatnonzero(data.counts == 1))
    several = np.flatnonzero(data.counts > 1)
    of_several = [np.flatnonzero(data.people == person) for person in several]
    known = np.concatenate([rows[(len(rows) + 1) // 2 :] for rows in of_several])
    print(
        "| gallery of all | rank 1 | DIR at FAR 0.01 | 0.001 | FAR at the threshold | TAR | judged best among", end=""
    )
    print(f" the {_CANDIDATES} most similar |\n|---|---|---|---|---|---|---|")
    for name, make in _ways(data).items():
        rows = []
        for half, other in (np.array_split(one, 2), np.array_split(one, 2)[::-1]):
            enrolled = np.concatenate([rows[: (len(rows) + 1) // 2] for rows in of_several])
            gallery = np.concatenate([enrolled, np.flatnonzero(np.isin(data.people, half))])
            rows.append(_searched(data, gallery, known, np.flatnonzero(np.isin(data.people, other)), make))
        print(f"| {name} | " + " | ".join(f"{value:.4f}" for value in np.mean(rows, axis=0)) + " |", flush=True)


Make = Callable[[Rows], tuple[Callable[[Rows], Shifts], Shifts]]  # of a gallery: shifts of those asked about, its own


def _ways(data: Lfw) -> dict[str, Make]:
    def cosine(gallery: Rows) -> tuple[Callable[[Rows], Shifts], Shifts]:
        return lambda rows: np.zeros(len(rows), np.float32), np.zeros(len(gallery), np.float32)

    def judged(gallery: Rows, share_named: float) -> tuple[Callable[[Rows], Shifts], Shifts]:
        has_name = np.random.default_rng(1).random(len(data.counts)) < share_named
        with_name = has_name[data.people[gallery]]
        named = data.known(np.random.default_rng(2).permutation(data.first_of_each(gallery[with_name])), named=True)
        unnamed = data.known(np.random.default_rng(3).permutation(gallery[~with_name]))
        own = data.own(named, unnamed)
        faces = data.known(gallery, named=True)
        faces.people[~with_name] = 0
        return lambda rows: own.shifts(JudgedFaces.strange(data.embeddings[rows])), own.shifts(faces)

    def grouped(gallery: Rows) -> tuple[Callable[[Rows], Shifts], Shifts]:
        """One face of each group that is found, as a gallery has it; who is in a group is known to be its person."""
        facts = facts_of(data.card)
        assert facts is not None
        found = group(_alone(data.embeddings[gallery]), facts, "careful")
        faces = JudgedFaces(gallery + 1, found.labels + 1, gallery + 1, data.embeddings[gallery])
        own = OwnThresholds(faces[found.cohort], data.threshold)
        return lambda rows: own.shifts(JudgedFaces.strange(data.embeddings[rows])), own.shifts(faces)

    return {
        "cosine": cosine,
        "nobody named": lambda gallery: judged(gallery, 0),
        "nobody named, one face a group": grouped,
        "half of the people named": lambda gallery: judged(gallery, 0.5),
        "all named": lambda gallery: judged(gallery, 1),
    }


def _alone(embeddings: Embeddings) -> FacesToGroup:
    """Faces of photos of their own, none of them small."""
    count = len(embeddings)
    none, nobody = np.zeros(count, bool), np.zeros(count, np.int64)
    boxes = np.tile(np.array([0, 0, 100, 100], np.float32), (count, 1))
    return FacesToGroup(embeddings, np.arange(count), boxes, none, nobody, np.empty((0, 2), np.int64), none)


def _searched(data: Lfw, gallery: Rows, known: Rows, unknown: Rows, make: Make) -> list[float]:
    shifts, of_gallery = make(gallery)
    by_known = data.judged(known, gallery, shifts(known), of_gallery)
    by_unknown = data.judged(unknown, gallery, shifts(unknown), of_gallery)
    best = by_known.argmax(axis=1)
    right = data.people[gallery[best]] == data.people[known]
    strangers = np.sort(by_unknown.max(axis=1))
    passing = [strangers[len(strangers) - int(far * len(strangers)) - 1] for far in _FARS]
    rates = [float((right & (by_known.max(axis=1) > least)).mean()) for least in passing]
    same = data.people[known][:, None] == data.people[gallery]
    others = np.concatenate([by_known[~same], by_unknown.ravel()])
    similar = data.embeddings[known] @ data.embeddings[gallery].T
    least = np.partition(similar, -_CANDIDATES, axis=1)[:, -_CANDIDATES]
    among = np.take_along_axis(similar, best[:, None], axis=1)[:, 0] >= least
    level = data.threshold.similarity
    return [
        float(right.mean()),
        *rates,
        float((others >= level).mean()),
        float((by_known[same] >= level).mean()),
        float(among.mean()),
    ]


def _small(data: Lfw) -> None:
    """Galleries of few people with several photos, up to ten each: each the most alike to the one before, or drawn at
    random."""
    firsts = data.first_of_each(np.arange(len(data.people)))
    several = np.flatnonzero(data.counts > 1)
    print("| small galleries | people | cosine | nobody named | and one photo of all | all named |\n|" + "---|" * 6)
    for kind, draw in (("alike", _alike), ("random", _random)):
        for size in (20, 50, 100):
            drawn = [several[each] for each in draw(data.embeddings[firsts[several]], size)]
            row = [f"{far * 1000:.2f} in 1,000, TAR {tar:.3f}" for far, tar in _far_and_tar(data, drawn)]
            print(f"| {kind} | {size} | " + " | ".join(row) + " |", flush=True)


def _alike(embeddings: Embeddings, size: int) -> Iterator[Rows]:
    for seed in range(_DRAWN):
        chosen = [int(np.random.default_rng(seed).integers(len(embeddings)))]
        while len(chosen) < size:
            similarities = embeddings @ embeddings[chosen[-1]]
            similarities[chosen] = -1
            chosen.append(int(similarities.argmax()))
        yield np.array(chosen)


def _random(embeddings: Embeddings, size: int) -> Iterator[Rows]:
    for seed in range(_DRAWN):
        yield np.random.default_rng(seed).choice(len(embeddings), size, replace=False)


def _far_and_tar(data: Lfw, drawn: list[Rows]) -> list[tuple[float, float]]:
    """The means over galleries, for each way of judging."""
    found: list[list[tuple[float, float]]] = []
    for people in drawn:
        each = [np.flatnonzero(data.people == person)[:_MOST_PHOTOS] for person in people]
        rows, first = np.concatenate(each), np.array([rows[0] for rows in each])
        unnamed, named = data.known(rows), data.known(rows, named=True)
        together = data.known(rows, together=np.isin(rows, first))
        together = together[np.argsort(together.photos, kind="stable")]
        order = np.argsort(np.argsort(np.where(np.isin(rows, first), 0, rows + 1), kind="stable"), kind="stable")
        found.append(
            [
                _rates(data, rows, shifts)
                for shifts in (
                    np.zeros(len(rows), np.float32),
                    data.own(data.nobody, unnamed).shifts(unnamed),
                    data.own(data.nobody, together).shifts(together)[order],
                    data.own(data.known(first, named=True), data.nobody).shifts(named),
                )
            ]
        )
    return [(float(far), float(tar)) for far, tar in np.mean(found, axis=0)]


def _rates(data: Lfw, rows: Rows, shifts: Shifts) -> tuple[float, float]:
    judged = data.judged(rows, rows, shifts, shifts) >= data.threshold.similarity
    same = data.people[rows][:, None] == data.people[rows]
    pairs = np.triu(np.ones_like(same), 1)
    return float(judged[pairs & ~same].mean()), float(judged[pairs & same].mean())


def _cost(data: Lfw) -> None:
    """Own thresholds of 100,000 faces, all of them LFW's, and of one that is asked about."""
    firsts = data.first_of_each(np.arange(len(data.people)))
    own = data.own(data.known(firsts, named=True), data.nobody)
    rows = np.resize(np.arange(len(data.people)), 100_000)
    faces = data.known(rows)
    started = time.perf_counter()
    own.shifts(faces)
    spent = time.perf_counter() - started
    started = time.perf_counter()
    own.shifts(JudgedFaces.strange(data.embeddings[:1]))
    print(f"own thresholds of 100,000 faces: {spent:.2f} s; of one: {(time.perf_counter() - started) * 1000:.2f} ms")


if __name__ == "__main__":
    main()
