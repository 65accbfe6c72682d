"""How a training is to go, and what its steps and epochs came to. Nothing here needs TensorFlow."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from facesearch.models.engines.keras import Numbers
from facesearch.training.people import People

if TYPE_CHECKING:
    from facesearch.evaluation.metrics import Verification
    from facesearch.training.validation import ValidationSet

RecipeName = Literal["triplet", "softmax-then-triplet"]
Phase = Literal["softmax", "triplet"]
Miner = Literal["semi-hard", "hard", "hard-within", "random"]
Criterion = Literal["margin", "symmetric"]

SOFTMAX_SHARE = 0.7  # of the epochs, where the recipe begins with it
WARM_UP_SHARE, LONGEST_WARM_UP = 0.05, 500  # of all steps; steps
_LAST_RATE = 0.01  # of the learning rate is left in the end


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. A checkpoint fits only the plan that it was written under. `margin` is in squared distance of
    unit vectors, 0..4; a batch has `per_person` photos of each of `people`; `steps` are batches in an epoch;
    `memory` is how many embeddings of earlier batches are negatives, too. Networks compute in `precision`, and keep
    their weights in 32 bits."""

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
    memory: int = 0
    precision: Numbers = "float32"

    def phase_of(self, epoch: int) -> Phase:
        """The phase of an epoch, counted from 0: softmax in the first ones where the recipe begins with it."""
        last = max(1, min(round(self.epochs * SOFTMAX_SHARE), self.epochs - 1))
        return "softmax" if self.recipe == "softmax-then-triplet" and epoch < last else "triplet"

    def rate_of(self, step: int) -> float:
        """The learning rate of a step, counted from 0: it rises evenly to the full one, and falls to a hundredth
        along half a cosine (Loshchilov and Hutter 2017)."""
        every = max(self.epochs * self.steps, 1)
        warm_up = min(LONGEST_WARM_UP, every * WARM_UP_SHARE)
        done = step / every  # 0..1
        falling = _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * falling * min(1.0, (step + 1) / max(warm_up, 1.0))


@dataclass(frozen=True, slots=True)
class Step:
    """The figures of the newest batch. `active` is the share of triplets that still violate the margin, None under
    softmax."""

    epoch: int
    number: int
    loss: float
    active: float | None
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """The figures of an epoch: means over its steps, and what the network then reached on the people held out and on
    the file of pairs, None where there are none or where this epoch was not evaluated. `active` is None under
    softmax; `steps` and `seconds` are counted from the training's start."""

    number: int
    phase: str
    steps: int
    seconds: float
    loss: float
    active: float | None
    learning_rate: float
    images_per_second: float
    training_seconds: float
    evaluation_seconds: float
    held_out: "Verification | None" = None
    on_pairs: "Verification | None" = None


@dataclass(frozen=True, slots=True)
class ValidationSets:
    """What a network is evaluated on: pairs of the people held out, and the pairs of a file. `people` are those held
    out."""

    people: People
    held_out: "ValidationSet | None" = None
    on_pairs: "ValidationSet | None" = None
