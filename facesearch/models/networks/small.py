"""A small, fast network for modest machines: 112 x 112 pixels to 128 or more numbers, about a million weights.

Chen et al. 2018, "MobileFaceNets": bottlenecks with depthwise convolutions, and at the end a depthwise convolution
over the whole map in place of a mean, so that the centre of a face may count more than its corners."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.ends import get_in_order, served, set_in_order

CHIP_PX = 112
get_tensors, set_tensors = get_in_order, set_in_order
_MOMENTUM = 0.95  # short trainings must not be judged by what pixels were at their start

# Bottlenecks: how much wider inside, channels, how many, stride of the first.
_BODY = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def build(weights: Sequence[Mapping[str, NDArray[np.float32]]], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. Raises ModelError when an array is missing or has another shape."""
    return served(network, set_tensors, weights[0], card)


def network(dim: int, chip_px: int = CHIP_PX) -> keras.Model:
    """The bare network with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to (n, dim)."""
    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x = _convolve(chips, 64, 3, stride=2)
    x = _depthwise(x, 3)
    for wider, channels, count, stride in _BODY:
        for i in range(count):
            x = _bottleneck(x, channels, wider, stride if i == 0 else 1)
    x = _convolve(x, 512, 1)
    x = layers.DepthwiseConv2D(x.shape[1:3], use_bias=False)(x)
    x = layers.Flatten()(_normalise(x))
    x = layers.Dense(dim, use_bias=False)(x)
    return keras.Model(chips, _normalise(x, scale=False), name="small")


def _normalise(x: keras.KerasTensor, scale: bool = True) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=_MOMENTUM, scale=scale)(x)


def _convolve(x: keras.KerasTensor, channels: int, size: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.PReLU(shared_axes=[1, 2])(_normalise(x))


def _depthwise(x: keras.KerasTensor, size: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.DepthwiseConv2D(size, strides=stride, padding="same", use_bias=False)(x)
    return layers.PReLU(shared_axes=[1, 2])(_normalise(x))


def _bottleneck(x: keras.KerasTensor, channels: int, wider: int, stride: int) -> keras.KerasTensor:
    y = _depthwise(_convolve(x, x.shape[-1] * wider, 1), 3, stride)
    y = _normalise(layers.Conv2D(channels, 1, use_bias=False)(y))
    return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == channels else y
