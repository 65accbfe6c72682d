"""How much of a bare Keras fit's speed the training loop keeps: the same small network, batch and photos, softmax
alone against triplets with mining, reading, cutting and mirroring; and what of a step mining and reading take.

    python benchmarks/training.py CROPS          (a folder for each person, as facesearch align writes it)
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.models.cards import EmbedderCard
from facesearch.models.engines.keras import import_keras
from facesearch.training.initial_network import fresh
from facesearch.training.people import Batches, find, split

_PEOPLE, _PER_PERSON, _STEPS, _ROUNDS = 20, 4, 4, 3


def main(crops: Path) -> None:
    keras = import_keras()
    from facesearch.training.loop import Trainer
    from facesearch.training.losses import TripletLoss
    from facesearch.training.plan import Plan, ValidationSets
    from facesearch.training.validation import held_out_pairs

    learned, others = split(find(crops), 0.02, 0)
    start = fresh("small", 128, None, False)
    px = start.card.chip_px
    batches = iter(Batches(learned, _PEOPLE, _PER_PERSON, px, 0))
    x, y = (np.concatenate(part) for part in zip(*islice(batches, _STEPS), strict=True))
    bare = _bare_model(keras, start.card, len(learned.names))
    size = _PEOPLE * _PER_PERSON
    bare.fit(x[:size], y[:size], batch_size=size, verbose=0)
    plan = Plan("triplet", "semi-hard", "margin", 0.2, _PEOPLE, _PER_PERSON, _ROUNDS + 1, _STEPS, 1e-3, 0)
    rates = []

    def measure(_: object) -> None:
        # Each of our epochs is followed by one of the bare fit, so that both meet the same machine.
        rates.append(len(x) / _seconds(lambda: bare.fit(x, y, batch_size=size, verbose=0)))

    with tempfile.TemporaryDirectory() as folder:
        sets = ValidationSets(others, held_out_pairs(others))
        history = Trainer(start, plan, learned, sets, Path(folder)).run(on_epoch=measure)[1:]
    step = float(np.median([epoch.training_seconds for epoch in history])) / _STEPS
    rows = np.random.default_rng(0).normal(size=(size, 128)).astype(np.float32)
    mine = TripletLoss("semi-hard")
    mining = min(_seconds(lambda: keras.ops.convert_to_numpy(mine(y[:size], rows))) for _ in range(5))
    reading = min(_seconds(lambda: next(batches)) for _ in range(5))
    figures = {
        "bare_fit_images_per_second": round(float(np.median(rates[1:])), 1),
        "images_per_second": round(float(np.median([epoch.images_per_second for epoch in history])), 1),
        "share_of_mining": round(2 * mining / step, 4),  # once for the loss, once for the share of active triplets
        "share_of_reading_on_other_threads": round(reading / step, 3),
        "evaluation_seconds_an_epoch": round(float(np.median([epoch.evaluation_seconds for epoch in history])), 1),
    }
    figures["share_of_bare_fit"] = round(figures["images_per_second"] / figures["bare_fit_images_per_second"], 3)
    print(json.dumps(figures))


def _bare_model(keras: Any, card: EmbedderCard, people: int) -> Any:
    """The same network with the plainest head."""
    from facesearch.models.networks import small
    from facesearch.models.networks.standardisation import keras_standardised

    chips = keras.Input((card.chip_px, card.chip_px, 3), dtype="uint8")
    embeddings = small.network(card.dim)(keras_standardised(chips, card))
    model = keras.Model(chips, keras.layers.Dense(people, activation="softmax")(embeddings))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]))
