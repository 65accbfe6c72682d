"""What a training starts from: a fresh network, or one that has learned already."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from facesearch.errors import UsageError
from facesearch.models.cards import (
    BoxAlignment,
    EmbedderCard,
    LandmarkAlignment,
    Weights,
    default_embedder,
    embedder_card,
    model_cards,
)
from facesearch.models.weight_files import read_weights

NetworkName = Literal["small", "facenet"]

TRAINABLE = ("small", "facenet", "dlib_resnet")
_CHIP_PX = {"small": 112, "facenet": 160}
_LEAST_PX = {"small": 48, "facenet": 75}  # below, its last convolutions have no picture left
_DIM = 128
_MARGIN = 32  # pixels: what align widens a box by unless it is told otherwise


@dataclass(frozen=True, slots=True)
class Start:
    """`card` says what the network is and how chips must enter it; `weights` are None for a fresh one, else what the
    reader of its file gave."""

    card: EmbedderCard
    weights: Any = None

    @property
    def crops(self) -> str:
        """How the crops must have been made."""
        how = self.card.alignment
        if isinstance(how, BoxAlignment):
            return f"facesearch align --margin {how.margin:g}"
        return "facesearch align --warp"


def fresh(network: NetworkName | None, dim: int | None, chip_px: int | None, warped: bool) -> Start:
    """A network that has learned nothing; None is the usual value. `warped` says that the crops were made by
    landmarks. Raises UsageError for chips that are too small for the network."""
    chosen: NetworkName = network or "small"
    px = chip_px or _CHIP_PX[chosen]
    if px < _LEAST_PX[chosen]:
        raise UsageError(f"--size {px} is too small for --network {chosen}; take {_LEAST_PX[chosen]} or more.")
    return Start(
        EmbedderCard(
            name="untrained",
            title="",
            network=chosen,
            licence="as that of the photos it was trained on",
            source="trained here",
            weights=(Weights(path="weights.npz", format="tensors"),),
            dim=dim or _DIM,
            chip_px=px,
            alignment=_template(px) if warped else BoxAlignment(margin=_MARGIN),
        )
    )


def learned(name: str) -> Start:
    """The network of a model. Raises ModelError when there is no such model, UsageError when it cannot be trained
    on."""
    card = embedder_card(name)
    if card.network not in TRAINABLE:
        known = [each.name for each in model_cards().values() if each.network in TRAINABLE]
        raise UsageError(
            f"'{name}' is a graph that runs as it is and cannot be trained; start from one of {', '.join(known)}."
        )
    (weights,) = read_weights(card)
    plain = msgspec.structs.replace(
        card,
        licence=f"as those of {name} and of the photos it was trained on",
        source=f"trained here from {name}",
        weights=(Weights(path="weights.npz", format="tensors"),),
        threshold=None,
        accuracy={},
        default=False,
    )
    return Start(plain, weights)


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
