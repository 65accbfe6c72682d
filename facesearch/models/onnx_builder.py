"""ONNX graphs, built node by node from arrays: the operations that the networks here are made of.

A tensor is a name. Pictures are (n, channels, height, width) inside a graph, as ONNX has them; kernels are given as
Keras keeps them, (height, width, in, out)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from facesearch.models.engines.onnx import import_onnx

if TYPE_CHECKING:
    import onnx

Padding = Literal["valid", "same"]  # as Keras pads: "same" adds the odd row or column at the end
Size = int | tuple[int, int]  # rows and columns

_OPSET = 17  # the newest whose ReduceMean takes its axes as an attribute; every ONNX Runtime that is allowed reads it
_IR_VERSION = 8  # the file format that came with that opset
_AUTO_PAD = {"valid": "VALID", "same": "SAME_UPPER"}
_AXES_ARE_INPUTS = 18  # from this opset on, of ReduceMean


class Graph:
    """Collects nodes and constants. Each operation takes tensors by name and returns the name of its result."""

    def __init__(self, opset: int = _OPSET, prefix: str = "", plain: bool = False) -> None:
        """`prefix` begins every name, where the nodes become part of another graph. A `plain` graph names its layers,
        for an engine that knows how to compute them."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.plain = plain
        self._opset, self._prefix, self._count = opset, prefix, 0

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Any operation of ONNX with one result."""
        result = self._name(kind.lower())
        self.nodes.append(import_onnx().helper.make_node(kind, inputs, [result], **attributes))
        return result

    def constant(self, values: NDArray[Any] | Sequence[int] | np.float32) -> str:
        """An array as a tensor; a list of numbers is one of int64, as ONNX has sizes and axes."""
        name = self._name("constant")
        array = np.ascontiguousarray(values) if np.ndim(values) else np.asarray(values)
        self.constants.append(import_onnx().numpy_helper.from_array(array, name))
        return name

    def floats(self, pixels: str) -> str:
        """Pixels, (n, height, width, 3) uint8, as float32."""
        return self.node("Cast", pixels, to=import_onnx().TensorProto.FLOAT)

    def channels_first(self, x: str) -> str:
        """(n, height, width, channels) to (n, channels, height, width)."""
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def channels_last(self, x: str) -> str:
        """(n, channels, height, width) to (n, height, width, channels)."""
        return self.node("Transpose", x, perm=[0, 2, 3, 1])

    def conv(
        self,
        x: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
        stride: int = 1,
        padding: Padding = "valid",
    ) -> str:
        """A convolution; `kernel` is (height, width, in, out), `bias` (out,)."""
        weights = [self.constant(each) for each in (kernel.transpose(3, 2, 0, 1), bias) if each is not None]
        return self.node("Conv", x, *weights, strides=[stride] * 2, auto_pad=_AUTO_PAD[padding])

    def depthwise_conv(
        self,
        x: str,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        stride: int = 1,
        padding: Padding = "valid",
    ) -> str:
        """A convolution of each channel by itself; `kernel` is (height, width, channels, 1)."""
        weights = self.constant(kernel.transpose(2, 3, 0, 1)), self.constant(bias)
        return self.node(
            "Conv", x, *weights, group=kernel.shape[2], strides=[stride] * 2, auto_pad=_AUTO_PAD[padding]
        )

    def max_pool(self, x: str, size: int, stride: int = 2, padding: Padding = "valid") -> str:
        """The greatest of size x size neighbours."""
        return self.node("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, auto_pad=_AUTO_PAD[padding])

    def average_pool(self, x: str, size: int, stride: int = 2) -> str:
        """The mean of size x size neighbours, without padding."""
        return self.node("AveragePool", x, kernel_shape=[size] * 2, strides=[stride] * 2)

    def global_average_pool(self, x: str) -> str:
        """The mean of each channel: (n, channels, height, width) to (n, channels)."""
        return self.flatten(self.node("GlobalAveragePool", x))

    def flatten(self, x: str) -> str:
        """(n, ...) to (n, numbers)."""
        return self.node("Flatten", x, axis=1)

    def dense(self, x: str, kernel: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> str:
        """(n, in) to (n, out); `kernel` is (in, out), `bias` (out,)."""
        y = self.node("MatMul", x, self.constant(kernel))
        return y if bias is None else self.add(y, self.constant(bias))

    def relu(self, x: str) -> str:
        """x, or 0 where x is negative."""
        return self.node("Relu", x)

    def prelu(self, x: str, slopes: NDArray[np.float32], rank: int = 4) -> str:
        """x, or slope times x where x is negative: `slopes` is (channels,), and channels are the second of `rank`
        axes. Where no slope is above 1 it is the greater of both, which ONNX Runtime computes fastest."""
        slope = self.constant(slopes.reshape(1, -1, *[1] * (rank - 2)))
        if self.plain:
            return self.node("PRelu", x, slope)
        if slopes.max() <= 1:
            return self.maximum(x, self.multiply(x, slope))
        negative = self.relu(self.node("Neg", x))
        return self.subtract(self.relu(x), self.multiply(negative, slope))

    def add(self, x: str, y: str) -> str:
        """The sum; shapes broadcast, here and below."""
        return self.node("Add", x, y)

    def subtract(self, x: str, y: str) -> str:
        """The difference."""
        return self.node("Sub", x, y)

    def multiply(self, x: str, y: str) -> str:
        """The product of numbers at the same place."""
        return self.node("Mul", x, y)

    def divide(self, x: str, y: str) -> str:
        """The quotient of numbers at the same place."""
        return self.node("Div", x, y)

    def maximum(self, x: str, y: str) -> str:
        """The greater of two numbers at the same place."""
        return self.node("Max", x, y)

    def concat(self, parts: Sequence[str], axis: int = 1) -> str:
        """Tensors one after the other along an axis."""
        return self.node("Concat", *parts, axis=axis)

    def part(self, x: str, start: int, stop: int, axis: int = 1) -> str:
        """x[start:stop] along an axis."""
        return self.node("Slice", x, *(self.constant([each]) for each in (start, stop, axis)))

    def squeeze(self, x: str, axis: int) -> str:
        """Without an axis of length 1."""
        return self.node("Squeeze", x, self.constant([axis]))

    def pad_end(self, x: str, sizes: Sequence[int]) -> str:
        """Zeros at the end of each axis, so many; x itself where there are none."""
        return self.node("Pad", x, self.constant([*[0] * len(sizes), *sizes])) if any(sizes) else x

    def mean(self, x: str, axes: Sequence[int]) -> str:
        """The mean over some axes, which stay, with length 1."""
        if self._opset < _AXES_ARE_INPUTS:
            return self.node("ReduceMean", x, axes=axes, keepdims=1)
        return self.node("ReduceMean", x, self.constant(axes), keepdims=1)

    def model(self, pixels: Sequence[int | str], outputs: Mapping[str, str], name: str) -> "onnx.ModelProto":
        """The graph as a model: from uint8 `pixels` of this shape, whose free sizes are named, to float32 outputs,
        a tensor by its public name."""
        helper, kinds = import_onnx().helper, import_onnx().TensorProto
        ends = [helper.make_node("Identity", [tensor], [called]) for called, tensor in outputs.items()]
        graph = helper.make_graph(
            [*self.nodes, *ends],
            name,
            [helper.make_tensor_value_info("pixels", kinds.UINT8, pixels)],
            [helper.make_tensor_value_info(called, kinds.FLOAT, None) for called in outputs],
            self.constants,
        )
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self._opset)], ir_version=_IR_VERSION
        )
        return model

    def _name(self, of: str) -> str:
        self._count += 1
        return f"{self._prefix}{of}_{self._count}"


def normalised(
    kernel: NDArray[np.float32],
    beta: NDArray[np.float32],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
    epsilon: float,
    gamma: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a layer without bias and of the batch normalisation after it, as one layer: `kernel` is
    (..., out), the others are (out,). Computed in 64 bits, as what is rounded here is wrong for every picture."""
    scale = (1 if gamma is None else gamma) / np.sqrt(variance.astype(np.float64) + epsilon)
    return (kernel * scale).astype(np.float32), (beta - mean * scale).astype(np.float32)
