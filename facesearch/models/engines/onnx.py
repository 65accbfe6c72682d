"""Networks on ONNX Runtime, on the CPU, and the file that they are read from."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError, ModelError
from facesearch.libraries import settle
from facesearch.packages import how_to_install


class OnnxNetwork:
    """A network in an ONNX file. Calls from several threads at once are allowed."""

    breadth = 1

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
    """The module, which sends nothing: from version 1.29 on it would tell its maker of its use. Raises
    FaceSearchError with what to install where it is absent."""
    settle("onnxruntime")
    try:
        import onnxruntime
    except ImportError as error:
        raise FaceSearchError(f"No engine is installed; install one with: {how_to_install('onnxruntime')}") from error
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()  # another program may have imported it before us
    return onnxruntime


def export(model: Any, path: Path) -> None:
    """Writes a Keras model as an ONNX file. Needs the TensorFlow backend."""
    import onnx

    graph, weights = _converted(model)
    given = [each for each in graph.graph.input if each.name not in weights]
    for each in graph.graph.input:
        if each.name in weights:
            graph.graph.initializer.append(onnx.numpy_helper.from_array(weights[each.name], each.name))
    del graph.graph.input[:]
    graph.graph.input.extend(given)
    raw = path.with_suffix(".raw")
    raw.write_bytes(graph.SerializeToString())
    del graph, weights
    _write_folded(raw, path)
    raw.unlink()


def _converted(model: Any) -> tuple[Any, dict[str, NDArray[np.float32]]]:
    """The model as an ONNX graph whose weights are inputs, and these by name: with weights inside, the conversion of
    a network of 94 MB takes 22 seconds and 6 GB, as tf2onnx copies the graph again and again; so, it
    takes 4 seconds."""
    settle("onnxruntime")  # tf2onnx may import it
    import tensorflow as tf
    import tf2onnx

    variables = [*model.trainable_variables, *model.non_trainable_variables]
    trainable = len(model.trainable_variables)
    (given,) = model.inputs

    def call(pixels: Any, *weights: Any) -> Any:
        outputs, _ = model.stateless_call(weights[:trainable], weights[trainable:], pixels, training=False)
        return outputs

    names = [f"weight_{i}" for i in range(len(variables))]
    signature = [tf.TensorSpec(given.shape, given.dtype, name=given.name)]
    signature += [
        tf.TensorSpec(each.shape, each.dtype, name=name) for each, name in zip(variables, names, strict=True)
    ]
    os.environ["TF2ONNX_CATCH_ERRORS"] = "FALSE"  # what fails is raised, and no copies are kept to go back to
    graph, _ = tf2onnx.convert.from_function(tf.function(call), input_signature=signature, opset=17)
    return graph, {name: np.asarray(each) for each, name in zip(variables, names, strict=True)}


def _write_folded(raw: Path, path: Path) -> None:
    """The graph with all that depends on weights alone computed, and normalisation folded into convolutions."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # of any machine
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    runtime.InferenceSession(str(raw), options, providers=["CPUExecutionProvider"])
    with path.open("rb+") as file:
        os.fsync(file.fileno())
