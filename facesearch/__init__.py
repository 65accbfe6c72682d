"""Find a face in a folder of photos. The public names are loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facesearch.errors import FaceSearchError as FaceSearchError
    from facesearch.gallery.gallery import Gallery as Gallery
    from facesearch.verification import verify as verify

__version__ = "0.1.0"

_HOME = {
    "Gallery": "facesearch.gallery.gallery",
    "verify": "facesearch.verification",
    "FaceSearchError": "facesearch.errors",
}
__all__ = ["FaceSearchError", "Gallery", "verify"]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'facesearch' has no attribute '{name}'")
