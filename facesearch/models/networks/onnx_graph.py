"""Embedding networks that come as ONNX graphs: given chips as every network here takes them, (n, chip_px, chip_px, 3)
uint8 RGB, in batches of any size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.standardisation import graph_standardised
from facesearch.models.onnx_builder import Graph

_PREFIX = "facesearch_"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a graph says of itself: the side of its square input in pixels, whether channels come first, and how many
    numbers it gives."""

    chip_px: int
    channels_first: bool
    dim: int


def load(path: Path) -> onnx.ModelProto:
    """The graph. Raises ModelError for a file that is not one, and for one that leans on other files."""
    try:
        model = onnx.load(str(path), load_external_data=False)
        for tensor in _tensors(model):
            if tensor.data_location == TensorProto.EXTERNAL:
                raise ModelError(f"{path} keeps weights in other files ({tensor.name}); a graph must be whole.")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ModelError(f"{path} is not an ONNX graph, or it is cut short.") from error
    return model


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor of a graph: also those in constants, in branches and loops, in functions and in sparse ones."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if isinstance(value, Sequence) else [value]:
                yield from _tensors(each)


def describe(model: onnx.ModelProto, path: Path) -> Shape:
    """Raises ModelError when the graph does not take one square colour picture and give one row of numbers."""
    sizes = [dim.dim_value for dim in _input(model).type.tensor_type.shape.dim]
    out = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim]
    if len(sizes) == 4 and 3 in (sizes[1], sizes[3]) and len(out) in (2, 4) and max(out[1:]) > 1:
        channels_first = sizes[1] == 3
        height, width = sizes[2:] if channels_first else sizes[1:3]
        if height == width > 0:
            return Shape(height, channels_first, int(np.prod([size for size in out[1:] if size])))
    raise ModelError(
        f"{path} takes {sizes} and gives {out}; an embedder takes one square colour picture of known size."
    )


def adapted(path: Path, card: EmbedderCard) -> onnx.ModelProto:
    """The graph with what the card says put before it, for batches of any size. Raises ModelError when card and graph
    do not fit together."""
    model = load(path)
    shape = describe(model, path)
    if (shape.chip_px, shape.dim) != (card.chip_px, card.dim):
        raise ModelError(
            f"{path} takes {shape.chip_px} pixels and gives {shape.dim} numbers, but the card of '{card.name}' says "
            f"{card.chip_px} and {card.dim}."
        )
    given = _input(model)
    before = Graph(_opset(model), _PREFIX)
    order = [0, 1, 2, 3] if shape.channels_first else [0, 2, 3, 1]
    standardised = graph_standardised(before, "chips", card)
    last = helper.make_node("Transpose", [standardised], [given.name], perm=order)
    _free_batch(model)
    graph = model.graph
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before.nodes, last, *kept])
    graph.initializer.extend(before.constants)
    del graph.input[:]
    graph.input.append(
        helper.make_tensor_value_info("chips", TensorProto.UINT8, ["n", card.chip_px, card.chip_px, 3])
    )
    flat = _flat_output(model, shape)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(flat, TensorProto.FLOAT, ["n", card.dim]))
    del graph.value_info[:]
    return model


def _input(model: onnx.ModelProto) -> Any:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    if len(inputs) != 1:
        raise ModelError(f"The graph takes {len(inputs)} inputs; an embedder takes one.")
    return inputs[0]


def _opset(model: onnx.ModelProto) -> int:
    return max(int(opset.version) for opset in model.opset_import if opset.domain in ("", "ai.onnx"))


def _free_batch(model: onnx.ModelProto) -> None:
    """Where a Reshape asks for one picture it takes as many as there are: 0 stands for the size that came in."""
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            tensor.CopyFrom(_of_any_batch(tensor))
    for node in model.graph.node:
        if node.op_type == "Constant" and node.output[0] in shapes:
            for attribute in node.attribute:
                if attribute.name == "value":
                    attribute.t.CopyFrom(_of_any_batch(attribute.t))


def _of_any_batch(tensor: onnx.TensorProto) -> onnx.TensorProto:
    sizes = numpy_helper.to_array(tensor).copy()
    if sizes.size > 1 and sizes[0] == 1:
        sizes[0] = 0
    return numpy_helper.from_array(sizes, tensor.name)


def _flat_output(model: onnx.ModelProto, shape: Shape) -> str:
    """The name of the output as (n, dim)."""
    output = model.graph.output[0]
    if len(output.type.tensor_type.shape.dim) == 2:
        return str(output.name)
    name = f"{_PREFIX}flat"
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, shape.dim]), f"{name}_shape"))
    model.graph.node.append(helper.make_node("Reshape", [output.name, f"{name}_shape"], [name]))
    return name
