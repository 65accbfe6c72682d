"""A small, fast network for modest machines: 112 x 112 pixels to 128 or more numbers, about a million weights.

Chen et al. 2018, "MobileFaceNets": bottlenecks with depthwise convolutions, and at the end a depthwise convolution
over the whole map in place of a mean, so that the centre of a face may count more than its corners."""

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

CHIP_PX = 112
get_tensors, set_tensors = get_in_order, set_in_order
_EPSILON = 0.001  # Keras's own
_MOMENTUM = 0.95  # short trainings must not be judged by what pixels were at their start

# Bottlenecks: how much wider inside, channels, how many, stride of the first.
_BODY = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def keras_models(weights: Sequence[Arrays], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. Raises ModelError when an array is missing or has another shape."""
    return keras_embedder(network, set_tensors, weights[0], card)


def graphs(weights: Sequence[Arrays], card: EmbedderCard) -> dict[str, onnx.ModelProto]:
    """The same as an ONNX graph."""
    return embedder_graph(_graph_body, weights[0], card)


def _graph_body(graph: Graph, x: str, arrays: Arrays, dim: int, chip_px: int) -> str:
    made = _GraphForm(graph, InOrder(arrays))
    x = made.convolve(x, 3, 64, 3, stride=2)
    x = made.depthwise(x, 64, 3)
    side, width = -(-chip_px // 2), 64  # of the picture here: pixels, and channels
    for wider, channels, count, first_stride in _BODY:
        for i in range(count):
            stride = first_stride if i == 0 else 1
            x = made.bottleneck(x, width, channels, wider, stride)
            side, width = -(-side // stride), channels
    x = made.convolve(x, width, 512, 1)
    x = graph.flatten(made.depthwise(x, 512, side, padding="valid", has_prelu=False))
    return made.dense(x, 512, dim)


class _GraphForm:
    """Layers as nodes; each takes its weights, batch normalisation folded into them, in the order that Keras has."""

    def __init__(self, graph: Graph, given: InOrder) -> None:
        self._graph, self._given = graph, given

    def convolve(self, x: str, width: int, channels: int, size: int, stride: int = 1, has_prelu: bool = True) -> str:
        """A convolution of `width` channels, and its PReLU."""
        kernel, bias = self._normalised(self._given.take(size, size, width, channels))
        x = self._graph.conv(x, kernel, bias, stride, "same")
        return self._prelu(x, channels) if has_prelu else x

    def depthwise(
        self, x: str, width: int, size: int, stride: int = 1, padding: Padding = "same", has_prelu: bool = True
    ) -> str:
        """A convolution of each channel by itself, and its PReLU."""
        kernel, bias = self._normalised(self._given.take(size, size, width, 1)[..., 0])  # (size, size, width)
        x = self._graph.depthwise_conv(x, kernel[..., np.newaxis], bias, stride, padding)
        return self._prelu(x, width) if has_prelu else x

    def bottleneck(self, x: str, width: int, channels: int, wider: int, stride: int) -> str:
        """Wider, a depthwise convolution, and narrow again; added to what came in where that has the same shape."""
        y = self.depthwise(self.convolve(x, width, width * wider, 1), width * wider, 3, stride)
        y = self.convolve(y, width * wider, channels, 1, has_prelu=False)
        return self._graph.add(x, y) if stride == 1 and width == channels else y

    def dense(self, x: str, width: int, dim: int) -> str:
        """The last layer: (n, width) to (n, dim)."""
        return self._graph.dense(x, *self._normalised(self._given.take(width, dim), has_gamma=False))

    def _normalised(
        self, kernel: NDArray[np.float32], has_gamma: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        channels = kernel.shape[-1]
        gamma = self._given.take(channels) if has_gamma else None
        beta, mean, variance = (self._given.take(channels) for _ in range(3))
        return normalised(kernel, beta, mean, variance, _EPSILON, gamma)

    def _prelu(self, x: str, channels: int) -> str:
        return self._graph.prelu(x, self._given.take(1, 1, channels).reshape(-1))


def network(dim: int, chip_px: int = CHIP_PX) -> keras.Model:
    """The bare network in Keras, with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to
    (n, dim)."""
    import keras
    from keras import layers

    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x = _keras_convolve(chips, 64, 3, stride=2)
    x = _keras_depthwise(x, 3)
    for wider, channels, count, stride in _BODY:
        for i in range(count):
            x = _keras_bottleneck(x, channels, wider, stride if i == 0 else 1)
    x = _keras_convolve(x, 512, 1)
    x = layers.DepthwiseConv2D(x.shape[1:3], use_bias=False)(x)
    x = layers.Flatten()(_keras_normalise(x))
    x = layers.Dense(dim, use_bias=False)(x)
    return keras.Model(chips, _keras_normalise(x, scale=False), name="small")


def _keras_normalise(x: keras.KerasTensor, scale: bool = True) -> keras.KerasTensor:
    from facesearch.models.networks.batch_normalisation import BatchNormalisation

    return BatchNormalisation(momentum=_MOMENTUM, epsilon=_EPSILON, scale=scale)(x)


def _keras_convolve(x: keras.KerasTensor, channels: int, size: int, stride: int = 1) -> keras.KerasTensor:
    from keras import layers

    x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.PReLU(shared_axes=[1, 2])(_keras_normalise(x))


def _keras_depthwise(x: keras.KerasTensor, size: int, stride: int = 1) -> keras.KerasTensor:
    from keras import layers

    x = layers.DepthwiseConv2D(size, strides=stride, padding="same", use_bias=False)(x)
    return layers.PReLU(shared_axes=[1, 2])(_keras_normalise(x))


def _keras_bottleneck(x: keras.KerasTensor, channels: int, wider: int, stride: int) -> keras.KerasTensor:
    from keras import layers

    y = _keras_depthwise(_keras_convolve(x, x.shape[-1] * wider, 1), 3, stride)
    y = _keras_normalise(layers.Conv2D(channels, 1, use_bias=False)(y))
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y
