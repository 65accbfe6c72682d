"""Lists of arrays as joblib writes them (the weights that the PyPI package mtcnn carries)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def read(path: Path) -> list[NDArray[np.float32]]:
    """The arrays in the file's order. A joblib file is a pickle, hence a program: the caller must have checked
    its SHA-256 against the card before."""
    import joblib

    return [np.asarray(array, np.float32) for array in joblib.load(path)]
