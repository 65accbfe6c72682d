"""Cards of models and recipes of indexes: found, read from TOML, checked and kept.

A card is looked for in the user's home first and then among those that facesearch ships, so a file with the
same name in the home replaces a shipped one. A broken card in the home is reported where it is needed, and stops
nothing else."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from facesearch.errors import FaceSearchError, ModelError
from facesearch.files import printable, write_whole
from facesearch.home import home, private_folder
from facesearch.models.card import (
    BoxAlignment,
    Card,
    DetectorCard,
    EmbedderCard,
    Format,
    LandmarkAlignment,
    ModelCard,
    Threshold,
    Weights,
)

__all__ = [
    "BoxAlignment",
    "DetectorCard",
    "EmbedderCard",
    "Format",
    "IndexRecipe",
    "LandmarkAlignment",
    "ModelCard",
    "Threshold",
    "Weights",
]

_LARGEST = 1 << 18  # bytes: a card has some thousand


class IndexRecipe(Card, frozen=True, forbid_unknown_fields=True):
    """How an index is built and searched. `factory` is FAISS's own description, with `{lists}` for the number of
    clusters, `{dims}` for that of principal components (no more than the embeddings have numbers) and `{codes}` for
    half of those; `search` are FAISS's parameters; a search looks into the share `probed` of the clusters, and into
    no fewer than `search` says; `candidates` are compared again (0: what is found is exact);
    `up_to_faces` is None where there is no limit. On a GPU what counts is its memory: `bytes_a_number` for each
    number of an embedding."""

    name: str
    title: str
    factory: str
    device: Literal["cpu", "gpu"] = "cpu"
    bytes_a_number: float = 0.0
    up_to_faces: int | None = None
    lists_per_root: int = 0
    train_per_list: int = 0
    dims: int = 0
    candidates: int = 0
    probed: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    search: dict[str, int] = {}  # noqa: RUF012 (msgspec copies it)


_K = TypeVar("_K", DetectorCard, EmbedderCard)
_R = TypeVar("_R")
_WHAT = {
    DetectorCard: "finds faces and does not embed them",
    EmbedderCard: "embeds faces and does not find them",
}


@dataclass(frozen=True, slots=True)
class BrokenCard:
    """A card in the home that cannot be used. `names` are those that it may have been meant for."""

    path: Path
    names: frozenset[str]
    error: FaceSearchError


def shipped(folder: Literal["models", "indexes"]) -> Path:
    """The folder of cards that came with facesearch: inside the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / "shipped" / folder if (package / "shipped").is_dir() else package.parent / folder


def model_cards() -> dict[str, ModelCard]:
    """All cards by name, the user's own before the shipped ones; broken ones are left out."""
    return {card.name: card for card in every_card()}


def broken_cards() -> list[BrokenCard]:
    """The cards in the home that cannot be used."""
    return [found for found in _own_cards() if isinstance(found, BrokenCard)]


def model_card(name: str) -> ModelCard:
    """The card of a model. Raises ModelError when none has that name, or it is broken."""
    card: ModelCard = _needed(name, DetectorCard | EmbedderCard)  # type: ignore[arg-type]
    return card


def detector_card(name: str) -> DetectorCard:
    """The card of a detector. Raises ModelError when none has that name, or it is broken."""
    return _needed(name, DetectorCard)


def embedder_card(name: str) -> EmbedderCard:
    """The card of an embedder. Raises ModelError when none has that name, or it is broken."""
    return _needed(name, EmbedderCard)


def default_embedder() -> str:
    """The name of the embedder that a new gallery takes. A card in the home does not change it."""
    return next(card.name for card in shipped_cards() if isinstance(card, EmbedderCard) and card.default)


def threshold_of(card: EmbedderCard) -> Threshold:
    """The card's threshold. Raises ModelError when none was measured yet."""
    if card.threshold is None:
        raise ModelError(
            f"No threshold is known for '{card.name}'; measure it with: "
            f"facesearch bench lfw --protocol strangers --save --model {card.name} --data LFW."
        )
    return card.threshold


def decode_card(path: Path) -> ModelCard:
    """A card from any file. Raises ModelError that names what is wrong with it."""
    return _decoded(path, _facts_in(path))


def keep_card(card: ModelCard) -> Path:
    """Writes a card to the user's home, whole or not at all; the file. Raises FaceSearchError when the disk refuses
    it."""
    path = card_path(card.name)
    facts = {name: value for name, value in msgspec.to_builtins(card).items() if value is not None}
    if isinstance(card, EmbedderCard) and not card.whitened:
        facts |= {"mean": list(card.mean), "scale": card.scale}
    try:
        private_folder(path.parent)
        write_whole(path, msgspec.toml.encode(facts))
    except OSError as error:
        raise FaceSearchError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def card_path(name: str) -> Path:
    """Where the home keeps the card of a model."""
    return home() / "models" / f"{name}.toml"


def index_recipes(device: Literal["cpu", "gpu"] = "cpu") -> tuple[IndexRecipe, ...]:
    """The shipped recipes for a device, those for few faces first; of those for a GPU the most exact first."""
    every = [_converted(path, _facts_in(path), IndexRecipe) for path in sorted(shipped("indexes").glob("*.toml"))]
    recipes = [recipe for recipe in every if recipe.device == device]
    return tuple(sorted(recipes, key=lambda recipe: (recipe.up_to_faces or float("inf"), -recipe.bytes_a_number)))


def every_card() -> Iterator[ModelCard]:
    """The shipped cards, then the user's own; broken ones are left out."""
    yield from shipped_cards()
    yield from (found for found in _own_cards() if not isinstance(found, BrokenCard))


@cache
def shipped_cards() -> tuple[ModelCard, ...]:
    """The cards that came with facesearch. Raises ModelError for a broken one."""
    return tuple(decode_card(path) for path in sorted(shipped("models").glob("*.toml")))


def _own_cards() -> Iterator[ModelCard | BrokenCard]:
    """The cards in the home. One that is named as its file comes last, and counts where two have a name."""
    found = []
    for path in sorted((home() / "models").glob("*.toml")):
        facts: dict[str, Any] = {}
        try:
            facts = _facts_in(path)
            found.append((path, _decoded(path, facts, was_kept=True)))
        except FaceSearchError as error:
            names = frozenset({path.stem, str(facts.get("name", ""))})
            yield BrokenCard(path, names, error)
    yield from (card for _, card in sorted(found, key=lambda each: each[0].stem == each[1].name))


def _needed(name: str, kind: type[_R]) -> _R:
    """The card of that name and kind."""
    cards = {card.name: card for card in shipped_cards()}
    for own in _own_cards():
        if isinstance(own, BrokenCard):
            if name in own.names:
                raise own.error
        else:
            cards[own.name] = own
    card = cards.get(name)
    if isinstance(card, kind):
        return card
    known = ", ".join(sorted(card.name for card in cards.values() if isinstance(card, kind)))
    wrong = f"There is no model named '{printable(name)}'" if card is None else f"'{name}' {_WHAT[type(card)]}"
    raise ModelError(f"{wrong}. Available: {known}; see: facesearch models list.")


def _decoded(path: Path, facts: Mapping[str, Any], was_kept: bool = False) -> ModelCard:
    """The card that these facts make; `was_kept` tells that an earlier facesearch may have written them, which left
    out a mean and a scale that were the usual ones, and always knew the SHA-256."""
    card: ModelCard = _converted(path, facts, DetectorCard | EmbedderCard)  # type: ignore[arg-type]
    if isinstance(card, EmbedderCard) and not card.whitened and not (was_kept and card.weights[0].sha256):
        for fact in ("mean", "scale"):
            if fact not in facts:
                raise _wrong(path, f"`{fact}` is missing: a pixel enters the network as (x - mean) / scale")
    return card


def _facts_in(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():
            raise ModelError(f"The card {printable(str(path))} is not a file; name a file, or remove it.")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise FaceSearchError(f"The card {printable(str(path))} cannot be read: {error.strerror}.") from error
    if len(data) > _LARGEST:
        raise _wrong(path, f"it has more than {_LARGEST:,} bytes")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"it is not TOML: {error}") from error


def _converted(path: Path, facts: Mapping[str, Any], kind: type[_R]) -> _R:
    try:
        return msgspec.convert(facts, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _wrong(path, str(error)) from error


def _wrong(path: Path, what: str) -> ModelError:
    return ModelError(f"The card {printable(str(path))} is wrong: {printable(what)}; correct it or remove it.")
