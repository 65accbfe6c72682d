"""How fast the training loop is, by network, numbers, compiler and batch: whole steps on real crops, with reading,
altering, mining and the optimizer; measured in turn, so that all meet the same machine.

    python benchmarks/training.py CROPS [--only NAME ...]    (a folder for each person, as facesearch align writes it)
    python benchmarks/training.py CROPS --losses STEPS

The second form trains on the same batches in float32 and in bfloat16, and says by how much the losses differ at the
end; each of both also from a start that is changed by a millionth, which tells how much is chance.
KERAS_BACKEND=jax measures with Keras on JAX, TF_ENABLE_ONEDNN_OPTS=0 without oneDNN."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.models.engines.keras import Numbers, import_keras
from facesearch.training.initial_network import NetworkName, fresh
from facesearch.training.people import People, find
from facesearch.training.plan import Plan, RecipeName, ValidationSets

_ROUNDS, _STEPS = 3, 4
_PX = 64
_NOBODY = People((), np.array([], np.intp), ())


@dataclass(frozen=True)
class Variant:
    """What is measured."""

    network: NetworkName = "resnet"
    precision: Numbers = "bfloat16"
    people: int = 32
    is_softmax: bool = True
    memory: int = 0
    by_xla: bool = False
    nudge: float = 0.0  # the share by which the first weights are changed

    @property
    def name(self) -> str:
        """As it stands in the table."""
        phase = "softmax" if self.is_softmax else f"triplets, memory {self.memory:,}"
        compiled = ", XLA" if self.by_xla else ""
        return f"{self.network}, {self.precision}{compiled}, batches of {4 * self.people}, {phase}"


_VARIANTS = (
    Variant("small", "float32", 20, by_xla=True),
    Variant("small", "float32", 20),
    Variant("small", "bfloat16", 20),
    Variant("resnet", "float32", by_xla=True),
    Variant("resnet", "float32"),
    Variant(by_xla=True),
    Variant(people=16),
    Variant(),
    Variant(people=64),
    Variant(is_softmax=False),
    Variant(is_softmax=False, memory=4096),
)


def main(crops: Path, losses: int, only: Sequence[str]) -> None:
    """Measures, and prints a line of JSON for each variant."""
    import_keras()
    data = find(crops)
    if losses:
        print(json.dumps(_losses(data, losses)))
        return
    variants = [variant for variant in _VARIANTS if not only or variant.name in only]
    steps = [_steps(data, variant) for variant in variants]
    for each in steps:
        for _ in range(4):
            next(each)  # the first compiles
    seconds: list[list[float]] = [[] for _ in variants]
    for _ in range(_ROUNDS):
        for own, each in zip(seconds, steps, strict=True):
            own += [_seconds(lambda each=each: next(each)) for _ in range(_STEPS)]  # type: ignore[misc]
    for variant, own in zip(variants, seconds, strict=True):
        rate = 4 * variant.people / float(np.median(own))
        print(json.dumps({"what": variant.name, "images_per_second": round(rate, 1)}))


def _steps(data: People, variant: Variant) -> Iterator[float]:
    """Trains, a step at a time; yields the loss."""
    from facesearch.training import loop

    recipe: RecipeName = "softmax-then-triplet" if variant.is_softmax else "triplet"
    plan = Plan(recipe, "semi-hard", "margin", 0.2, variant.people, 4, 2, 1000, 1e-3, 0)
    plan = replace(plan, memory=variant.memory, precision=variant.precision)
    with tempfile.TemporaryDirectory() as folder:
        trainer: Any = loop.Trainer(fresh(variant.network, 128, _PX, False), plan, data, _no_sets(), Path(folder))
        phase = plan.phase_of(0)
        model, stream = trainer._compiled(phase), trainer._stream(phase)
        first = model.trainable_variables[0]
        first.assign(first * (1 + variant.nudge))
        if variant.by_xla:
            model.jit_compile = True
        for number, (chips, who) in enumerate(stream):
            model.optimizer.learning_rate.assign(plan.rate_of(number))
            yield trainer._step(model, chips, who, str(number))["loss"]


def _losses(data: People, steps: int) -> dict[str, float]:
    """The mean loss of the last tenth of the steps in both kinds of numbers, and where the start was nudged."""
    variants = {
        "float32": Variant(precision="float32", people=4),
        "float32, nudged": Variant(precision="float32", people=4, nudge=1e-6),
        "bfloat16": Variant(people=4),
        "bfloat16, nudged": Variant(people=4, nudge=1e-6),
    }
    found = {}
    for name, variant in variants.items():
        every = list(islice(_steps(data, variant), steps))
        found[name] = round(float(np.mean(every[-steps // 10 :])), 4)
    return {"steps": steps} | found


def _no_sets() -> ValidationSets:
    return ValidationSets(_NOBODY)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--losses", type=int, default=0, metavar="STEPS")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="as the table names it")
    main(**vars(parser.parse_args()))
