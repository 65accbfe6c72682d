"""`facesearch models`."""

from pathlib import Path
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
        # A figure means nothing without its test, and less when its people were trained on.
        accuracy = "; ".join(f"{reached} ({test})" for test, reached in card["accuracy"].items()) or "-"
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


def add_model(
    file: Annotated[
        Path, typer.Argument(help="A .pb, .h5, .keras, .weights.h5, .onnx or .dat file.", metavar="FILE")
    ],
    name: Annotated[str | None, typer.Option(help="What the model shall be called.")] = None,
    card: Annotated[Path | None, typer.Option(help="What is known of it.", metavar="CARD.toml")] = None,
) -> int:
    """Take a model from a file: a released FaceNet, any ONNX embedder, a YuNet, a dlib network.

    Only arrays and ONNX graphs are taken; nothing else in the file is ever run."""
    from facesearch.acquire import add

    added = add(file, name, card, show.note)
    show.say(f"{added.name} is ready: {added.title}.")
    return 0


def pull_model(
    name: Annotated[str, typer.Argument(help="A model's name.")],
    source: Annotated[
        str | None, typer.Option("--from", help="A mirror, or a file that is there.", metavar="URL|FILE")
    ] = None,
) -> int:
    """Download a model's weights. What was interrupted goes on from there."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from facesearch.acquire import pull

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Downloading {name}", total=None)
        pulled = pull(name, source, lambda done, total: bar.update(task, completed=done, total=total), show.note)
    show.say(f"{pulled.name} is ready: {pulled.title}.")
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
    from facesearch.serving import how_to_get, is_prepared, weights_path

    if any(weights_path(weights, card.name) is None for weights in card.weights):
        return f"no: {how_to_get(card)}"
    return "yes" if is_prepared(card) else "on first use"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_text(inner) for inner in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
