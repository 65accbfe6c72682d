"""MTCNN's three networks: P-Net proposes, R-Net refines, O-Net decides and finds five landmarks.

Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks". Every
network gives the probability of a face and the four edges' offsets in units of the window's size."""

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from facesearch.models.cards import DetectorCard

_BLOCK = 16  # channels: of floats in a register of 512 bits
_Weights = list[NDArray[np.float32]]


def build(weights: list[_Weights], card: DetectorCard) -> dict[str, keras.Model]:  # noqa: ARG001
    """The networks as `{"pnet": ..., "rnet": ..., "onet": ...}`, each from one list of weights.

    pnet: (n, h, w, 3) to probability (n, h', w') and offsets (n, h', w', 4) of windows of 12 pixels, 2 apart;
    rnet: (n, 24, 24, 3) to (n,) and (n, 4); onet: (n, 48, 48, 3) to (n,), (n, 4) and landmarks (n, 10), five x
    and then five y, in units of the window's size."""
    pnet, rnet, onet = weights
    return {"pnet": _pnet(pnet), "rnet": _rnet(rnet), "onet": _onet(onet)}


def _pnet(weights: _Weights) -> keras.Model:
    *body, offset_kernel, offset_bias, face_kernel, face_bias = weights
    first, second, third = _prepared(body)
    pixels = keras.Input((None, None, 3), dtype="uint8", name="pixels")
    x = _convolve_and_pool(ops.cast(pixels, "float32"), first, layers.MaxPooling2D(2, padding="same"))
    x = _convolve(_convolve(x, second), third)
    # One convolution gives all five outputs: a softmax of two classes is a sigmoid of their difference.
    kernel = np.concatenate([_difference(face_kernel), offset_kernel], axis=-1)
    bias = np.concatenate([_difference(face_bias), offset_bias])
    y = _affine(x, kernel, bias)
    return keras.Model(pixels, [ops.sigmoid(y[..., 0]), y[..., 1:]], name="pnet")


def _rnet(weights: _Weights) -> keras.Model:
    first, second, third = _prepared(weights[:9])
    pixels = keras.Input((24, 24, 3), dtype="uint8", name="pixels")
    x = _convolve_and_pool(ops.cast(pixels, "float32"), first, layers.MaxPooling2D(3, strides=2, padding="same"))
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, second))
    x = _dense_after(_convolve(x, third), weights[9:12])
    face = _connect(x, _difference(weights[14]), _difference(weights[15]))
    outputs = [ops.sigmoid(face[:, 0]), _connect(x, *weights[12:14])]
    return keras.Model(pixels, outputs, name="rnet")


def _onet(weights: _Weights) -> keras.Model:
    first, second, third, fourth = _prepared(weights[:12])
    pixels = keras.Input((48, 48, 3), dtype="uint8", name="pixels")
    x = _convolve_and_pool(ops.cast(pixels, "float32"), first, layers.MaxPooling2D(3, strides=2, padding="same"))
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, second))
    x = layers.MaxPooling2D(2, padding="same")(_convolve(x, third))
    x = _dense_after(_convolve(x, fourth), weights[12:15])
    face = _connect(x, _difference(weights[19]), _difference(weights[20]))
    outputs = [ops.sigmoid(face[:, 0]), _connect(x, *weights[15:17]), _connect(x, *weights[17:19])]
    return keras.Model(pixels, outputs, name="onet")


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


def _difference(of_two_classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Face minus no face, on the last axis, which is kept."""
    return of_two_classes[..., 1:] - of_two_classes[..., :1]


def _affine(x: keras.KerasTensor, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> keras.KerasTensor:
    """A convolution without padding."""
    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2])
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y


def _convolve(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    """A convolution without padding, and its PReLU, which has one slope a channel, whatever the position."""
    kernel, bias, slopes = weights
    return _prelu(_affine(x, kernel, bias), slopes.reshape(-1))


def _convolve_and_pool(x: keras.KerasTensor, weights: _Weights, pool: keras.Layer) -> keras.KerasTensor:
    """A convolution without padding, its PReLU and the greatest of some neighbours, in another order: the greatest
    comes first, on a quarter as many numbers as the PReLU would else see, which takes a quarter of P-Net's time.

    A PReLU that rises everywhere may come after the greatest. One that falls to the left of zero is the greater of x
    and -slope times -x, and its greatest comes from those of x and of -x. ONNX Runtime finds the greatest faster in
    whole blocks of channels, so some are added that are zero."""
    kernel, bias, slopes = weights
    falling, channels = int((slopes < 0).sum()), len(slopes)
    negated = slice(channels, channels + falling)
    idle = [(0, 0)] * 3 + [(0, -(channels + falling) % _BLOCK)]
    y = _affine(
        x,
        np.pad(np.concatenate([kernel, -kernel[..., :falling]], axis=-1), idle),
        np.pad(np.concatenate([bias, -bias[:falling]]), idle[-1]),
    )
    y = pool(y)
    left = ops.maximum(y[..., :falling], y[..., negated] * -slopes[:falling])
    return ops.concatenate([left, _prelu(y[..., falling:channels], slopes[falling:])], axis=-1)


def _prelu(x: keras.KerasTensor, slopes: NDArray[np.float32]) -> keras.KerasTensor:
    """x, or slope times x where x is negative; `slopes` is (channels,)."""
    if slopes.max() <= 1:
        return ops.maximum(x, x * slopes)
    return ops.relu(x) - ops.relu(-x) * slopes


def _dense_after(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    """A dense layer and its PReLU. The original ran through columns before rows, hence the permutation."""
    kernel, bias, slopes = weights
    return _prelu(_connect(layers.Flatten()(layers.Permute((2, 1, 3))(x)), kernel, bias), slopes)


def _connect(x: keras.KerasTensor, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> keras.KerasTensor:
    layer = layers.Dense(kernel.shape[-1])
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y
