"""Validation sets: the pairs that a network is evaluated on while it is trained, and whether it was trained on their
people too."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError
from facesearch.evaluation import lfw, own_pairs
from facesearch.evaluation.leakage import person_of, plain_name, warning
from facesearch.evaluation.metrics import Verification, verification
from facesearch.evaluation.pairs import Pairs, random_pairs
from facesearch.models.cards import Threshold
from facesearch.training.people import People

Embed: TypeAlias = Callable[[Sequence[str]], Embeddings]  # (n, dim) of unit length, of crops

_FAR = 1e-3  # that of all cards
_LEAST_STRANGERS = 3000  # pairs: three of them reach a threshold at that FAR
_MOST_STRANGERS = 5000  # photos: 12 million pairs tell enough


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """Pairs of crops. `people` is how many people they show, `seen` how many of these are trained on too."""

    name: str
    pairs: Pairs
    people: int
    seen: int = 0

    @property
    def mark(self) -> str:
        """The words that stand beside every figure of it: none, or that train = test."""
        return " (train = test)" if self.seen else ""

    @property
    def warning(self) -> str:
        """The first line of a report, where some of its people are trained on."""
        return warning(self.seen, self.people, self.name)


def held_out_pairs(people: People) -> ValidationSet | None:
    """Random pairs of the people held out, in ten folds that share nobody; None where they are too few for that."""
    if not people.names:
        return None
    try:
        pairs = random_pairs(people.photos, [people.names[i] for i in people.who], seed=0)
    except FaceSearchError:
        return None
    return ValidationSet("people held out", pairs, len(people.names))


def pairs_of_file(file: Path, photos: Path, trained_on: People) -> ValidationSet:
    """The pairs of a file: LFW's pairs.txt, whose photos are crops in `photos`, or a CSV of crops with the columns a,
    b and same. Raises FaceSearchError for a wrong file or absent crops."""
    is_csv = file.suffix.lower() == ".csv"
    pairs = own_pairs.read_pairs(file) if is_csv else lfw.read_pairs(file, photos)
    people = {person_of(photo) for photo in pairs.photos}
    return ValidationSet(file.name, pairs, len(people), len(_seen(pairs.photos, trained_on)))


def figures(validation: ValidationSet, embeddings: Embeddings) -> Verification:
    """The figures of a network, by the embeddings of the photos that the pairs name, (photos, dim)."""
    pairs = validation.pairs
    rows = embeddings.astype(np.float64)
    similarities = np.einsum("ij,ij->i", rows[pairs.first], rows[pairs.second])  # (pairs,)
    return verification(np.clip(similarities, -1, 1), pairs.same, pairs.folds)


def stranger_threshold(people: People, embed: Embed) -> Threshold | None:
    """The similarity that 1 in 1,000 pairs of different people reach, whose embeddings `embed` computes; None where
    they are too few to tell."""
    chosen = np.random.default_rng(0).permutation(len(people.who))[:_MOST_STRANGERS]
    if not len(chosen):
        return None
    who, rows = people.who[chosen], embed([people.photos[i] for i in chosen])
    first, second = np.triu_indices(len(rows), 1)
    strangers = (rows @ rows.T)[first, second][who[first] != who[second]]  # (pairs of two people,)
    if len(strangers) < _LEAST_STRANGERS:
        return None
    similarity = round(float(np.quantile(strangers, 1 - _FAR)), 4)
    measured_on = f"{len(strangers):,} pairs of strangers: {len(people.names):,} people held out of the training"
    return Threshold(similarity, _FAR, measured_on)


def _seen(photos: Sequence[str], trained_on: People) -> set[str]:
    """Those people of the photos who are trained on: by their folder's name, or because a photo is the same."""
    known = {plain_name(name) for name in trained_on.names}
    same = _contents(photos) & _contents(trained_on.photos, {Path(photo).stat().st_size for photo in photos})
    return {
        person_of(photo) for photo in photos if person_of(photo) in known or (same and _digest(Path(photo)) in same)
    }


def _contents(photos: Sequence[str], sizes: set[int] | None = None) -> set[bytes]:
    """The digests of the files that have one of these sizes: others need not be read."""
    of_size = defaultdict(list)
    for photo in map(Path, photos):
        of_size[photo.stat().st_size].append(photo)
    return {_digest(photo) for size, some in of_size.items() if sizes is None or size in sizes for photo in some}


def _digest(photo: Path) -> bytes:
    return hashlib.blake2b(photo.read_bytes(), digest_size=16).digest()
