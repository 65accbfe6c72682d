"""What runs a network. ONNX Runtime or OpenVINO serves it on a CPU, Keras (TensorFlow) on a GPU; all are a
`Network`."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine behind a network: its name and version, and the numbers it computes in, `float32`, `bfloat16` or
    `float16`. `instead` says, in half a sentence, why a faster engine does not serve; it is empty where none was
    asked for or it does."""

    name: str
    precision: str
    instead: str = ""


class Network(Protocol):
    """A loaded graph: one batch of uint8 pixels (n, height, width, 3) in, its float32 outputs out. `breadth` is how
    many times as much a call takes best as one on a processor, whose cache is small."""

    breadth: int

    @property
    def engine(self) -> Engine: ...

    def __call__(self, batch: NDArray[np.uint8], /) -> tuple[NDArray[np.float32], ...]: ...
