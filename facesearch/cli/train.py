"""`facesearch train`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import completion, show
from facesearch.cli.options import Device
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.evaluation.metrics import Verification
    from facesearch.training.plan import Epoch, Step
    from facesearch.training.validation import ValidationSet


def train(
    folder: Annotated[
        Path, typer.Argument(help="Crops, in a folder for each person (see: align).", metavar="FOLDER")
    ],
    out: Annotated[str, typer.Option(help="The new model's name.", metavar="NAME")],
    init: Annotated[
        str | None,
        typer.Option(
            help="Start from this model's weights, such as dlib-resnet.",
            metavar="NAME",
            autocompletion=completion.embedders,
        ),
    ] = None,
    network: Annotated[
        Literal["resnet", "small", "facenet"] | None,
        typer.Option(
            help="A ResNet of 13 convolutions (the default), MobileFaceNet, or Inception-ResNet-v1: 2.5, 1 and 23 "
            "million weights."
        ),
    ] = None,
    dim: Annotated[int | None, typer.Option(help="Numbers of an embedding; by default 128.", min=8, max=1024)] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Side of a chip; by default 64, small 112, facenet 160.", metavar="PIXELS", min=48, max=320
        ),
    ] = None,
    recipe: Annotated[
        Literal["softmax-then-triplet", "triplet"] | None,
        typer.Option(
            help="Triplets alone converge poorly from scratch; most of the epochs by softmax help. With --init, "
            "triplet is the default."
        ),
    ] = None,
    miner: Annotated[
        Literal["semi-hard", "hard", "hard-within", "random"],
        typer.Option(help="How a triplet's negative is chosen; random prepares triplets in advance."),
    ] = "semi-hard",
    criterion: Annotated[
        Literal["margin", "symmetric"], typer.Option(help="The paper's loss, or that with both sides' negatives.")
    ] = "margin",
    margin: Annotated[float, typer.Option(help="In squared distance of unit vectors.", min=0, max=4)] = 0.2,
    memory: Annotated[
        int,
        typer.Option(
            help="Embeddings of earlier batches among which negatives are looked for.", min=0, max=1_000_000
        ),
    ] = 0,
    people: Annotated[
        int | None, typer.Option(help="People in a batch; by default 32, or all.", min=2, max=1_000)
    ] = None,
    per_person: Annotated[int, typer.Option(help="Photos of each.", min=2, max=1_000)] = 4,
    epochs: Annotated[
        int | None, typer.Option(help="How long to train; by default 60, with --init 5.", min=1, max=10_000)
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Batches in an epoch; by default as many as show each photo once, 50 at least.", min=1, max=1_000_000
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="After the first steps; it falls along a cosine. By default 0.002, with --init 0.00003.",
            min=0,
            max=10,
        ),
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of the people to evaluate on.", min=0, max=0.5)] = 0.1,
    eval_pairs: Annotated[
        Path | None,
        typer.Option(help="Evaluate on these pairs too: LFW's pairs.txt, or a CSV of crops (a,b,same)."),
    ] = None,
    eval_photos: Annotated[
        Path | None, typer.Option(help="Where the crops of LFW's pairs are; by default in FOLDER.", metavar="FOLDER")
    ] = None,
    pca: Annotated[
        int | None, typer.Option(help="Reduce embeddings to their principal components in the end.", min=2, max=1_024)
    ] = None,
    warped: Annotated[bool, typer.Option("--warped", help="The crops were made with align --warp.")] = False,
    seed: Annotated[int, typer.Option(min=limits.SEED.least, max=limits.SEED.most)] = 0,
    device: Device = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="auto takes 16 bits where the processor or the GPU is faster with them."),
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
) -> ExitCode:
    """Train an embedder on your own folders of people, with triplets.

    Each epoch ends with a checkpoint, and Ctrl-C leaves one too; people held out are evaluated now and then, and in
    the end. The result is a model that index, query, verify and bench take by its name."""
    from facesearch.training.plan import Plan
    from facesearch.training.run import Listeners, TrainingOptions
    from facesearch.training.run import train as run

    plan = Plan(
        recipe=recipe or ("triplet" if init else "softmax-then-triplet"),
        miner=miner,
        criterion=criterion,
        margin=margin,
        people=people or 0,
        per_person=per_person,
        epochs=epochs or (5 if init else 60),
        steps=steps or 0,
        learning_rate=learning_rate if learning_rate is not None else 3e-5 if init else 2e-3,
        seed=seed,
        memory=memory,
    )
    options = TrainingOptions(
        folder=folder,
        name=out,
        plan=plan,
        init=init,
        network=network,
        dim=dim,
        size=size,
        precision=precision,
        warped=warped,
        held_out=held_out,
        pairs=eval_pairs,
        pairs_photos=eval_photos,
        pca=pca,
        device=device,
        resume=resume,
    )
    lines = _Lines()
    card = run(options, Listeners(lines.on_pairs, lines.on_step, lines.on_epoch, show.note))
    threshold = f"{card.threshold.similarity:.3f}" if card.threshold else "not known: too few people were held out"
    show.say(f"{card.name} is ready; same person from: {threshold}.")
    for name, reached in card.accuracy.items():
        show.say(f"{name}: {reached}")
    return ExitCode.DONE


class _Lines:
    """Shows a training: one line on a terminal that changes with every step, and one that stays for each epoch."""

    def __init__(self) -> None:
        self._pairs, self._newest = "", ""
        self._training, self._evaluating = 0.0, 0.0  # seconds

    def on_pairs(self, pairs: "ValidationSet") -> None:
        """Remembers what the file of pairs is called, and warns where its people are trained on."""
        if pairs.seen:
            show.say(pairs.warning)
            show.flush()
        self._pairs = f"{pairs.name}{pairs.mark}"

    def on_step(self, step: "Step") -> None:
        """Shows the newest figures, on a terminal."""
        if sys.stderr.isatty():
            active = "" if step.active is None else f", {step.active:.0%} of triplets active"
            line = f"epoch {step.epoch}, step {step.number}: loss {step.loss:.3f}{active}{self._newest}"
            show.line(f"{line}, {step.images_per_second:.0f} images/s ")

    def on_epoch(self, epoch: "Epoch") -> None:
        """Shows the figures of an epoch."""
        if sys.stderr.isatty():
            show.line("")
        active = "" if epoch.active is None else f", {epoch.active:.0%} of triplets active"
        figures = _accuracy_text("people held out", epoch.held_out) + _accuracy_text(self._pairs, epoch.on_pairs)
        newest = next((each.accuracy for each in (epoch.on_pairs, epoch.held_out) if each and each.accuracy), None)
        self._newest = f", accuracy {newest.mean:.4f}" if newest else ""
        self._evaluating += epoch.evaluation_seconds
        self._training += epoch.training_seconds
        share = f", evaluation {self._evaluating / (self._training + self._evaluating):.1%} of the time"
        show.say(
            f"epoch {epoch.number} ({epoch.phase}): loss {epoch.loss:.3f}{active}{figures}; "
            f"{epoch.images_per_second:.0f} images/s{share if figures else ''}"
        )
        show.flush()


def _accuracy_text(name: str, found: "Verification | None") -> str:
    if found is None:
        return ""
    accuracy = f"accuracy {found.accuracy.mean:.4f} ± {found.accuracy.std:.4f}, " if found.accuracy else ""
    return f"; {name}: {accuracy}AUC {found.auc:.4f}"
