"""Frozen TensorFlow graphs (`.pb`) of davidsandberg/facenet. Only their constants are read: a graph is a program, and
this one is never run."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.engines.keras import import_keras
from facesearch.models.weights.sizes import Sizes

_SCOPE = "InceptionResnetV1/"


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The float constants of the network by their names. Raises ModelError when the file is no graph or holds none of
    that network."""
    import_keras()  # tells TensorFlow to be quiet
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import graph_pb2, types_pb2
    from tensorflow.python.framework import tensor_util

    graph = graph_pb2.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is no frozen graph, or it is cut short.") from error
    tensors = {}
    sizes = Sizes(path)
    for node in graph.node:
        if node.op == "Const" and node.name.startswith(_SCOPE) and node.attr["dtype"].type == types_pb2.DT_FLOAT:
            # A constant may be one number and the shape to repeat it to.
            sizes.add(node.name, [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim])
            tensors[node.name] = np.asarray(_array(tensor_util.MakeNdarray, node, path), np.float32)
    if not tensors:
        raise ModelError(f"{path} holds no tensor of {_SCOPE[:-1]}; it is no graph of facenet.")
    return tensors


def _array(decode: object, node: object, path: Path) -> NDArray[np.float32]:
    try:
        return decode(node.attr["value"].tensor)  # type: ignore[operator, attr-defined, no-any-return]
    except (TypeError, ValueError) as error:
        raise ModelError(f"The tensor {node.name} in {path} is damaged.") from error  # type: ignore[attr-defined]
