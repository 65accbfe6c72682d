"""How much of a bare Keras fit's speed the training loop keeps: the same small network, batch and photos, softmax
alone against triplets with mining, reading, cutting and mirroring.

    python benchmarks/training.py CROPS          (a folder for each person, as facesearch align writes it)
"""

import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from facesearch.engines.keras import import_keras
from facesearch.training.people import Batches, find, split

_PEOPLE, _PER_PERSON, _STEPS, _ROUNDS = 20, 4, 4, 3


def main(crops: Path) -> None:
    keras = import_keras()
    from facesearch.networks import small
    from facesearch.training.loop import Plan, Trainer, standardised

    learned, others = split(find(crops), 0.02, 0)
    batches = [
        (standardised(chips), who)
        for chips, who in islice(Batches(learned, _PEOPLE, _PER_PERSON, small.CHIP_PX, 0), _STEPS)
    ]
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    core = small.network(128)
    bare = keras.Model(core.input, keras.layers.Dense(len(learned.names), activation="softmax")(core.output))
    bare.compile("adam", "sparse_categorical_crossentropy")
    size = _PEOPLE * _PER_PERSON
    bare.fit(x[:size], y[:size], batch_size=size, verbose=0)
    plan = Plan(
        "small", 128, "triplet", "semi-hard", "margin", 0.2, _PEOPLE, _PER_PERSON, _ROUNDS + 1, _STEPS, 1e-3, 0
    )
    rates, ours, evaluation = [], [], []
    with tempfile.TemporaryDirectory() as folder:

        def measure(epoch: object) -> None:
            # Each of our epochs is followed by one of the bare fit, so that both meet the same machine.
            started = time.perf_counter()
            bare.fit(x, y, batch_size=size, verbose=0)
            rates.append(len(x) / (time.perf_counter() - started))
            ours.append(epoch)

        history = Trainer(plan, learned, others, Path(folder)).run(on_epoch=measure)
    evaluation = [epoch.evaluation_seconds for epoch in history[1:]]
    figures = {
        "bare_fit_images_per_second": round(float(np.median(rates[1:])), 1),
        "images_per_second": round(float(np.median([epoch.images_per_second for epoch in history[1:]])), 1),
        "evaluation_seconds_an_epoch": round(float(np.median(evaluation)), 1),
    }
    figures["share"] = round(figures["images_per_second"] / figures["bare_fit_images_per_second"], 3)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
