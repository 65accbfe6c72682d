"""Packages that may not be installed, and the command that brings each. facesearch itself is on no index of packages
under this name, so that its extras cannot be asked for by it."""

import importlib
import importlib.util
import sys
from types import ModuleType

from facesearch.errors import FaceSearchError

_WEB = "pip install starlette uvicorn jinja2"
_COMMANDS = {  # by the module that is imported
    "faiss": "pip install faiss-cpu",
    "h5py": "pip install h5py",
    "imagecodecs": "pip install imagecodecs",
    "keras": f"pip install {'tensorflow' if sys.platform == 'darwin' else 'tensorflow-cpu'}",
    "onnx": "pip install onnx",
    "onnxruntime": "pip install onnxruntime",
    "jinja2": _WEB,
    "starlette": _WEB,
    "uvicorn": _WEB,
    "ray": "pip install ray",
    "pymilvus": "pip install pymilvus",
    "fsspec": "pip install s3fs",
    "s3fs": "pip install s3fs",
    "watchfiles": "pip install watchfiles",
    "pi_heif": "pip install pi-heif",
    "rawpy": "pip install rawpy",
    "openvino": "pip install openvino",
}


def how_to_install(module: str) -> str:
    """The command that brings the package of this module."""
    return _COMMANDS[module]


def required(module: str) -> ModuleType:
    """The module, imported. Raises FaceSearchError with what to install where it is absent."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FaceSearchError(f"{module} is not installed; install it with: {how_to_install(module)}") from error


def is_installed(module: str) -> bool:
    """Whether a module of this name could be imported, without importing it."""
    if not module.isidentifier():  # of a name with a dot the part before it would be imported
        return False
    importlib.invalidate_caches()  # it may have been installed since this process began
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
