"""What a benchmark found: its figures, and every choice that moves them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facesearch.evaluation.groups import GroupFigures, by_group
from facesearch.evaluation.identification import ClosedSet, OpenSet, Split
from facesearch.evaluation.metrics import Similarities, Verification, best_threshold
from facesearch.evaluation.pairs import Pairs
from facesearch.geometry.face import Box
from facesearch.pictures.sheets import FacePair

OnMissing = Literal["centre", "skip", "wrong"]


@dataclass(frozen=True, slots=True)
class Setup:
    """Every choice that moves the figures."""

    model: str
    detector: str
    engine: str
    alignment: str
    images: str
    on_missing: OnMissing


@dataclass(frozen=True, slots=True)
class Compared:
    """What the figures were computed from, for pictures: the pairs that were kept, their similarities, and the
    photos' boxes, (photos, 4)."""

    pairs: Pairs
    similarities: Similarities
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What the card's threshold does on the pairs: the shares of pairs of two people and of one that reach it."""

    threshold: float
    far: float
    tar: float


@dataclass(frozen=True, slots=True)
class PairReport:
    """Figures of a list of pairs; `skipped` pairs were left out for a photo without a face. `at_card` is None where
    the card has no threshold yet."""

    figures: Verification
    skipped: int
    at_card: AtThreshold | None
    compared: Compared


@dataclass(frozen=True, slots=True)
class Strangers:
    """All pairs of different people among photos; `thresholds` is by FAR the similarity that this share of them
    reaches, None where there are too few to tell; `nearest` is, by numbers of people, the mean of a face's 10
    greatest similarities to so many strangers."""

    people: int
    photos: int
    pairs: int
    thresholds: dict[float, float | None]
    nearest: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Light:
    """Figures of the photos whose light comes from `low` to `high` degrees off the camera's axis: the share whose
    person is the nearest of the frontally lit, and the equal error rate of the pairs of a photo and a frontally lit
    one."""

    low: int
    high: int
    photos: int
    rank1: float
    eer: float


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark's figures. Of its `people` the model has `seen` so many in training, as far as is known. `pairs`
    is by name of the list of pairs; `missing` are the photos in which no face was found; `computed` photos were not
    known from an earlier run; `seconds` is by stage, summed over threads, but for `total`."""

    protocol: str
    setup: Setup
    people: int
    seen: int
    photos: int
    missing: tuple[str, ...]
    computed: int
    seconds: dict[str, float]
    pairs: dict[str, PairReport]
    closed: ClosedSet | None = None
    opened: OpenSet | None = None
    splits: tuple[Split, ...] = ()
    lights: tuple[Light, ...] = ()
    strangers: Strangers | None = None


def threshold_of(report: PairReport) -> float:
    """The threshold that a picture shows: the mean of the folds', or the card's where there are no folds, or the
    best."""
    if report.figures.accuracy:
        return float(np.mean(report.figures.accuracy.thresholds))
    if report.at_card:
        return report.at_card.threshold
    return best_threshold(report.compared.similarities, report.compared.pairs.same)


def of_groups(report: PairReport) -> tuple[GroupFigures, ...]:
    """What the threshold in force, the card's, does on the pairs of each group, the worst first; where the card has
    none, the threshold that a picture shows. Empty where the pairs have no groups."""
    pairs = report.compared.pairs
    if not pairs.groups:
        return ()
    return by_group(report.compared.similarities, pairs.same, pairs.groups, group_threshold(report))


def group_threshold(report: PairReport) -> float:
    """The threshold at which groups are judged."""
    return report.at_card.threshold if report.at_card else threshold_of(report)


def worst_errors(report: PairReport, most: int) -> tuple[list[FacePair], list[FacePair]]:
    """The pairs of two people with the highest similarity of those accepted, and the pairs of one person with the
    lowest of those rejected, each list with the worst first."""
    pairs, similarities = report.compared.pairs, report.compared.similarities
    threshold = threshold_of(report)
    order = np.argsort(similarities, kind="stable")
    accepts = [i for i in order[::-1] if not pairs.same[i] and similarities[i] >= threshold]
    rejects = [i for i in order if pairs.same[i] and similarities[i] < threshold]
    return [_shown(report, i) for i in accepts[:most]], [_shown(report, i) for i in rejects[:most]]


def _shown(report: PairReport, i: int) -> FacePair:
    pairs, boxes = report.compared.pairs, report.compared.boxes
    a, b = pairs.first[i], pairs.second[i]
    return FacePair(
        pairs.photos[a],
        Box(*boxes[a].tolist()),
        pairs.photos[b],
        Box(*boxes[b].tolist()),
        float(report.compared.similarities[i]),
    )
