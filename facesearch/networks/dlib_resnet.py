"""The residual network behind dlib's face recognition: 29 convolutions, 150 x 150 pixels to 128 numbers.

King 2017, "High Quality Face Recognition with Deep Metric Learning". The layers follow dlib's definition, where
a block that halves the picture pads its smaller side with zeros at the end of rows, columns and channels."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from facesearch.cards import EmbedderCard

_Weights = list[NDArray[np.float32]]

# (channels, whether the first convolution halves the picture), from the input to the output
_BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True)] + [(64, False)] * 3,
    *[(128, True)] + [(128, False)] * 2,
    *[(256, True)] + [(256, False)] * 2,
    (256, True),
)


def build(weights: list[_Weights], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. `weights` is one list as `facesearch.weights.dlib_dat.read` gives it."""
    (arrays,) = weights
    convolutions = _folded(arrays[:-1])
    chips = keras.Input((card.chip_px, card.chip_px, 3), dtype="uint8", name="chips")
    x = (ops.cast(chips, "float32") - np.asarray(card.mean, np.float32)) / card.scale
    x = layers.Activation("relu")(_convolve(x, next(convolutions), stride=2))
    x = layers.MaxPooling2D(3, strides=2)(x)
    for channels, halves in _BLOCKS:
        x = _block(x, channels, halves, convolutions)
    x = layers.GlobalAveragePooling2D()(x)
    dense = layers.Dense(card.dim, use_bias=False, name="embeddings")
    model = keras.Model(chips, dense(x), name="dlib_resnet")
    dense.set_weights([arrays[-1]])
    return {"embedder": model}


def _folded(arrays: _Weights) -> Iterator[_Weights]:
    """Kernel (rows, columns, in, out) and bias of each convolution with the affine layer after it folded in:
    gamma * (w x + b) + beta is one convolution too."""
    for filters, biases, gammas, betas in zip(*[iter(arrays)] * 4, strict=True):
        yield [filters.transpose(2, 3, 1, 0) * gammas, biases * gammas + betas]


def _convolve(x: keras.KerasTensor, weights: _Weights, stride: int = 1) -> keras.KerasTensor:
    rows, columns, _, channels = weights[0].shape
    padding = "valid" if stride > 1 else "same"
    layer = layers.Conv2D(channels, (rows, columns), strides=stride, padding=padding)
    y = layer(x)
    layer.set_weights(weights)
    return y


def _block(x: keras.KerasTensor, channels: int, halves: bool, convolutions: Iterator[_Weights]) -> keras.KerasTensor:
    y = layers.Activation("relu")(_convolve(x, next(convolutions), stride=2 if halves else 1))
    y = _convolve(y, next(convolutions))
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
