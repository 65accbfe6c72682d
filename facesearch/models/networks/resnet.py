"""A residual network of thirteen convolutions for modest machines: 64 x 64 pixels to 128 or more numbers, two and a
half million weights.

He et al. 2016, "Deep Residual Learning for Image Recognition", with one block at each size. All convolutions are
whole ones of 3 x 3, for which processors are made: in bfloat16 several times as fast as depthwise ones. The last one
covers the whole picture in place of a mean, so that the centre of a face may count more than its corners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.embedder import embedder_graph, keras_embedder
from facesearch.models.networks.weights_in_order import Arrays, InOrder, get_in_order, set_in_order
from facesearch.models.onnx_builder import Graph, Padding, normalised

if TYPE_CHECKING:
    import keras
    import onnx

CHIP_PX = 64
get_tensors, set_tensors = get_in_order, set_in_order
_EPSILON = 0.001  # Keras's own
_MOMENTUM = 0.95  # short trainings must not be judged by what pixels were at their start

_CHANNELS = (32, 64, 128, 256)  # of the blocks; before each the picture is halved


def keras_models(weights: Sequence[Arrays], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. Raises ModelError when an array is missing or has another shape."""
    return keras_embedder(network, set_tensors, weights[0], card)


def graphs(weights: Sequence[Arrays], card: EmbedderCard) -> dict[str, onnx.ModelProto]:
    """The same as an ONNX graph."""
    return embedder_graph(_graph_body, weights[0], card)


def _graph_body(graph: Graph, x: str, arrays: Arrays, dim: int, chip_px: int) -> str:
    given = InOrder(arrays)
    side, width = chip_px, 3  # of the picture: pixels, and channels
    for channels in _CHANNELS:
        x = graph.relu(_graph_convolve(graph, x, given, (3, width, channels), stride=2))
        side, width = -(-side // 2), channels
        y = graph.relu(_graph_convolve(graph, x, given, (3, width, width)))
        x = graph.relu(graph.add(x, _graph_convolve(graph, y, given, (3, width, width))))
    return graph.flatten(_graph_convolve(graph, x, given, (side, width, dim), padding="valid", has_gamma=False))


def _graph_convolve(
    graph: Graph,
    x: str,
    given: InOrder,
    shape: tuple[int, int, int],
    stride: int = 1,
    padding: Padding = "same",
    has_gamma: bool = True,
) -> str:
    """A convolution, batch normalisation folded into it. `shape` are its side, and channels in and out."""
    size, width, channels = shape
    kernel: NDArray[np.float32] = given.take(size, size, width, channels)
    gamma = given.take(channels) if has_gamma else None
    beta, mean, variance = (given.take(channels) for _ in range(3))
    kernel, bias = normalised(kernel, beta, mean, variance, _EPSILON, gamma)
    return graph.conv(x, kernel, bias, stride, padding)


def network(dim: int, chip_px: int = CHIP_PX) -> keras.Model:
    """The bare network in Keras, with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to
    (n, dim)."""
    import keras
    from keras import layers

    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x = chips
    for channels in _CHANNELS:
        x = layers.ReLU()(_keras_convolve(x, channels, 3, stride=2))
        y = layers.ReLU()(_keras_convolve(x, channels, 3))
        x = layers.ReLU()(layers.Add()([x, _keras_convolve(y, channels, 3)]))
    # In 32 bits always: what is rounded here no later layer makes up for.
    x = _keras_convolve(x, dim, x.shape[1], padding="valid", has_gamma=False, dtype="float32")
    return keras.Model(chips, layers.Flatten()(x), name="resnet")


def _keras_convolve(
    x: keras.KerasTensor,
    channels: int,
    size: int,
    stride: int = 1,
    padding: Padding = "same",
    has_gamma: bool = True,
    dtype: str | None = None,
) -> keras.KerasTensor:
    from keras import layers

    from facesearch.models.networks.batch_normalisation import BatchNormalisation

    x = layers.Conv2D(channels, size, strides=stride, padding=padding, use_bias=False, dtype=dtype)(x)
    return BatchNormalisation(momentum=_MOMENTUM, epsilon=_EPSILON, scale=has_gamma, dtype=dtype)(x)
