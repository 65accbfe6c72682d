"""Where facesearch keeps its own files, and what they may be called."""

import os
import re
from pathlib import Path

import platformdirs

from facesearch.errors import UsageError

_NAME = re.compile(r"\w[\w.-]*")
_LONGEST = 100  # characters: a file's name has 255 bytes, and a name gets endings


def home() -> Path:
    """The directory that holds `models/` and `indexes/`: FACESEARCH_HOME, else the platform's data directory."""
    chosen = os.environ.get("FACESEARCH_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("facesearch"))


def valid_name(name: str, what: str) -> str:
    """The name, if it can name a `what` (a gallery, a model): it becomes a folder's name, and must never lead to
    another folder. Raises UsageError."""
    if not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > _LONGEST:
        shown = name.encode("unicode_escape").decode() if len(name) <= _LONGEST else f"{name[:_LONGEST]!r}..."
        raise UsageError(
            f"'{shown}' cannot name a {what}; use up to {_LONGEST} letters, digits, '.', '_' and '-', with a letter "
            "or a digit first."
        )
    return name


def private_folder(path: Path) -> Path:
    """Makes a folder, and those above it that are not there yet, for its owner alone, whatever the umask. Raises
    OSError: FileExistsError too where something else has its name."""
    if not path.is_dir():
        if path.parent != path:
            private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def gallery_dir(name: str) -> Path:
    """The directory of one gallery: its database and its vectors."""
    return home() / "indexes" / name


def model_dir(name: str) -> Path:
    """The directory of one model's exported networks."""
    return home() / "models" / name


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int | None:
    """How many bytes of memory this machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows does not have the function
        return None
