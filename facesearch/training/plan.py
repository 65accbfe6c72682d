"""How a training is to go, and what its steps and epochs came to. Nothing here needs TensorFlow."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from facesearch.training.people import People

if TYPE_CHECKING:
    from facesearch.evaluation.metrics import Verification
    from facesearch.training.validation import ValidationSet

RecipeName = Literal["triplet", "softmax-then-triplet"]
Phase = Literal["softmax", "triplet"]
Miner = Literal["semi-hard", "hard", "hard-within", "random"]
Criterion = Literal["margin", "symmetric"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. A checkpoint fits only the plan that it was written under. `margin` is in squared distance of
    unit vectors, 0..4; a batch has `per_person` photos of each of `people`; `steps` are batches in an epoch. `mixed`
    computes in 16 bits what tolerates that."""

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

    def phase_of(self, epoch: int) -> Phase:
        """The phase of an epoch, counted from 0: softmax in the first half where the recipe begins with it."""
        half = (self.epochs + 1) // 2
        return "softmax" if self.recipe == "softmax-then-triplet" and epoch < half else "triplet"


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
    the file of pairs, None where there are none. `active` is None under softmax."""

    number: int
    phase: str
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
    """What each epoch is evaluated on: pairs of the people held out, and the pairs of a file. `people` are those held
    out."""

    people: People
    held_out: "ValidationSet | None" = None
    on_pairs: "ValidationSet | None" = None
