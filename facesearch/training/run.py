"""A training from folder to model: split the people, train, keep what came of it under its name."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from facesearch.errors import FaceSearchError, ModelError, Note, UsageError
from facesearch.evaluation.leakage import keep_people
from facesearch.files import sha256_of
from facesearch.home import model_dir, private_folder
from facesearch.models.card import CHECKPOINT, valid_model_name
from facesearch.models.cards import EmbedderCard, card_path, keep_card, model_cards
from facesearch.models.device import Device, choose_device
from facesearch.models.engines.keras import hide_gpu, import_keras
from facesearch.models.export import prepare
from facesearch.training.initial_network import NetworkName, Start, fresh, learned
from facesearch.training.people import People, find, split
from facesearch.training.validation import Exam, held_out_exam, pairs_exam

if TYPE_CHECKING:
    from facesearch.training.loop import Epoch, Exams, Step


@dataclass(frozen=True, slots=True)
class Asked:
    """What to train on what. None is the usual value; `plan` holds the fields of `loop.Plan` but for `mixed`. `pca`
    is how many numbers the embeddings are reduced to in the end; `pairs` is a file of pairs to try every epoch on,
    whose crops are in `pairs_photos`."""

    folder: Path
    name: str
    plan: Mapping[str, Any]
    init: str | None = None
    network: NetworkName | None = None
    dim: int | None = None
    size: int | None = None
    warped: bool = False
    held_out: float = 0.1
    pairs: Path | None = None
    pairs_photos: Path | None = None
    pca: int | None = None
    device: Device = "auto"
    resume: bool = False


def train(
    asked: Asked,
    on_exam: Callable[[Exam], None],
    on_step: Callable[["Step"], None],
    on_epoch: Callable[["Epoch"], None],
    note: Note,
) -> EmbedderCard:
    """Trains a model and keeps it under its name; `on_exam` hears of the file of pairs before anything is trained.
    Raises UsageError for a name that is taken, for a folder that holds anything and for options that do not fit
    together, FaceSearchError for too few people, a loss that is no number or a disk that is full. The
    KeyboardInterrupt of an interruption says what is kept."""
    _refuse_taken(asked)
    try:
        return _carried_out(asked, on_exam, on_step, on_epoch, note)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_what_is_kept(asked.name)) from None


def _refuse_taken(asked: Asked) -> None:
    """A training never writes over what is there: another model, a checkpoint, or what somebody put there."""
    name = valid_model_name(asked.name)
    if name in model_cards() or os.path.lexists(card_path(name)):
        raise UsageError(f"There is a model '{name}' already; choose another name with --out.")
    folder = model_dir(name)
    has_checkpoint = (folder / CHECKPOINT).is_file()
    if asked.resume:
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
        return (
            f"Interrupted; the model '{name}' is trained and kept, and the first command that takes it prepares it."
        )
    folder = model_dir(name)
    if (folder / CHECKPOINT).is_file():
        return f"Interrupted; the checkpoint is in {folder}, and the same command with --resume goes on from there."
    return "Interrupted; nothing is kept yet, and the same command starts anew."


def _carried_out(
    asked: Asked,
    on_exam: Callable[[Exam], None],
    on_step: Callable[["Step"], None],
    on_epoch: Callable[["Epoch"], None],
    note: Note,
) -> EmbedderCard:
    start = _start(asked)
    if asked.pca is not None and asked.pca >= start.card.dim:
        raise UsageError(f"--pca {asked.pca} must be less than the {start.card.dim} numbers of an embedding.")
    people, others = split(find(asked.folder), asked.held_out, int(asked.plan["seed"]))
    on_pairs = None
    if asked.pairs:
        on_pairs = pairs_exam(asked.pairs, asked.pairs_photos or asked.folder, people)
        on_exam(on_pairs)
    _say(start, people, others, note)
    device = choose_device(asked.device)
    if device == "cpu":
        hide_gpu()
    import_keras()
    from facesearch.training.loop import Exams

    exams = Exams(others, held_out_exam(others), on_pairs)
    card = _trained(asked, start, people, exams, device == "gpu", on_step, on_epoch, note)
    try:
        keep_people(asked.name, people.names)
    except OSError as error:
        raise FaceSearchError(f"{model_dir(asked.name)} cannot be written: {error.strerror}.") from error
    keep_card(card)
    prepare([card], note)
    return card


def _start(asked: Asked) -> Start:
    if asked.init is None:
        return fresh(asked.network, asked.dim, asked.size, asked.warped)
    told = [name for name in ("network", "dim", "size", "warped") if getattr(asked, name)]
    if told:
        raise UsageError(f"--{told[0]} is settled by --init {asked.init}; leave it out.")
    return learned(asked.init)


def _say(start: Start, people: People, others: People, note: Note) -> None:
    alone = int((np.bincount(people.who) < 2).sum())
    note(
        f"Training on {len(people.photos):,} photos of {len(people.names):,} people; {len(others.photos):,} of "
        f"{len(others.names):,} others are held out."
        + (f" {alone:,} people with one photo are negatives only." if alone else "")
    )
    note(f"The crops are taken as cut with: {start.crops}.")


def _trained(
    asked: Asked,
    start: Start,
    people: People,
    exams: "Exams",
    mixed: bool,
    on_step: Callable[["Step"], None],
    on_epoch: Callable[["Epoch"], None],
    note: Note,
) -> EmbedderCard:
    from facesearch.training.loop import Plan, Trainer

    home = model_dir(asked.name)
    was_there = home.exists()
    try:
        private_folder(home)
        trainer = Trainer(start, Plan(**asked.plan, mixed=mixed), people, exams, home)
        if asked.resume:
            note(f"Going on after {trainer.resume()} epochs.")
        trainer.run(on_step, on_epoch)
        card = trainer.finish(asked.name, f"trained on {asked.folder.name}", asked.pca)
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
