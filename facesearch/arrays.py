"""The arrays that flow through facesearch, by name, each with its shape."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Boxes: TypeAlias = NDArray[np.float64]  # (n, 4): left, top, right, bottom
Scores: TypeAlias = NDArray[np.float32]  # (n,)
Indices: TypeAlias = NDArray[np.intp]  # (n,)

Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3) RGB, upright
Chips: TypeAlias = NDArray[np.uint8]  # (n, chip_px, chip_px, 3) RGB, aligned
Embeddings: TypeAlias = NDArray[np.float32]  # (n, dim), rows of unit length
