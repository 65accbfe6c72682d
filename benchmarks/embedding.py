"""The embedder on both engines, beside ONNX Runtime's bare rate on the same network and batches, in turn.

    python benchmarks/embedding.py [--model retail-0095] [--workers 2] [--chips 2048] [--rounds 5]

Ours turns chips into unit rows, each averaged with its mirror image's where the model's card says so, as `index`
does, on so many threads of a core each; the bare rate is that of the session on as many chips, mirror images counted,
which are in memory as it wants them. Rates are of chips that the network sees, in a second."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facesearch.faces.embedder import Embedder
from facesearch.home import cores
from facesearch.models.cards import EmbedderCard, default_embedder, embedder_card
from facesearch.models.export import prepare
from facesearch.models.serving import serve

_BATCH = 32


def main(model: str, workers: int, chips: int, rounds: int) -> None:
    card = embedder_card(model)
    prepare([card], lambda _: None)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])
    given = np.random.default_rng(0).integers(0, 256, (chips, card.chip_px, card.chip_px, 3)).astype(np.uint8)
    parts = [given[start : start + _BATCH] for start in range(0, chips, _BATCH)]
    twice = 2 if card.mirrored else 1
    works = _works(card, twice)
    rates: dict[str, list[float]] = {name: [] for name in works}
    with ThreadPoolExecutor(workers) as pool:
        for work in works.values():  # an engine prepares itself for a shape at the first one
            list(pool.map(work, parts[: 4 * workers]))
        for _ in range(rounds):
            for name, work in works.items():
                started = time.perf_counter()
                list(pool.map(work, parts))
                rates[name].append(twice * chips / (time.perf_counter() - started))
    medians = {name: round(statistics.median(found)) for name, found in rates.items()}
    print(json.dumps({"model": model, "workers": workers} | medians))


def _works(card: EmbedderCard, twice: int) -> dict[str, Callable[[np.ndarray], object]]:
    (network,) = serve(card, "cpu", 1).values()
    (fast,) = serve(card, "cpu", 1, "auto").values()

    def bare(part: np.ndarray) -> None:
        for _ in range(twice):
            network(part)

    works: dict[str, Callable[[np.ndarray], object]] = {"bare": bare}
    for each in (network, fast):  # both are the first where no other engine serves
        works[each.engine.precision] = Embedder(each, card, card.detector).embed
    return works


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=default_embedder())
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--chips", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))
