"""An embedding network from pixels to embedding: what standardises the pixels, the network itself, and where the
weights hold one the reduction to fewer numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.models.cards import EmbedderCard
from facesearch.models.networks.reduction import graph_reduced, keras_reduced, width
from facesearch.models.networks.standardisation import graph_standardised, keras_standardised
from facesearch.models.onnx_builder import Graph

if TYPE_CHECKING:
    import keras
    import onnx

Arrays = Mapping[str, NDArray[np.float32]]
# A network as nodes: from standardised chips, (n, 3, chip_px, chip_px), to (n, dim) numbers.
GraphBody = Callable[[Graph, str, Arrays, int, int], str]


def keras_embedder(
    network: Callable[[int, int], keras.Model],
    set_tensors: Callable[[keras.Model, Arrays], None],
    arrays: Arrays,
    card: EmbedderCard,
) -> dict[str, keras.Model]:
    """The network with these weights as `{"embedder": model}`: (n, chip_px, chip_px, 3) uint8 to (n, dim) float32,
    not yet of unit length. Raises ModelError when an array is missing or has another shape."""
    import keras

    chips = keras.Input((card.chip_px, card.chip_px, 3), dtype="uint8", name="pixels")
    core = network(width(arrays, card.dim), card.chip_px)
    set_tensors(core, arrays)
    x = keras_reduced(core(keras_standardised(chips, card)), arrays)
    return {"embedder": keras.Model(chips, x, name=card.network)}


def embedder_graph(body: GraphBody, arrays: Arrays, card: EmbedderCard) -> dict[str, onnx.ModelProto]:
    """The same as an ONNX graph."""
    graph = Graph()
    x = graph_standardised(graph, "pixels", card)
    x = body(graph, x, arrays, width(arrays, card.dim), card.chip_px)
    outputs = {"embedding": graph_reduced(graph, x, arrays)}
    return {"embedder": graph.model(["n", card.chip_px, card.chip_px, 3], outputs, card.network)}
