"""What runs a network. ONNX Runtime serves it on a CPU, Keras (TensorFlow) on a GPU; both are a `Network`."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Network(Protocol):
    """A loaded graph: one batch of uint8 pixels (n, height, width, 3) in, its float32 outputs out. `breadth` is how
    many times as much a call takes best as one on a processor, whose cache is small."""

    breadth: int

    def __call__(self, batch: NDArray[np.uint8], /) -> tuple[NDArray[np.float32], ...]: ...
