"""Losses on a batch of several photos of each of several people, with the triplets chosen inside the batch.

All distances are squared Euclidean ones of unit vectors, 0..4. A triplet is an anchor, a positive (another photo of
the anchor's person) and a negative (a photo of somebody else)."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
from keras import layers, ops

from facesearch.training.plan import Criterion, Miner

Tensor: TypeAlias = Any  # of whatever backend runs

_FAR_AWAY = 1e6  # beyond every distance
_MOST_BITS = 20  # candidates whose number is only known in the run are fewer than 2^21
_NOBODY = -1  # in a memory that is not full yet
_HARDEST = 0.25  # share of the negatives that count as the hardest, for hard-within


class EmbeddingMemory(keras.layers.Layer):  # type: ignore[misc]
    """The newest embeddings of earlier batches, and who they show, as negatives beside those of a batch: networks
    change little in some steps (Wang et al. 2020, "Cross-Batch Memory for Embedding Learning")."""

    def __init__(self, size: int, dim: int) -> None:
        """Empty: nobody is in `size` embeddings of `dim` numbers."""
        super().__init__(dtype="float32")
        self.size = size
        self._rows = self.add_weight(shape=(size, dim), initializer="zeros", trainable=False, name="rows")
        self._people = self.add_weight(
            shape=(size,),
            dtype="int",  # 64 bits on TensorFlow, which keeps variables of 32 on the CPU, out of XLA's reach
            initializer=keras.initializers.Constant(_NOBODY),
            trainable=False,
            name="who",
        )
        self.built = True  # else JAX and PyTorch would build the whole model anew at each step

    @property
    def content(self) -> tuple[Tensor, Tensor]:
        """Embeddings, (size, dim), of unit length, and people, (size,)."""
        return ops.convert_to_tensor(self._rows), ops.cast(self._people, "int32")

    def restore(self, rows: Tensor, people: Tensor) -> None:
        """Takes what `content` of another one was."""
        self._rows.assign(rows)
        self._people.assign(ops.cast(people, self._people.dtype))

    def remember(self, people: Tensor, rows: Tensor) -> None:
        """Takes a batch's embeddings, of unit length, in place of the oldest."""
        kept, known = self.content
        self._rows.assign(ops.concatenate([ops.stop_gradient(rows), kept], axis=0)[: self.size])
        newest = ops.concatenate([ops.cast(people, "int32"), known], axis=0)[: self.size]
        self._people.assign(ops.cast(newest, self._people.dtype))


class TripletModel(keras.Model):  # type: ignore[misc]
    """An embedder that is trained on triplets: the mean over anchor-positive pairs of max(0, margin + |ap| - |an|)
    (Schroff et al. 2015), or of the symmetric criterion max(0, margin + |ap| - (|an| + |pn|) / 2), with one negative
    for each pair:

    semi-hard: the nearest that is farther than the positive, or the farthest if there is none (Schroff et al. 2015);
    hard: the nearest of all; hard-within: semi-hard, but only among the hardest quarter of the negatives; random:
    the batch is triplets already: its first third anchors, then their positives, then their negatives."""

    def __init__(self, embedder: Any, choice: "Choice", remembered: int = 0) -> None:
        """`remembered` embeddings of earlier batches are negatives, too; `memory` holds them, None without any."""
        super().__init__(inputs=embedder.input, outputs=embedder.output)
        self._choice = choice
        self.memory = EmbeddingMemory(remembered, int(embedder.output.shape[-1])) if remembered else None
        self._active = keras.metrics.Mean(name="active")

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Tensor:  # noqa: ARG002
        """`y` is (n,) people, `y_pred` (n, dim) embeddings of any length; the loss of the batch."""
        people, rows = ops.reshape(y, (-1,)), unit_length(y_pred)
        excess, counts = triplet_excess(people, rows, self._choice, self.memory and self.memory.content)
        if self.memory:
            self.memory.remember(people, rows)
        count = ops.maximum(ops.sum(counts), 1.0)
        self._active.update_state(ops.sum(ops.cast(excess > 0, counts.dtype) * counts) / count)
        return ops.sum(ops.maximum(excess, 0.0) * counts) / count


@dataclass(frozen=True, slots=True)
class Choice:
    """How a triplet's negative is chosen and what is asked of it; `margin` in squared distance, 0..4."""

    miner: Miner = "semi-hard"
    margin: float = 0.2
    criterion: Criterion = "margin"


def unit_length(x: Tensor) -> Tensor:
    """Rows of any length, (n, dim), at unit length in 32 bits."""
    x = ops.cast(x, "float32")
    return x / ops.maximum(ops.norm(x, axis=1, keepdims=True), 1e-12)


def triplet_excess(
    people: Tensor, x: Tensor, choice: Choice, memory: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """By how much each anchor-positive pair, (n, n), of embeddings of unit length, (n, dim), violates the margin with
    the negative that was chosen for it, and 1.0 for the entries that are such pairs, else 0.0. Negatives are taken
    from a memory, too: embeddings and people. Of prepared triplets both are (n / 3,)."""
    if choice.miner == "random":
        return _prepared(x, choice.margin, choice.criterion)
    n = ops.shape(x)[0]
    others, who = x, ops.cast(people, "int32")
    everybody = who
    if memory is not None:
        others, everybody = ops.concatenate([x, memory[0]], axis=0), ops.concatenate([who, memory[1]], axis=0)
    distances = ops.maximum(2.0 - 2.0 * ops.matmul(x, ops.transpose(others)), 0.0)  # (n, candidates)
    same = ops.equal(who[:, None], who[None, :])  # (n, n)
    positive = ops.logical_and(same, ops.logical_not(ops.cast(ops.eye(n), "bool")))
    candidates = ops.not_equal(who[:, None], everybody[None, :])
    candidates = ops.logical_and(candidates, ops.not_equal(everybody, _NOBODY)[None, :])  # (n, candidates)
    to_positives = distances[:, :n]
    chosen = ops.stop_gradient(_negatives(distances, to_positives, candidates, choice.miner))  # (n, n): columns
    far = ops.take_along_axis(distances, chosen, axis=1)
    if choice.criterion == "symmetric":
        far = (far + _to_negatives(distances, chosen)) / 2.0
    return choice.margin + to_positives - far, ops.cast(positive, "float32")


def _prepared(x: Tensor, margin: float, criterion: Criterion) -> tuple[Tensor, Tensor]:
    anchors, positives, negatives = ops.split(x, 3)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return ops.sum(ops.square(a - b), axis=1)

    far = distance(anchors, negatives)
    if criterion == "symmetric":
        far = (far + distance(positives, negatives)) / 2.0
    excess = margin + distance(anchors, positives) - far
    return excess, ops.ones_like(excess)


def _to_negatives(distances: Tensor, chosen: Tensor) -> Tensor:
    """For each pair (a, p) the distance from p to the pair's negative, (n, n)."""
    n, candidates = ops.shape(distances)
    rows = ops.broadcast_to(ops.arange(n)[None, :], (n, n))  # the positive of each pair
    flat = ops.reshape(rows * candidates + ops.cast(chosen, "int32"), (-1,))
    return ops.reshape(ops.take(ops.reshape(distances, (-1,)), flat), (n, n))


def _negatives(distances: Tensor, to_positives: Tensor, candidates: Tensor, miner: Miner) -> Tensor:
    """The column of a negative among the candidates for each anchor (row) and positive (column), (n, n)."""
    n = ops.shape(distances)[0]
    others = ops.where(candidates, distances, _FAR_AWAY)  # (anchors, candidates)
    if miner == "hard":
        return ops.broadcast_to(ops.argmin(others, axis=1)[:, None], (n, n))
    if miner == "hard-within":
        count = ops.sum(ops.cast(candidates, "int32"), axis=1, keepdims=True)  # (n, 1)
        rank = ops.argsort(ops.argsort(others, axis=1), axis=1)  # (anchors, candidates), 0 is the nearest
        hardest = rank < ops.maximum(ops.cast(_HARDEST * ops.cast(count, "float32"), rank.dtype), 1)
        candidates = ops.logical_and(candidates, hardest)
        others = ops.where(candidates, distances, _FAR_AWAY)
    # The nearest that is farther than the positive: the candidates in order, and the positive's place among them.
    order = ops.argsort(others, axis=1)  # (anchors, candidates)
    ascending = ops.take_along_axis(others, order, axis=1)
    place = _places(ascending, to_positives)  # (n, n)
    count = ops.sum(ops.cast(candidates, "int32"), axis=1, keepdims=True)
    place = ops.minimum(place, ops.maximum(count - 1, 0))  # or the farthest if there is none
    return ops.take_along_axis(order, place, axis=1)


def _places(ascending: Tensor, values: Tensor) -> Tensor:
    """How many of a row's ascending numbers, (n, m), are at most each of its values, (n, k): found by halving, as a
    table of n x k x m would not fit into the memory."""
    m = ops.shape(ascending)[1]
    low = ops.zeros(ops.shape(values), "int32")
    step = 1 << (m.bit_length() if isinstance(m, int) else _MOST_BITS)
    while step:
        probe = low + step
        inside = probe <= m
        value = ops.take_along_axis(ascending, ops.minimum(probe, m) - 1, axis=1)
        low = ops.where(ops.logical_and(inside, value <= values), probe, low)
        step //= 2
    return low


@keras.saving.register_keras_serializable("facesearch")
class CosineMarginLoss(keras.losses.Loss):  # type: ignore[misc]
    """Softmax over cosines to a centre for each person, the right one lessened by a margin (Wang et al. 2018,
    CosFace)."""

    # The paper's are 64 and 0.35, for data sets of half a million photos and more.
    def __init__(self, scale: float = 30.0, margin: float = 0.2) -> None:
        super().__init__(name="cosine_margin")
        self.scale, self.margin = scale, margin

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """`y_true` is (n,) people, `y_pred` (n, people) cosines."""
        people = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        cosines = ops.cast(y_pred, "float32")
        right = ops.one_hot(people, ops.shape(cosines)[1])
        logits = self.scale * (cosines - self.margin * right)
        return ops.mean(keras.losses.sparse_categorical_crossentropy(people, logits, from_logits=True))


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
