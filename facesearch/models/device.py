"""Which processor runs a model."""

import importlib
import importlib.util
from typing import Literal

from facesearch.errors import FaceSearchError
from facesearch.models.cards import ModelCard
from facesearch.models.engines.keras import gpu_is_visible, gpu_works

Device = Literal["auto", "cpu", "gpu"]
ON_THE_CPU = ("onnx_graph", "yunet")  # networks that are not defined in Keras


def choose_device(asked: Device) -> Literal["cpu", "gpu"]:
    """`auto` is the GPU where the driver shows one and TensorFlow can use it.
    Raises FaceSearchError when a GPU is asked for and cannot be used: it is never silently replaced."""
    if asked == "cpu":
        return "cpu"
    if asked == "auto":
        return "gpu" if gpu_is_visible() and _has_keras() and gpu_works() else "cpu"
    if gpu_is_visible() and gpu_works():
        return "gpu"
    raise FaceSearchError(
        "No GPU can be used here; check nvidia-smi, install what uses it with: pip install 'tensorflow[and-cuda]', "
        "or leave --device out."
    )


def device_of(card: ModelCard, asked: Device) -> Literal["cpu", "gpu"]:
    """As choose_device, for one model. Raises FaceSearchError too when a GPU is asked for and cannot run it."""
    if card.network not in ON_THE_CPU:
        return choose_device(asked)
    if asked == "gpu":
        raise FaceSearchError(f"'{card.name}' runs on the CPU only; leave --device out, or choose another model.")
    return "cpu"


def _has_keras() -> bool:
    return importlib.util.find_spec("keras") is not None
