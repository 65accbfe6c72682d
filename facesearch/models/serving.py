"""From a card to running networks: ONNX Runtime runs them on a CPU, from the ONNX files that `export` keeps under the
home, and Keras on a GPU, straight from the weights."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard, ModelCard
from facesearch.models.engines import Network
from facesearch.models.engines.keras import KerasNetwork, import_keras, precision
from facesearch.models.engines.onnx import OnnxNetwork
from facesearch.models.export import exported_to
from facesearch.models.weight_files import read_weights


def serve(card: ModelCard, device: Literal["cpu", "gpu"], threads: int) -> Mapping[str, Network]:
    """A card's networks by the name of their part. `threads` is how many cores a call on the CPU may use; on the
    CPU the card must have been prepared."""
    if device == "gpu":
        # A detector finds places to a fraction of a pixel, for which 16 bits are too few.
        with precision(mixed=isinstance(card, EmbedderCard)):
            return {part: KerasNetwork(model) for part, model in keras_models(card).items()}
    files = sorted(exported_to(card).glob("*.onnx"))
    if not files:
        raise ModelError(f"The model '{card.name}' is not prepared; run: facesearch doctor.")
    return {path.stem: OnnxNetwork(path, threads) for path in files}


def keras_models(card: ModelCard) -> dict[str, Any]:
    """The card's networks in Keras by the name of their part. Raises ModelError when the weights are absent or not
    those that the card was written for, FaceSearchError where Keras is not installed."""
    import_keras()
    network = import_module(f"facesearch.models.networks.{card.network}")
    models: dict[str, Any] = network.keras_models(read_weights(card), card)
    return models
