"""A training from folder to model: split the people, train, keep what came of it under its name."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from facesearch.cards import EmbedderCard, keep_card, model_cards
from facesearch.engines.keras import hide_gpu, import_keras
from facesearch.errors import FaceSearchError, UsageError
from facesearch.evaluation.leakage import keep_people
from facesearch.serving import Device, Note, choose_device, prepare
from facesearch.settings import model_dir
from facesearch.training.exam import Exam, held_out_exam, pairs_exam
from facesearch.training.people import People, find, split
from facesearch.training.start import NetworkName, Start, fresh, learned

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
    Raises UsageError for a name that is taken and for options that do not fit together, FaceSearchError for too few
    people, a loss that is no number or a disk that is full."""
    if asked.name in model_cards():
        raise UsageError(f"There is a model '{asked.name}' already; choose another name with --out.")
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
    keep_card(card)
    keep_people(asked.name, people.names)
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
    try:
        home.mkdir(parents=True, exist_ok=True)
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
        with suppress(OSError):  # what holds a checkpoint stays
            home.rmdir()
    (weights,) = card.weights
    digest = hashlib.sha256((home / weights.path).read_bytes()).hexdigest()
    return msgspec.structs.replace(card, weights=(msgspec.structs.replace(weights, sha256=digest),))
