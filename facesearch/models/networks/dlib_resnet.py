"""The residual network behind dlib's face recognition: 29 convolutions, 150 x 150 pixels to 128 numbers.

King 2017, "High Quality Face Recognition with Deep Metric Learning". The layers follow dlib's definition, where
a block that halves the picture pads its smaller side with zeros at the end of rows, columns and channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.embedder import embedder_graph, keras_embedder
from facesearch.models.networks.weights_in_order import Arrays, InOrder, get_in_order, set_in_order
from facesearch.models.onnx_builder import Graph

if TYPE_CHECKING:
    import keras
    import onnx

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


def keras_models(weights: list[_Weights] | list[Arrays], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. `weights` is one list as `facesearch.models.weights.dlib_dat.read` gives it, or what get_tensors gave.
    Raises ModelError when an array is missing or has another shape."""
    (given,) = weights
    return keras_embedder(network, set_in_order, _by_place(given), card)


def graphs(weights: list[_Weights] | list[Arrays], card: EmbedderCard) -> dict[str, onnx.ModelProto]:
    """The same as an ONNX graph."""
    (given,) = weights
    return embedder_graph(_graph_body, _by_place(given), card)


def set_tensors(model: keras.Model, given: _Weights | Arrays) -> None:
    """Gives the bare Keras network dlib's arrays, or what get_tensors gave. Raises ModelError."""
    set_in_order(model, _by_place(given))


def _by_place(given: _Weights | Arrays) -> Arrays:
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


def _graph_body(graph: Graph, x: str, arrays: Arrays, dim: int, chip_px: int) -> str:
    given = InOrder(arrays)
    x = graph.relu(graph.conv(x, given.take(7, 7, 3, 32), given.take(32), stride=2))
    x = graph.max_pool(x, 3)
    side, width = _after(_after(chip_px, 7, 2), 3, 2), 32  # of the picture here: pixels, and channels
    for channels, halves in _BLOCKS:
        x = _graph_block(graph, x, given, (side, width), channels, halves)
        side, width = max(_after(side, 3, 2), side // 2) if halves else side, channels
    if side < 1:
        raise ModelError(f"The chips of {chip_px} pixels are too small for dlib's ResNet; correct the card.")
    return graph.dense(graph.global_average_pool(x), given.take(width, dim))


def _graph_block(graph: Graph, x: str, given: InOrder, size: tuple[int, int], channels: int, halves: bool) -> str:
    """`size` are the side in pixels and the channels of what comes in."""
    side, width = size
    kernel, bias = given.take(3, 3, width, channels), given.take(channels)
    y = graph.relu(graph.conv(x, kernel, bias, 2 if halves else 1, "valid" if halves else "same"))
    y = graph.conv(y, given.take(3, 3, channels, channels), given.take(channels), padding="same")
    if halves:
        x = graph.average_pool(x, 2)
        inner, outer = _after(side, 3, 2), side // 2
        y = graph.pad_end(y, [0, 0, *[max(outer - inner, 0)] * 2])
        x = graph.pad_end(x, [0, channels - width, *[max(inner - outer, 0)] * 2])
    return graph.relu(graph.add(y, x))


def _after(side: int, size: int, stride: int) -> int:
    """The side of a picture after a convolution or a pooling without padding, in pixels."""
    return (side - size) // stride + 1


def network(dim: int, chip_px: int = CHIP_PX) -> keras.Model:
    """The bare network in Keras, with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to
    (n, dim)."""
    import keras
    from keras import layers

    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x = layers.Activation("relu")(layers.Conv2D(32, 7, strides=2)(chips))
    x = layers.MaxPooling2D(3, strides=2)(x)
    for channels, halves in _BLOCKS:
        x = _keras_block(x, channels, halves)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(chips, layers.Dense(dim, use_bias=False)(x), name="dlib_resnet")


def _keras_block(x: keras.KerasTensor, channels: int, halves: bool) -> keras.KerasTensor:
    from keras import layers

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
    from keras import ops

    missing = [(0, 0), (0, rows - x.shape[1]), (0, columns - x.shape[2]), (0, channels - x.shape[3])]
    return ops.pad(x, missing) if any(after for _, after in missing) else x
