"""`bench people`: LFW's photos to an album, a protocol to a report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facesearch.errors import FaceSearchError, ModelError, Note
from facesearch.evaluation import lfw, people
from facesearch.evaluation.album import album_of
from facesearch.evaluation.all_faces import AllFaces, embed_all_faces
from facesearch.evaluation.benchmark import engine_of
from facesearch.evaluation.grouping_methods import Model as Similarities
from facesearch.evaluation.people import PeopleReport, Protocol
from facesearch.evaluation.portraits import Model
from facesearch.models.cards import EmbedderCard, default_embedder, detector_card, embedder_card
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
    `seconds` are those of the whole."""

    model: str
    engine: str
    detector: str
    images: str
    photos: int
    people: int
    computed: int
    seconds: float
    report: PeopleReport


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
    name, detector, device, precision = model
    card = embedder_card(name or default_embedder())
    similarities = _similarities(card)
    used = Model(card, detector_card(detector or card.detector), device_of(card, device), precision)
    photos, names = lfw.everyone(found.images)
    faces = _faces(photos, used, reporter)
    report = people.measure(protocol, album_of(faces, names), similarities, modes, reporter.on_step)
    return PeopleBenchmark(
        model=card.name,
        engine=engine_of(used),
        detector=f"{used.detector.name}, all faces from {used.detector.min_face_px:g} pixels",
        images=f"LFW, {found.variant}",
        photos=len(photos),
        people=len(set(names)),
        computed=faces.computed,
        seconds=time.perf_counter() - started,
        report=report,
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
