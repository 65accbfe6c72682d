"""MTCNN's three networks: P-Net proposes, R-Net refines, O-Net decides and finds five landmarks.

Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks". Every
network gives the probability of a face and the four edges' offsets in units of the window's size."""

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from facesearch.cards import DetectorCard

_Weights = list[NDArray[np.float32]]
_SHARED = [1, 2]  # a PReLU after a convolution has one slope a channel, whatever the position


def build(weights: list[_Weights], card: DetectorCard) -> dict[str, keras.Model]:  # noqa: ARG001
    """The networks as `{"pnet": ..., "rnet": ..., "onet": ...}`, each from one list of weights.

    pnet: (n, h, w, 3) to probability (n, h', w') and offsets (n, h', w', 4) of windows of 12 pixels, 2 apart;
    rnet: (n, 24, 24, 3) to (n,) and (n, 4); onet: (n, 48, 48, 3) to (n,), (n, 4) and landmarks (n, 10), five x
    and then five y, in units of the window's size."""
    pnet, rnet, onet = weights
    return {"pnet": _pnet(pnet), "rnet": _rnet(rnet), "onet": _onet(onet)}


def _pnet(weights: _Weights) -> keras.Model:
    *body, offset_kernel, offset_bias, face_kernel, face_bias = weights
    pixels = keras.Input((None, None, 3), dtype="uint8", name="pixels")
    x = _standardised(pixels)
    x = layers.MaxPooling2D(2, padding="same")(_convolve(x, body[0:3]))
    x = _convolve(x, body[3:6])
    x = _convolve(x, body[6:9])
    # One convolution gives all five outputs: a softmax of two classes is a sigmoid of their difference.
    kernel = np.concatenate([_difference(face_kernel), offset_kernel], axis=-1)
    bias = np.concatenate([_difference(face_bias), offset_bias])
    head = layers.Conv2D(5, 1)
    y = head(x)
    head.set_weights([kernel, bias])
    return keras.Model(pixels, [ops.sigmoid(y[..., 0]), y[..., 1:]], name="pnet")


def _rnet(weights: _Weights) -> keras.Model:
    pixels = keras.Input((24, 24, 3), dtype="uint8", name="pixels")
    x = _standardised(pixels)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(_convolve(x, weights[0:3]))
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, weights[3:6]))
    x = _dense_after(_convolve(x, weights[6:9]), weights[9:12])
    face = _connect(x, _difference(weights[14]), _difference(weights[15]))
    outputs = [ops.sigmoid(face[:, 0]), _connect(x, *weights[12:14])]
    return keras.Model(pixels, outputs, name="rnet")


def _onet(weights: _Weights) -> keras.Model:
    pixels = keras.Input((48, 48, 3), dtype="uint8", name="pixels")
    x = _standardised(pixels)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(_convolve(x, weights[0:3]))
    x = layers.MaxPooling2D(3, strides=2)(_convolve(x, weights[3:6]))
    x = layers.MaxPooling2D(2, padding="same")(_convolve(x, weights[6:9]))
    x = _dense_after(_convolve(x, weights[9:12]), weights[12:15])
    face = _connect(x, _difference(weights[19]), _difference(weights[20]))
    outputs = [ops.sigmoid(face[:, 0]), _connect(x, *weights[15:17]), _connect(x, *weights[17:19])]
    return keras.Model(pixels, outputs, name="onet")


def _standardised(pixels: keras.KerasTensor) -> keras.KerasTensor:
    return (ops.cast(pixels, "float32") - 127.5) / 128.0


def _difference(of_two_classes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Face minus no face, on the last axis, which is kept."""
    return of_two_classes[..., 1:] - of_two_classes[..., :1]


def _convolve(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    """A convolution without padding, and its PReLU."""
    kernel, bias, slopes = weights
    convolution = layers.Conv2D(kernel.shape[-1], kernel.shape[:2])
    activation = layers.PReLU(shared_axes=_SHARED)
    y = activation(convolution(x))
    convolution.set_weights([kernel, bias])
    activation.set_weights([slopes])
    return y


def _dense_after(x: keras.KerasTensor, weights: _Weights) -> keras.KerasTensor:
    """A dense layer and its PReLU. The original ran through columns before rows, hence the permutation."""
    kernel, bias, slopes = weights
    activation = layers.PReLU()
    y = activation(_connect(layers.Flatten()(layers.Permute((2, 1, 3))(x)), kernel, bias))
    activation.set_weights([slopes])
    return y


def _connect(x: keras.KerasTensor, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> keras.KerasTensor:
    layer = layers.Dense(kernel.shape[-1])
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y
