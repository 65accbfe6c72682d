"""Inception-ResNet-v1 as FaceNet uses it: 160 x 160 pixels to 128 or 512 numbers.

Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", as built by
davidsandberg/facenet, whose tensors keep their names here: a convolution's path is that of its tensors. Batch
normalisation has no gamma, and the last convolution of each residual block has biases and no normalisation."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.ends import served

CHIP_PX = 160
_SCOPE = "InceptionResnetV1"
_EPSILON = 0.001
_MOMENTUM = 0.995

# A convolution: name in its branch, channels, rows x columns, stride, padding.
_Conv = tuple[str, int, tuple[int, int], int, str]


def _conv(name: str, channels: int, size: int | tuple[int, int], stride: int = 1, padding: str = "same") -> _Conv:
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


def build(weights: Sequence[Mapping[str, NDArray[np.float32]]], card: EmbedderCard) -> dict[str, keras.Model]:
    """The network as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. `weights` is one mapping from the original's tensor names. Raises ModelError that names a tensor which is
    missing or has another shape."""
    return served(network, set_tensors, weights[0], card)


def network(dim: int, chip_px: int = CHIP_PX, dropout: float = 0.0) -> keras.Model:
    """The bare network with fresh weights: standardised chips, (n, chip_px, chip_px, 3) float32, to (n, dim)."""
    chips = keras.Input((chip_px, chip_px, 3), name="standardised")
    x: keras.KerasTensor = chips
    for conv in _STEM:
        x = layers.MaxPooling2D(3, strides=2)(x) if isinstance(conv, str) else _convolve(x, "", conv)
    for path, branches, count, scale in _BODY:
        if not count:
            x = layers.Concatenate()([*_branches(x, path, branches), layers.MaxPooling2D(3, strides=2)(x)])
        for i in range(count):
            x = _residual(x, f"{path}_{i + 1}", branches, scale)
    x = _residual(x, "Block8", _BLOCK_8, 1.0, is_last=True)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    x = layers.Dense(dim, use_bias=False, name=_named("Bottleneck"))(x)
    x = _normalise(x, "Bottleneck")
    return keras.Model(chips, x, name="inception_resnet_v1")


def set_tensors(model: keras.Model, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Gives the bare network the original's tensors. Raises ModelError that names one which is missing or has another
    shape."""
    for layer in model.layers:
        names = _tensors_of(layer)
        if names:
            layer.set_weights([_tensor(tensors, name, w.shape) for name, w in zip(names, layer.weights, strict=True)])


def get_tensors(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """The bare network's weights by the original's tensor names."""
    return {
        name: np.asarray(ops.convert_to_numpy(weight), np.float32)
        for layer in model.layers
        for name, weight in zip(_tensors_of(layer), layer.weights, strict=True)
    }


def _tensor(tensors: Mapping[str, NDArray[np.float32]], name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in tensors:
        raise ModelError(f"The tensor {name} is missing; this is no Inception-ResNet-v1 of facenet.")
    if tensors[name].shape != tuple(shape):
        found, expected = ("x".join(map(str, each)) for each in (tensors[name].shape, shape))
        raise ModelError(f"The tensor {name} is {found}, where Inception-ResNet-v1 has {expected}.")
    return tensors[name]


def _tensors_of(layer: keras.Layer) -> list[str]:
    """The names of a layer's tensors, in the order of its weights."""
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


def _convolve(x: keras.KerasTensor, path: str, conv: _Conv) -> keras.KerasTensor:
    name, channels, size, stride, padding = conv
    path = f"{path}/{name}" if path else name
    layer = layers.Conv2D(channels, size, strides=stride, padding=padding, use_bias=False, name=_named(path))
    return layers.Activation("relu")(_normalise(layer(x), path))


def _normalise(x: keras.KerasTensor, path: str) -> keras.KerasTensor:
    name = _named(f"{path}/BatchNorm")
    return layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON, scale=False, name=name)(x)


def _branches(x: keras.KerasTensor, path: str, branches: Sequence[Sequence[_Conv]]) -> list[keras.KerasTensor]:
    ends = []
    for number, convolutions in enumerate(branches):
        end = x
        for conv in convolutions:
            end = _convolve(end, f"{path}/Branch_{number}", conv)
        ends.append(end)
    return ends


def _residual(
    x: keras.KerasTensor, path: str, branches: Sequence[Sequence[_Conv]], scale: float, is_last: bool = False
) -> keras.KerasTensor:
    joined = layers.Concatenate()(_branches(x, path, branches))
    up = layers.Conv2D(x.shape[-1], 1, name=_named(f"{path}/Conv2d_1x1"))(joined)
    x = layers.Add()([x, layers.Rescaling(scale)(up)])
    return x if is_last else layers.Activation("relu")(x)
