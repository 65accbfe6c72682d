"""Files beside photos that somebody may miss in a search: by kind, and what to install for those that wait for it."""

import os
import threading
from collections import Counter
from collections.abc import Mapping

from facesearch.photos import developing, jpegxl
from facesearch.photos.status import Status

VIDEO = "video"
_VIDEOS = frozenset(
    (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".3gp", ".3g2", ".wmv", ".mpg")
)
_VIDEOS |= {".mpeg", ".flv", ".insv", ".lrv", ".vob", ".ogv"}
# Pictures that nothing here reads. What lies beside photos without being one (.xmp, .aae, .json, ...) nobody misses.
_PICTURES = frozenset((".psd", ".psb", ".xcf", ".ai", ".eps", ".svg", ".tga", ".exr", ".hdr", ".jxr", ".wdp", ".ico"))
_PICTURES |= {".insp", ".afphoto", ".kra", ".clip", ".sai", ".pcx", ".pict", ".heics", ".jxs"}
# Kinds of photos that take a package, by their status, with the package's module.
WAITING: Mapping[str, tuple[str, str]] = {
    Status.RAW: ("RAW", developing.MODULE),
    Status.SKIPPED: ("JPEG XL", jpegxl.MODULE),
}


def kind_by_name(path: str) -> str | None:
    """The kind of a file that is no photo; None for one that nobody would look for in a search."""
    extension = os.path.splitext(path)[1].lower()
    if extension in _VIDEOS:
        return VIDEO
    return extension[1:].upper() if extension in _PICTURES else None


class OtherFiles:
    """Counts files that are no photos, on several threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._change = threading.Lock()

    def add(self, path: str) -> None:
        """Counts one, if somebody may miss it."""
        if kind := kind_by_name(path):
            with self._change:
                self._counts[kind] += 1

    def counts(self) -> dict[str, int]:
        """How many of each kind there were until now."""
        with self._change:
            return dict(self._counts)
