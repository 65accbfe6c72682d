"""Networks on ONNX Runtime, on the CPU, and the file that they are read from."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError, ModelError
from facesearch.libraries import settle
from facesearch.models.engines import Engine
from facesearch.packages import how_to_install, required

if TYPE_CHECKING:
    import onnx


class OnnxNetwork:
    """A network in an ONNX file. Calls from several threads at once are allowed."""

    breadth = 1

    def __init__(self, path: Path, threads: int, instead: str = "") -> None:
        """`threads` is how many cores one call may use; `instead` says why no other engine serves. Raises ModelError
        for a file that is not an ONNX graph."""
        runtime = import_onnxruntime()
        self.engine = Engine(f"ONNX Runtime {runtime.__version__}", "float32", instead)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised; its log would only repeat it
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no class of their own
            raise ModelError(
                f"{path} is not a network that ONNX Runtime can read; delete it and try again."
            ) from error
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


@cache
def import_onnx() -> Any:
    """The package in which graphs are made and checked. Raises FaceSearchError with what to install where it is
    absent."""
    return required("onnx")


def write_folded(graph: "onnx.ModelProto", path: Path) -> None:
    """Writes a graph with all computed that depends on weights alone, which holds for any machine and makes loading
    it faster. Raises OSError when the disk refuses the file, ModelError for a graph that cannot be built."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    path.touch(mode=0o600)
    try:
        runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no class of their own
        why = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path} cannot be built or written by ONNX Runtime ({why}).") from error
    with path.open("rb+") as file:
        os.fsync(file.fileno())
