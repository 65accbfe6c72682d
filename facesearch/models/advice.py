"""Which model a growing gallery should take in place of the default."""

from facesearch.home import gallery_words
from facesearch.models.cards import EmbedderCard, default_embedder, model_cards
from facesearch.models.weight_files import how_to_get, weights_path


def advice(model: str, before: int, now: int, gallery: str) -> str:
    """A sentence about the model that is recommended to a gallery whose faces have grown from `before` to `now`,
    empty where that crosses no model's number, the model is there already, or the gallery is not of the default."""
    if model != default_embedder():
        return ""
    for card in model_cards().values():
        if isinstance(card, EmbedderCard) and card.advice and before <= card.advice.faces < now and _is_absent(card):
            which = gallery_words(gallery)
            return (
                f"Among so many faces {card.name} confuses fewer people: {card.advice.gain}; take it with: "
                f"{how_to_get(card)} && facesearch migrate --model {card.name}{which}."
            )
    return ""


def _is_absent(card: EmbedderCard) -> bool:
    return any(weights_path(weights, card.name) is None for weights in card.weights)
