"""Where facesearch keeps its own files."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The directory that holds `models/` and `indexes/`: FACESEARCH_HOME, else the platform's data directory."""
    chosen = os.environ.get("FACESEARCH_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("facesearch"))


def gallery_dir(name: str) -> Path:
    """The directory of one gallery: its database and its vectors."""
    return home() / "indexes" / name


def model_dir(name: str) -> Path:
    """The directory of one model's exported networks."""
    return home() / "models" / name


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
