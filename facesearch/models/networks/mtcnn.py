"""MTCNN's three networks: P-Net proposes, R-Net refines, O-Net decides and finds five landmarks.

Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks". Every
network gives the probability of a face and the four edges' offsets in units of the window's size:

pnet: (n, h, w, 3) to probability (n, h', w') and offsets (n, h', w', 4) of windows of 12 pixels, 2 apart;
rnet: (n, 24, 24, 3) to (n,) and (n, 4); onet: (n, 48, 48, 3) to (n,), (n, 4) and landmarks (n, 10), five x and then
five y.

A convolution, its PReLU and the greatest of some neighbours are computed in another order at the start of each: the
greatest comes first, on a quarter as many numbers as the PReLU would else see, which takes a quarter of P-Net's time.
A PReLU that rises everywhere may come after the greatest. One that falls to the left of zero is the greater of x and
-slope times -x, and its greatest comes from those of x and of -x. For OpenVINO, which computes a PReLU together with
the convolution before it, the graphs are plain: in the authors' order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from facesearch.models.cards import DetectorCard
from facesearch.models.onnx_builder import Graph, Padding

if TYPE_CHECKING:
    import keras
    import onnx

# ONNX Runtime finds the greatest faster in whole blocks of channels, of as many as a register of 512 bits has floats.
_BLOCK = 16
_Weights = list[NDArray[np.float32]]


def keras_models(weights: list[_Weights], card: DetectorCard) -> dict[str, keras.Model]:  # noqa: ARG001
    """The networks as `{"pnet": ..., "rnet": ..., "onet": ...}`, each from one list of weights."""
    pnet, rnet, onet = weights
    return {"pnet": _keras_pnet(pnet), "rnet": _keras_rnet(rnet), "onet": _keras_onet(onet)}


def graphs(weights: list[_Weights], card: DetectorCard) -> dict[str, onnx.ModelProto]:  # noqa: ARG001
    """The same as ONNX graphs."""
    pnet, rnet, onet = weights
    return {
        "pnet": _graph_pnet(pnet, Graph()),
        "rnet": _graph_rnet(rnet, Graph()),
        "onet": _graph_onet(onet, Graph()),
    }


def plain_graphs(weights: list[_Weights], card: DetectorCard) -> dict[str, onnx.ModelProto]:  # noqa: ARG001
    """The same for OpenVINO, which takes 2.2 times as long for P-Net when it is drawn as for ONNX Runtime."""
    made = (_graph_pnet, _graph_rnet, _graph_onet)
    parts = ("pnet", "rnet", "onet")
    return {part: make(each, Graph(plain=True)) for part, make, each in zip(parts, made, weights, strict=True)}


# What both forms compute from the weights


class _Pooled(NamedTuple):
    """The first convolution of a network as it is computed before pooling: `channels` results, of which the first
    `falling` have a PReLU that falls, these once more with the other sign, and zeros up to a whole block."""

    kernel: NDArray[np.float32]  # (rows, columns, in, channels + falling + zeros)
    bias: NDArray[np.float32]
    slopes: NDArray[np.float32]  # (channels,)
    falling: int
    channels: int


def _prepared(weights: _Weights) -> list[_Weights]:
    """Kernel, bias and slopes of each convolution. The standardisation of pixels, (x - 127.5) / 128, is folded into
    the first one, which pads nothing, and in which channels whose PReLU falls to the left of zero come first."""
    found = [list(each) for each in zip(*[iter(weights)] * 3, strict=True)]
    kernel, bias, slopes = found[0]
    order = np.argsort(slopes.reshape(-1) >= 0, kind="stable")
    standardised = kernel / 128, bias - 127.5 / 128 * kernel.sum(axis=(0, 1, 2)), slopes.reshape(-1)
    found[0] = [each[..., order] for each in standardised]
    found[1][0] = found[1][0][:, :, order]
    return found


def _pooled(weights: _Weights) -> _Pooled:
    kernel, bias, slopes = weights
    falling, channels = int((slopes < 0).sum()), len(slopes)
    zeros = [(0, 0)] * 3 + [(0, -(channels + falling) % _BLOCK)]
    return _Pooled(
        np.pad(np.concatenate([kernel, -kernel[..., :falling]], axis=-1), zeros),
        np.pad(np.concatenate([bias, -bias[:falling]]), zeros[-1]),
        slopes,
        falling,
        channels,
    )


def _difference(of_two_classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Face minus background, on the last axis, which is kept: a softmax of two classes is a sigmoid of their
    difference."""
    return of_two_classes[..., 1:] - of_two_classes[..., :1]


def _pnet_head(weights: _Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of one convolution that gives all five outputs, the face before the four offsets."""
    offset_kernel, offset_bias, face_kernel, face_bias = weights
    kernel = np.concatenate([_difference(face_kernel), offset_kernel], axis=-1)
    return kernel, np.concatenate([_difference(face_bias), offset_bias])


# As ONNX graphs
#
# ONNX Runtime keeps channels in whole blocks from one convolution to the next, and leaves them for each operator that
# it does not know in that form, such as Max, which costs as much as a convolution. So a PReLU is written as what it
# knows: slope times x plus (1 - slope) times relu(x), each factor a convolution of 1 x 1, the sum a part of the
# second one.


def _graph_pnet(weights: _Weights, graph: Graph) -> onnx.ModelProto:
    first, second, (kernel, bias, slopes) = _prepared(weights[:9])
    x = _graph_start(graph, first, pool=2)
    x = graph.conv(_graph_convolve(graph, x, second), kernel, bias)
    y = _graph_affine_after_prelu(graph, x, slopes.reshape(-1), *_pnet_head(weights[9:]))
    outputs = {
        "score": graph.node("Sigmoid", graph.squeeze(graph.part(y, 0, 1), axis=1)),
        "offsets": graph.channels_last(graph.part(y, 1, 5)),
    }
    return graph.model(["n", "height", "width", 3], outputs, "pnet")


def _graph_rnet(weights: _Weights, graph: Graph) -> onnx.ModelProto:
    first, second, third = _prepared(weights[:9])
    x = _graph_start(graph, first, pool=3)
    x = graph.max_pool(_graph_convolve(graph, x, second), 3)
    x = _graph_dense_after(graph, _graph_convolve(graph, x, third), weights[9:12])
    outputs = {"score": _graph_score(graph, x, weights[14:16]), "offsets": graph.dense(x, *weights[12:14])}
    return graph.model(["n", 24, 24, 3], outputs, "rnet")


def _graph_onet(weights: _Weights, graph: Graph) -> onnx.ModelProto:
    first, second, third, fourth = _prepared(weights[:12])
    x = _graph_start(graph, first, pool=3)
    x = graph.max_pool(_graph_convolve(graph, x, second), 3)
    x = graph.max_pool(_graph_convolve(graph, x, third), 2, padding="same")
    x = _graph_dense_after(graph, _graph_convolve(graph, x, fourth), weights[12:15])
    outputs = {
        "score": _graph_score(graph, x, weights[19:21]),
        "offsets": graph.dense(x, *weights[15:17]),
        "landmarks": graph.dense(x, *weights[17:19]),
    }
    return graph.model(["n", 48, 48, 3], outputs, "onet")


def _graph_start(graph: Graph, weights: _Weights, pool: int, padding: Padding = "same") -> str:
    """Pixels through the first convolution, the greatest of pool x pool neighbours, and the PReLU; zeros are added up
    to a whole block of channels. The greater of u and v is v + relu(u - v)."""
    x = graph.channels_first(graph.floats("pixels"))
    if graph.plain:
        return graph.max_pool(_graph_convolve(graph, x, weights), pool, padding=padding)
    kernel, bias, slopes, falling, channels = _pooled(weights)
    greatest = graph.max_pool(graph.conv(x, kernel, bias), pool, padding=padding)
    into, out = kernel.shape[-1], _blocks(channels)
    before, linear = np.zeros((2, 1, 1, into, out), np.float32)
    after = np.zeros((1, 1, out, out), np.float32)
    both = np.arange(channels)
    before[..., both, both] = 1
    fall, negated, rise = both[:falling], np.arange(channels, channels + falling), both[falling:]
    before[..., negated, fall], linear[..., negated, fall], after[..., fall, fall] = slopes[fall], -slopes[fall], 1
    linear[..., rise, rise], after[..., rise, rise] = slopes[rise], 1 - slopes[rise]
    none = np.zeros(out, np.float32)
    bent = graph.relu(graph.conv(greatest, before, none))
    return graph.add(graph.conv(greatest, linear, none), graph.conv(bent, after, none))


def _graph_convolve(graph: Graph, x: str, weights: _Weights) -> str:
    """A convolution and its PReLU; of channels whole blocks go in and come out."""
    kernel, bias, slopes = weights
    if graph.plain:
        return graph.prelu(graph.conv(x, kernel, bias), slopes.reshape(-1))
    more = _blocks(kernel.shape[3]) - kernel.shape[3]
    kernel = np.pad(kernel, [(0, 0), (0, 0), (0, _blocks(kernel.shape[2]) - kernel.shape[2]), (0, more)])
    x = graph.conv(x, kernel, np.pad(bias, (0, more)))
    slopes = np.pad(slopes.reshape(-1), (0, more))
    none = np.zeros(len(slopes), np.float32)
    linear = graph.depthwise_conv(x, slopes[None, None, :, None], none)
    return graph.add(linear, graph.depthwise_conv(graph.relu(x), 1 - slopes[None, None, :, None], none))


def _graph_affine_after_prelu(
    graph: Graph, x: str, slopes: NDArray[np.float32], kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> str:
    """A PReLU and a convolution of 1 x 1: as that is linear, it is done on both parts of the PReLU."""
    if graph.plain:
        return graph.conv(graph.prelu(x, slopes), kernel, bias)
    of_relu = graph.conv(graph.relu(x), kernel * (1 - slopes)[:, None], np.zeros_like(bias))
    return graph.add(graph.conv(x, kernel * slopes[:, None], bias), of_relu)


def _blocks(channels: int) -> int:
    """As many, rounded up to whole blocks."""
    return -(-channels // _BLOCK) * _BLOCK


def _graph_dense_after(graph: Graph, x: str, weights: _Weights) -> str:
    """A dense layer and its PReLU. The original ran through columns before rows and channels, hence the order."""
    kernel, bias, slopes = weights
    flat = graph.flatten(graph.node("Transpose", x, perm=[0, 3, 2, 1]))  # (n, columns * rows * channels)
    return graph.prelu(graph.dense(flat, kernel, bias), slopes, rank=2)


def _graph_score(graph: Graph, x: str, weights: _Weights) -> str:
    """The probability of a face, (n,)."""
    kernel, bias = weights
    return graph.node("Sigmoid", graph.squeeze(graph.dense(x, _difference(kernel), _difference(bias)), axis=1))


# In Keras


def _keras_pnet(weights: _Weights) -> keras.Model:
    import keras
    from keras import layers, ops

    first, second, third = _prepared(weights[:9])
    pixels = keras.Input((None, None, 3), dtype="uint8", name="pixels")
    x = _keras_start(pixels, first, layers.MaxPooling2D(2, padding="same"))
    x = _keras_convolve(_keras_convolve(x, second), third)
    y = _affine(x, *_pnet_head(weights[9:]))
    return keras.Model(pixels, [ops.sigmoid(y[..., 0]), y[..., 1:]], name="pnet")


def _keras_rnet(weights: _Weights) -> keras.Model:
    import keras
    from keras import layers

    first, second, third = _prepared(weights[:9])
    pixels = keras.Input((24, 24, 3), dtype="uint8", name="pixels")
    x = _keras_start(pixels, first, layers.MaxPooling2D(3, strides=2, padding="same"))
    x = layers.MaxPooling2D(3, strides=2)(_keras_convolve(x, second))
    x = _keras_dense_after(_keras_convolve(x, third), weights[9:12])
    return keras.Model(pixels, [_keras_score(x, weights[14:16]), _connect(x, *weights[12:14])], name="rnet")


def _keras_onet(weights: _Weights) -> keras.Model:
    import keras
    from keras import layers

    first, second, third, fourth = _prepared(weights[:12])
    pixels = keras.Input((48, 48, 3), dtype="uint8", name="pixels")
    x = _keras_start(pixels, first, layers.MaxPooling2D(3, strides=2, padding="same"))
    x = layers.MaxPooling2D(3, strides=2)(_keras_convolve(x, second))
    x = layers.MaxPooling2D(2, padding="same")(_keras_convolve(x, third))
    x = _keras_dense_after(_keras_convolve(x, fourth), weights[12:15])
    outputs = [_keras_score(x, weights[19:21]), _connect(x, *weights[15:17]), _connect(x, *weights[17:19])]
    return keras.Model(pixels, outputs, name="onet")


def _keras_start(pixels: keras.KerasTensor, weights: _Weights, pool: keras.Layer) -> keras.KerasTensor:
    from keras import ops

    kernel, bias, slopes, falling, channels = _pooled(weights)
    x = pool(_affine(ops.cast(pixels, "float32"), kernel, bias))
    negated = x[..., channels : channels + falling] * -slopes[:falling]
    rising = _keras_prelu(x[..., falling:channels], slopes[falling:])
    return ops.concatenate([ops.maximum(x[..., :falling], negated), rising], axis=-1)


def _affine(x: keras.KerasTensor, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> keras.KerasTensor:
    """A convolution without padding."""
    from keras import layers

    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2])
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y


def _keras_convolve(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    """A convolution without padding, and its PReLU, which has one slope a channel, whatever the position."""
    kernel, bias, slopes = weights
    return _keras_prelu(_affine(x, kernel, bias), slopes.reshape(-1))


def _keras_prelu(x: keras.KerasTensor, slopes: NDArray[np.float32]) -> keras.KerasTensor:
    """x, or slope times x where x is negative; `slopes` is (channels,)."""
    from keras import ops

    if slopes.max() <= 1:
        return ops.maximum(x, x * slopes)
    return ops.relu(x) - ops.relu(-x) * slopes


def _keras_dense_after(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    from keras import layers

    kernel, bias, slopes = weights
    return _keras_prelu(_connect(layers.Flatten()(layers.Permute((2, 1, 3))(x)), kernel, bias), slopes)


def _keras_score(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    from keras import ops

    kernel, bias = weights
    return ops.sigmoid(_connect(x, _difference(kernel), _difference(bias))[:, 0])


def _connect(x: keras.KerasTensor, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> keras.KerasTensor:
    from keras import layers

    layer = layers.Dense(kernel.shape[-1])
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y
