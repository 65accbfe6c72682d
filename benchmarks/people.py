"""Grouping of many faces: seconds, memory and quality on made-up people, who are spread as the default model spreads
those of LFW, beside Chinese whispers on the same neighbours; and what a thousand new faces cost.

    python benchmarks/people.py LFW --faces 15000 --faces 200000 [--new 1000] [--mode balanced] [--without-whispers]
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.evaluation import lfw
from facesearch.evaluation.all_faces import embed_all_faces
from facesearch.evaluation.clustering import group_figures
from facesearch.evaluation.grouping_methods import MODES
from facesearch.evaluation.made_up_people import MadeUpPeople
from facesearch.evaluation.peers import whispers
from facesearch.evaluation.portraits import Model
from facesearch.models.cards import default_embedder, detector_card, embedder_card
from facesearch.people.cohort import JudgedFaces, OwnThresholds
from facesearch.people.grouping import FacesToGroup, Facts, Groups, Mode, facts_of, group, group_new
from facesearch.people.neighbours import neighbours

_OVER = (0.75, 1.0, 1.25, 1.5)  # units over the card's threshold that whispers are tried with; the best lies between
_NEAR = 20  # neighbours of a new face that a gallery looks at


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--faces", type=int, action="append")
    parser.add_argument("--new", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, default="balanced")
    parser.add_argument("--without-whispers", action="store_true")
    given = parser.parse_args()
    card = embedder_card(default_embedder())
    facts = facts_of(card)
    assert facts is not None
    photos, names = lfw.everyone(lfw.find(given.lfw).images)
    model = Model(card, detector_card(card.detector), "cpu", "float32")
    known = embed_all_faces(photos, model, lfw.EXPECTED_FACE)
    named = known.is_named
    of_photo = np.unique(names, return_inverse=True)[1]
    made_up = MadeUpPeople.like(known.embeddings[named], of_photo[known.photos[named]])
    for count in given.faces or [15_000]:
        embeddings, people = made_up.draw(count)
        found = _ours(embeddings, people, facts, given.mode)
        if not given.without_whispers:
            _whispers(embeddings, people, facts)
        if given.new:
            _new(embeddings, people, found, facts, given.mode, given.new)


def _ours(embeddings: Embeddings, people: NDArray[np.int64], facts: Facts, mode: Mode) -> Groups:
    started = time.perf_counter()
    found = group(_to_group(embeddings), facts, mode)
    spent = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # Linux counts in kilobytes
    print(
        f"{len(people):,} faces, {mode}: {spent:.1f} s, {peak:.2f} GB at the peak, {_quality(people, found.labels)}"
    )
    return found


def _whispers(embeddings: Embeddings, people: NDArray[np.int64], facts: Facts) -> None:
    known = facts.threshold
    a, b, similarities = neighbours(embeddings, least=known.similarity)
    tried = []
    for over in _OVER:
        near = similarities >= known.similarity + over * known.unit
        started = time.perf_counter()
        labels = whispers(len(people), a[near], b[near])
        spent = time.perf_counter() - started
        tried.append((group_figures(people, labels).bcubed.f, over, spent, labels))
    _, over, spent, labels = max(tried, key=lambda each: each[0])
    print(
        f"... Chinese whispers at their best, {over:g}: {spent:.1f} s after neighbours, {_quality(people, labels)}",
        flush=True,
    )


def _new(
    embeddings: Embeddings, people: NDArray[np.int64], found: Groups, facts: Facts, mode: Mode, count: int
) -> None:
    """The last faces come after the others, as in a gallery: with those near them, and all of their groups."""
    is_new = np.arange(len(people)) >= len(people) - count
    old = _to_group(embeddings[~is_new])
    before = group(old, facts, mode)
    a, b, _ = neighbours(embeddings, least=facts.threshold.similarity - facts.threshold.unit)
    near = b[is_new[b]], a[is_new[b]]  # what a gallery's index tells it
    started = time.perf_counter()
    groups = np.isin(before.labels, before.labels[near[1][~is_new[near[1]]]])
    rows = np.concatenate([np.flatnonzero(groups), np.flatnonzero(is_new)])
    shifts = np.concatenate([before.shifts, _shifts(embeddings, before, facts, is_new)])[rows]
    labels = np.arange(len(rows))
    _, first, inverse = np.unique(before.labels[groups], return_index=True, return_inverse=True)
    labels[: groups.sum()] = first[inverse]
    part = _to_group(embeddings[rows], rows, shifts)
    gallery = (len(np.unique(before.labels)), int((~is_new).sum()))
    added = group_new(part, is_new[rows], labels, facts, mode, gallery)
    spent = time.perf_counter() - started
    whole = np.concatenate(
        [before.labels, np.flatnonzero(is_new)]
    )  # old faces keep their rows, as new ones come last
    whole[rows] = rows[added.labels]
    print(
        f"... {count:,} of them new: {spent:.2f} s, neighbours of the gallery given, {_quality(people, whole)}",
        flush=True,
    )
    print(f"... in place of {_quality(people, found.labels)} all at once", flush=True)


def _shifts(embeddings: Embeddings, before: Groups, facts: Facts, is_new: NDArray[np.bool_]) -> NDArray[np.float32]:
    ids = np.arange(len(embeddings), dtype=np.int64)
    known = JudgedFaces(
        before.cohort, before.labels[before.cohort] + 1, before.cohort, embeddings[~is_new][before.cohort]
    )
    new = ids[is_new]
    strange = JudgedFaces(new, np.zeros(len(new), np.int64), new, embeddings[is_new])
    return OwnThresholds(known, facts.threshold).shifts(strange)


def _to_group(
    embeddings: Embeddings, photos: NDArray[np.int64] | None = None, shifts: NDArray[np.float32] | None = None
) -> FacesToGroup:
    """Faces of photos of their own, none of them small."""
    count = len(embeddings)
    none = np.zeros(count, bool)
    boxes = np.tile(np.array([0, 0, 100, 100], np.float32), (count, 1))
    ids = np.arange(count) if photos is None else photos
    people, barred = np.zeros(count, np.int64), np.empty((0, 2), np.int64)
    return FacesToGroup(embeddings, ids, boxes, none, people, barred, none, shifts)


def _quality(people: NDArray[np.int64], labels: NDArray[np.int64]) -> str:
    figures = group_figures(people, labels)
    return f"BCubed F {figures.bcubed.f:.4f}, purity {figures.purity:.4f}"


if __name__ == "__main__":
    main()
