"""How pixels enter an embedding network: by its card's mean and scale, or each chip by its own mean and deviation.

The deviation of a chip counts as at least that of one grey step in all of its numbers, as TensorFlow's
per_image_standardization has it, with which the original FaceNet was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.models.cards import EmbedderCard
from facesearch.models.onnx_builder import Graph

if TYPE_CHECKING:
    import keras

_ALL_OF_A_CHIP = (1, 2, 3)  # the axes
_BLUE_GREEN_RED = (2, 1, 0)


def keras_standardised(chips: keras.KerasTensor, card: EmbedderCard) -> keras.KerasTensor:
    """Chips, (n, chip_px, chip_px, 3) uint8 RGB, as the network was trained on them: float32 of the same shape, in
    the card's order of channels."""
    from keras import ops

    x = ops.cast(chips, "float32")
    if card.channels == "BGR":
        x = ops.flip(x, axis=3)
    if not card.whitened:
        return (x - _mean(card)) / card.scale
    centred = x - ops.mean(x, axis=_ALL_OF_A_CHIP, keepdims=True)
    deviation = ops.sqrt(ops.mean(ops.square(centred), axis=_ALL_OF_A_CHIP, keepdims=True))
    return centred / ops.maximum(deviation, _least_deviation(card))


def graph_standardised(graph: Graph, chips: str, card: EmbedderCard) -> str:
    """The same as nodes of a graph: (n, chip_px, chip_px, 3) uint8 RGB in, (n, 3, chip_px, chip_px) float32 out. With
    channels first whole rows have one mean, which both engines compute faster."""
    x = graph.channels_first(graph.floats(chips))
    if card.channels == "BGR":
        x = graph.node("Gather", x, graph.constant(_BLUE_GREEN_RED), axis=1)
    if not card.whitened:
        centred = graph.subtract(x, graph.constant(_mean(card).reshape(3, 1, 1)))
        return graph.divide(centred, graph.constant(np.float32(card.scale)))
    centred = graph.subtract(x, graph.mean(x, _ALL_OF_A_CHIP))
    variance = graph.mean(graph.multiply(centred, centred), _ALL_OF_A_CHIP)
    deviation = graph.node("Sqrt", variance)
    return graph.divide(centred, graph.maximum(deviation, graph.constant(_least_deviation(card))))


def _mean(card: EmbedderCard) -> NDArray[np.float32]:
    """(3,), in the card's order of channels; the card says it of red, green and blue."""
    return np.array(card.mean[:: -1 if card.channels == "BGR" else 1], np.float32)


def _least_deviation(card: EmbedderCard) -> np.float32:
    return np.float32(1 / np.sqrt(3 * card.chip_px**2))
