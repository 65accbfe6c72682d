"""A training from folder to model: split the people, train, keep the result under its name."""

import dataclasses
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from facesearch import interruption
from facesearch.errors import FaceSearchError, ModelError, Note, UsageError
from facesearch.evaluation.leakage import keep_people
from facesearch.files import sha256_of
from facesearch.home import model_dir, private_folder
from facesearch.models.card import CHECKPOINT, valid_model_name
from facesearch.models.cards import EmbedderCard, card_path, keep_card, model_cards
from facesearch.models.device import Device, choose_device
from facesearch.models.engines.keras import Numbers, has_bfloat16, hide_gpu, import_keras
from facesearch.models.export import prepare
from facesearch.training.initial_network import FASTER_IN_BFLOAT16, InitialNetwork, NetworkName, fresh, pretrained
from facesearch.training.people import LEAST_PEOPLE, LEAST_PHOTOS, People, find, split
from facesearch.training.plan import Epoch, Plan, Step, ValidationSets
from facesearch.training.validation import ValidationSet, held_out_pairs, pairs_of_file

Precision = Literal["auto", "float32", "bfloat16"]

_PEOPLE = 32  # in a batch
_LEAST_STEPS = 50


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What to train on what; None stands for the default, as 0 does for the plan's people and steps. `pca` is how
    many numbers the embeddings are reduced to in the end; `pairs` is a file of pairs to evaluate on, whose crops are
    in `pairs_photos`."""

    folder: Path
    name: str
    plan: Plan
    init: str | None = None
    network: NetworkName | None = None
    dim: int | None = None
    size: int | None = None
    precision: Precision = "auto"
    warped: bool = False
    held_out: float = 0.1
    pairs: Path | None = None
    pairs_photos: Path | None = None
    pca: int | None = None
    device: Device = "auto"
    resume: bool = False


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Listeners:
    """What a training calls on its way: `on_pairs` with the file of pairs, before anything is trained."""

    on_pairs: Callable[[ValidationSet], None] = _ignore
    on_step: Callable[[Step], None] = _ignore
    on_epoch: Callable[[Epoch], None] = _ignore
    note: Note = _ignore


def train(options: TrainingOptions, listeners: Listeners) -> EmbedderCard:
    """Trains a model and keeps it under its name. Raises UsageError for a name that is taken, for a folder that is
    not empty and for options that do not fit together, FaceSearchError for too few people, for a loss that is not a
    number, for a full disk and where TensorFlow is not installed. The KeyboardInterrupt of an interruption says what
    is kept."""
    _refuse_taken(options)
    try:
        return _train(options, listeners)
    except BaseException as error:
        if not (isinstance(error, KeyboardInterrupt) or interruption.is_raised()):  # libraries make others of it
            raise
        raise KeyboardInterrupt(_what_is_kept(options.name)) from None


def _refuse_taken(options: TrainingOptions) -> None:
    """Raises where another model, a checkpoint or anything else is in the place of the new model."""
    name = valid_model_name(options.name)
    if name in model_cards() or os.path.lexists(card_path(name)):
        raise UsageError(f"There is a model '{name}' already; choose another name with --out.")
    folder = model_dir(name)
    has_checkpoint = (folder / CHECKPOINT).is_file()
    if options.resume:
        if not has_checkpoint:
            raise ModelError(f"There is no checkpoint in {folder}; leave --resume out.")
    elif has_checkpoint:
        raise UsageError(
            f"{folder} holds the checkpoint of a training; go on with it by --resume, or choose another name with "
            "--out."
        )
    elif os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"There is something in {folder} already; choose another name with --out.")


def _what_is_kept(name: str) -> str:
    if card_path(name).is_file():
        return f"Interrupted; the model '{name}' is trained and kept, and the first command that uses it prepares it."
    folder = model_dir(name)
    if (folder / CHECKPOINT).is_file():
        return f"Interrupted; the checkpoint is in {folder}, and the same command with --resume goes on from there."
    return "Interrupted; nothing is kept yet, and the same command starts again from the beginning."


def _train(options: TrainingOptions, listeners: Listeners) -> EmbedderCard:
    initial = _initial_network(options)
    if options.pca is not None and options.pca >= initial.card.dim:
        raise UsageError(f"--pca {options.pca} must be less than the {initial.card.dim} numbers of an embedding.")
    people, others = split(find(options.folder), options.held_out, options.plan.seed)
    on_pairs = None
    if options.pairs:
        on_pairs = pairs_of_file(options.pairs, options.pairs_photos or options.folder, people)
        listeners.on_pairs(on_pairs)
    _note_data(initial, people, others, listeners.note)
    device = choose_device(options.device)
    if device == "cpu":
        hide_gpu()
    import_keras()
    plan = _as_begun(options) if options.resume else options.plan
    numbers = _numbers(options.precision, device, initial.card.network, listeners.note)
    if options.resume and options.precision == "auto":
        numbers = plan.precision
    options = dataclasses.replace(options, plan=_completed(plan, people, numbers))
    sets = ValidationSets(others, held_out_pairs(others), on_pairs)
    card = _train_network(options, initial, people, sets, listeners)
    try:
        keep_people(options.name, people.names)
    except OSError as error:
        raise FaceSearchError(f"{model_dir(options.name)} cannot be written: {error.strerror}.") from error
    keep_card(card)
    prepare([card], listeners.note)
    return card


def _numbers(asked: Precision, device: Literal["cpu", "gpu"], network: str, note: Note) -> Numbers:
    """In which numbers to compute. A GPU takes float16 where nothing is said; a CPU bfloat16 where it has that and
    the network gains by it."""
    if asked == "auto":
        if device == "gpu":
            return "float16"
        return "bfloat16" if network in FASTER_IN_BFLOAT16 and has_bfloat16() else "float32"
    if asked == "bfloat16" and device == "cpu" and not has_bfloat16():
        note("This processor does not compute in bfloat16 itself, so that takes longer than --precision float32.")
    return asked


def _as_begun(options: TrainingOptions) -> Plan:
    """The plan with what is not said taken from the checkpoint. Raises ModelError when there is none."""
    from facesearch.training import checkpoint

    written = checkpoint.read(model_dir(options.name) / CHECKPOINT).plan
    plan = options.plan
    return dataclasses.replace(
        plan,
        people=plan.people or written.get("people", 0),
        steps=plan.steps or written.get("steps", 0),
        precision=written.get("precision", plan.precision),
    )


def _completed(plan: Plan, people: People, numbers: Numbers) -> Plan:
    """The plan with what depends on the photos: so many people in a batch as there are, where that is not said, and
    as many steps in an epoch as show each photo once, but not too few: an epoch ends with work of its own."""
    several = int((np.bincount(people.who) >= LEAST_PHOTOS).sum())
    batch = plan.people or max(LEAST_PEOPLE, min(_PEOPLE, several))
    steps = plan.steps or max(_LEAST_STEPS, -(-len(people.photos) // (batch * plan.per_person)))
    return dataclasses.replace(plan, people=batch, steps=steps, precision=numbers)


def _initial_network(options: TrainingOptions) -> InitialNetwork:
    if options.init is None:
        return fresh(options.network, options.dim, options.size, options.warped)
    given = [name for name in ("network", "dim", "size", "warped") if getattr(options, name)]
    if given:
        raise UsageError(f"--{given[0]} follows from --init {options.init}; leave it out.")
    return pretrained(options.init)


def _note_data(initial: InitialNetwork, people: People, others: People, note: Note) -> None:
    alone = int((np.bincount(people.who) < 2).sum())
    photos, names = len(others.photos), len(others.names)
    held_out = f"{photos:,} photos of {names:,} other{'s' * (names != 1)} are" if names else "nobody is"
    note(
        f"Training on {len(people.photos):,} photos of {len(people.names):,} people; {held_out} held out."
        + (f" {alone:,} people with one photo are negatives only." if alone else "")
    )
    note(f"The crops are taken as cut with: {initial.crops}.")


def _train_network(
    options: TrainingOptions, initial: InitialNetwork, people: People, sets: ValidationSets, listeners: Listeners
) -> EmbedderCard:
    from facesearch.training.loop import Trainer

    home = model_dir(options.name)
    was_there = home.exists()
    try:
        private_folder(home)
        trainer = Trainer(initial, options.plan, people, sets, home)
        if options.resume:
            listeners.note(f"Going on after {trainer.resume()} epochs.")
        trainer.run(listeners.on_step, listeners.on_epoch)
        card = trainer.finish(options.name, f"trained on {options.folder.name}", options.pca)
    except OSError as error:
        raise FaceSearchError(
            f"{home} cannot be written ({error.strerror}); the last good checkpoint stays."
        ) from error
    finally:
        if not was_there:
            with suppress(OSError):  # what holds a checkpoint stays
                home.rmdir()
    (weights,) = card.weights
    digest = sha256_of(home / weights.path)
    return msgspec.structs.replace(card, weights=(msgspec.structs.replace(weights, sha256=digest),))
