"""The loop: steps on batches of people, an evaluation after each epoch, checkpoints to go on from."""

import importlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import msgspec
import numpy as np
from keras import ops
from numpy.typing import NDArray

from facesearch.arrays import Chips, Embeddings
from facesearch.errors import FaceSearchError, ModelError
from facesearch.evaluation.metrics import Verification
from facesearch.models.card import CHECKPOINT
from facesearch.models.cards import EmbedderCard
from facesearch.models.engines.keras import precision
from facesearch.models.networks.reduction import reduced, reduction, width
from facesearch.models.networks.standardisation import keras_standardised
from facesearch.models.weights import tensors
from facesearch.training.curves import Curves
from facesearch.training.initial_network import Start
from facesearch.training.losses import CosineHead, CosineMarginLoss, Criterion, Miner, TripletLoss, active_share
from facesearch.training.people import Batches, People, load_chips
from facesearch.training.validation import Exam, figures, stranger_threshold

RecipeName = Literal["triplet", "softmax-then-triplet"]

_EMBEDDED_AT_ONCE = 64
_MAY_CHANGE = ("epochs", "learning_rate")  # when a training goes on
_WEIGHT_DECAY = 5e-4  # of the softmax phase, where a large head remembers everybody


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train; a checkpoint fits only the plan that it was written under. `mixed` computes in 16 bits what
    stands that."""

    recipe: RecipeName
    miner: Miner
    criterion: Criterion
    margin: float
    people: int
    per_person: int
    epochs: int
    steps: int
    learning_rate: float
    seed: int
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to. `active` is the share of triplets that still violate the margin, None under softmax;
    `held_out` are the figures on the people held out, `on_pairs` those on the file of pairs; None where there is no
    such."""

    number: int
    phase: str
    loss: float
    active: float | None
    learning_rate: float
    images_per_second: float
    training_seconds: float
    evaluation_seconds: float
    held_out: Verification | None = None
    on_pairs: Verification | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The newest step of an epoch."""

    epoch: int
    number: int
    loss: float
    active: float | None
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Exams:
    """What each epoch ends with: the people held out, their pairs, and the pairs of a file."""

    people: People
    held_out: Exam | None = None
    on_pairs: Exam | None = None


class Trainer:
    """Trains one network. `folder` keeps the checkpoint, the curves and in the end the weights."""

    def __init__(self, start: Start, plan: Plan, data: People, exams: Exams, folder: Path) -> None:
        """Raises ModelError when the weights to start from are not those of the network."""
        self._card, self._plan, self._data, self._exams, self._folder = start.card, plan, data, exams, folder
        self._network = importlib.import_module(f"facesearch.models.networks.{start.card.network}")
        keras.utils.set_random_seed(plan.seed)
        with precision(plan.mixed):
            arrays = start.weights if isinstance(start.weights, dict) else {}
            core = self._network.network(width(arrays, start.card.dim), start.card.chip_px)
            chips = keras.Input((start.card.chip_px, start.card.chip_px, 3), dtype="uint8", name="chips")
            self._embedder = keras.Model(chips, core(keras_standardised(chips, start.card)))
        if start.weights is not None:
            self._network.set_tensors(core, start.weights)
        self._core = core
        self._history: list[Epoch] = []
        self._curves = Curves(folder, exams.on_pairs.name + exams.on_pairs.mark if exams.on_pairs else "")
        self._resumed: dict[str, NDArray[Any]] | None = None

    def resume(self) -> int:
        """Goes on from the checkpoint in the folder; how many epochs it holds. Raises ModelError when there is none,
        or one of another plan."""
        path = self._folder / CHECKPOINT
        if not path.is_file():
            raise ModelError(f"There is no checkpoint in {self._folder}; leave --resume out.")
        with np.load(path, allow_pickle=False) as file:
            told = json.loads(str(file["plan"]))
            mine = self._told()
            other = [name for name in mine if name not in _MAY_CHANGE and told.get(name) != mine[name]]
            if other:
                raise ModelError(
                    f"The checkpoint was written with {other[0]} {told.get(other[0])}, not {mine[other[0]]}; give "
                    "the same options, or train without --resume."
                )
            for i, weight in enumerate(self._core.weights):
                weight.assign(file[f"core_{i}"])
            self._resumed = {name: np.asarray(file[name]) for name in file.files}
            self._history = [Epoch(**row) for row in json.loads(str(file["history"]))]
        return len(self._history)

    def run(
        self,
        on_step: Callable[[Step], None] = lambda step: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> list[Epoch]:
        """Trains to the end of the plan; an interruption leaves a checkpoint. Raises FaceSearchError when the loss is
        no number any more: the checkpoint is then the last good one."""
        trained: Any = None
        stream: Iterator[tuple[Chips, NDArray[np.intp]]] = iter(())
        phase = ""
        for number in range(len(self._history), self._plan.epochs):
            if self._phase_of(number) != phase:
                phase = self._phase_of(number)
                trained, stream = self._compiled(phase), self._stream(phase)
                self._restore(trained, phase)
            try:
                epoch = self._epoch(number, phase, trained, stream, on_step)
            except KeyboardInterrupt:
                self._save(trained, phase)
                raise
            self._history.append(epoch)
            self._save(trained, phase)
            self._curves.add(epoch)
            on_epoch(epoch)
        return self._history

    def finish(self, name: str, title: str, dim: int | None) -> EmbedderCard:
        """The card of what was trained; its weights are in the folder. Embeddings are reduced to `dim` numbers where
        that is not None. Raises ModelError when they cannot be, OSError when the disk refuses the weights."""
        found: dict[str, NDArray[np.float32]] = self._network.get_tensors(self._core)
        if dim is not None:
            found |= reduction(self._embedded(self._data.photos), dim)
        tensors.write(self._folder / "weights.npz", found)

        def embed(photos: Sequence[str]) -> Embeddings:
            return reduced(self._embedded(photos), found)

        reached = {
            f"{exam.name}{exam.mark}": _summed_up(figures(exam, embed))
            for exam in (self._exams.held_out, self._exams.on_pairs)
            if exam
        }
        return msgspec.structs.replace(
            self._card,
            name=name,
            title=title,
            training=f"{len(self._data.photos):,} photos of {len(self._data.names):,} people; {self._plan.recipe}, "
            f"{self._plan.miner} triplets",
            dim=dim or int(self._core.output.shape[-1]),
            threshold=stranger_threshold(self._exams.people, embed),
            accuracy=reached,
        )

    def _told(self) -> dict[str, Any]:
        """The plan, and what it is carried out on."""
        card = self._card
        return asdict(self._plan) | {"network": card.network, "dim": card.dim, "size": card.chip_px}

    def _stream(self, phase: str) -> Iterator[tuple[Chips, NDArray[np.intp]]]:
        plan = self._plan
        prepared = plan.steps if phase == "triplet" and plan.miner == "random" else 0
        seed = plan.seed + len(self._history)
        return iter(Batches(self._data, plan.people, plan.per_person, self._card.chip_px, seed, prepared))

    def _phase_of(self, epoch: int) -> str:
        softmax = self._plan.recipe == "softmax-then-triplet" and epoch < (self._plan.epochs + 1) // 2
        return "softmax" if softmax else "triplet"

    def _compiled(self, phase: str) -> Any:
        """The model of a phase, from chips to what its loss takes."""
        with precision(self._plan.mixed):
            if phase == "triplet":
                model = keras.Model(self._embedder.input, self._embedder.output)
                choice = (self._plan.miner, self._plan.margin, self._plan.criterion)
                optimizer = keras.optimizers.Adam(self._plan.learning_rate)
                model.compile(optimizer, TripletLoss(*choice), metrics=[active_share(*choice)])
            else:
                cosines = CosineHead(len(self._data.names), dtype="float32")(self._embedder.output)
                model = keras.Model(self._embedder.input, cosines)
                optimizer = keras.optimizers.AdamW(self._plan.learning_rate, weight_decay=_WEIGHT_DECAY)
                model.compile(optimizer, CosineMarginLoss())
        model.optimizer.build(model.trainable_variables)
        return model

    def _epoch(
        self,
        number: int,
        phase: str,
        model: Any,
        stream: Iterator[tuple[Chips, NDArray[np.intp]]],
        on_step: Callable[[Step], None],
    ) -> Epoch:
        started = time.perf_counter()
        losses, active = [], []
        images = 0
        for step in range(self._plan.steps):
            model.optimizer.learning_rate.assign(self._rate(number * self._plan.steps + step))
            chips, who = next(stream)
            logs = model.train_on_batch(chips, who.astype(np.int32), return_dict=True)
            # The metrics of train_on_batch are those of this batch alone only after a reset.
            model.reset_metrics()
            loss = float(logs["loss"])
            if not math.isfinite(loss):
                raise FaceSearchError(
                    f"The loss is no number any more in epoch {number + 1}, step {step + 1}; lower --learning-rate "
                    f"({self._plan.learning_rate:g}) and go on with --resume from the last good checkpoint."
                )
            losses.append(loss)
            if "active" in logs:
                active.append(float(logs["active"]))
            images += len(chips)
            rate = images / (time.perf_counter() - started)
            on_step(Step(number + 1, step + 1, loss, active[-1] if active else None, rate))
        trained = time.perf_counter()
        held_out, on_pairs = self._tried(self._exams.held_out), self._tried(self._exams.on_pairs)
        return Epoch(
            number=number + 1,
            phase=phase,
            loss=float(np.mean(losses)),
            active=float(np.mean(active)) if active else None,
            learning_rate=self._rate(number * self._plan.steps),
            images_per_second=images / (trained - started),
            training_seconds=trained - started,
            evaluation_seconds=time.perf_counter() - trained,
            held_out=held_out,
            on_pairs=on_pairs,
        )

    def _tried(self, exam: Exam | None) -> Verification | None:
        return figures(exam, self._embedded) if exam else None

    def _rate(self, step: int) -> float:
        """From the given rate down to a hundredth of it, along a cosine."""
        done = step / max(self._plan.epochs * self._plan.steps, 1)
        return self._plan.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    def _embedded(self, photos: Sequence[str]) -> Embeddings:
        """Crops as embeddings, (n, dim) of unit length."""
        rows = [
            np.asarray(self._embedder.predict_on_batch(part[start : start + _EMBEDDED_AT_ONCE]), np.float32)
            for part in load_chips(photos, self._card.chip_px)
            for start in range(0, len(part), _EMBEDDED_AT_ONCE)
        ]
        every = np.concatenate(rows)
        return np.asarray(every / np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12), np.float32)

    def _save(self, model: Any, phase: str) -> None:
        arrays: dict[str, Any] = {f"core_{i}": ops.convert_to_numpy(w) for i, w in enumerate(self._core.weights)}
        arrays |= {f"optimizer_{i}": ops.convert_to_numpy(w) for i, w in enumerate(model.optimizer.variables)}
        head = model.layers[-1]
        if isinstance(head, CosineHead):
            arrays["head"] = ops.convert_to_numpy(head.centres)
        history = [asdict(epoch) | {"held_out": None, "on_pairs": None} for epoch in self._history]
        arrays |= {"plan": json.dumps(self._told()), "history": json.dumps(history), "phase": phase}
        tensors.write(self._folder / CHECKPOINT, arrays)

    def _restore(self, model: Any, phase: str) -> None:
        """What a checkpoint holds beyond the network, where it was written in this phase."""
        saved, self._resumed = self._resumed, None
        if saved is None or str(saved["phase"]) != phase:
            return
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(saved[f"optimizer_{i}"])
        head = model.layers[-1]
        if isinstance(head, CosineHead):
            head.centres.assign(saved["head"])


def _summed_up(found: Verification) -> str:
    if found.accuracy:
        return f"{found.accuracy.mean:.4f} ± {found.accuracy.std:.4f}"
    return f"AUC {found.auc:.4f}, EER {found.eer:.4f}"
