"""`bench people`: LFW's photos to an album, a protocol to a report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from facesearch.errors import FaceSearchError, ModelError, Note
from facesearch.evaluation import lfw, people
from facesearch.evaluation.album import album_of
from facesearch.evaluation.all_faces import AllFaces, embed_all_faces
from facesearch.evaluation.benchmark import engine_of
from facesearch.evaluation.fitted_bars import FittedBars, fit
from facesearch.evaluation.grouping_methods import Model as Similarities
from facesearch.evaluation.pairs import Pairs
from facesearch.evaluation.people import Grouping, PeopleReport, Protocol
from facesearch.evaluation.portraits import Model
from facesearch.models.card import Grouping as GroupingBars
from facesearch.models.cards import EmbedderCard, default_embedder, detector_card, embedder_card, keep_card
from facesearch.models.device import Device, Precision, device_of
from facesearch.people.grouping import Mode, facts_of


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who hears how far it is: how many photos there are to find faces in, each photo, and what groups now."""

    on_start: Callable[[int], None] = lambda photos: None
    on_photo: Callable[[], None] = lambda: None
    on_step: Callable[[str], None] = lambda step: None
    note: Note = lambda text: None


@dataclass(frozen=True, slots=True)
class PeopleBenchmark:
    """What was measured, and every choice that moves it: `computed` photos were not known from an earlier run, and
    `seconds` are those of the whole. `fitted` are a card's bars, where these were sought."""

    model: str
    engine: str
    detector: str
    images: str
    photos: int
    people: int
    computed: int
    seconds: float
    report: PeopleReport
    fitted: tuple[FittedBars, ...] = ()


def measure_people(
    found: lfw.Lfw,
    protocol: Protocol,
    modes: Sequence[Mode],
    model: tuple[str | None, str | None, Device, Precision],
    reporter: Reporter,
) -> PeopleBenchmark:
    """Groups LFW's faces by a model: its name, the detector's, the device, the precision. Raises ModelError where the
    model's card does not say what a similarity means."""
    started = time.perf_counter()
    used = _model(model)
    similarities = _similarities(used.embedder)
    photos, names = lfw.everyone(found.images)
    faces = _faces(photos, used, reporter)
    report = people.measure(protocol, album_of(faces, names), similarities, modes, reporter.on_step)
    return _measured(used, f"LFW, {found.variant}", names, faces, report, time.perf_counter() - started)


def fit_bars(
    found: lfw.Lfw, pairs: Pairs, model: tuple[str | None, str | None, Device, Precision], reporter: Reporter
) -> PeopleBenchmark:
    """Fits a card's bars on the photos that are not in the official pairs. Raises ModelError where the model's card
    has no threshold, FaceSearchError where nobody has two such photos."""
    started = time.perf_counter()
    used = _model(model)
    similarities = _similarities(used.embedder)
    everybody = zip(*lfw.everyone(found.images), strict=True)
    official = set(pairs.photos)
    chosen = [(photo, name) for photo, name in everybody if photo not in official]
    names = [name for _, name in chosen]
    if len(set(names)) == len(names):
        raise FaceSearchError(
            f"{found.images} has nobody with two photos that are not in the official pairs; give --data the "
            "folder of all of LFW."
        )
    faces = _faces([photo for photo, _ in chosen], used, reporter)
    album = album_of(faces, names)
    fitted = fit(album, similarities, reporter.on_step)
    lines = tuple(Grouping(f"facesearch, {each.mode}", None, each.words, each.figures, 0.0) for each in fitted)
    report = PeopleReport("bars", len(album), album.bystanders, lines)
    images = f"LFW, {found.variant}, photos outside View 2"
    return _measured(used, images, names, faces, report, time.perf_counter() - started, fitted)


def keep_bars(measured: PeopleBenchmark) -> Path:
    """Writes fitted bars into the model's card in the home; the file. Raises FaceSearchError when the disk refuses
    it."""
    bars = {each.mode: each.bars for each in measured.fitted}
    on = f"{measured.photos:,} photos of {measured.people:,} people, {measured.images}"
    grouping = GroupingBars(on, bars["careful"], bars["balanced"], bars["eager"])
    return keep_card(msgspec.structs.replace(embedder_card(measured.model), grouping=grouping))


def _model(model: tuple[str | None, str | None, Device, Precision]) -> Model:
    name, detector, device, precision = model
    card = embedder_card(name or default_embedder())
    return Model(card, detector_card(detector or card.detector), device_of(card, device), precision)


def _measured(
    model: Model,
    images: str,
    names: Sequence[str],
    faces: AllFaces,
    report: PeopleReport,
    seconds: float,
    fitted: tuple[FittedBars, ...] = (),
) -> PeopleBenchmark:
    return PeopleBenchmark(
        model=model.embedder.name,
        engine=engine_of(model),
        detector=f"{model.detector.name}, all faces from {model.detector.min_face_px:g} pixels",
        images=images,
        photos=len(names),
        people=len(set(names)),
        computed=faces.computed,
        seconds=seconds,
        report=report,
        fitted=fitted,
    )


def _similarities(card: EmbedderCard) -> Similarities:
    facts = facts_of(card)
    if card.threshold is None or facts is None:
        raise ModelError(
            f"The card of {card.name} does not say what its similarities mean; measure it with: facesearch bench lfw "
            f"--model {card.name} --protocol strangers --save."
        )
    return Similarities(card.threshold, facts)


def _faces(photos: Sequence[str], model: Model, reporter: Reporter) -> AllFaces:
    if len(photos) < 2:
        raise FaceSearchError("People cannot be told apart in one photo; give --data the folder of all of LFW.")
    reporter.on_start(len(photos))
    return embed_all_faces(photos, model, lfw.EXPECTED_FACE, reporter.on_photo, reporter.note)
