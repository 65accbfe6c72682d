"""dlib's serialised networks (`.dat`): a stream of layers without a table of contents, nearest the input first."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError

_TENSOR_VERSION = 2
_LONGEST_INTEGER = 8  # bytes


def read(path: Path) -> list[NDArray[np.float32]]:
    """The weights of dlib's face recognition ResNet, in the order in which a chip meets them.

    Returns filters (out, in, rows, columns), biases (out,), gammas (out,) and betas (out,) for each
    convolution, and last the dense layer's matrix (in, out).
    Raises ModelError when the file is cut short or holds another kind of network."""
    data = path.read_bytes()
    try:
        convolutions = [_convolution(data, at) for at in _ends_of(data, b"con_4")]
        affines = [_affine(data, at) for at in _ends_of(data, b"affine_")]
        (matrix,) = (_dense(data, at) for at in _ends_of(data, b"fc_2"))
        layers = list(zip(convolutions, affines, strict=True))
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path} is not a dlib face recognition network, or it is cut short ({error}).") from error
    return [array for convolution, affine in layers for array in (*convolution, *affine)] + [matrix]


def _ends_of(data: bytes, name: bytes) -> list[int]:
    """The positions right after each layer of that name; dlib writes a string as its length and its letters."""
    marker = bytes([1, len(name)]) + name
    found: list[int] = []
    at = data.find(marker)
    while at >= 0:
        found.append(at + len(marker))
        at = data.find(marker, found[-1])
    return found


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """One integer and the position after it: a byte with the count of bytes (low 4 bits) and the sign (bit 7),
    then that many bytes, least significant first."""
    count, negative = data[at] & 0x0F, bool(data[at] & 0x80)
    if not 1 <= count <= _LONGEST_INTEGER or at + 1 + count > len(data):
        raise ValueError(f"no integer at byte {at}")
    value = int.from_bytes(data[at + 1 : at + 1 + count], "little")
    return (-value if negative else value), at + 1 + count


def _integers(data: bytes, at: int, count: int) -> tuple[list[int], int]:
    values = []
    for _ in range(count):
        value, at = _integer(data, at)
        values.append(value)
    return values, at


def _tensor(data: bytes, at: int) -> tuple[NDArray[np.float32], int]:
    (version, *shape), at = _integers(data, at, 5)
    count = math.prod(shape)
    if version != _TENSOR_VERSION or min(shape) < 0 or at + 4 * count > len(data):
        raise ValueError(f"no tensor before byte {at}")
    return np.frombuffer(data, "<f4", count, at).reshape(shape), at + 4 * count


def _convolution(data: bytes, at: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Filters (out, in, rows, columns) and biases (out,); the tensor holds both, one after the other."""
    values, at = _tensor(data, at)
    (out, rows, columns), _ = _integers(data, at, 3)
    flat = values.ravel()
    return flat[:-out].reshape(out, -1, rows, columns), flat[-out:]


def _affine(data: bytes, at: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gammas and betas, (channels,) each."""
    gammas, betas = np.split(_tensor(data, at)[0].ravel(), 2)
    return gammas, betas


def _dense(data: bytes, at: int) -> NDArray[np.float32]:
    """The matrix (in, out); before the tensor stand the counts of outputs and inputs."""
    (outputs, inputs), at = _integers(data, at, 2)
    return _tensor(data, at)[0].reshape(inputs, outputs)
