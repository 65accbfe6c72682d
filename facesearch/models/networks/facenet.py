"""Inception-ResNet-v1 as FaceNet uses it: 160 x 160 pixels to 128 or 512 numbers.

Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", as built by
davidsandberg/facenet, whose tensors keep their names here: a convolution's path is that of its tensors. Batch
normalisation has no gamma, and the last convolution of each residual block has biases and no normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.embedder import Arrays, embedder_graph, keras_embedder
from facesearch.models.onnx_builder import Graph, Padding, normalised

if TYPE_CHECKING:
    import keras
    import onnx

CHIP_PX = 160
_SCOPE = "InceptionResnetV1"
_EPSILON = 0.001
_MOMENTUM = 0.995

# A convolution: name in its branch, channels, rows x columns, stride, padding.
_Conv = tuple[str, int, tuple[int, int], int, Padding]


def _conv(name: str, channels: int, size: int | tuple[int, int], stride: int = 1, padding: Padding = "same") -> _Conv:
    return name, channels, (size, size) if isinstance(size, int) else size, stride, padding


_STEM = (
    _conv("Conv2d_1a_3x3", 32, 3, 2, "valid"),
    _conv("Conv2d_2a_3x3", 32, 3, 1, "valid"),
    _conv("Conv2d_2b_3x3", 64, 3),
    "pool",
    _conv("Conv2d_3b_1x1", 80, 1, 1, "valid"),
    _conv("Conv2d_4a_3x3", 192, 3, 1, "valid"),
    _conv("Conv2d_4b_3x3", 256, 3, 2, "valid"),
)
_BLOCK_35 = (
    (_conv("Conv2d_1x1", 32, 1),),
    (_conv("Conv2d_0a_1x1", 32, 1), _conv("Conv2d_0b_3x3", 32, 3)),
    (_conv("Conv2d_0a_1x1", 32, 1), _conv("Conv2d_0b_3x3", 32, 3), _conv("Conv2d_0c_3x3", 32, 3)),
)
_REDUCTION_A = (
    (_conv("Conv2d_1a_3x3", 384, 3, 2, "valid"),),
    (_conv("Conv2d_0a_1x1", 192, 1), _conv("Conv2d_0b_3x3", 192, 3), _conv("Conv2d_1a_3x3", 256, 3, 2, "valid")),
)
_BLOCK_17 = (
    (_conv("Conv2d_1x1", 128, 1),),
    (_conv("Conv2d_0a_1x1", 128, 1), _conv("Conv2d_0b_1x7", 128, (1, 7)), _conv("Conv2d_0c_7x1", 128, (7, 1))),
)
_REDUCTION_B = (
    (_conv("Conv2d_0a_1x1", 256, 1), _conv("Conv2d_1a_3x3", 384, 3, 2, "valid")),
    (_conv("Conv2d_0a_1x1", 256, 1), _conv("Conv2d_1a_3x3", 256, 3, 2, "valid")),
    (_conv("Conv2d_0a_1x1", 256, 1), _conv("Conv2d_0b_3x3", 256, 3), _conv("Conv2d_1a_3x3", 256, 3, 2, "valid")),
)
_BLOCK_8 = (
    (_conv("Conv2d_1x1", 192, 1),),
    (_conv("Conv2d_0a_1x1", 192, 1), _conv("Conv2d_0b_1x3", 192, (1, 3)), _conv("Conv2d_0c_3x1", 192, (3, 1))),
)
# Blocks from the stem to the end: path, branches, count, how much of a block is added to its input. A reduction has
# no count; its input is pooled beside its branches.
_BODY: tuple[tuple[str, Sequence[Sequence[_Conv]], int, float], ...] = (
    ("Repeat/block35", _BLOCK_35, 5, 0.17),
    ("Mixed_6a", _REDUCTION_A, 0, 0),
    ("Repeat_1/block17", _BLOCK_17, 10, 0.10),
    ("Mixed_7a", _REDUCTION_B, 0, 0),
    ("Repeat_2/block8", _BLOCK_8, 5, 0.20),
)


def keras_models(weights: Sequence[Arrays], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. `weights` is one mapping from the original's tensor names. Raises ModelError that names a tensor which is
    missing or has another shape."""
    return keras_embedder(network, set_tensors, weights[0], card)


def graphs(weights: Sequence[Arrays], card: EmbedderCard) -> dict[str, onnx.ModelProto]:
    """The same as an ONNX graph."""
    return embedder_graph(_graph_body, weights[0], card)


def _graph_body(graph: Graph, x: str, arrays: Arrays, dim: int, chip_px: int) -> str:  # noqa: ARG001
    made = _GraphForm(graph, arrays)
    width = 3  # channels of what x is at the moment
    for conv in _STEM:
        if isinstance(conv, str):
            x = graph.max_pool(x, 3)
        else:
            x, width = made.convolve(x, width, "", conv)
    for path, branches, count, scale in _BODY:
        if not count:
            joined, more = made.branches(x, width, path, branches)
            x, width = graph.concat([*joined, graph.max_pool(x, 3)]), width + more
        for i in range(count):
            x = made.residual(x, width, f"{path}_{i + 1}", branches, scale)
    x = made.residual(x, width, "Block8", _BLOCK_8, 1.0, is_last=True)
    return made.bottleneck(graph.global_average_pool(x), width, dim)


class _GraphForm:
    """Layers as nodes, batch normalisation folded into them. `width` is how many channels come in."""

    def __init__(self, graph: Graph, arrays: Arrays) -> None:
        self._graph, self._arrays = graph, arrays

    def convolve(self, x: str, width: int, path: str, conv: _Conv) -> tuple[str, int]:
        """A convolution and its ReLU; the result, and its channels."""
        name, channels, (rows, columns), stride, padding = conv
        path = f"{path}/{name}" if path else name
        kernel = self._take(f"{path}/weights", rows, columns, width, channels)
        x = self._graph.conv(x, *self._normalised(kernel, path), stride=stride, padding=padding)
        return self._graph.relu(x), channels

    def branches(self, x: str, width: int, path: str, branches: Sequence[Sequence[_Conv]]) -> tuple[list[str], int]:
        """The result of each branch, and the channels of all together."""
        results, total = [], 0
        for number, convolutions in enumerate(branches):
            y, channels = x, width
            for conv in convolutions:
                y, channels = self.convolve(y, channels, f"{path}/Branch_{number}", conv)
            results.append(y)
            total += channels
        return results, total

    def residual(
        self,
        x: str,
        width: int,
        path: str,
        branches: Sequence[Sequence[_Conv]],
        scale: float,
        is_last: bool = False,
    ) -> str:
        """What comes in and, scaled, what the branches make of it."""
        joined, channels = self.branches(x, width, path, branches)
        kernel = self._take(f"{path}/Conv2d_1x1/weights", 1, 1, channels, width)
        bias = self._take(f"{path}/Conv2d_1x1/biases", width)
        x = self._graph.add(x, self._graph.conv(self._graph.concat(joined), kernel * scale, bias * scale))
        return x if is_last else self._graph.relu(x)

    def bottleneck(self, x: str, width: int, dim: int) -> str:
        """The last layer: (n, width) to (n, dim)."""
        kernel = self._take("Bottleneck/weights", width, dim)
        return self._graph.dense(x, *self._normalised(kernel, "Bottleneck"))

    def _normalised(self, kernel: NDArray[np.float32], path: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        words = ("beta", "moving_mean", "moving_variance")
        beta, mean, variance = (self._take(f"{path}/BatchNorm/{word}", kernel.shape[-1]) for word in words)
        return normalised(kernel, beta, mean, variance, _EPSILON)

    def _take(self, path: str, *shape: int) -> NDArray[np.float32]:
        return _tensor(self._arrays, f"{_SCOPE}/{path}", shape)


def network(dim: int, chip_px: int = CHIP_PX, dropout: float = 0.0) -> keras.Model:
    """The bare network in Keras, with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to
    (n, dim)."""
    import keras
    from keras import layers

    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x: keras.KerasTensor = chips
    for conv in _STEM:
        x = layers.MaxPooling2D(3, strides=2)(x) if isinstance(conv, str) else _keras_convolve(x, "", conv)
    for path, branches, count, scale in _BODY:
        if not count:
            x = layers.Concatenate()([*_keras_branches(x, path, branches), layers.MaxPooling2D(3, strides=2)(x)])
        for i in range(count):
            x = _keras_residual(x, f"{path}_{i + 1}", branches, scale)
    x = _keras_residual(x, "Block8", _BLOCK_8, 1.0, is_last=True)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    x = layers.Dense(dim, use_bias=False, name=_named("Bottleneck"))(x)
    x = _keras_normalise(x, "Bottleneck")
    return keras.Model(chips, x, name="inception_resnet_v1")


def set_tensors(model: keras.Model, tensors: Arrays) -> None:
    """Gives the bare network the original's tensors. Raises ModelError that names one which is missing or has another
    shape."""
    for layer in model.layers:
        names = _tensors_of(layer)
        if names:
            layer.set_weights([_tensor(tensors, name, w.shape) for name, w in zip(names, layer.weights, strict=True)])


def get_tensors(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """The bare network's weights by the original's tensor names."""
    from keras import ops

    return {
        name: np.asarray(ops.convert_to_numpy(weight), np.float32)
        for layer in model.layers
        for name, weight in zip(_tensors_of(layer), layer.weights, strict=True)
    }


def _tensor(tensors: Arrays, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in tensors:
        raise ModelError(f"The tensor {name} is missing; this is not an Inception-ResNet-v1 of facenet.")
    if tensors[name].shape != tuple(shape):
        found, expected = ("x".join(map(str, each)) for each in (tensors[name].shape, shape))
        raise ModelError(f"The tensor {name} is {found}, where Inception-ResNet-v1 has {expected}.")
    return tensors[name]


def _tensors_of(layer: keras.Layer) -> list[str]:
    """The names of a layer's tensors, in the order of its weights."""
    from keras import layers

    path = layer.name.replace("--", "/")
    if isinstance(layer, layers.Conv2D):
        return [f"{path}/weights", f"{path}/biases"] if layer.use_bias else [f"{path}/weights"]
    if isinstance(layer, layers.Dense):
        return [f"{path}/weights"]
    if isinstance(layer, layers.BatchNormalization):
        return [f"{path}/beta", f"{path}/moving_mean", f"{path}/moving_variance"]
    return []


def _named(path: str) -> str:
    """A layer's name: Keras allows no slash in one."""
    return f"{_SCOPE}/{path}".replace("/", "--")


def _keras_convolve(x: keras.KerasTensor, path: str, conv: _Conv) -> keras.KerasTensor:
    from keras import layers

    name, channels, size, stride, padding = conv
    path = f"{path}/{name}" if path else name
    layer = layers.Conv2D(channels, size, strides=stride, padding=padding, use_bias=False, name=_named(path))
    return layers.Activation("relu")(_keras_normalise(layer(x), path))


def _keras_normalise(x: keras.KerasTensor, path: str) -> keras.KerasTensor:
    from facesearch.models.networks.batch_normalisation import BatchNormalisation

    name = _named(f"{path}/BatchNorm")
    return BatchNormalisation(momentum=_MOMENTUM, epsilon=_EPSILON, scale=False, name=name)(x)


def _keras_branches(x: keras.KerasTensor, path: str, branches: Sequence[Sequence[_Conv]]) -> list[keras.KerasTensor]:
    results = []
    for number, convolutions in enumerate(branches):
        y = x
        for conv in convolutions:
            y = _keras_convolve(y, f"{path}/Branch_{number}", conv)
        results.append(y)
    return results


def _keras_residual(
    x: keras.KerasTensor, path: str, branches: Sequence[Sequence[_Conv]], scale: float, is_last: bool = False
) -> keras.KerasTensor:
    from keras import layers

    joined = layers.Concatenate()(_keras_branches(x, path, branches))
    up = layers.Conv2D(x.shape[-1], 1, name=_named(f"{path}/Conv2d_1x1"))(joined)
    x = layers.Add()([x, layers.Rescaling(scale)(up)])
    return x if is_last else layers.Activation("relu")(x)
