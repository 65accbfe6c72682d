"""`facesearch train`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch.cli import show

if TYPE_CHECKING:
    from facesearch.training.loop import Epoch, Step


def train(
    folder: Annotated[Path, typer.Argument(help="Crops, in a folder for each person (see: align).", metavar="DIR")],
    out: Annotated[str, typer.Option(help="The new model's name.", metavar="NAME")],
    network: Annotated[
        Literal["small", "facenet"], typer.Option(help="About 1 or 23 million weights; 112 or 160 pixels.")
    ] = "small",
    dim: Annotated[int, typer.Option(help="Numbers of an embedding.", min=8, max=1024)] = 128,
    recipe: Annotated[
        Literal["softmax-then-triplet", "triplet"],
        typer.Option(help="Triplets alone converge poorly from scratch; half of the epochs by softmax help."),
    ] = "softmax-then-triplet",
    miner: Annotated[
        Literal["semi-hard", "hard", "hard-within", "random"],
        typer.Option(help="How a triplet's negative is chosen."),
    ] = "semi-hard",
    criterion: Annotated[
        Literal["margin", "symmetric"], typer.Option(help="The paper's loss, or that with both sides' negatives.")
    ] = "margin",
    margin: Annotated[float, typer.Option(help="In squared distance of unit vectors.", min=0, max=4)] = 0.2,
    people: Annotated[int, typer.Option(help="People in a batch.", min=2)] = 20,
    per_person: Annotated[int, typer.Option(help="Photos of each.", min=2)] = 4,
    epochs: Annotated[int, typer.Option(min=1)] = 20,
    steps: Annotated[int, typer.Option(help="Batches in an epoch.", min=1)] = 200,
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls along a cosine.", min=0)] = 1e-3,
    held_out: Annotated[float, typer.Option(help="Share of the people to evaluate on.", min=0, max=0.5)] = 0.1,
    warped: Annotated[bool, typer.Option("--warped", help="The crops were made with align --warp.")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
) -> int:
    """Train an embedder on your own folders of people, with triplets.

    Each epoch ends with an evaluation on people held out, and a checkpoint; Ctrl-C leaves one too. The result is a
    model that index, query, verify and bench take by its name."""
    from facesearch.training.run import train as run

    line = _Line()
    # Every option is part of the plan, which a checkpoint must fit.
    card = run(
        folder,
        out,
        resume=resume,
        held_out=held_out,
        warped=warped,
        plan={
            "network": network,
            "dim": dim,
            "recipe": recipe,
            "miner": miner,
            "criterion": criterion,
            "margin": margin,
            "people": people,
            "per_person": per_person,
            "epochs": epochs,
            "steps": steps,
            "learning_rate": learning_rate,
            "seed": seed,
        },
        on_step=line.step,
        on_epoch=line.epoch,
        note=show.note,
    )
    limit = f"{card.threshold.similarity:.3f}" if card.threshold else "not known: too few people were held out"
    print(f"{card.name} is ready; same person from: {limit}.")
    return 0


class _Line:
    """One line that lives on a terminal, and one that stays for each epoch."""

    def step(self, step: "Step") -> None:
        """The newest figures."""
        if sys.stderr.isatty():
            active = "" if step.active is None else f", {step.active:.0%} of triplets active"
            line = f"epoch {step.epoch}, step {step.number}: loss {step.loss:.3f}{active}"
            print(f"\r{line}, {step.images_per_second:.0f} images/s \033[K", end="", file=sys.stderr, flush=True)

    def epoch(self, epoch: "Epoch") -> None:
        """What the epoch came to."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        active = "" if epoch.active is None else f", {epoch.active:.0%} of triplets active"
        figures = epoch.held_out
        held_out = ""
        if figures and figures.accuracy:
            accuracy = figures.accuracy
            held_out = f"; people held out: accuracy {accuracy.mean:.4f} ± {accuracy.std:.4f}, AUC {figures.auc:.4f}"
        total = epoch.training_seconds + epoch.evaluation_seconds
        share = f"evaluation {epoch.evaluation_seconds / total:.0%} of the time"
        print(
            f"epoch {epoch.number} ({epoch.phase}): loss {epoch.loss:.3f}{active}{held_out}; "
            f"{epoch.images_per_second:.0f} images/s, {share}",
            flush=True,
        )
