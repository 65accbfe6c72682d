"""Embeddings in fewer numbers: their principal components, kept as two more arrays among a network's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.onnx_builder import Graph

if TYPE_CHECKING:
    import keras

Arrays = Mapping[str, NDArray[np.float32]]

_MEAN, _AXES = "reduction/mean", "reduction/axes"  # (width,) and (width, dim)
_LEAST_LENGTH = 1e-12  # of an embedding, so that none is divided by zero


def reduction(embeddings: NDArray[np.float32], dim: int) -> dict[str, NDArray[np.float32]]:
    """The arrays that reduce embeddings like these, (n, width) of unit length, to their `dim` principal components.
    Raises ModelError when they have fewer."""
    most = min(embeddings.shape)
    if dim >= embeddings.shape[1] or dim > most:
        raise ModelError(f"{embeddings.shape[0]:,} embeddings of {embeddings.shape[1]} numbers cannot become {dim}.")
    from sklearn.decomposition import PCA

    found = PCA(dim, svd_solver="full").fit(embeddings)
    return {_MEAN: np.asarray(found.mean_, np.float32), _AXES: np.ascontiguousarray(found.components_.T, np.float32)}


def width(arrays: Arrays, dim: int) -> int:
    """How many numbers the bare network gives, whose embeddings have `dim`."""
    return int(arrays[_MEAN].shape[0]) if _MEAN in arrays else dim


def reduced(embeddings: NDArray[np.float32], arrays: Arrays) -> NDArray[np.float32]:
    """Embeddings, (n, width) of unit length, in fewer numbers, (n, dim), of unit length again; as they are where the
    arrays hold no reduction."""
    if _MEAN not in arrays:
        return embeddings
    fewer = (embeddings - arrays[_MEAN]) @ arrays[_AXES]
    lengths = np.linalg.norm(fewer, axis=1, keepdims=True)
    return np.asarray(fewer / np.maximum(lengths, _LEAST_LENGTH), np.float32)


def keras_reduced(x: keras.KerasTensor, arrays: Arrays) -> keras.KerasTensor:
    """What the bare network gives, (n, width), in fewer numbers: (n, dim), not of unit length."""
    from keras import ops

    if _MEAN not in arrays:
        return x
    x = x / ops.maximum(ops.norm(x, axis=1, keepdims=True), _LEAST_LENGTH)
    return ops.matmul(x - arrays[_MEAN], arrays[_AXES])


def graph_reduced(graph: Graph, x: str, arrays: Arrays) -> str:
    """The same as nodes of a graph."""
    if _MEAN not in arrays:
        return x
    length = graph.node("ReduceL2", x, axes=[1], keepdims=1)
    x = graph.divide(x, graph.maximum(length, graph.constant(np.float32(_LEAST_LENGTH))))
    return graph.dense(graph.subtract(x, graph.constant(arrays[_MEAN])), arrays[_AXES])
