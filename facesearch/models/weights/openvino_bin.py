"""The numbers of a network in OpenVINO's intermediate representation (`.bin`): bytes without any order of their own,
which the `.xml` beside it cuts into arrays."""

from pathlib import Path


def read(path: Path) -> bytes:
    """All of it."""
    return path.read_bytes()
