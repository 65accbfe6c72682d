"""Small networks in OpenVINO's intermediate representation, written by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Network:
    """Layers and edges as XML, and the numbers. Each method adds a layer and returns its id."""

    layers: list[str] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)
    data: bytes = b""

    def layer(
        self, kind: str, facts: str = "", inputs: Sequence[int] = (), shape: Sequence[int] | None = (1, 1)
    ) -> int:
        """Any layer. Its inputs are ports 0, 1 and so on, its result the port after them; `shape` None has none."""
        number = len(self.layers)
        takes = "".join(f'<port id="{i}"><dim>1</dim></port>' for i in range(len(inputs)))
        sizes = "".join(f"<dim>{size}</dim>" for size in shape or ())
        gives = "" if shape is None else f'<output><port id="{len(inputs)}">{sizes}</port></output>'
        self.layers.append(
            f'<layer id="{number}" name="{number}" type="{kind}" version="opset1"><data {facts}/>'
            f"<input>{takes}</input>{gives}</layer>"
        )
        for port, source in enumerate(inputs):
            given = self._results[source]
            self.edges.append(
                f'<edge from-layer="{source}" from-port="{given}" to-layer="{number}" to-port="{port}"/>'
            )
        self._results.append(len(inputs))
        return number

    _results: list[int] = field(default_factory=list)

    def parameter(self, *shape: int) -> int:
        """What goes in."""
        return self.layer("Parameter", 'element_type="f32"', shape=shape)

    def constant(self, values: NDArray[np.float32], kind: str = "f16") -> int:
        """Numbers, as 16 bits that are converted, or as 32."""
        raw = np.asarray(values, np.float16 if kind == "f16" else np.float32).tobytes()
        shape = ", ".join(map(str, values.shape))
        facts = f'element_type="{kind}" shape="{shape}" offset="{len(self.data)}" size="{len(raw)}"'
        self.data += raw
        made = self.layer("Const", facts, shape=values.shape)
        return made if kind == "f32" else self.layer("Convert", 'destination_type="f32"', [made], values.shape)

    def conv(self, x: int, kernel: NDArray[np.float32], stride: int, pad: int, shape: Sequence[int]) -> int:
        """A convolution, of groups where the kernel has five dimensions."""
        kind = "GroupConvolution" if kernel.ndim == 5 else "Convolution"
        facts = (
            f'strides="{stride}, {stride}" dilations="1, 1" pads_begin="{pad}, {pad}" pads_end="{pad}, {pad}" '
            'auto_pad="explicit"'
        )
        return self.layer(kind, facts, [x, self.constant(kernel)], shape)

    def xml(self, version: str = "11", before: str = "") -> str:
        """The description."""
        layers, edges = "".join(self.layers), "".join(self.edges)
        head = f'<?xml version="1.0"?>{before}<net name="small" version="{version}">'
        return f"{head}<layers>{layers}</layers><edges>{edges}</edges></net>"

    def write(self, folder: Path, name: str = "small") -> Path:
        """Both files; the path of the description."""
        path = folder / f"{name}.xml"
        path.write_text(self.xml())
        path.with_suffix(".bin").write_bytes(self.data)
        return path


CARD = """
kind = "embedder"
name = "small"
title = "A small network"
network = "openvino_graph"
licence = "not stated"
source = "this test"
dim = 4
chip_px = 8
mean = [0.0, 0.0, 0.0]
scale = 1.0
weights = [{ path = "small.xml", format = "openvino_xml" }, { path = "small.bin", format = "openvino_bin" }]
alignment = { kind = "box", margin = 8 }
"""


def small(seed: int = 0) -> Network:
    """Chips of 8 pixels to four numbers, with each kind of layer that is known."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.5, shape).astype(np.float16).astype(np.float32)

    net = Network()
    x = net.parameter(1, 3, 8, 8)
    x = net.layer("Multiply", 'auto_broadcast="numpy"', [x, net.constant(numbers(1, 3, 1, 1))], (1, 3, 8, 8))
    x = net.layer("Add", 'auto_broadcast="numpy"', [x, net.constant(numbers(1, 3, 1, 1))], (1, 3, 8, 8))
    x = net.conv(x, numbers(4, 3, 3, 3), 2, 1, (1, 4, 4, 4))
    x = net.layer("Add", 'auto_broadcast="numpy"', [x, net.constant(numbers(1, 4, 1, 1), "f32")], (1, 4, 4, 4))
    x = net.layer("PReLU", "", [x, net.constant(np.array([0.25], np.float32))], (1, 4, 4, 4))
    y = net.conv(x, numbers(4, 1, 1, 3, 3), 1, 1, (1, 4, 4, 4))
    y = net.layer("PReLU", "", [y, net.constant(np.array([0.5, -0.25, 0, 1.5], np.float32))], (1, 4, 4, 4))
    pool = 'kernel="4, 4" strides="4, 4" pads_begin="0, 0" pads_end="0, 0" rounding_type="floor"'
    s = net.layer("AvgPool", pool, [y], (1, 4, 1, 1))
    s = net.layer("Sigmoid", "", [net.conv(s, numbers(4, 4, 1, 1), 1, 0, (1, 4, 1, 1))], (1, 4, 1, 1))
    y = net.layer("Multiply", 'auto_broadcast="numpy"', [y, s], (1, 4, 4, 4))
    x = net.layer("Add", 'auto_broadcast="numpy"', [x, y], (1, 4, 4, 4))
    x = net.conv(x, numbers(4, 4, 4, 4), 1, 0, (1, 4, 1, 1))
    net.layer("Result", "", [x], None)
    return net
