"""facesearch's own files of weights: NumPy archives of arrays by name, without any object that could be code."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.files import whole_file
from facesearch.models.weights.sizes import MOST_BYTES, Sizes


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays by name. Raises ModelError when the file is damaged, or announces more than it holds or than a
    network has."""
    try:
        _refuse_swollen(path)
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name], np.float32) for name in file.files}
    except (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is not a file of weights, or it is cut short.") from error


def write(path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Writes the arrays whole or not at all, for their owner alone. Raises OSError."""
    with whole_file(path) as file:
        np.savez(file, **tensors)  # type: ignore[arg-type]


def _refuse_swollen(path: Path) -> None:
    """A zip file of some bytes may unpack to any size, and an array's head may announce more than follows."""
    sizes = Sizes(path)
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > 2 * MOST_BYTES:  # of 64 bits each
            raise ModelError(f"{path} unpacks to more than any network here has.")
        for entry in archive.infolist():
            with archive.open(entry) as file:
                if np.lib.format.read_magic(file) == (1, 0):
                    shape, _, kind = np.lib.format.read_array_header_1_0(file)
                else:
                    shape, _, kind = np.lib.format.read_array_header_2_0(file)
            sizes.add(entry.filename, shape)
            if kind.hasobject or kind.itemsize * int(np.prod(shape, dtype=object)) > entry.file_size:
                raise ModelError(f"{path} announces more than it holds ({entry.filename}).")
