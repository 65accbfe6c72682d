"""Which processor runs a model: the CPU by ONNX Runtime, an NVIDIA GPU by Keras."""

from typing import Literal

from facesearch.errors import FaceSearchError
from facesearch.models.cards import ModelCard
from facesearch.models.engines.keras import gpu_is_visible, gpu_works
from facesearch.packages import is_installed

Device = Literal["auto", "cpu", "gpu"]
Precision = Literal["auto", "float32"]  # auto: 16 bits where the processor and an engine have them and it is faster
WITHOUT_KERAS_FORM = ("onnx_graph", "openvino_graph", "yunet")  # networks that come as graphs


def choose_device(asked: Device) -> Literal["cpu", "gpu"]:
    """`auto` is the GPU where the driver shows one and Keras is installed and can use it. A GPU that is not asked for
    and cannot be used costs nothing: Keras is imported only where the driver shows one.

    Raises FaceSearchError when a GPU is asked for and cannot be used: it is never silently replaced."""
    if asked == "cpu":
        return "cpu"
    if asked == "auto":
        return "gpu" if gpu_is_visible() and is_installed("keras") and gpu_works() else "cpu"
    if gpu_is_visible() and gpu_works():
        return "gpu"
    raise FaceSearchError(
        "No GPU can be used here; check nvidia-smi, install TensorFlow for it with: pip install "
        "'tensorflow[and-cuda]', or leave --device out."
    )


def device_of(card: ModelCard, asked: Device) -> Literal["cpu", "gpu"]:
    """As choose_device, for one model. Raises FaceSearchError too when a GPU is asked for and cannot run it."""
    if card.network not in WITHOUT_KERAS_FORM:
        return choose_device(asked)
    if asked == "gpu":
        raise FaceSearchError(f"'{card.name}' runs on the CPU only; leave --device out, or choose another model.")
    return "cpu"
