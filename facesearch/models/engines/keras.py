"""Networks on Keras: on a GPU, and wherever a network is defined, trained or exported."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.libraries import settle
from facesearch.models.engines import Engine
from facesearch.packages import how_to_install

Numbers: TypeAlias = Literal["float32", "bfloat16", "float16"]  # in which a network computes

_CPU_INFO = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}  # of x86, and of ARM
# TensorFlow prints pages about its own start-up unless these are set before its import.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1", "KERAS_BACKEND": "tensorflow"}


class KerasNetwork:
    """A Keras model as a network; the first GPU runs it where there is one. Calls from several threads at once are
    allowed, and take turns: a GPU works on one batch at a time, and Keras traces a new shape on one thread only. A
    batch that the GPU's memory does not hold is halved, and so are all that come after it."""

    breadth = 16

    def __init__(self, model: Any, mixed: bool = False) -> None:
        """`mixed` says that the model's layers were made to compute in 16 bits."""
        self._model, self._precision = model, "float16" if mixed else "float32"
        self._turn = threading.Lock()
        self._most = sys.maxsize  # rows in one call

    @property
    def engine(self) -> Engine:
        """Keras, whatever runs it."""
        return Engine(f"Keras {import_keras().__version__}", self._precision)

    def __call__(self, batch: NDArray[np.uint8], /) -> tuple[NDArray[np.float32], ...]:
        """Raises FaceSearchError when the memory does not hold a single row."""
        with self._turn:
            parts = list(self._in_parts(batch))
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def _in_parts(self, batch: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
        start = 0
        while start < max(len(batch), 1):
            part = batch[start : start + self._most]
            try:
                outputs = self._model.predict_on_batch(part)
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                if len(part) <= 1:
                    raise FaceSearchError(
                        f"The GPU's memory does not hold one picture of {part.shape[2]} x {part.shape[1]} pixels; "
                        "close other programs that use it, or use --device cpu."
                    ) from error
                self._most = len(part) // 2
            else:
                start += max(len(part), 1)
                outputs = outputs if isinstance(outputs, list) else [outputs]
                yield [np.asarray(each, np.float32) for each in outputs]


def _is_out_of_memory(error: Exception) -> bool:
    """Each backend has a class of its own for this, which cannot be named without importing it."""
    return type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError") or "RESOURCE_EXHAUSTED" in str(
        error
    )


@cache
def import_keras() -> Any:
    """The module, on TensorFlow unless KERAS_BACKEND says otherwise, taking a GPU's memory only as it is needed.
    Raises FaceSearchError with what to install where it is absent."""
    settle("keras")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with _without_chatter():
            import keras

            _start(keras.backend.backend())
        # TensorFlow writes programs to the temporary folder and imports them: their compiled form would stay there.
        sys.dont_write_bytecode = True
    except ImportError as error:
        raise FaceSearchError(f"TensorFlow is not installed; install it with: {how_to_install('keras')}") from error
    return keras


def _start(backend: str) -> None:
    if backend == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.zeros(1)  # its first operation is another occasion to greet


@contextmanager
def _without_chatter() -> Iterator[None]:
    """TensorFlow's libraries greet on the standard error before they read what they may say."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def precision(numbers: Numbers) -> Iterator[None]:
    """Layers made inside compute in these numbers, and keep their weights in 32 bits."""
    keras = import_keras()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if numbers == "float32" else f"mixed_{numbers}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers itself, as far as the system tells; else a library has to do
    it in float32, more slowly than float32 alone."""
    try:
        return not _BFLOAT16_FLAGS.isdisjoint(_CPU_INFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return False  # not Linux


def gpu_is_visible() -> bool:
    """Whether the driver shows an NVIDIA card to this process; costs nothing, so it may be asked at any start."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    driver = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))  # Linux, and under Windows
    return driver and hidden not in ("", "-1")


def gpu_works() -> bool:
    """Whether Keras's backend can use a GPU. Imports it, which takes seconds."""
    backend = import_keras().backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    import torch

    return bool(torch.cuda.is_available())


def hide_gpu() -> None:
    """Keeps a backend that is not imported yet from taking a GPU."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
