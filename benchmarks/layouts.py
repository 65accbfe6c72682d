"""Channels last against channels first: convolutions of the sizes that the default network has, with their gradients,
in both kinds of numbers, measured in turn.

    python benchmarks/layouts.py"""

import json
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from facesearch.models.engines.keras import Numbers, import_keras

_SIZES = ((32, 32), (16, 64), (8, 128), (4, 256))  # side, channels in and out
_BATCH, _ROUNDS = 128, 12

Layout = Literal["NHWC", "NCHW"]


def main() -> None:
    """Prints a line of JSON for each, in milliseconds: the median over the rounds."""
    import_keras()
    kinds: list[tuple[Layout, Numbers]] = [
        ("NHWC", "float32"),
        ("NCHW", "float32"),
        ("NHWC", "bfloat16"),
        ("NCHW", "bfloat16"),
    ]
    steps = [_step(layout, numbers) for layout, numbers in kinds]
    for step in steps:
        step()  # the first compiles
    seconds = [[_seconds(step) for step in steps] for _ in range(_ROUNDS)]
    for (layout, numbers), own in zip(kinds, np.median(seconds, axis=0), strict=True):
        print(json.dumps({"layout": layout, "numbers": numbers, "milliseconds": round(1000 * float(own), 1)}))


def _step(layout: Layout, numbers: Numbers) -> Callable[[], Any]:
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shapes = [
        (_BATCH, side, side, width) if layout == "NHWC" else (_BATCH, width, side, side) for side, width in _SIZES
    ]
    pictures = [tf.constant(rng.normal(size=shape), numbers) for shape in shapes]
    kernels = [tf.Variable(rng.normal(size=(3, 3, width, width)).astype(np.float32)) for _, width in _SIZES]

    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            convolved = [
                tf.nn.conv2d(picture, tf.cast(kernel, numbers), 1, "SAME", data_format=layout)
                for picture, kernel in zip(pictures, kernels, strict=True)
            ]
            total = tf.add_n([tf.reduce_sum(tf.nn.relu(each)) for each in convolved])
        return tape.gradient(total, [*kernels, *pictures])

    compiled: Callable[[], Any] = tf.function(step)
    return compiled


def _seconds(step: Callable[[], Any]) -> float:
    started = time.perf_counter()
    step()[0].numpy()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
