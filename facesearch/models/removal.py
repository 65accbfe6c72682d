"""Removing a model: what of it lies in the home, and nothing else."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.files import PART, printable
from facesearch.home import home, model_dir
from facesearch.models.card import CHECKPOINT, PEOPLE, valid_model_name
from facesearch.models.cards import broken_cards, card_path, model_cards, shipped_cards
from facesearch.models.export import is_export

GalleriesWith = Callable[[str], Sequence[str]]

_OF_TRAINING = (CHECKPOINT, PEOPLE, "weights.npz", "curves.csv", "curves.png", "events")


@dataclass(frozen=True, slots=True)
class Belongings:
    """What of a model lies in the home: its card, and what facesearch put into its folder. `strange` is what it did
    not, `is_training` says that a training's checkpoint is among it, `is_shipped` that a card of facesearch's own
    stays."""

    name: str
    files: tuple[Path, ...]
    strange: tuple[Path, ...]
    is_training: bool
    is_shipped: bool


def belongings(name: str, galleries_with: GalleriesWith) -> Belongings:
    """What `remove` would delete. `galleries_with` names the galleries that need a model. Raises ModelError when
    nothing of such a model lies in the home, and while a gallery needs it."""
    try:
        valid_model_name(name)
    except UsageError as error:
        raise ModelError(str(error)) from error
    card, folder = card_path(name), model_dir(name)
    if not os.path.lexists(card) and not os.path.lexists(folder):
        raise ModelError(_nothing(name))
    _refuse_needed(name, galleries_with(name))
    known, strange = _contents(name, folder)
    is_training = any(path.name == CHECKPOINT for path in known)
    is_shipped = any(each.name == name for each in shipped_cards())
    files = (card, *known) if os.path.lexists(card) else known
    return Belongings(name, files, strange, is_training, is_shipped)


def remove(name: str, galleries_with: GalleriesWith, training_too: bool = False) -> Belongings:
    """Deletes a model's card, weights and ONNX files from the home; what else lies in its folder stays. Raises
    UsageError for a folder with a training's checkpoint, unless `training_too`; ModelError as `belongings`
    does, FaceSearchError when the disk refuses it."""
    found = belongings(name, galleries_with)
    if found.is_training and not training_too:
        raise UsageError(f"{model_dir(name)} holds the checkpoint of a training; --yes removes that too.")
    try:
        for path in found.files:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        folder = model_dir(name)
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise FaceSearchError(f"{error.filename} cannot be removed: {error.strerror}.") from error
    return found


def _refuse_needed(name: str, galleries: Sequence[str]) -> None:
    if galleries:
        raise ModelError(
            f"'{name}' is needed by {', '.join(map(printable, galleries))}; change that first (facesearch "
            "migrate or galleries delete), or keep the model."
        )


def _nothing(name: str) -> str:
    if name in model_cards():
        return f"'{name}' comes with facesearch, and nothing of it lies in {home() / 'models'}."
    own = {card.name for card in model_cards().values() if card_path(card.name).exists()}
    known = ", ".join(sorted(own | {broken.path.stem for broken in broken_cards()})) or "none"
    return f"There is no model '{name}' in {home() / 'models'}. Available: {known}."


def _contents(name: str, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """What facesearch put into a model's folder, and what it did not. A link is itself the thing that goes."""
    if folder.is_symlink() or not folder.is_dir():
        return ((folder,) if os.path.lexists(folder) else ()), ()
    card = model_cards().get(name)
    weights = {each.path for each in card.weights} if card else set()
    known: list[Path] = []
    strange: list[Path] = []
    for path in sorted(folder.iterdir()):
        is_ours = path.name in (*weights, *_OF_TRAINING, "digests.json") or path.name.endswith(PART)
        (known if is_ours or is_export(path) else strange).append(path)
    return tuple(known), tuple(strange)
