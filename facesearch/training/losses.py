"""Losses on a batch of several photos of each of several people, with the triplets chosen inside the batch.

All distances are squared Euclidean ones of unit vectors, 0..4. A triplet is an anchor, a positive (another photo of
the anchor's person) and a negative (a photo of somebody else)."""

from typing import Any, TypeAlias

import keras
from keras import layers, ops

from facesearch.training.plan import Criterion, Miner

Tensor: TypeAlias = Any  # of whatever backend runs

_FAR_AWAY = 1e6  # beyond every distance
_HARDEST = 0.25  # share of the negatives that count as the hardest, for hard-within


@keras.saving.register_keras_serializable("facesearch")
class TripletLoss(keras.losses.Loss):  # type: ignore[misc]
    """Mean over anchor-positive pairs of max(0, margin + |ap| - |an|) (Schroff et al. 2015), or of the symmetric
    criterion max(0, margin + |ap| - (|an| + |pn|) / 2), with one negative for each pair:

    semi-hard: the nearest that is farther than the positive, or the farthest if there is none (Schroff et al. 2015);
    hard: the nearest of all; hard-within: semi-hard, but only among the hardest quarter of the negatives; random:
    the batch is triplets already: its first third anchors, then their positives, then their negatives."""

    def __init__(self, miner: Miner = "semi-hard", margin: float = 0.2, criterion: Criterion = "margin") -> None:
        super().__init__(name="triplet")
        self.miner, self.margin, self.criterion = miner, margin, criterion

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """`y_true` is (n,) people, `y_pred` (n, dim) embeddings of any length; the loss of the batch."""
        excess, counts = triplet_excess(y_true, y_pred, self.miner, self.margin, self.criterion)
        return ops.sum(ops.maximum(excess, 0.0) * counts) / ops.maximum(ops.sum(counts), 1.0)


def active_share(miner: Miner, margin: float, criterion: Criterion) -> Any:
    """A metric: the share of the chosen triplets that still violate the margin."""

    def active(y_true: Tensor, y_pred: Tensor) -> Tensor:
        excess, counts = triplet_excess(y_true, y_pred, miner, margin, criterion)
        violating = ops.cast(excess > 0, counts.dtype) * counts
        return ops.sum(violating) / ops.maximum(ops.sum(counts), 1.0)

    return active


def triplet_excess(
    people: Tensor, embeddings: Tensor, miner: Miner, margin: float, criterion: Criterion
) -> tuple[Tensor, Tensor]:
    """By how much each anchor-positive pair, (n, n), violates the margin with the negative that was chosen for it,
    and 1.0 for the entries that are such pairs, else 0.0. Of prepared triplets both are (n / 3,)."""
    people = ops.reshape(people, (-1,))
    x = ops.cast(embeddings, "float32")
    x = x / ops.maximum(ops.norm(x, axis=1, keepdims=True), 1e-12)  # (n, dim)
    if miner == "random":
        return _prepared(x, margin, criterion)
    distances = ops.maximum(2.0 - 2.0 * ops.matmul(x, ops.transpose(x)), 0.0)  # (n, n)
    same = ops.equal(people[:, None], people[None, :])  # (n, n)
    n = ops.shape(distances)[0]
    positive = ops.logical_and(same, ops.logical_not(ops.cast(ops.eye(n), "bool")))
    chosen = ops.stop_gradient(_negatives(distances, same, miner))  # (n, n): the column of each pair's negative
    of_anchor = ops.take_along_axis(distances, chosen, axis=1)
    far = of_anchor
    if criterion == "symmetric":
        far = (of_anchor + _to_negatives(distances, chosen)) / 2.0
    return margin + distances - far, ops.cast(positive, "float32")


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
    n = ops.shape(distances)[0]
    rows = ops.broadcast_to(ops.arange(n)[None, :], ops.shape(chosen))  # the positive of each pair
    flat = ops.reshape(rows * n + chosen, (-1,))
    return ops.reshape(ops.take(ops.reshape(distances, (-1,)), flat), ops.shape(chosen))


def _negatives(distances: Tensor, same: Tensor, miner: Miner) -> Tensor:
    """The column of a negative for each anchor (row) and positive (column)."""
    others = ops.where(same, _FAR_AWAY, distances)  # (anchors, candidates)
    if miner == "hard":
        nearest = ops.argmin(others, axis=1)
        return ops.broadcast_to(nearest[:, None], ops.shape(distances))
    candidates = ops.logical_not(same)
    if miner == "hard-within":
        count = ops.sum(ops.cast(candidates, "int32"), axis=1, keepdims=True)  # (n, 1)
        rank = ops.argsort(ops.argsort(others, axis=1), axis=1)  # (n, n), 0 is the nearest
        hardest = rank < ops.maximum(ops.cast(_HARDEST * ops.cast(count, "float32"), rank.dtype), 1)
        candidates = ops.logical_and(candidates, hardest)
    # (anchors, positives, candidates): those that are farther than the positive, and of them the nearest.
    farther = ops.logical_and(candidates[:, None, :], distances[:, None, :] > distances[:, :, None])
    nearest_farther = ops.argmin(ops.where(farther, distances[:, None, :], _FAR_AWAY), axis=2)  # (n, n)
    farthest = ops.argmax(ops.where(candidates, distances, -1.0), axis=1)  # (n,)
    return ops.where(ops.any(farther, axis=2), nearest_farther, farthest[:, None])


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
