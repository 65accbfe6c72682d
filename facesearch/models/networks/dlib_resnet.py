"""The residual network behind dlib's face recognition: 29 convolutions, 150 x 150 pixels to 128 numbers.

King 2017, "High Quality Face Recognition with Deep Metric Learning". The layers follow dlib's definition, where
a block that halves the picture pads its smaller side with zeros at the end of rows, columns and channels."""

from collections.abc import Iterator, Mapping

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.ends import get_in_order, served, set_in_order

CHIP_PX = 150
_Weights = list[NDArray[np.float32]]

# (channels, whether the first convolution halves the picture), from the input to the output
_BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True)] + [(64, False)] * 3,
    *[(128, True)] + [(128, False)] * 2,
    *[(256, True)] + [(256, False)] * 2,
    (256, True),
)

get_tensors = get_in_order


def build(
    weights: list[_Weights] | list[Mapping[str, NDArray[np.float32]]], card: EmbedderCard
) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. `weights` is one list as `facesearch.models.weights.dlib_dat.read` gives it, or what get_tensors gave.
    Raises ModelError when an array is missing or has another shape."""
    (given,) = weights
    return served(network, set_in_order, _by_place(given), card)


def network(dim: int, chip_px: int = CHIP_PX) -> keras.Model:
    """The bare network with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to (n, dim)."""
    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x = layers.Activation("relu")(layers.Conv2D(32, 7, strides=2)(chips))
    x = layers.MaxPooling2D(3, strides=2)(x)
    for channels, halves in _BLOCKS:
        x = _block(x, channels, halves)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(chips, layers.Dense(dim, use_bias=False)(x), name="dlib_resnet")


def set_tensors(model: keras.Model, given: _Weights | Mapping[str, NDArray[np.float32]]) -> None:
    """Gives the bare network dlib's arrays, or what get_tensors gave. Raises ModelError."""
    set_in_order(model, _by_place(given))


def _by_place(given: _Weights | Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
    """Arrays by their place in the network: dlib's affine layers, which follow its convolutions, are folded into
    these, as gamma * (w x + b) + beta is one convolution too."""
    if isinstance(given, Mapping):
        return given
    return {str(i): array for i, array in enumerate([*_folded(given[:-1]), given[-1]])}


def _folded(arrays: _Weights) -> Iterator[NDArray[np.float32]]:
    """Kernel, (rows, columns, in, out), and bias of each convolution."""
    for filters, biases, gammas, betas in zip(*[iter(arrays)] * 4, strict=True):
        yield filters.transpose(2, 3, 1, 0) * gammas
        yield biases * gammas + betas


def _block(x: keras.KerasTensor, channels: int, halves: bool) -> keras.KerasTensor:
    stride, padding = (2, "valid") if halves else (1, "same")
    y = layers.Activation("relu")(layers.Conv2D(channels, 3, strides=stride, padding=padding)(x))
    y = layers.Conv2D(channels, 3, padding="same")(y)
    shortcut = layers.AveragePooling2D(2, strides=2)(x) if halves else x
    y, shortcut = _same_shape(y, shortcut, channels)
    return layers.Activation("relu")(layers.Add()([y, shortcut]))


def _same_shape(
    y: keras.KerasTensor, shortcut: keras.KerasTensor, channels: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    rows = max(y.shape[1], shortcut.shape[1])
    columns = max(y.shape[2], shortcut.shape[2])
    return _padded(y, rows, columns, channels), _padded(shortcut, rows, columns, channels)


def _padded(x: keras.KerasTensor, rows: int, columns: int, channels: int) -> keras.KerasTensor:
    missing = [(0, 0), (0, rows - x.shape[1]), (0, columns - x.shape[2]), (0, channels - x.shape[3])]
    return ops.pad(x, missing) if any(after for _, after in missing) else x
