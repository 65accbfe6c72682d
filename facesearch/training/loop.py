"""The loop: steps on batches of people, evaluations between epochs, checkpoints to go on from."""

import hashlib
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

from facesearch import interruption
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
from facesearch.training.batches import Batch, Batches, Draw
from facesearch.training.checkpoint import Checkpoint
from facesearch.training.chips import ChipStore
from facesearch.training.curves import Curves
from facesearch.training.initial_network import InitialNetwork
from facesearch.training.losses import Choice, CosineHead, CosineMarginLoss, TripletModel
from facesearch.training.people import People
from facesearch.training.plan import Epoch, Phase, Plan, Step, ValidationSets
from facesearch.training.validation import ValidationSet, figures, stranger_threshold

OnStep: TypeAlias = Callable[[Step], None]
OnEpoch: TypeAlias = Callable[[Epoch], None]

_EMBEDDED_AT_ONCE = 256  # chips
# In the softmax phase alone, whose large head remembers everybody. AdamW multiplies it by the learning rate
# (Loshchilov and Hutter 2019), so it is weak.
_WEIGHT_DECAY = 5e-4
_MOST_BYTES = 500_000_000  # of the chips of a set that is evaluated; more are read anew each time
_EVALUATION_SHARE = 0.04  # of a training's time
_LEAST_SECONDS = 1e-6  # a clock may stand still
_EMBEDDING_COSTS = 1 / 4  # of training on the same photos, before it was measured


class Trainer:
    """Trains one network. `folder` keeps the checkpoint, the curves and in the end the weights."""

    def __init__(self, initial: InitialNetwork, plan: Plan, data: People, sets: ValidationSets, folder: Path) -> None:
        """Raises ModelError when the weights to start from are not those of the network, FaceSearchError when there
        are too few people for a batch."""
        self._card, self._plan, self._data, self._sets, self._folder = initial.card, plan, data, sets, folder
        self._network = importlib.import_module(f"facesearch.models.networks.{initial.card.network}")
        self._batches = Batches(data, plan.people, plan.per_person, initial.card.chip_px)
        keras.utils.set_random_seed(plan.seed)
        with precision(plan.precision):
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
        self._evaluations = _Evaluations(sets, initial.card.chip_px)
        self._is_stopped = False

    def resume(self) -> int:
        """Goes on from the checkpoint in the folder; how many epochs it holds. Raises ModelError when there is none,
        or one of another plan."""
        self._resumed = checkpoint.read_fitting(self._folder / CHECKPOINT, self._plan_facts())
        self._resumed.restore_network(self._core)
        self._history = self._resumed.history
        return len(self._history)

    def run(
        self,
        on_step: OnStep = lambda step: None,
        on_epoch: OnEpoch = lambda epoch: None,
    ) -> list[Epoch]:
        """Trains to the end of the plan; an interruption ends it between two steps and leaves a checkpoint. Raises
        FaceSearchError when the loss is no number any more: the checkpoint is then the last good one."""
        trained: Any = None
        stream: Iterator[Batch] = iter(())
        phase: Phase | None = None
        with interruption.orderly(self._stop):
            for number in range(len(self._history), self._plan.epochs):
                if self._phase(number) != phase:
                    phase = self._phase(number)
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
                self._curves.add(epoch, is_last=number + 1 == self._plan.epochs)
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
            f"{each.name}{each.mark}": _text(figures(each, reduced(rows, found)))
            for each, rows in self._evaluations.newest(self._embed_store)
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

    def _stop(self) -> None:
        self._is_stopped = True

    def _phase(self, number: int) -> Phase:
        """That of the plan; but softmax does not begin again where --epochs were added to a training in triplets."""
        begun = [each.phase for each in self._history[-1:]] + ([self._resumed.phase] if self._resumed else [])
        return "triplet" if "triplet" in begun else self._plan.phase_of(number)

    def _go_on(self) -> None:
        """Raises KeyboardInterrupt after an interruption: where a step of the work is done, and no library is in the
        midst of something."""
        if self._is_stopped:
            raise KeyboardInterrupt

    def _plan_facts(self) -> dict[str, Any]:
        """The plan, and the network that it trains: what a checkpoint must agree with."""
        card = self._card
        names = hashlib.sha256("\0".join(self._data.names).encode(errors="surrogateescape")).hexdigest()
        network = {"network": card.network, "dim": card.dim, "size": card.chip_px}
        return asdict(self._plan) | network | {checkpoint.PEOPLE: names}

    def _stream(self, phase: Phase) -> Iterator[Batch]:
        plan = self._plan
        draw: Draw = "photos" if phase == "softmax" else "triplets" if plan.miner == "random" else "people"
        return self._batches.drawn(draw, plan.seed + len(self._history), plan.steps)

    def _compiled(self, phase: Phase) -> Any:
        """The model of a phase, from chips to what its loss takes."""
        plan = self._plan
        with precision(plan.precision):
            if phase == "triplet":
                choice = Choice(plan.miner, plan.margin, plan.criterion)
                model = TripletModel(self._embedder, choice, 0 if plan.miner == "random" else plan.memory)
                model.compile(keras.optimizers.Adam(plan.learning_rate))
            else:
                cosines = CosineHead(len(self._data.names), dtype="float32")(self._embedder.output)
                model = keras.Model(self._embedder.input, cosines)
                optimizer = keras.optimizers.AdamW(plan.learning_rate, weight_decay=_WEIGHT_DECAY)
                model.compile(optimizer, CosineMarginLoss())
        model.optimizer.build(model.trainable_variables)
        return model

    def _epoch(self, number: int, phase: Phase, model: Any, stream: Iterator[Batch], on_step: OnStep) -> Epoch:
        started = time.perf_counter()
        losses: list[float] = []
        active: list[float] = []
        images = 0
        for step in range(self._plan.steps):
            self._go_on()
            model.optimizer.learning_rate.assign(self._plan.rate_of(number * self._plan.steps + step))
            chips, who = next(stream)  # (n, chip_px, chip_px, 3), (n,)
            found = self._step(model, chips, who, f"epoch {number + 1}, step {step + 1}")
            losses.append(found["loss"])
            if "active" in found:
                active.append(found["active"])
            images += len(chips)
            rate = images / max(time.perf_counter() - started, _LEAST_SECONDS)
            on_step(Step(number + 1, step + 1, losses[-1], active[-1] if active else None, rate))
        trained = time.perf_counter()
        self._evaluations.after(trained - started, images)
        is_last = number + 1 == self._plan.epochs
        held_out = on_pairs = None
        if is_last or self._evaluations.is_due():
            try:
                held_out, on_pairs = self._evaluations.run(self._embed_store)
            except KeyboardInterrupt:  # the epoch counts: its steps are done
                self._is_stopped = True
        ended = time.perf_counter()
        return Epoch(
            number=number + 1,
            phase=phase,
            steps=(number + 1) * self._plan.steps,
            seconds=(self._history[-1].seconds if self._history else 0.0) + ended - started,
            loss=float(np.mean(losses)),
            active=float(np.mean(active)) if active else None,
            learning_rate=self._plan.rate_of(number * self._plan.steps),
            images_per_second=images / max(trained - started, _LEAST_SECONDS),
            training_seconds=trained - started,
            evaluation_seconds=ended - trained,
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

    def _embedded(self, photos: Sequence[str]) -> Embeddings:
        """Crops as embeddings, (n, dim) of unit length."""
        return self._embed_store(ChipStore(photos, self._card.chip_px, most_bytes=0))

    def _embed_store(self, store: ChipStore) -> Embeddings:
        """The chips of a store as embeddings, (n, dim) of unit length."""
        rows = []
        for part in store.all(_EMBEDDED_AT_ONCE):
            self._go_on()
            rows.append(np.asarray(self._embedder.predict_on_batch(part), np.float32))
        every = np.concatenate(rows)
        return np.asarray(every / np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12), np.float32)

    def _save(self, model: Any, phase: Phase) -> None:
        facts = self._plan_facts()
        checkpoint.write(self._folder / CHECKPOINT, self._core, model, facts, self._history, phase)


class _Evaluations:
    """When the network is evaluated: as often as takes a small share of the time; and on what, which stays in
    memory."""

    def __init__(self, sets: ValidationSets, chip_px: int) -> None:
        self._sets = [each for each in (sets.held_out, sets.on_pairs) if each]
        self._stores = [ChipStore(each.pairs.photos, chip_px, _MOST_BYTES) for each in self._sets]
        self._order = (sets.held_out, sets.on_pairs)
        self._newest: list[Embeddings] = []
        self._trained, self._spent = 0.0, 0.0  # seconds of training, and of evaluating
        self._last: float | None = None  # seconds of the last one; the first also reads the chips
        self._rate = 0.0  # photos a second in training

    def after(self, seconds: float, images: int) -> None:
        """Takes note of an epoch."""
        self._trained += seconds
        self._rate = images / max(seconds, _LEAST_SECONDS)
        self._newest = []

    def is_due(self) -> bool:
        """Whether one more keeps within the share of the time."""
        photos = sum(len(each.pairs.photos) for each in self._sets)
        one = photos * _EMBEDDING_COSTS / self._rate if self._last is None else self._last
        return self._spent + one <= _EVALUATION_SHARE * (self._trained + self._spent + one)

    def run(self, embed: Callable[[ChipStore], Embeddings]) -> tuple[Verification | None, Verification | None]:
        """What the network reaches on the people held out, and on the file of pairs."""
        started = time.perf_counter()
        found = {id(each): figures(each, rows) for each, rows in self.newest(embed)}
        self._last = time.perf_counter() - started
        self._spent += self._last
        held_out, on_pairs = (found.get(id(each)) for each in self._order)
        return held_out, on_pairs

    def newest(self, embed: Callable[[ChipStore], Embeddings]) -> list[tuple[ValidationSet, Embeddings]]:
        """Each set, and the embeddings of its photos by the network as it is."""
        if not self._newest:
            self._newest = [embed(store) for store in self._stores]
        return list(zip(self._sets, self._newest, strict=True))


def _text(found: Verification) -> str:
    if found.accuracy:
        return f"{found.accuracy.mean:.4f} ± {found.accuracy.std:.4f}"
    return f"AUC {found.auc:.4f}, EER {found.eer:.4f}"
