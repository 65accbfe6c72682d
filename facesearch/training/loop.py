"""The loop: steps on batches of people, an evaluation on people held out after each epoch, checkpoints to go on
from."""

import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from facesearch.cards import BoxAlignment, EmbedderCard, LandmarkAlignment, Threshold, Weights
from facesearch.errors import FaceSearchError, ModelError
from facesearch.evaluation.metrics import Verification, verification
from facesearch.evaluation.pairs import random_pairs
from facesearch.networks import facenet, small
from facesearch.records import Chips, Embeddings
from facesearch.training.people import Batches, People, load_chips
from facesearch.training.triplets import CosineMarginLoss, Criterion, Miner, TripletLoss, active_share
from facesearch.weights import tensors

NetworkName = Literal["small", "facenet"]
RecipeName = Literal["triplet", "softmax-then-triplet"]

_NETWORKS: dict[str, Any] = {"small": small, "facenet": facenet}
_CHIP_PX = {"small": small.CHIP_PX, "facenet": 160}
_LEAST_STRANGERS = 3000  # pairs, for a threshold at FAR 0.001
_EMBEDDED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run is told; a checkpoint fits only the plan that it was written under."""

    network: NetworkName
    dim: int
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


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to. `active` is the share of triplets that still violate the margin, None under softmax;
    `held_out` are the figures on the people held out, None where these make too few pairs."""

    number: int
    phase: str
    loss: float
    active: float | None
    images_per_second: float
    training_seconds: float
    evaluation_seconds: float
    held_out: Verification | None


@dataclass(frozen=True, slots=True)
class Step:
    """The newest step of an epoch."""

    epoch: int
    number: int
    loss: float
    active: float | None
    images_per_second: float


class Trainer:
    """Trains one network. `folder` keeps the checkpoint, the curves and in the end the weights."""

    def __init__(self, plan: Plan, data: People, held_out: People, folder: Path) -> None:
        self._plan, self._data, self._held_out, self._folder = plan, data, held_out, folder
        self._px = self.chip_px = _CHIP_PX[plan.network]
        keras.utils.set_random_seed(plan.seed)
        self._core = _NETWORKS[plan.network].network(plan.dim, self._px)
        self._history: list[Epoch] = []

    def resume(self) -> int:
        """Goes on from the checkpoint in the folder; how many epochs it holds. Raises ModelError when there is none,
        or one of another plan."""
        path = self._folder / "checkpoint.npz"
        if not path.is_file():
            raise ModelError(f"There is no checkpoint in {self._folder}; leave --resume out.")
        with np.load(path, allow_pickle=False) as file:
            told = json.loads(str(file["plan"]))
            mine = asdict(self._plan)
            other = [name for name in mine if name != "epochs" and told.get(name) != mine[name]]
            if other:
                raise ModelError(
                    f"The checkpoint was written with {other[0]} {told.get(other[0])}, not {mine[other[0]]}; give "
                    "the same options, or train without --resume."
                )
            for i, weight in enumerate(self._core.weights):
                weight.assign(file[f"core_{i}"])
            self._resumed = {name: np.asarray(file[name]) for name in file.files}
            self._history = [Epoch(**{**row, "held_out": None}) for row in json.loads(str(file["history"]))]
        return len(self._history)

    _resumed: dict[str, NDArray[Any]] | None = None

    def run(
        self,
        on_step: Callable[[Step], None] = lambda step: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> list[Epoch]:
        """Trains to the end of the plan; an interruption leaves a checkpoint. Raises FaceSearchError when the loss is
        no number any more: the checkpoint is then the last good one."""
        batches = Batches(
            self._data, self._plan.people, self._plan.per_person, self._px, self._plan.seed + len(self._history)
        )
        stream = iter(batches)
        trained = None
        phase = ""
        for number in range(len(self._history), self._plan.epochs):
            if self._phase_of(number) != phase:
                phase = self._phase_of(number)
                trained = self._compiled(phase)
                self._restore(trained, phase)
            assert trained is not None
            try:
                epoch = self._epoch(number, phase, trained, stream, on_step)
            except KeyboardInterrupt:
                self._save(trained, phase)
                raise
            self._history.append(epoch)
            self._save(trained, phase)
            self._write_curves()
            on_epoch(epoch)
        return self._history

    def finish(self, name: str, title: str, warped: LandmarkAlignment | None) -> EmbedderCard:
        """The card of what was trained; its weights are in the folder. Raises OSError when the disk refuses them."""
        found: dict[str, NDArray[np.float32]] = _NETWORKS[self._plan.network].get_tensors(self._core)
        tensors.write(self._folder / "weights.npz", found)
        return EmbedderCard(
            name=name,
            title=title,
            network=self._plan.network,
            licence="as that of the photos it was trained on",
            source=f"trained here: {self._plan.recipe}, {self._plan.miner} triplets",
            training=f"{len(self._data.photos):,} photos of {len(self._data.names):,} people",
            weights=(Weights(path="weights.npz", format="tensors"),),
            dim=self._plan.dim,
            chip_px=self._px,
            alignment=warped or BoxAlignment(margin=32),
            threshold=self._threshold(),
        )

    def _phase_of(self, epoch: int) -> str:
        softmax = self._plan.recipe == "softmax-then-triplet" and epoch < (self._plan.epochs + 1) // 2
        return "softmax" if softmax else "triplet"

    def _compiled(self, phase: str) -> Any:
        """The model of a phase, from standardised chips to what its loss takes."""
        optimizer = keras.optimizers.Adam(self._plan.learning_rate)
        if phase == "triplet":
            model = keras.Model(self._core.input, self._core.output)
            choice = (self._plan.miner, self._plan.margin, self._plan.criterion)
            model.compile(optimizer, TripletLoss(*choice), metrics=[active_share(*choice)])
        else:
            cosines = CosineHead(len(self._data.names), dtype="float32")(self._core.output)
            model = keras.Model(self._core.input, cosines)
            model.compile(optimizer, CosineMarginLoss())
        optimizer.build(model.trainable_variables)
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
            logs = model.train_on_batch(standardised(chips), who.astype(np.int32), return_dict=True)
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
        held_out = self._evaluate()
        return Epoch(
            number=number + 1,
            phase=phase,
            loss=float(np.mean(losses)),
            active=float(np.mean(active)) if active else None,
            images_per_second=images / (trained - started),
            training_seconds=trained - started,
            evaluation_seconds=time.perf_counter() - trained,
            held_out=held_out,
        )

    def _rate(self, step: int) -> float:
        """From the given rate down to a hundredth of it, along a cosine."""
        done = step / max(self._plan.epochs * self._plan.steps, 1)
        return self._plan.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    def _embedded(self, photos: tuple[str, ...]) -> Embeddings:
        rows = [
            np.asarray(self._core.predict_on_batch(standardised(part[start : start + _EMBEDDED_AT_ONCE])))
            for part in load_chips(photos, self._px)
            for start in range(0, len(part), _EMBEDDED_AT_ONCE)
        ]
        every = np.concatenate(rows)
        return np.asarray(every / np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12), np.float32)

    def _evaluate(self) -> Verification | None:
        """Random pairs of the people held out, in ten folds that share nobody."""
        if not self._held_out.names:
            return None
        names = [self._held_out.names[i] for i in self._held_out.who]
        try:
            pairs = random_pairs(self._held_out.photos, names, seed=0)
        except FaceSearchError:
            return None  # too few people for folds
        rows = self._embedded(pairs.photos).astype(np.float64)
        similarities = np.einsum("ij,ij->i", rows[pairs.first], rows[pairs.second])
        return verification(np.clip(similarities, -1, 1), pairs.same, pairs.folds)

    def _threshold(self) -> Threshold | None:
        """The similarity that 1 in 1,000 pairs of the strangers held out reach; None where they are too few."""
        who = self._held_out.who
        if not len(who):
            return None
        rows = self._embedded(self._held_out.photos)
        first, second = np.triu_indices(len(rows), 1)
        strangers = (rows @ rows.T)[first, second][who[first] != who[second]]
        if len(strangers) < _LEAST_STRANGERS:
            return None
        similarity = round(float(np.quantile(strangers, 0.999)), 4)
        people = f"{len(self._held_out.names):,} people held out of the training"
        return Threshold(similarity, 0.001, f"{len(strangers):,} pairs of strangers: {people}")

    def _save(self, model: Any, phase: str) -> None:
        arrays: dict[str, Any] = {f"core_{i}": ops.convert_to_numpy(w) for i, w in enumerate(self._core.weights)}
        arrays |= {f"optimizer_{i}": ops.convert_to_numpy(w) for i, w in enumerate(model.optimizer.variables)}
        head = model.layers[-1]
        if isinstance(head, CosineHead):
            arrays["head"] = ops.convert_to_numpy(head.centres)
        history = [asdict(epoch) | {"held_out": None} for epoch in self._history]
        arrays |= {"plan": json.dumps(asdict(self._plan)), "history": json.dumps(history), "phase": phase}
        tensors.write(self._folder / "checkpoint.npz", arrays)

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

    def _write_curves(self) -> None:
        """Adds the newest epoch; what earlier runs wrote stays, as a checkpoint does not hold their evaluations."""
        epoch, path = self._history[-1], self._folder / "curves.csv"
        figures = epoch.held_out
        is_new = epoch.number == 1 or not path.exists()
        with path.open("w" if is_new else "a", newline="") as file:
            table = csv.writer(file)
            if is_new:
                table.writerow(["epoch", "phase", "loss", "active", "accuracy", "auc", "images_per_second"])
            accuracy = figures.accuracy.mean if figures and figures.accuracy else ""
            auc = figures.auc if figures else ""
            active = "" if epoch.active is None else epoch.active
            rate = round(epoch.images_per_second, 1)
            table.writerow([epoch.number, epoch.phase, epoch.loss, active, accuracy, auc, rate])


@keras.saving.register_keras_serializable("facesearch")
class CosineHead(layers.Layer):  # type: ignore[misc]
    """Cosines of embeddings, (n, dim), to a centre for each person, (n, people)."""

    def __init__(self, people: int, **options: Any) -> None:
        super().__init__(**options)
        self._people = people

    def build(self, shape: tuple[int, ...]) -> None:
        """Random centres."""
        self.centres = self.add_weight(shape=(shape[-1], self._people), initializer="glorot_uniform", name="centres")

    def call(self, x: Any) -> Any:
        """Both sides at unit length."""
        x = ops.cast(x, "float32")
        x = x / ops.maximum(ops.norm(x, axis=1, keepdims=True), 1e-12)
        return ops.matmul(x, self.centres / ops.maximum(ops.norm(self.centres, axis=0, keepdims=True), 1e-12))


def standardised(chips: Chips) -> NDArray[np.float32]:
    """As a card says by default: (x - 127.5) / 128."""
    return np.asarray((chips.astype(np.float32) - 127.5) / 128, np.float32)
