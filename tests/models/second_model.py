"""A second model with real weights and other embeddings, for what happens between two models."""

import msgspec

from facesearch.models.cards import embedder_card, keep_card

NAME = "unmirrored"


def keep_second_model() -> str:
    """Adds the default model, without the mirrored chip, to the home under a name of its own; that name."""
    card = embedder_card("dlib-resnet")
    keep_card(
        msgspec.structs.replace(card, name=NAME, title="Without the mirrored chip", mirrored=False, default=False)
    )
    return NAME
