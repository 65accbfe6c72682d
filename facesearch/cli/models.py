"""`facesearch models`."""

from typing import Annotated, Any

import typer

from facesearch.cli import show
from facesearch.cli.options import Json


def list_models(json: Json = False) -> int:
    """List the models: kind, licence, size of the embedding, accuracy, source, whether they are ready."""
    from facesearch.cards import model_cards

    cards = [_facts(card) for card in model_cards().values()]
    if json:
        show.as_json(cards)
        return 0
    rows = show.table("model", "kind", "dim", "licence", "accuracy", "source", "ready", right=["dim"])
    for card in cards:
        accuracy = "; ".join(card["accuracy"].values()) or "-"
        rows.add_row(
            card["name"],
            card["kind"],
            str(card["dim"] or "-"),
            card["licence"],
            accuracy,
            card["source"],
            card["ready"],
        )
    show.console().print(rows)
    return 0


def show_model(name: Annotated[str, typer.Argument(help="A model's name.")], json: Json = False) -> int:
    """Show all that is known of a model."""
    import msgspec

    from facesearch.cards import model_cards
    from facesearch.errors import ModelError

    cards = model_cards()
    if name not in cards:
        raise ModelError(f"There is no model named '{name}'; there is {', '.join(sorted(cards))}.")
    facts = _facts(cards[name]) | msgspec.to_builtins(cards[name])
    if json:
        show.as_json(facts)
    else:
        show.facts(
            (key.replace("_", " "), _text(value)) for key, value in facts.items() if value not in ("", {}, None)
        )
    return 0


def _facts(card: Any) -> dict[str, Any]:
    from facesearch.cards import EmbedderCard

    is_embedder = isinstance(card, EmbedderCard)
    return {
        "name": card.name,
        "kind": "embedder" if is_embedder else "detector",
        "dim": card.dim if is_embedder else None,
        "licence": card.licence,
        "accuracy": card.accuracy if is_embedder else {},
        "source": card.source,
        "ready": _readiness(card),
    }


def _readiness(card: Any) -> str:
    from facesearch.serving import is_prepared, weights_path

    if any(weights_path(weights) is None for weights in card.weights):
        return "no: weights missing"
    return "yes" if is_prepared(card) else "on first use"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_text(inner) for inner in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
