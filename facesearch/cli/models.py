"""`facesearch models`."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from facesearch.cli import show
from facesearch.cli.options import Json, ModelArgument, Yes
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode


def list_models(json: Json = False) -> ExitCode:
    """List the models: kind, numbers of an embedding, accuracy, licence, whether they are ready.

    Exit code 6 when a card in the home is broken; the others are listed all the same."""
    from facesearch.files import printable
    from facesearch.models.cards import broken_cards, model_cards

    cards = [_facts(card) for _, card in sorted(model_cards().items())]
    broken = broken_cards()
    for each in broken:
        show.warn(str(each.error))
    if json:
        show.as_json(cards)
        return ExitCode.MODEL if broken else ExitCode.DONE
    rows = show.table("model", "kind", "dim", "LFW", "licence", "ready", right=["dim"])
    for card in cards:
        facts = (card["name"], card["kind"], str(card["dim"] or "-"), _on_lfw(card), _licence(card), _means(card))
        rows.add_row(*map(printable, facts))
    show.console().print(rows)
    show.note(
        "LFW: accuracy measured here; in brackets what its makers publish, not tried.\n"
        "pull, add: how to get it. * and all else: facesearch models show NAME"
    )
    return ExitCode.MODEL if broken else ExitCode.DONE


def _on_lfw(card: dict[str, Any]) -> str:
    """The accuracy on LFW, without its deviation; in brackets where it is only published, with a star where the
    model was trained on the same people."""
    figures = {test: reached.split()[0] for test, reached in card["accuracy"].items() if test.startswith("LFW")}
    measured = [
        f"{reached}*" if "train = test" in test else reached
        for test, reached in figures.items()
        if not test.endswith(", published")
    ]
    return (measured or [f"({reached})" for reached in figures.values()] or ["-"])[0]


def _licence(card: dict[str, Any]) -> str:
    licence: str = card["licence"]
    name = re.split(r" \(|; ", licence)[0]
    return name if name == licence else f"{name}*"


def _means(card: dict[str, Any]) -> str:
    """Whether the model is ready, else the command that gets it."""
    ready: str = card["ready"]
    if ready.startswith("no"):
        return next((verb for verb in ("pull", "add") if f" models {verb} " in ready), "no")
    return ready.removeprefix("on ")


def show_model(name: ModelArgument, json: Json = False) -> ExitCode:
    """Show all that is known of a model."""
    import msgspec

    from facesearch.files import printable
    from facesearch.models.cards import model_card

    card = model_card(name)
    facts = _facts(card) | msgspec.to_builtins(card)
    if json:
        show.as_json(facts)
    else:
        known = ((key, _text(value)) for key, value in facts.items() if value not in ("", {}, None))
        show.facts((key.replace("_", " "), printable(text)) for key, text in known)
    return ExitCode.DONE


def add_model(
    file: Annotated[
        Path, typer.Argument(help="A .pb, .h5, .keras, .weights.h5, .onnx, .dat or .xml file.", metavar="FILE")
    ],
    name: Annotated[str | None, typer.Option(help="The new model's name.", metavar="NAME")] = None,
    card: Annotated[Path | None, typer.Option(help="What is known of it.", metavar="FILE.toml")] = None,
) -> ExitCode:
    """Take a model from a file: a released FaceNet, any ONNX embedder, a YuNet, a dlib network, an OpenVINO embedder.

    Only arrays and ONNX graphs are taken; nothing else in the file is ever run. It is opened, and tried on a face, in
    a process of its own with limits of memory and time."""
    from facesearch.models.adding import add

    added = add(file, name, card, show.note)
    return _ready(added)


def pull_model(
    name: ModelArgument,
    source: Annotated[
        str | None, typer.Option("--from", help="A mirror, or a file that is there.", metavar="URL|FILE")
    ] = None,
) -> ExitCode:
    """Download a model's weights. What was interrupted goes on from there."""
    from facesearch.models.adding import pull

    with Progress() as progress:
        progress.begin(f"Downloading {name}", detail="MB")
        pulled = pull(name, source, lambda done, total: _show_megabytes(progress, done, total), progress.note)
    return _ready(pulled)


def _show_megabytes(progress: Progress, done: int, total: int | None) -> None:
    progress.update(done=done // 1_000_000, total=total and round(total / 1e6))


def remove_model(
    name: ModelArgument,
    yes: Yes = False,
) -> ExitCode:
    """Remove a model's card, weights, exports and a training's checkpoint from the home. What comes with facesearch
    stays.

    A model is not removed while a gallery needs it."""
    from facesearch.errors import UsageError
    from facesearch.gallery.migration.models_in_use import galleries_with
    from facesearch.models.removal import belongings, remove

    found = belongings(name, galleries_with)
    tell = show.note if yes else show.warn
    for path in found.files:
        tell(f"to remove: {path}")
    if found.is_training:
        tell("Its checkpoint, from which a training could go on, is removed too.")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"There is no terminal on which to ask whether '{name}' may be removed; give --yes.")
        if not typer.confirm(f"Remove {name}?", err=True):
            raise UsageError(f"'{name}' stays.")
    remove(name, galleries_with, training_too=True)
    for path in found.strange:
        show.note(f"{path} stays: facesearch did not make it.")
    if found.is_shipped:
        show.note(f"The card of '{name}' that came with facesearch stays.")
    show.say(f"{name} is removed.")
    return ExitCode.DONE


def _ready(card: Any) -> ExitCode:

    show.say(f"{card.name} is ready: {card.title}.")
    return ExitCode.DONE


def _facts(card: Any) -> dict[str, Any]:
    from facesearch.models.cards import EmbedderCard

    is_embedder = isinstance(card, EmbedderCard)
    return {
        "name": card.name,
        "kind": "embedder" if is_embedder else "detector",
        "dim": card.dim if is_embedder else None,
        "licence": card.licence,
        "accuracy": card.accuracy if is_embedder else {},
        "source": card.source,
        "tried": card.tried,
        "ready": _readiness(card),
    }


def _readiness(card: Any) -> str:
    from facesearch.models.export import is_prepared
    from facesearch.models.weight_files import how_to_get, weights_path

    if any(weights_path(weights, card.name) is None for weights in card.weights):
        return f"no: {how_to_get(card)}"
    return "yes" if is_prepared(card) else "on first use"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(_text(inner) for inner in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
