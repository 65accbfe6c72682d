"""Facts about models and index types: TOML in, checked and frozen records out.

A card is looked for in the user's home first and then among those that facesearch ships, so a file with the
same name in the home replaces a shipped one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec

from facesearch.errors import FaceSearchError, ModelError
from facesearch.settings import home


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every card must obey: an unknown key is an error, so that a typing mistake is never ignored."""


class Weights(Card, frozen=True, forbid_unknown_fields=True):
    """A file of weights inside an installed package; `format` names the reader in `facesearch.weights`."""

    package: str
    path: str
    format: Literal["dlib_dat", "joblib_list"]
    sha256: str


class Threshold(Card, frozen=True, forbid_unknown_fields=True):
    """The similarity from which two faces count as one person, and the share of pairs of strangers (`far`)
    that reach it, as measured on `measured_on`."""

    similarity: float
    far: float
    measured_on: str


class DetectorCard(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="detector"):
    """Facts about a face detector of the MTCNN kind. Confidences and overlaps are in 0..1."""

    name: str
    title: str
    network: Literal["mtcnn"]
    licence: str
    source: str
    weights: tuple[Weights, Weights, Weights]
    min_face_px: float
    scale_factor: float
    thresholds: tuple[float, float, float]
    overlaps: tuple[float, float, float, float]
    paper: str = ""


class EmbedderCard(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="embedder"):
    """Facts about an embedding network: chips of chip_px x chip_px RGB pixels in, `dim` numbers out.
    `template` is where the landmarks of `detector` fall in a chip, `landmark_weights` how much each counts for that;
    `accuracy` is by the name of the test."""

    name: str
    title: str
    network: Literal["dlib_resnet"]
    licence: str
    source: str
    weights: tuple[Weights]
    dim: int
    chip_px: int
    mean: tuple[float, float, float]
    scale: float
    mirrored: bool
    detector: str
    template: tuple[tuple[float, float], ...]
    landmark_weights: tuple[float, float, float, float, float]
    threshold: Threshold
    accuracy: dict[str, str] = {}
    paper: str = ""
    default: bool = False


class IndexRecipe(Card, frozen=True, forbid_unknown_fields=True):
    """How an index is built and searched. `factory` is FAISS's own description, with `{lists}` for the number
    of clusters; `build` and `search` are FAISS's parameters; `up_to_faces` is None where there is no limit."""

    name: str
    title: str
    factory: str
    up_to_faces: int | None = None
    lists_per_root: int = 0
    train_per_list: int = 0
    build: dict[str, int] = {}
    search: dict[str, int] = {}
    rerank: int = 0


ModelCard: TypeAlias = DetectorCard | EmbedderCard
_T = TypeVar("_T", DetectorCard, EmbedderCard)


def shipped(folder: Literal["models", "indexes"]) -> Path:
    """The folder of cards that came with facesearch: inside the package, or beside it in a checkout."""
    package = Path(__file__).parent
    return package / folder if (package / folder).is_dir() else package.parent / folder


def model_cards() -> dict[str, ModelCard]:
    """All cards by name, the user's own before the shipped ones. Raises ModelError for a broken card."""
    return {card.name: card for card in _model_cards()}


def detector_card(name: str) -> DetectorCard:
    """The card of a detector. Raises ModelError when there is none of that name."""
    return _card_of(DetectorCard, name)


def embedder_card(name: str) -> EmbedderCard:
    """The card of an embedder. Raises ModelError when there is none of that name."""
    return _card_of(EmbedderCard, name)


def default_embedder() -> str:
    """The name of the embedder that a new gallery takes."""
    return next(name for name, card in model_cards().items() if isinstance(card, EmbedderCard) and card.default)


def index_recipes() -> tuple[IndexRecipe, ...]:
    """The shipped recipes, those for few faces first."""
    recipes = [_decode(path, IndexRecipe) for path in sorted(shipped("indexes").glob("*.toml"))]
    return tuple(sorted(recipes, key=lambda recipe: recipe.up_to_faces or float("inf")))


def _model_cards() -> Iterator[ModelCard]:
    for folder in (shipped("models"), home() / "models"):
        for path in sorted(folder.glob("*.toml")):
            yield _decode(path, DetectorCard | EmbedderCard)  # type: ignore[arg-type]


def _card_of(kind: type[_T], name: str) -> _T:
    cards = model_cards()
    card = cards.get(name)
    if isinstance(card, kind):
        return card
    known = ", ".join(sorted(card.name for card in cards.values() if isinstance(card, kind)))
    raise ModelError(f"There is no model named '{name}'; there is {known} (see: facesearch models list).")


_R = TypeVar("_R")


def _decode(path: Path, kind: type[_R]) -> _R:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise ModelError(f"The card {path} is wrong: {error}; mend it or remove it.") from error
    except OSError as error:
        raise FaceSearchError(f"The card {path} cannot be read: {error.strerror}.") from error
