"""facesearch's own files of weights: NumPy archives of arrays by name, without any object that could be code."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays by name. Raises ModelError when the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name], np.float32) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is no file of weights, or it is cut short.") from error


def write(path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Writes the arrays whole or not at all. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **tensors)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
