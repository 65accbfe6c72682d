"""Facts about models and index types: TOML in, checked and frozen records out.

A card is looked for in the user's home first and then among those that facesearch ships, so a file with the
same name in the home replaces a shipped one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec

from facesearch.errors import FaceSearchError, ModelError
from facesearch.settings import home


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every card must obey: an unknown key is an error, so that a typing mistake is never ignored."""


class Weights(Card, frozen=True, forbid_unknown_fields=True):
    """A file of weights: inside an installed package, or else in the model's folder under the home. `format` names
    the reader in `facesearch.weights` (`onnx` is no weights but a whole graph). `url` is where `models pull` gets the
    file from; `sha256` is unknown of a file that everybody brings along."""

    path: str
    format: Literal["dlib_dat", "joblib_list", "tensors", "onnx"]
    package: str = ""
    sha256: str = ""
    url: str = ""


class Threshold(Card, frozen=True, forbid_unknown_fields=True):
    """The similarity from which two faces count as one person, and the share of pairs of strangers (`far`)
    that reach it, as measured on `measured_on`."""

    similarity: float
    far: float
    measured_on: str


class LandmarkAlignment(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="landmarks"):
    """Chips by landmarks: by the detector's name, where its landmarks fall in a chip, in pixels. `weights` say how
    much each landmark counts for that."""

    templates: dict[str, tuple[tuple[float, float], ...]]
    weights: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)


class BoxAlignment(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="box"):
    """Chips by boxes, as the original FaceNet's: the box widened by half of `margin` pixels of the photo on each
    side, cut at the photo's edge, stretched to the chip."""

    margin: float


class DetectorCard(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="detector"):
    """Facts about a face detector. Confidences and overlaps are in 0..1: of MTCNN one threshold after each of its
    networks, and the most overlap in a P-Net level, between levels, after R-Net and after O-Net; of YuNet one
    each. A photo whose longest side is above `max_side` is looked at in that size (0: always as it is), and
    `min_face_px` are pixels of what is looked at."""

    name: str
    title: str
    network: Literal["mtcnn", "yunet"]
    licence: str
    source: str
    weights: tuple[Weights, ...]
    min_face_px: float
    thresholds: tuple[float, ...]
    overlaps: tuple[float, ...]
    max_side: int = 0
    scale_factor: float = 0.709
    paper: str = ""


class EmbedderCard(Card, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="embedder"):
    """Facts about an embedding network: chips of chip_px x chip_px pixels in, `dim` numbers out. A pixel enters it as
    (x - mean) / scale, or where it is `whitened` by the chip's own mean and deviation, in the order `channels`.
    `threshold` is None until it was measured; `accuracy` is by the name of the test."""

    name: str
    title: str
    network: Literal["dlib_resnet", "facenet", "small", "onnx_graph"]
    licence: str
    source: str
    weights: tuple[Weights]
    dim: int
    chip_px: int
    alignment: LandmarkAlignment | BoxAlignment
    detector: str = "mtcnn"
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    scale: float = 128.0
    whitened: bool = False
    channels: Literal["RGB", "BGR"] = "RGB"
    mirrored: bool = False
    threshold: Threshold | None = None
    training: str = ""
    accuracy: dict[str, str] = {}
    paper: str = ""
    default: bool = False


class IndexRecipe(Card, frozen=True, forbid_unknown_fields=True):
    """How an index is built and searched. `factory` is FAISS's own description, with `{lists}` for the number of
    clusters, `{dims}` for that of principal components (no more than the embeddings have numbers) and `{codes}` for
    half of those; `search` are FAISS's parameters; `candidates` are compared again (0: what is found is exact);
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
    search: dict[str, int] = {}


ModelCard: TypeAlias = DetectorCard | EmbedderCard
_T = TypeVar("_T", DetectorCard, EmbedderCard)


def shipped(folder: Literal["models", "indexes"]) -> Path:
    """The folder of cards that came with facesearch: inside the package, or beside it in a checkout."""
    package = Path(__file__).parent
    return package / folder if (package / folder).is_dir() else package.parent / folder


def model_cards() -> dict[str, ModelCard]:
    """All cards by name, the user's own before the shipped ones. Raises ModelError for a broken card."""
    return {card.name: card for card in every_card()}


def detector_card(name: str) -> DetectorCard:
    """The card of a detector. Raises ModelError when there is none of that name."""
    return _card_of(DetectorCard, name)


def embedder_card(name: str) -> EmbedderCard:
    """The card of an embedder. Raises ModelError when there is none of that name."""
    return _card_of(EmbedderCard, name)


def default_embedder() -> str:
    """The name of the embedder that a new gallery takes."""
    return next(name for name, card in model_cards().items() if isinstance(card, EmbedderCard) and card.default)


def threshold_of(card: EmbedderCard) -> Threshold:
    """The card's threshold. Raises ModelError when none was measured yet."""
    if card.threshold is None:
        raise ModelError(
            f"From which similarity on two faces are one person is not known of '{card.name}'; measure it with: "
            f"facesearch bench lfw --protocol strangers --save --model {card.name} --data LFW."
        )
    return card.threshold


def decode_card(path: Path) -> ModelCard:
    """A card from any file. Raises ModelError for a broken one."""
    card: ModelCard = _decode(path, DetectorCard | EmbedderCard)  # type: ignore[arg-type]
    return card


def keep_card(card: ModelCard) -> Path:
    """Writes a card to the user's home, whole or not at all; the file. Raises FaceSearchError when the disk refuses
    it."""
    path = home() / "models" / f"{card.name}.toml"
    unfinished = path.with_suffix(".part")
    facts = {name: value for name, value in msgspec.to_builtins(card).items() if value is not None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(msgspec.toml.encode(facts))
        unfinished.replace(path)
    except OSError as error:
        raise FaceSearchError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def index_recipes(device: Literal["cpu", "gpu"] = "cpu") -> tuple[IndexRecipe, ...]:
    """The shipped recipes for a device, those for few faces first; of those for a GPU the most exact first."""
    every = [_decode(path, IndexRecipe) for path in sorted(shipped("indexes").glob("*.toml"))]
    recipes = [recipe for recipe in every if recipe.device == device]
    return tuple(sorted(recipes, key=lambda recipe: (recipe.up_to_faces or float("inf"), -recipe.bytes_a_number)))


def every_card() -> Iterator[ModelCard]:
    """The shipped cards, then the user's own. Raises ModelError for a broken one."""
    for folder in (shipped("models"), home() / "models"):
        for path in sorted(folder.glob("*.toml")):
            yield decode_card(path)


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
