"""Find a face in a folder of photos. The public names are loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facesearch.cluster.ray_cluster import Cluster as Cluster
    from facesearch.errors import FaceSearchError as FaceSearchError
    from facesearch.gallery.gallery import Gallery as Gallery
    from facesearch.gallery.search.answers import FacesToCompare as FacesToCompare
    from facesearch.gallery.search.answers import QueryOptions as QueryOptions
    from facesearch.gallery.tables.scope import Scope as Scope
    from facesearch.verification import Verifier as Verifier
    from facesearch.verification import verify as verify

__version__ = "0.1.0"

_HOME = {
    "Cluster": "facesearch.cluster.ray_cluster",
    "Gallery": "facesearch.gallery.gallery",
    "QueryOptions": "facesearch.gallery.search.answers",
    "Scope": "facesearch.gallery.tables.scope",
    "FacesToCompare": "facesearch.gallery.search.answers",
    "Verifier": "facesearch.verification",
    "verify": "facesearch.verification",
    "FaceSearchError": "facesearch.errors",
}
__all__ = ["Cluster", "FaceSearchError", "FacesToCompare", "Gallery", "QueryOptions", "Scope", "Verifier", "verify"]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'facesearch' has no attribute '{name}'")
