"""`facesearch train`."""

import sys
from typing import TYPE_CHECKING

from facesearch.cli import show
from facesearch.cli.options import Device
from facesearch.cli.train_options import (
    Criterion,
    Dim,
    Epochs,
    EvalPairs,
    EvalPhotos,
    Folder,
    HeldOut,
    Init,
    LearningRate,
    Margin,
    Memory,
    Miner,
    Network,
    Out,
    Pca,
    People,
    PerPerson,
    Precision,
    Recipe,
    Resume,
    Seed,
    Size,
    Steps,
    Warped,
)
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.evaluation.metrics import Verification
    from facesearch.training.plan import Epoch, Step
    from facesearch.training.validation import ValidationSet


def train(
    folder: Folder,
    out: Out,
    init: Init = None,
    network: Network = None,
    dim: Dim = None,
    size: Size = None,
    recipe: Recipe = None,
    miner: Miner = "semi-hard",
    criterion: Criterion = "margin",
    margin: Margin = 0.2,
    memory: Memory = 0,
    people: People = None,
    per_person: PerPerson = 4,
    epochs: Epochs = None,
    steps: Steps = None,
    learning_rate: LearningRate = None,
    held_out: HeldOut = 0.1,
    eval_pairs: EvalPairs = None,
    eval_photos: EvalPhotos = None,
    pca: Pca = None,
    warped: Warped = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    resume: Resume = False,
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
    reached = f"{card.threshold.similarity:.3f}" if card.threshold else "not known, as too few people were held out"
    show.say(f"{card.name} is ready. The similarity from which two faces are the same person: {reached}.")
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
