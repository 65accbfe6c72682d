"""A protocol run from photos to figures: embed each photo once, compare, count."""

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, Note
from facesearch.evaluation import lfw, own_pairs, yaleb
from facesearch.evaluation.identification import (
    ClosedSet,
    OpenSet,
    Split,
    closed_set,
    enrol_first,
    open_set,
    split_halves,
)
from facesearch.evaluation.leakage import person_of, trained_on
from facesearch.evaluation.metrics import FARS, Same, Similarities, far_and_tar, verification
from facesearch.evaluation.pairs import Pairs, Rows, random_pairs
from facesearch.evaluation.portraits import ExpectedFace, Model, Portraits, embed_portraits
from facesearch.evaluation.reports import (
    AtThreshold,
    Compared,
    Light,
    OnMissing,
    PairReport,
    Report,
    Setup,
    Strangers,
)
from facesearch.models.cards import Threshold, default_embedder, detector_card, embedder_card, keep_card
from facesearch.models.device import Device, Precision, device_of
from facesearch.people import names as people_names
from facesearch.people.cohort import has_facts, measured_nearness

_CARD_FAR = 1e-3
_RARER_FAR = 1e-4
_NUMBERS = (5, 10, 20, 50, 100, 250, 500, 1000, 1400)  # of people, for which a card says how alike strangers look
_LEAST_BEYOND = 3  # pairs that must reach a threshold


class Benchmark:
    """The model to measure, and what is done about photos without a face: `centre` takes the place where the data
    set's photos show it, `skip` leaves their pairs out, `wrong` counts these as errors."""

    def __init__(
        self,
        model: str | None,
        detector: str | None,
        device: Device,
        on_missing: OnMissing,
        *,
        precision: Precision = "auto",
        on_start: Callable[[int], None] = lambda photos: None,
        on_photo: Callable[[], None] = lambda: None,
        note: Note = lambda text: None,
    ) -> None:
        """`on_start` hears how many photos there are. Raises ModelError for an unknown model, FaceSearchError for a
        device that is not there."""
        card = embedder_card(model or default_embedder())
        finder = detector_card(detector or card.detector)
        self._model = Model(card, finder, device_of(card, device), precision)
        self._on_missing: OnMissing = on_missing
        self._on_start, self._on_photo, self._note = on_start, on_photo, note

    def lfw_view2(self, found: lfw.Lfw, pairs: Pairs) -> Report:
        """The official pairs of LFW, in their ten folds."""
        return self._pairs("view2", f"LFW, {found.variant}", pairs, lfw.EXPECTED_FACE)

    def lfw_random(self, found: lfw.Lfw, seed: int) -> Report:
        """10,000 pairs drawn at random, twice as many of two people as of one, in folds that share nobody."""
        photos, people = lfw.everyone(found.images)
        pairs = random_pairs(photos, people, seed)
        return self._pairs("random", f"LFW, {found.variant}, seed {seed}", pairs, lfw.EXPECTED_FACE)

    def lfw_identify(self, found: lfw.Lfw) -> Report:
        """Everyone's first photo is enrolled, all others are asked about; in the open set nobody with one photo is
        enrolled, and those are asked about too. Raises FaceSearchError when nobody has two photos or nobody one."""
        photos, names = lfw.everyone(found.images)
        portraits = self._embed(photos, lfw.EXPECTED_FACE)
        started = time.perf_counter()
        keep = portraits.found if self._on_missing == "skip" else np.ones(len(photos), bool)
        _, people = np.unique(np.array(names)[keep], return_inverse=True)
        embeddings = portraits.embeddings[keep]
        if self._on_missing == "wrong":  # a zero is nobody's nearest, and equally far from all
            embeddings = embeddings * portraits.found[keep, None]
        enrolled, probes = enrol_first(people)
        several = np.bincount(people) > 1
        once = enrolled[~several[people[enrolled]]]
        if not len(probes) or not len(once):
            raise FaceSearchError(
                f"{found.images} must show people with several photos, and people with one, for identification."
            )
        return self._report(
            "identify",
            f"LFW, {found.variant}",
            lfw.EXPECTED_FACE,
            portraits,
            started,
            {},
            closed=closed_set(embeddings, people, enrolled, probes),
            opened=open_set(embeddings, people, np.setdiff1d(enrolled, once), probes, once),
            splits=self._splits(embeddings, people, enrolled, once),
        )

    def _splits(
        self, embeddings: Embeddings, people: NDArray[np.intp], enrolled: Rows, once: Rows
    ) -> tuple[Split, ...]:
        """By cosine, and by judged values where the model's card has the facts for them."""
        if len(once) < 2:
            return ()
        threshold = self._model.embedder.threshold
        ways = (None, threshold) if has_facts(threshold) else (None,)
        return tuple(split_halves(embeddings, people, enrolled, once, way) for way in ways)

    def lfw_strangers(self, found: lfw.Lfw, pairs: Pairs) -> Report:
        """The thresholds that a card may have: they come from the people whom the official pairs do not contain.
        Raises FaceSearchError when these are fewer than two."""
        photos, people_in = lfw.everyone(found.images)
        official = {people_names.of_folder(photo) for photo in pairs.photos}
        chosen = [(photo, name) for photo, name in zip(photos, people_in, strict=True) if name not in official]
        if len({name for _, name in chosen}) < 2:
            raise FaceSearchError(
                f"{found.images} has no people other than those of the official pairs; name the folder of all of "
                "LFW with --data."
            )
        portraits = self._embed([photo for photo, _ in chosen], lfw.EXPECTED_FACE)
        started = time.perf_counter()
        keep = portraits.found if self._on_missing == "skip" else np.ones(len(chosen), bool)
        _, people = np.unique(np.array([name for _, name in chosen])[keep], return_inverse=True)
        return self._report(
            "strangers",
            f"LFW, {found.variant}, people outside View 2",
            lfw.EXPECTED_FACE,
            portraits,
            started,
            {},
            strangers=_strangers(portraits.embeddings[keep], people),
        )

    def keep_threshold(self, report: Report) -> Path:
        """Writes the threshold at FAR 0.001 of a report on strangers into the model's card in the home; the file.
        Raises FaceSearchError when they were too few to tell, or the disk refuses it."""
        strangers = report.strangers
        similarity = strangers.thresholds[_CARD_FAR] if strangers else None
        if strangers is None or similarity is None:
            raise FaceSearchError("There are too few strangers for a threshold; measure it on all of LFW.")
        measured_on = f"{strangers.pairs:,} pairs of strangers: {strangers.people:,} people, {report.setup.images}"
        rarer = strangers.thresholds[_RARER_FAR]
        unit = round(rarer - similarity, 4) if rarer is not None else 0.0
        nearest = tuple((people, round(mean, 4)) for people, mean in strangers.nearest)
        limit = Threshold(round(similarity, 4), _CARD_FAR, measured_on, unit, nearest)
        return keep_card(msgspec.structs.replace(self._model.embedder, threshold=limit))

    def own_pairs(self, name: str, pairs: Pairs) -> Report:
        """The user's own pairs."""
        return self._pairs("pairs", name, pairs, own_pairs.EXPECTED_FACE)

    def yaleb(self, data: yaleb.YaleB, seed: int) -> Report:
        """10,000 random pairs within a subset of lights and as many across, and each person found again in every
        light from the most frontally lit photo."""
        portraits = self._embed(data.photos, yaleb.EXPECTED_FACE)
        started = time.perf_counter()
        subsets = data.subsets
        reports = {}
        for name, within in (("within lights", True), ("across lights", False)):

            def allowed(first: Rows, second: Rows, within: bool = within) -> NDArray[np.bool_]:
                return np.asarray((subsets[first] == subsets[second]) == within)

            pairs = random_pairs(data.photos, data.people, seed, allowed=allowed)
            reports[name] = self._compare(pairs, _rows_of(portraits, pairs.photos))
        lights = tuple(_light(portraits, data, number) for number in np.unique(subsets))
        images = f"cropped Extended Yale B, seed {seed}"
        return self._report("yaleb", images, yaleb.EXPECTED_FACE, portraits, started, reports, lights=lights)

    def _pairs(self, protocol: str, images: str, pairs: Pairs, expected: ExpectedFace) -> Report:
        portraits = self._embed(pairs.photos, expected)
        started = time.perf_counter()
        compared = {"all": self._compare(pairs, portraits)}
        return self._report(protocol, images, expected, portraits, started, compared)

    def _embed(self, photos: Sequence[str], expected: ExpectedFace) -> Portraits:
        self._on_start(len(photos))
        return embed_portraits(photos, self._model, expected, self._on_photo, self._note)

    def _compare(self, pairs: Pairs, portraits: Portraits) -> PairReport:
        rows = portraits.embeddings.astype(np.float64)
        similarities = np.clip(np.einsum("ij,ij->i", rows[pairs.first], rows[pairs.second]), -1, 1)
        lacking = ~(portraits.found[pairs.first] & portraits.found[pairs.second])
        skipped = 0
        if self._on_missing == "wrong":
            similarities = np.where(lacking, np.where(pairs.same, -1.0, 1.0), similarities)
        elif self._on_missing == "skip":
            skipped = int(lacking.sum())
            pairs, similarities = _without(pairs, lacking), similarities[~lacking]
            _refuse_one_kind(pairs.same)
        limit = self._model.embedder.threshold
        return PairReport(
            figures=verification(similarities, pairs.same, pairs.folds),
            skipped=skipped,
            at_card=_at_card(limit, similarities, pairs.same),
            compared=Compared(pairs, similarities, portraits.boxes),
        )

    def _report(
        self,
        protocol: str,
        images: str,
        expected: ExpectedFace,
        portraits: Portraits,
        started: float,
        pairs: dict[str, PairReport],
        closed: ClosedSet | None = None,
        opened: OpenSet | None = None,
        splits: tuple[Split, ...] = (),
        lights: tuple[Light, ...] = (),
        strangers: Strangers | None = None,
    ) -> Report:
        spent = time.perf_counter() - started
        seconds = portraits.seconds.as_dict()
        people = {person_of(photo) for photo in portraits.photos}
        return Report(
            protocol=protocol,
            setup=self._setup(images, expected),
            people=len(people),
            seen=len(people & trained_on(self._model.embedder.name)),
            photos=len(portraits.photos),
            missing=tuple(p for p, found in zip(portraits.photos, portraits.found, strict=True) if not found),
            computed=portraits.computed,
            seconds=seconds | {"figures": spent, "total": seconds["total"] + spent},
            pairs=pairs,
            closed=closed,
            opened=opened,
            splits=splits,
            lights=lights,
            strangers=strangers,
        )

    def _setup(self, images: str, expected: ExpectedFace) -> Setup:
        embedder, detector = self._model.embedder, self._model.detector
        found = f"{detector.name}, faces from {detector.min_face_px:g} pixels, the most central one"
        landmarks = "landmarks at one place in all photos" if expected.is_aligned else "five landmarks"
        mirrored = ", mean with the mirrored chip" if embedder.mirrored else ""
        return Setup(
            model=embedder.name,
            detector="none: the photos are cropped to the face" if expected.is_aligned else found,
            engine=engine_of(self._model),
            alignment=f"{landmarks}, brought to the card's template, {embedder.chip_px} pixels{mirrored}",
            images=images,
            on_missing=self._on_missing,
        )


def _at_card(limit: Threshold | None, similarities: Similarities, same: Same) -> AtThreshold | None:
    if limit is None:
        return None
    return AtThreshold(limit.similarity, *far_and_tar(similarities, same, limit.similarity))


def engine_of(model: Model) -> str:
    """The engine that embeds, with its version, and where."""
    if model.device == "gpu":
        return f"Keras {importlib.metadata.version('keras')}, GPU"
    if model.computes_in == "bfloat16":
        return f"OpenVINO {importlib.metadata.version('openvino')} in bfloat16, CPU"
    return f"ONNX Runtime {importlib.metadata.version('onnxruntime')}, CPU"


def _rows_of(portraits: Portraits, photos: Sequence[str]) -> Portraits:
    """The portraits of some of the photos."""
    row = {photo: i for i, photo in enumerate(portraits.photos)}
    rows = [row[photo] for photo in photos]
    return Portraits(
        tuple(photos),
        portraits.embeddings[rows],
        portraits.found[rows],
        portraits.boxes[rows],
        portraits.seconds,
        portraits.computed,
    )


def _without(pairs: Pairs, lacking: NDArray[np.bool_]) -> Pairs:
    keep = ~lacking
    folds = None if pairs.folds is None else pairs.folds[keep]
    groups = tuple(group for group, kept in zip(pairs.groups, keep, strict=True) if kept) if pairs.groups else ()
    return Pairs(pairs.photos, pairs.first[keep], pairs.second[keep], pairs.same[keep], folds, groups)


def _refuse_one_kind(same: Same) -> None:
    if same.all() or not same.any():
        raise FaceSearchError("Too few pairs have a face in both photos; run it without --on-missing skip.")


def _strangers(embeddings: Embeddings, people: NDArray[np.intp]) -> Strangers:
    """Of all pairs; similarities of 20,000 photos' pairs fill 1.6 GB, LFW's are 1,549."""
    first, second = np.triu_indices(len(people), 1)
    different = people[first] != people[second]
    similarities = (embeddings @ embeddings.T)[first[different], second[different]].astype(np.float64)
    count = len(similarities)
    return Strangers(
        people=len(np.unique(people)),
        photos=len(people),
        pairs=count,
        thresholds={
            far: float(np.quantile(similarities, 1 - far)) if count * far >= _LEAST_BEYOND else None for far in FARS
        },
        nearest=measured_nearness(embeddings[enrol_first(people)[0]], _NUMBERS),
    )


def _light(portraits: Portraits, data: yaleb.YaleB, number: int) -> Light:
    """The figures of one subset of lights."""
    _, people = np.unique(data.people, return_inverse=True)
    enrolled = data.enrolled()
    probes = np.setdiff1d(np.flatnonzero(data.subsets == number), enrolled)
    similarities = (portraits.embeddings[probes] @ portraits.embeddings[enrolled].T).astype(np.float64)
    same = people[probes][:, None] == people[enrolled]
    return Light(
        low=0 if number == 0 else yaleb.SUBSETS[number - 1],
        high=yaleb.SUBSETS[number],
        photos=len(probes),
        rank1=closed_set(portraits.embeddings, people, enrolled, probes).rank1,
        eer=verification(similarities.ravel(), same.ravel(), None).eer,
    )
