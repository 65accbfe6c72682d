"""Frozen TensorFlow graphs (`.pb`) of davidsandberg/facenet. Only their constants are read: a graph is a program, and
this one is never run, nor is TensorFlow needed to read it.

The numbers of fields are those of TensorFlow's graph.proto, node_def.proto, attr_value.proto, tensor.proto and
tensor_shape.proto."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.weights.protobuf import fields
from facesearch.models.weights.sizes import Sizes

_SCOPE = "InceptionResnetV1/"
_MOST_NODES = 100_000  # twenty times what the network's graph has
_FLOAT = 1  # TensorFlow's DT_FLOAT

_GRAPH_NODE = 1
_NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 5
_KEY, _VALUE = 1, 2  # of an attribute
_VALUE_TYPE, _VALUE_TENSOR = 6, 8
_TENSOR_TYPE, _TENSOR_SHAPE, _TENSOR_CONTENT, _TENSOR_FLOATS = 1, 2, 4, 5
_SHAPE_DIM, _DIM_SIZE = 2, 1


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float constants of the network by their names. Raises ModelError when the file is not a graph, is damaged,
    or holds none of that network."""
    tensors = {}
    sizes = Sizes(path)
    try:
        for name, tensor in _constants(memoryview(path.read_bytes()), path):
            shape, content, floats = _parts(tensor)
            sizes.add(name, shape)  # a constant may be one number and the shape to repeat it to
            tensors[name] = _array(shape, content, floats, name, path)
    except ValueError as error:
        raise ModelError(f"{path} is not a frozen graph, or it is cut short.") from error
    if not tensors:
        raise ModelError(f"{path} holds no tensor of {_SCOPE[:-1]}; it is not a graph of facenet.")
    return tensors


def _constants(graph: memoryview, path: Path) -> Iterator[tuple[str, memoryview]]:
    """Name and tensor of each float constant of the network. Raises ValueError for what is not a graph."""
    for count, (number, node) in enumerate(fields(graph)):
        if count > _MOST_NODES:
            raise ModelError(f"{path} has more than {_MOST_NODES:,} nodes, which no graph of facenet has.")
        if number != _GRAPH_NODE:
            continue
        name, op, attributes = "", b"", {}
        for inner, value in fields(_bytes(node)):
            if inner == _NODE_NAME:
                name = bytes(_bytes(value)).decode()
            elif inner == _NODE_OP:
                op = bytes(_bytes(value))
            elif inner == _NODE_ATTRIBUTE:
                key, attribute = _pair(_bytes(value))
                attributes[key] = attribute
        if op == b"Const" and name.startswith(_SCOPE):
            kind = dict(fields(attributes.get(b"dtype", memoryview(b"")))).get(_VALUE_TYPE)
            if kind == _FLOAT:
                held = dict(fields(attributes.get(b"value", memoryview(b""))))
                yield name, _bytes(held.get(_VALUE_TENSOR, memoryview(b"")))


def _pair(attribute: memoryview) -> tuple[bytes, memoryview]:
    """Name and value of an attribute."""
    parts = dict(fields(attribute))
    return bytes(_bytes(parts.get(_KEY, memoryview(b"")))), _bytes(parts.get(_VALUE, memoryview(b"")))


def _parts(tensor: memoryview) -> tuple[list[int], memoryview, bytes]:
    """A tensor's shape, its numbers in one piece, and its numbers one by one: one of both is empty."""
    shape: list[int] = []
    content, floats = memoryview(b""), bytearray()
    for number, value in fields(tensor):
        if number == _TENSOR_TYPE and value != _FLOAT:
            raise ValueError("a tensor of another type than its node")
        if number == _TENSOR_SHAPE:
            shape = [_size(_bytes(dim)) for inner, dim in fields(_bytes(value)) if inner == _SHAPE_DIM]
        elif number == _TENSOR_CONTENT:
            content = _bytes(value)
        elif number == _TENSOR_FLOATS:
            floats += _bytes(value)
    return shape, content, bytes(floats)


def _size(dim: memoryview) -> int:
    """The length of an axis; what is negative is a number above 2^63 here, and as impossible."""
    size = dict(fields(dim)).get(_DIM_SIZE, 0)
    if not isinstance(size, int):
        raise ValueError("a size that is not a number")
    return size


def _array(shape: list[int], content: memoryview, floats: bytes, name: str, path: Path) -> NDArray[np.float32]:
    """The numbers in their shape; the last of those that are given one by one is repeated to it, as TensorFlow does,
    and where there is none they are zeros. Raises ModelError where they do not fit the shape."""
    count = prod(shape)
    given = np.frombuffer(content or floats or bytes(4), "<f4") if not len(content or floats) % 4 else None
    if given is None or len(given) > count or (content and len(given) != count):
        raise ModelError(f"The tensor {name} in {path} is damaged.")
    return np.pad(given, (0, count - len(given)), "edge").astype(np.float32).reshape(shape)


def _bytes(value: int | memoryview) -> memoryview:
    """Raises ValueError for a number where bytes are expected."""
    if isinstance(value, int):
        raise ValueError("a number where a message is expected")
    return value
