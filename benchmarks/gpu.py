"""Rates on a GPU, in 16 bits, with chips that are in memory already: training Inception-ResNet-v1 on triplets, and
embedding with it and with dlib's ResNet. With a folder of crops, also how fast batches are read, cut and mirrored.

    KERAS_BACKEND=jax python benchmarks/gpu.py [--batch 360] [--steps 30] [--crops CROPS]

Needs no more than Keras with any of its backends, NumPy, OpenCV, msgspec, platformdirs and Pillow. Runs on a CPU
too, to see that it works."""

import argparse
import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facesearch.models.networks import dlib_resnet, facenet
from facesearch.training.losses import Choice, TripletModel

_PER_PERSON = 4


def main(batch: int, steps: int, crops: Path | None) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    figures = {"backend": keras.backend.backend(), "batch": batch}
    figures["facenet_training_images_per_second"] = _training(batch, steps)
    figures["facenet_chips_per_second"] = _embedding(facenet, 512, batch, steps)
    figures["dlib_resnet_chips_per_second"] = _embedding(dlib_resnet, 128, batch, steps)
    if crops:
        figures["batches_images_per_second"] = _reading(crops, batch, steps)
    print(json.dumps(figures))


def _training(batch: int, steps: int) -> float:
    core = TripletModel(facenet.network(128), Choice("semi-hard"))
    core.compile(keras.optimizers.Adam(1e-3))
    chips = np.random.default_rng(0).normal(size=(batch, facenet.CHIP_PX, facenet.CHIP_PX, 3)).astype(np.float16)
    who = np.arange(batch, dtype=np.int32) // _PER_PERSON
    return _rate(lambda: core.train_on_batch(chips, who), batch, steps)


def _embedding(network: Any, dim: int, batch: int, steps: int) -> float:
    core = network.network(dim)
    pixels = keras.Input((network.CHIP_PX, network.CHIP_PX, 3), dtype="uint8")
    model = keras.Model(pixels, core((keras.ops.cast(pixels, "float32") - 127.5) / 128))
    shape = (batch, network.CHIP_PX, network.CHIP_PX, 3)
    chips = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    return _rate(lambda: model.predict_on_batch(chips), batch, steps)


def _reading(crops: Path, batch: int, steps: int) -> float:
    from facesearch.training.batches import Batches
    from facesearch.training.people import find

    batches = Batches(find(crops), batch // _PER_PERSON, _PER_PERSON, facenet.CHIP_PX).drawn("people", 0)
    next(batches)
    started = time.perf_counter()
    count = sum(len(chips) for chips, _ in islice(batches, steps))
    return round(count / (time.perf_counter() - started), 1)


def _rate(work: Callable[[], Any], batch: int, steps: int) -> float:
    """Chips a second, without the first call, which compiles."""
    np.asarray(work())
    started = time.perf_counter()
    for _ in range(steps):
        np.asarray(work())  # until the result is there
    return round(steps * batch / (time.perf_counter() - started), 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=360)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--crops", type=Path)
    main(**vars(parser.parse_args()))
