"""A training from folder to model: split the people, train, keep what came of it under its name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from facesearch.cards import EmbedderCard, LandmarkAlignment, default_embedder, embedder_card, keep_card, model_cards
from facesearch.engines.keras import import_keras
from facesearch.errors import FaceSearchError, UsageError
from facesearch.serving import Note, prepare
from facesearch.settings import model_dir
from facesearch.training.people import find, split

if TYPE_CHECKING:
    from facesearch.training.loop import Epoch, Step


def train(
    folder: Path,
    name: str,
    *,
    plan: Mapping[str, Any],
    held_out: float,
    warped: bool,
    resume: bool,
    on_step: Callable[["Step"], None],
    on_epoch: Callable[["Epoch"], None],
    note: Note,
) -> EmbedderCard:
    """Trains a model and keeps it under its name; `plan` holds the fields of `loop.Plan`. Raises UsageError for a
    name that is taken, FaceSearchError for too few people, a loss that is no number or a disk that is full."""
    if name in model_cards():
        raise UsageError(f"There is a model '{name}' already; choose another name with --out.")
    people = find(folder)
    learned, others = split(people, held_out, int(plan["seed"]))
    alone = int((np.bincount(learned.who) < 2).sum())
    note(
        f"Training on {len(learned.photos):,} photos of {len(learned.names):,} people; {len(others.photos):,} of "
        f"{len(others.names):,} others are held out."
        + (f" {alone:,} people with one photo are negatives only." if alone else "")
    )
    import_keras()
    from facesearch.training.loop import Plan, Trainer

    home = model_dir(name)
    try:
        home.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(Plan(**plan), learned, others, home)
        if resume:
            note(f"Going on after {trainer.resume()} epochs.")
        trainer.run(on_step, on_epoch)
        card = trainer.finish(name, f"trained on {folder.name}", _template(trainer.chip_px) if warped else None)
    except OSError as error:
        raise FaceSearchError(
            f"{home} cannot be written ({error.strerror}); the last good checkpoint stays."
        ) from error
    card = msgspec.structs.replace(card, weights=(_with_digest(card, home),))
    keep_card(card)
    prepare([card], note)
    return card


def _with_digest(card: EmbedderCard, home: Path) -> Any:
    import hashlib

    (weights,) = card.weights
    return msgspec.structs.replace(weights, sha256=hashlib.sha256((home / weights.path).read_bytes()).hexdigest())


def _template(chip_px: int) -> LandmarkAlignment:
    """Where `align --warp` puts the landmarks, in chips of that size."""
    card = embedder_card(default_embedder())
    assert isinstance(card.alignment, LandmarkAlignment)
    scale = chip_px / card.chip_px
    templates = {
        detector: tuple((round(x * scale, 2), round(y * scale, 2)) for x, y in points)
        for detector, points in card.alignment.templates.items()
    }
    return LandmarkAlignment(templates=templates, weights=card.alignment.weights)
