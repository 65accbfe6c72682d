"""Embedding networks that come in OpenVINO's intermediate representation, as ONNX graphs of our own. OpenVINO is not
needed.

Only the kinds of layers that its face reidentification networks have are known; another kind is refused by name. What
comes of constants alone is computed, additions and multiplications after a convolution become part of it, and a PReLU
with one slope becomes a LeakyRelu, which ONNX Runtime computes together with the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.standardisation import graph_standardised
from facesearch.models.onnx_builder import Graph
from facesearch.models.weights.openvino_xml import Layer

if TYPE_CHECKING:
    import onnx

_TYPES: dict[str, np.dtype[np.floating]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}
_MOST_DIMENSIONS = 8
Array: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Conv:
    """A convolution that is not in the graph yet, as what follows may become part of it: the tensor that it takes,
    `kernel` (out, in of a group, rows, columns), `bias` (out,), and its attributes in ONNX."""

    x: str
    kernel: Array
    bias: Array
    attributes: dict[str, int | list[int]]


_Value: TypeAlias = "Array | str | _Conv"  # a constant, the name of a tensor, or a convolution


def graphs(weights: Sequence[object], card: EmbedderCard) -> dict[str, onnx.ModelProto]:
    """The network as `{"embedder": graph}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32, not yet of unit
    length. `weights` are the layers that `openvino_xml.read` gives and the bytes of `openvino_bin.read`. Raises
    ModelError for layers of other kinds, for constants beyond the bytes, and where the card says other sizes."""
    layers, data = weights
    assert isinstance(layers, tuple)
    assert isinstance(data, bytes)
    _refuse_other_sizes(layers, card)
    _refuse_other_length(layers, data, card)
    graph = Graph()
    x = graph_standardised(graph, "pixels", card)
    embedding = graph.flatten(_Builder(graph, layers, data, card.name).run(x))
    outputs = {"embedding": embedding}
    return {"embedder": graph.model(["n", card.chip_px, card.chip_px, 3], outputs, card.network)}


def _refuse_other_sizes(layers: Sequence[Layer], card: EmbedderCard) -> None:
    shape = {layer.id: layer.shape for layer in layers}
    given = [layer.shape for layer in layers if layer.kind == "Parameter"]
    results = [shape[layer.inputs[0]] for layer in layers if layer.kind == "Result" and len(layer.inputs) == 1]
    wanted = [(1, 3, card.chip_px, card.chip_px)]
    if given != wanted or len(results) != 1 or int(np.prod(results[0], dtype=object)) != card.dim:
        raise ModelError(
            f"The network of '{card.name}' takes {given} and gives {results}, and its card says "
            f"{wanted[0]} and {card.dim} numbers; it cannot be used."
        )


def _refuse_other_length(layers: Sequence[Layer], data: bytes, card: EmbedderCard) -> None:
    """Bytes that no layer speaks of are another network's."""
    facts = [layer.facts for layer in layers if layer.kind == "Const"]
    numbers = [(each.get("offset", ""), each.get("size", "")) for each in facts]
    if not all(text.isascii() and text.isdigit() and len(text) < 19 for pair in numbers for text in pair):
        return  # the layer itself is refused
    spoken_of = max((int(offset) + int(size) for offset, size in numbers), default=0)
    if spoken_of < len(data):
        raise ModelError(
            f"The numbers of '{card.name}' are {len(data):,} bytes, and its layers speak of {spoken_of:,}; both "
            "files must be of one network."
        )


@dataclass(slots=True)
class _Builder:
    """Turns layers into nodes of a graph, one after the other."""

    graph: Graph
    layers: Sequence[Layer]
    data: bytes
    model: str
    values: dict[int, _Value] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)

    def run(self, pixels: str) -> str:
        """The tensor that the network gives for the tensor `pixels`, (n, 3, chip_px, chip_px)."""
        self.uses = Counter(source for layer in self.layers for source in layer.inputs)
        result = ""
        for layer in self.layers:
            if layer.kind == "Parameter":
                self.values[layer.id] = pixels
            elif layer.kind == "Result":
                result = self._tensor(layer.inputs[0])
            else:
                self.values[layer.id] = self._made(layer)
        return result

    def _made(self, layer: Layer) -> _Value:
        make = _KINDS.get(layer.kind)
        if make is None:
            raise ModelError(
                f"The network of '{self.model}' has a layer of the kind {layer.kind[:50]!r}; known are Parameter, "
                f"Result, {', '.join(_KINDS)}."
            )
        wanted, made = make
        if len(layer.inputs) != wanted:
            raise self._wrong(layer, f"takes {len(layer.inputs)} inputs in place of {wanted}")
        try:
            return made(self, layer)
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise self._wrong(layer, f"makes no sense ({str(error)[:100]})") from error

    def _wrong(self, layer: Layer, why: str) -> ModelError:
        return ModelError(f"Layer {layer.id} ({layer.kind}) of '{self.model}' {why}; it cannot be used.")

    # Constants

    def constant(self, layer: Layer) -> Array:
        """An array from the bytes."""
        kind = _TYPES.get(layer.facts["element_type"])
        if kind is None:
            raise self._wrong(layer, f"holds numbers of the type {layer.facts['element_type'][:20]!r}")
        shape = _numbers(layer.facts["shape"])
        offset, size = int(layer.facts["offset"]), int(layer.facts["size"])
        count = int(np.prod(shape, dtype=object))
        if len(shape) > _MOST_DIMENSIONS or min(shape, default=1) < 0 or size != count * kind.itemsize:
            raise self._wrong(layer, f"has {size:,} bytes for {layer.facts['shape'][:50]} numbers")
        if offset < 0 or offset + size > len(self.data):
            raise self._wrong(layer, f"lies at bytes {offset:,} to {offset + size:,} of {len(self.data):,}")
        return np.asarray(np.frombuffer(self.data, kind, count, offset).reshape(shape), np.float32)

    def converted(self, layer: Layer) -> Array:
        """The same numbers: all are 32-bit floats here."""
        return self._array(layer.inputs[0])

    # Layers

    def convolution(self, layer: Layer) -> _Conv:
        """A convolution without bias; its kernel is (out, in, rows, columns)."""
        return self._conv(layer, self._array(layer.inputs[1], 4), groups=1)

    def group_convolution(self, layer: Layer) -> _Conv:
        """A convolution of groups of channels; its kernel is (groups, out of a group, in of a group, rows,
        columns)."""
        kernel = self._array(layer.inputs[1], 5)
        groups = kernel.shape[0]
        return self._conv(layer, kernel.reshape(-1, *kernel.shape[2:]), groups)

    def _conv(self, layer: Layer, kernel: Array, groups: int) -> _Conv:
        if layer.facts.get("auto_pad", "explicit") != "explicit":
            raise self._wrong(layer, f"pads as {layer.facts['auto_pad'][:20]!r}")
        attributes: dict[str, int | list[int]] = {
            "strides": _numbers(layer.facts["strides"]),
            "dilations": _numbers(layer.facts["dilations"]),
            "pads": _numbers(layer.facts["pads_begin"]) + _numbers(layer.facts["pads_end"]),
            "group": groups,
        }
        return _Conv(self._tensor(layer.inputs[0]), kernel, np.zeros(len(kernel), np.float32), attributes)

    def add(self, layer: Layer) -> _Value:
        """A sum."""
        return self._combined(layer, "Add", np.add, lambda conv, by: replace(conv, bias=conv.bias + by))

    def multiply(self, layer: Layer) -> _Value:
        """A product of numbers at the same place."""

        def scaled(conv: _Conv, by: Array) -> _Conv:
            return replace(conv, kernel=conv.kernel * by[:, None, None, None], bias=conv.bias * by)

        return self._combined(layer, "Mul", np.multiply, scaled)

    def _combined(
        self,
        layer: Layer,
        kind: str,
        compute: Callable[[Array, Array], Array],
        fold: Callable[[_Conv, Array], _Conv],
    ) -> _Value:
        if layer.facts.get("auto_broadcast", "numpy") != "numpy":
            raise self._wrong(layer, f"broadcasts as {layer.facts['auto_broadcast'][:20]!r}")
        a, b = layer.inputs
        first, second = self.values[a], self.values[b]
        if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
            return np.asarray(compute(first, second), np.float32)
        for conv, at, other in ((first, a, second), (second, b, first)):
            if isinstance(conv, _Conv) and isinstance(other, np.ndarray) and self.uses[at] == 1:
                by = _of_channels(other, len(conv.bias))
                if by is not None:
                    return fold(conv, by)
        return self.graph.node(kind, self._tensor(a), self._tensor(b))

    def prelu(self, layer: Layer) -> str:
        """x, or slope times x where x is negative."""
        x, slopes = self._tensor(layer.inputs[0]), self._array(layer.inputs[1]).ravel()
        if len(slopes) == 1:
            return self.graph.node("LeakyRelu", x, alpha=float(slopes[0]))
        return self.graph.prelu(x, slopes)

    def sigmoid(self, layer: Layer) -> str:
        """1 / (1 + exp(-x))."""
        return self.graph.node("Sigmoid", self._tensor(layer.inputs[0]))

    def average_pool(self, layer: Layer) -> str:
        """The means of neighbours, without padding."""
        facts = layer.facts
        padded = any(_numbers(facts["pads_begin"]) + _numbers(facts["pads_end"]))
        if padded or facts.get("rounding_type", "floor") != "floor":
            raise self._wrong(layer, "pads, or rounds up")
        kernel, strides = _numbers(facts["kernel"]), _numbers(facts["strides"])
        x = self._tensor(layer.inputs[0])
        if layer.shape[2:] == (1, 1):  # what is left out at an edge is none of a network that ends in one number
            source = next(each for each in self.layers if each.id == layer.inputs[0])
            if tuple(kernel) == source.shape[2:]:
                return self.graph.node("GlobalAveragePool", x)
        return self.graph.node("AveragePool", x, kernel_shape=kernel, strides=strides)

    # Values

    def _array(self, number: int, dimensions: int = 0) -> Array:
        """A constant, of so many dimensions where that is said."""
        value = self.values[number]
        if not isinstance(value, np.ndarray):
            raise ValueError(f"layer {number} is not a constant")
        if dimensions and value.ndim != dimensions:
            raise ValueError(f"layer {number} has {value.ndim} dimensions in place of {dimensions}")
        return value

    def _tensor(self, number: int) -> str:
        """The value as a tensor of the graph, which it becomes once."""
        value = self.values[number]
        if isinstance(value, np.ndarray):
            value = self.graph.constant(value)
        elif isinstance(value, _Conv):
            weights = self.graph.constant(value.kernel), self.graph.constant(value.bias)
            value = self.graph.node("Conv", value.x, *weights, **value.attributes)
        self.values[number] = value
        return value


_KINDS: dict[str, tuple[int, Callable[[_Builder, Layer], _Value]]] = {  # how many inputs, and what it becomes
    "Const": (0, _Builder.constant),
    "Convert": (1, _Builder.converted),
    "Convolution": (2, _Builder.convolution),
    "GroupConvolution": (2, _Builder.group_convolution),
    "PReLU": (2, _Builder.prelu),
    "Add": (2, _Builder.add),
    "Multiply": (2, _Builder.multiply),
    "Sigmoid": (1, _Builder.sigmoid),
    "AvgPool": (1, _Builder.average_pool),
}


def _numbers(text: str) -> list[int]:
    """Whole numbers between commas; none in an empty text."""
    if len(text) > 200:
        raise ValueError("too many numbers")
    return [int(each) for each in text.split(",")] if text.strip() else []


def _of_channels(values: Array, channels: int) -> Array | None:
    """A number for each channel, (channels,), where a constant has one for each, or one for all; else None."""
    if values.size == 1:
        return np.full(channels, values.item(), np.float32)
    if values.shape in ((1, channels, 1, 1), (channels, 1, 1)):
        return values.reshape(channels)
    return None
