"""From a card to running networks: ONNX Runtime or OpenVINO runs them on a CPU, from the ONNX files that `export`
keeps under the home, and Keras on a GPU, straight from the weights."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from facesearch.errors import ModelError
from facesearch.models.cards import EmbedderCard, ModelCard
from facesearch.models.device import Precision
from facesearch.models.engines import Network
from facesearch.models.engines.keras import KerasNetwork, import_keras
from facesearch.models.engines.keras import precision as layers_in
from facesearch.models.engines.onnx import OnnxNetwork
from facesearch.models.engines.openvino import PLAIN, OpenvinoNetwork, UnavailableError, import_openvino
from facesearch.models.export import exported_to
from facesearch.models.weight_files import read_weights


def serve(
    card: ModelCard, device: Literal["cpu", "gpu"], threads: int, precision: Precision = "float32"
) -> Mapping[str, Network]:
    """A card's networks by the name of their part. `threads` is how many cores a call on the CPU may use; on the
    CPU the card must have been prepared. With the precision `auto` OpenVINO serves all of them in bfloat16 where it
    can, else ONNX Runtime does in float32."""
    if device == "gpu":
        # A detector finds places to a fraction of a pixel, for which 16 bits are too few.
        mixed = isinstance(card, EmbedderCard)
        with layers_in("float16" if mixed else "float32"):
            return {part: KerasNetwork(model, mixed) for part, model in keras_models(card).items()}
    files = sorted(path for path in exported_to(card).glob("*.onnx") if not path.name.endswith(PLAIN))
    if not files:
        raise ModelError(f"The model '{card.name}' is not prepared; run: facesearch doctor.")
    try:
        _refuse_openvino(card, precision)
        return {path.stem: OpenvinoNetwork(path, threads) for path in files}
    except UnavailableError as error:
        return {path.stem: OnnxNetwork(path, threads, str(error)) for path in files}


def precision_on_cpu(card: ModelCard, precision: Precision) -> Literal["float32", "bfloat16"]:
    """In which numbers a card's networks are served, unless OpenVINO should refuse one of them."""
    try:
        _refuse_openvino(card, precision)
        import_openvino()
    except UnavailableError:
        return "float32"
    return "bfloat16"


def _refuse_openvino(card: ModelCard, precision: Precision) -> None:
    """Raises UnavailableError where ONNX Runtime is to serve. A graph that a stranger drew was tried in a process of
    its own, but there with ONNX Runtime alone."""
    if precision == "float32":
        raise UnavailableError("")
    if card.network == "onnx_graph":
        raise UnavailableError("a graph of others is run by ONNX Runtime, which has tried it")


def keras_models(card: ModelCard) -> dict[str, Any]:
    """The card's networks in Keras by the name of their part. Raises ModelError when the weights are absent or not
    those that the card was written for, FaceSearchError where Keras is not installed."""
    import_keras()
    network = import_module(f"facesearch.models.networks.{card.network}")
    models: dict[str, Any] = network.keras_models(read_weights(card), card)
    return models
