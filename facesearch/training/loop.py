"""The loop: steps on batches of people, an evaluation after each epoch, checkpoints to go on from."""

import importlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips, Embeddings
from facesearch.errors import FaceSearchError
from facesearch.evaluation.metrics import Verification
from facesearch.models.card import CHECKPOINT
from facesearch.models.cards import EmbedderCard
from facesearch.models.engines.keras import precision
from facesearch.models.networks.reduction import reduced, reduction, width
from facesearch.models.networks.standardisation import keras_standardised
from facesearch.models.weights import tensors
from facesearch.training import checkpoint
from facesearch.training.checkpoint import Checkpoint
from facesearch.training.curves import Curves
from facesearch.training.initial_network import InitialNetwork
from facesearch.training.losses import CosineHead, CosineMarginLoss, TripletLoss, active_share
from facesearch.training.people import Batches, People, load_chips
from facesearch.training.plan import Epoch, Phase, Plan, Step, ValidationSets
from facesearch.training.validation import ValidationSet, figures, stranger_threshold

ChipStream: TypeAlias = Iterator[tuple[Chips, NDArray[np.intp]]]  # chips, and who is on each
OnStep: TypeAlias = Callable[[Step], None]
OnEpoch: TypeAlias = Callable[[Epoch], None]

_EMBEDDED_AT_ONCE = 64  # chips
_WEIGHT_DECAY = 5e-4  # CosFace's (Wang et al. 2018); in the softmax phase alone, whose large head remembers everybody
_LAST_RATE = 0.01  # of the learning rate is left in the end


class Trainer:
    """Trains one network. `folder` keeps the checkpoint, the curves and in the end the weights."""

    def __init__(self, initial: InitialNetwork, plan: Plan, data: People, sets: ValidationSets, folder: Path) -> None:
        """Raises ModelError when the weights to start from are not those of the network."""
        self._card, self._plan, self._data, self._sets, self._folder = initial.card, plan, data, sets, folder
        self._network = importlib.import_module(f"facesearch.models.networks.{initial.card.network}")
        keras.utils.set_random_seed(plan.seed)
        with precision(plan.mixed):
            arrays = initial.weights if isinstance(initial.weights, dict) else {}
            core = self._network.network(width(arrays, initial.card.dim), initial.card.chip_px)
            chips = keras.Input((initial.card.chip_px, initial.card.chip_px, 3), dtype="uint8", name="chips")
            self._embedder = keras.Model(chips, core(keras_standardised(chips, initial.card)))
        if initial.weights is not None:
            self._network.set_tensors(core, initial.weights)
        self._core = core
        self._history: list[Epoch] = []
        self._curves = Curves(folder, sets.on_pairs.name + sets.on_pairs.mark if sets.on_pairs else "")
        self._resumed: Checkpoint | None = None

    def resume(self) -> int:
        """Goes on from the checkpoint in the folder; how many epochs it holds. Raises ModelError when there is none,
        or one of another plan."""
        self._resumed = checkpoint.read(self._folder / CHECKPOINT, self._plan_facts())
        self._resumed.restore_network(self._core)
        self._history = self._resumed.history
        return len(self._history)

    def run(
        self,
        on_step: OnStep = lambda step: None,
        on_epoch: OnEpoch = lambda epoch: None,
    ) -> list[Epoch]:
        """Trains to the end of the plan; an interruption leaves a checkpoint. Raises FaceSearchError when the loss is
        no number any more: the checkpoint is then the last good one."""
        trained: Any = None
        stream: ChipStream = iter(())
        phase: Phase | None = None
        for number in range(len(self._history), self._plan.epochs):
            if self._plan.phase_of(number) != phase:
                phase = self._plan.phase_of(number)
                trained, stream = self._compiled(phase), self._stream(phase)
                if self._resumed is not None:
                    self._resumed.restore_phase(trained, phase)
                    self._resumed = None
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
            f"{each.name}{each.mark}": _text(figures(each, embed))
            for each in (self._sets.held_out, self._sets.on_pairs)
            if each
        }
        return msgspec.structs.replace(
            self._card,
            name=name,
            title=title,
            training=f"{len(self._data.photos):,} photos of {len(self._data.names):,} people; {self._plan.recipe}, "
            f"{self._plan.miner} triplets",
            dim=dim or int(self._core.output.shape[-1]),
            threshold=stranger_threshold(self._sets.people, embed),
            accuracy=reached,
        )

    def _plan_facts(self) -> dict[str, Any]:
        """The plan, and the network that it trains: what a checkpoint must agree with."""
        card = self._card
        return asdict(self._plan) | {"network": card.network, "dim": card.dim, "size": card.chip_px}

    def _stream(self, phase: Phase) -> ChipStream:
        plan = self._plan
        prepared = plan.steps if phase == "triplet" and plan.miner == "random" else 0
        seed = plan.seed + len(self._history)
        return iter(Batches(self._data, plan.people, plan.per_person, self._card.chip_px, seed, prepared))

    def _compiled(self, phase: Phase) -> Any:
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

    def _epoch(self, number: int, phase: Phase, model: Any, stream: ChipStream, on_step: OnStep) -> Epoch:
        started = time.perf_counter()
        losses: list[float] = []
        active: list[float] = []
        images = 0
        for step in range(self._plan.steps):
            model.optimizer.learning_rate.assign(self._rate(number * self._plan.steps + step))
            chips, who = next(stream)  # (n, chip_px, chip_px, 3), (n,)
            found = self._step(model, chips, who, f"epoch {number + 1}, step {step + 1}")
            losses.append(found["loss"])
            if "active" in found:
                active.append(found["active"])
            images += len(chips)
            rate = images / (time.perf_counter() - started)
            on_step(Step(number + 1, step + 1, losses[-1], active[-1] if active else None, rate))
        trained = time.perf_counter()
        held_out, on_pairs = self._evaluated(self._sets.held_out), self._evaluated(self._sets.on_pairs)
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

    def _step(self, model: Any, chips: Chips, who: NDArray[np.intp], where: str) -> dict[str, float]:
        """Trains on one batch; its loss, and the share of active triplets where there are any."""
        logs = model.train_on_batch(chips, who.astype(np.int32), return_dict=True)
        # The metrics of train_on_batch are those of this batch alone only after a reset.
        model.reset_metrics()
        found = {name: float(value) for name, value in logs.items()}
        if not math.isfinite(found["loss"]):
            raise FaceSearchError(
                f"The loss is not a number any more in {where}; lower --learning-rate ({self._plan.learning_rate:g}) "
                "and go on with --resume from the last good checkpoint."
            )
        return found

    def _evaluated(self, chosen: ValidationSet | None) -> Verification | None:
        return figures(chosen, self._embedded) if chosen else None

    def _rate(self, step: int) -> float:
        """The learning rate of a step: it falls to a hundredth along half a cosine (Loshchilov and Hutter 2017)."""
        done = step / max(self._plan.epochs * self._plan.steps, 1)  # 0..1
        return self._plan.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2)

    def _embedded(self, photos: Sequence[str]) -> Embeddings:
        """Crops as embeddings, (n, dim) of unit length."""
        rows = [
            np.asarray(self._embedder.predict_on_batch(part[start : start + _EMBEDDED_AT_ONCE]), np.float32)
            for part in load_chips(photos, self._card.chip_px)
            for start in range(0, len(part), _EMBEDDED_AT_ONCE)
        ]
        every = np.concatenate(rows)
        return np.asarray(every / np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12), np.float32)

    def _save(self, model: Any, phase: Phase) -> None:
        facts = self._plan_facts()
        checkpoint.write(self._folder / CHECKPOINT, self._core, model, facts, self._history, phase)


def _text(found: Verification) -> str:
    if found.accuracy:
        return f"{found.accuracy.mean:.4f} ± {found.accuracy.std:.4f}"
    return f"AUC {found.auc:.4f}, EER {found.eer:.4f}"
