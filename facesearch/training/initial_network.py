"""The network that a training starts from: a fresh one, or that of a model."""

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

NetworkName = Literal["resnet", "small", "facenet"]

TRAINABLE = ("resnet", "small", "facenet", "dlib_resnet")
# Depthwise convolutions have no fast form in 16 bits on a CPU.
FASTER_IN_BFLOAT16 = ("resnet", "facenet", "dlib_resnet")
_CHIP_PX = {"resnet": 64, "small": 112, "facenet": 160}
_LEAST_PX = {"resnet": 48, "small": 48, "facenet": 75}  # below, its last convolutions have no picture left
_DIM = 128
_MARGIN = 32  # pixels: the default of align


@dataclass(frozen=True, slots=True)
class InitialNetwork:
    """`card` says which network it is and how its chips are cut; `weights` are what the reader of the model's file
    returned, None for a fresh network."""

    card: EmbedderCard
    weights: Any = None

    @property
    def crops(self) -> str:
        """How the crops must have been made."""
        how = self.card.alignment
        if isinstance(how, BoxAlignment):
            return f"facesearch align --margin {how.margin:g}"
        return "facesearch align --warp"


def fresh(network: NetworkName | None, dim: int | None, chip_px: int | None, warped: bool) -> InitialNetwork:
    """A network with random weights. None stands for the default; `warped` says that the crops were made by
    landmarks. Raises UsageError for chips that are too small for the network."""
    chosen: NetworkName = network or "resnet"
    px = chip_px or _CHIP_PX[chosen]
    if px < _LEAST_PX[chosen]:
        raise UsageError(f"--size {px} is too small for --network {chosen}; take {_LEAST_PX[chosen]} or more.")
    return InitialNetwork(
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


def pretrained(name: str) -> InitialNetwork:
    """The network of a model. Raises ModelError for an unknown model, UsageError for one that cannot be trained."""
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
    return InitialNetwork(plain, weights)


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
