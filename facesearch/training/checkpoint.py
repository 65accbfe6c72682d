"""Checkpoints: what a training needs to go on where it was interrupted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.weights import tensors
from facesearch.training.losses import CosineHead, TripletModel
from facesearch.training.plan import Epoch

PEOPLE = "trained on"  # the key of a digest of their names
_MAY_CHANGE = ("epochs", "learning_rate")  # when a training goes on


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file holds: weights of the network, state of the optimizer, of the softmax head and of the memory
    of embeddings, phase, history."""

    arrays: dict[str, NDArray[Any]]

    @property
    def phase(self) -> str:
        """The phase that it was written in."""
        return str(self.arrays["phase"])

    @property
    def plan(self) -> dict[str, Any]:
        """The plan that it was written under."""
        plan: dict[str, Any] = json.loads(str(self.arrays["plan"]))
        return plan

    @property
    def history(self) -> list[Epoch]:
        """The epochs that are done, without their evaluations."""
        return [Epoch(**row) for row in json.loads(str(self.arrays["history"]))]

    def restore_network(self, core: Any) -> None:
        """Gives the network the weights that it had."""
        for i, weight in enumerate(core.weights):
            weight.assign(self.arrays[f"core_{i}"])

    def restore_phase(self, model: Any, phase: str) -> None:
        """Gives optimizer, head and memory the state that they had, where it was written in this phase."""
        if self.phase != phase:
            return
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(self.arrays[f"optimizer_{i}"])
        head = model.layers[-1]
        if isinstance(head, CosineHead):
            head.centres.assign(self.arrays["head"])
        if isinstance(model, TripletModel) and model.memory:
            model.memory.restore(self.arrays["remembered"], self.arrays["remembered_who"])


def read(path: Path) -> Checkpoint:
    """The checkpoint in a file. Raises ModelError when there is none."""
    if not path.is_file():
        raise ModelError(f"There is no checkpoint in {path.parent}; leave --resume out.")
    with np.load(path, allow_pickle=False) as file:
        return Checkpoint({name: np.asarray(file[name]) for name in file.files})


def read_fitting(path: Path, plan: dict[str, Any]) -> Checkpoint:
    """The checkpoint in a file. Raises ModelError when there is none, or when it was written under another plan, or
    with other people."""
    found = read(path)
    written = found.plan
    unknown = sorted(set(plan) ^ set(written))
    if unknown:
        raise ModelError(
            f"The checkpoint in {path.parent} was written by another version of facesearch ({unknown[0]}); train "
            "under another name with --out."
        )
    if written[PEOPLE] != plan[PEOPLE]:
        raise ModelError(
            f"The checkpoint in {path.parent} was trained on other people than are to be trained on now; give the "
            "same folder, --held-out and --seed, put back whom you removed, or choose another name with --out."
        )
    other = [name for name in plan if name not in _MAY_CHANGE and written.get(name) != plan[name]]
    if other:
        raise ModelError(
            f"The checkpoint was written with {other[0]} {written.get(other[0])}, not {plan[other[0]]}; give the "
            "same options, or train without --resume."
        )
    return found


def write(path: Path, core: Any, model: Any, plan: dict[str, Any], history: Sequence[Epoch], phase: str) -> None:
    """Writes a checkpoint, whole or not at all. Evaluations are left out. Raises OSError."""
    arrays: dict[str, Any] = {f"core_{i}": ops.convert_to_numpy(w) for i, w in enumerate(core.weights)}
    arrays |= {f"optimizer_{i}": ops.convert_to_numpy(w) for i, w in enumerate(model.optimizer.variables)}
    head = model.layers[-1]
    if isinstance(head, CosineHead):
        arrays["head"] = ops.convert_to_numpy(head.centres)
    if isinstance(model, TripletModel) and model.memory:
        arrays["remembered"], arrays["remembered_who"] = (ops.convert_to_numpy(x) for x in model.memory.content)
    epochs = [asdict(epoch) | {"held_out": None, "on_pairs": None} for epoch in history]
    tensors.write(path, arrays | {"plan": json.dumps(plan), "history": json.dumps(epochs), "phase": phase})
