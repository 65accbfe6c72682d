"""From a card to running networks.

On a GPU Keras runs them. On a CPU ONNX Runtime does: on first use a card's networks are built in Keras, exported
and kept under the home, so that no later command needs TensorFlow, whose import alone takes seconds."""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard, ModelCard
from facesearch.models.engines import Network
from facesearch.models.engines.keras import KerasNetwork, import_keras, precision
from facesearch.models.engines.onnx import OnnxNetwork
from facesearch.models.export import exported_to
from facesearch.models.weight_files import checked_path, comes_with_facesearch

_PROGRAMS = ("joblib_list",)  # formats whose reading runs what the file says


def serve(card: ModelCard, device: Literal["cpu", "gpu"], threads: int) -> Mapping[str, Network]:
    """A card's networks by the name of their part. `threads` is how many cores a call on the CPU may use; on the
    CPU the card must have been prepared."""
    if device == "gpu":
        # A detector finds places to a fraction of a pixel, for which 16 bits are too few.
        with precision(mixed=isinstance(card, EmbedderCard)):
            return {part: KerasNetwork(model) for part, model in build(card).items()}
    files = sorted(exported_to(card).glob("*.onnx"))
    if not files:
        raise ModelError(f"The model '{card.name}' is not prepared; run: facesearch doctor.")
    return {path.stem: OnnxNetwork(path, threads) for path in files}


def build(card: ModelCard, folder: Path | None = None) -> dict[str, Any]:
    """The card's Keras models by the name of their part, with the weights that the card names, in the model's folder
    unless another is said. Raises ModelError when the weights are absent or not those that the card was written
    for."""
    import_keras()
    network = importlib.import_module(f"facesearch.models.networks.{card.network}")
    models: dict[str, Any] = network.build(read_weights(card, folder), card)
    return models


def read_weights(card: ModelCard, folder: Path | None = None) -> list[Any]:
    """What the reader of each of the card's files gives. Raises ModelError when a file is absent or not the one that
    the card was written for."""
    for weights in card.weights:
        if weights.format in _PROGRAMS and not comes_with_facesearch(weights):
            raise ModelError(
                f"{weights.path} of '{card.name}' is a pickle, which is a program; none is read but the weights that "
                "a card of facesearch's own names."
            )
    return [
        importlib.import_module(f"facesearch.models.weights.{weights.format}").read(
            checked_path(weights, card, folder)
        )
        for weights in card.weights
    ]
