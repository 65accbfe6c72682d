"""Writes frozen TensorFlow graphs, without TensorFlow, as the tests of their reader need them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FLOAT, INT32 = 1, 3  # TensorFlow's numbers of types


def graph(*nodes: bytes) -> bytes:
    """A GraphDef of these nodes."""
    return b"".join(field(1, node) for node in nodes)


def graph_of(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """A GraphDef of constants, each with its numbers in one piece."""
    nodes = [constant(name, tensor(array.shape, content=array.tobytes())) for name, array in tensors.items()]
    return graph(*nodes)


def constant(name: str, value: bytes, kind: int = FLOAT) -> bytes:
    """A node that is a constant, with a tensor as its value."""
    return node(name, "Const", dtype=field(6, kind), value=field(8, value))


def node(name: str, op: str, /, **attributes: bytes) -> bytes:
    """A NodeDef."""
    pairs = [field(5, field(1, key.encode()) + field(2, value)) for key, value in attributes.items()]
    return field(1, name.encode()) + field(2, op.encode()) + b"".join(pairs)


def tensor(shape: Sequence[int], content: bytes = b"", floats: Sequence[float] = (), kind: int = FLOAT) -> bytes:
    """A TensorProto, its numbers in one piece or one by one."""
    sizes = b"".join(field(2, field(1, size)) for size in shape)
    numbers = field(5, np.array(floats, "<f4").tobytes()) if floats else b""
    return field(1, kind) + field(2, sizes) + (field(4, content) if content else b"") + numbers


def field(number: int, value: int | bytes) -> bytes:
    """A field of a message: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A number, 7 bits in each byte, the lowest first."""
    found = []
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
