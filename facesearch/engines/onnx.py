"""Networks on ONNX Runtime, on the CPU, and the file that they are read from."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError, ModelError


class OnnxNetwork:
    """A network in an ONNX file. Calls from several threads at once are allowed."""

    def __init__(self, path: Path, threads: int) -> None:
        """`threads` is how many cores one call may use. Raises ModelError for a file that is no ONNX graph."""
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised; its log would only repeat it
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no class of their own
            raise ModelError(f"{path} is no network that ONNX Runtime can read; delete it and try again.") from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: NDArray[np.uint8], /) -> tuple[NDArray[np.float32], ...]:
        return tuple(self._session.run(None, {self._input: batch}))


def import_onnxruntime() -> Any:
    """The module. Raises FaceSearchError with what to install where it is absent."""
    try:
        import onnxruntime
    except ImportError as error:
        raise FaceSearchError(
            "No engine is installed; install one with: pip install 'facesearch[cpu]' "
            "(or 'facesearch[gpu]' for an NVIDIA card)."
        ) from error
    return onnxruntime


def export(model: Any, path: Path) -> None:
    """Writes a Keras model as an ONNX file. Needs the TensorFlow backend."""
    import tensorflow as tf
    import tf2onnx

    (given,) = model.inputs
    signature = [tf.TensorSpec(given.shape, given.dtype, name=given.name)]
    graph, _ = tf2onnx.convert.from_function(
        tf.function(lambda pixels: model(pixels, training=False)), input_signature=signature, opset=17
    )
    with path.open("wb") as file:
        file.write(graph.SerializeToString())
        file.flush()
        os.fsync(file.fileno())
