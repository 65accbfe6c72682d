"""Settings of other libraries, made right before they are imported: to send nothing anywhere, and to keep their
caches under the home; where the process is our own, also to write nothing to the terminal. What the user has set in
one of these variables is left as it is, but for telemetry, which is always off."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from facesearch.home import home, private_folder

Library = Literal["onnxruntime", "openvino", "keras", "matplotlib", "sklearn", "pymilvus", "s3fs", "ray"]

# What OpenCV cannot read is our outcome, and so is a server that gRPC does not reach.
_QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "GRPC_VERBOSITY": "NONE"}
_NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
# The variables that say where each keeps its files, and what the folder is called here.
_FOLDERS: dict[Library, dict[str, str]] = {
    "onnxruntime": {},
    "openvino": {},
    # With what Keras may run on: CUDA compiles programs for a card, the others keep what they load or compile.
    "keras": {
        "KERAS_HOME": "keras",
        "CUDA_CACHE_PATH": "cuda",
        "TFHUB_CACHE_DIR": "tensorflow-hub",
        "TORCH_HOME": "torch",
        "TORCHINDUCTOR_CACHE_DIR": "torch-inductor",
        "TRITON_CACHE_DIR": "triton",
    },
    "matplotlib": {"MPLCONFIGDIR": "matplotlib"},
    "sklearn": {"SCIKIT_LEARN_DATA": "scikit-learn"},
    "pymilvus": {},
    "s3fs": {},
    "ray": {},
}
# Amazon's libraries ask an address that only Amazon's own machines have for credentials, unless this is set; who
# wants that sets it to false.
_NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}
# Where the process is facesearch's own, also what libraries of libraries would write to the user's home.
_OF_ANY = {"XDG_CACHE_HOME": "other", "NUMBA_CACHE_DIR": "numba", "HF_HOME": "hugging-face"}


def settle(library: Library) -> None:
    """To be called right before the library is imported, in whatever process. Processes that are started later hear
    of it too."""
    os.environ.update(_NO_TELEMETRY)
    _block("openvino_telemetry")
    _set(_FOLDERS[library])
    for name, value in _NO_METADATA.items() if library == "s3fs" else ():
        os.environ.setdefault(name, value)
    if any(os.environ[variable] == _place(name) for variable, name in _FOLDERS[library].items()):
        with suppress(OSError):  # the library finds its own way, or says what is wrong
            private_folder(caches())


def settle_all() -> None:
    """The same for all libraries at once, in a process that belongs to facesearch alone; no folder is made yet."""
    os.environ.update(_NO_TELEMETRY)
    _block("openvino_telemetry")
    _block("openvino.tools.ovc")  # converts models of others, which we never do, and takes longer than all else of it
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for folders in (*_FOLDERS.values(), _OF_ANY):
        _set(folders)


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """For an import inside the block this module is not installed, unless it was imported before: a library that
    imports whatever of others it finds starts faster without. Other threads see the module."""
    finder = _Hidden(module)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Hidden:
    """The first of the interpreter's finders of modules, which passes on all but one."""

    def __init__(self, module: str) -> None:
        self._module, self._thread = module, threading.get_ident()

    def find_spec(self, name: str, *_: object) -> None:
        """Raises ImportError for the hidden module in the thread that hides it."""
        if name == self._module and threading.get_ident() == self._thread:
            raise ImportError(f"{name} is not needed here", name=name)


def caches() -> Path:
    """Where libraries keep their files."""
    return home() / "cache" / "libraries"


def _block(module: str) -> None:
    """From now on an import of this module fails, unless it was imported before: OpenVINO, whose own import would
    import it and tell of that, does without."""
    sys.modules.setdefault(module, None)  # type: ignore[arg-type]


def _set(folders: dict[str, str]) -> None:
    for variable, name in folders.items():
        if not os.environ.get(variable):
            os.environ[variable] = _place(name)


def _place(name: str) -> str:
    path = caches() / name
    try:
        return str(path.absolute())
    except OSError:  # the current folder is gone
        return str(path)
