"""The embedder beside ONNX Runtime's bare rate on the same network and batches, one thread for each core, in turn.

    python benchmarks/embedding.py [--chips 2048] [--rounds 5]

Ours turns chips into unit rows, each averaged with its mirror image's, as `index` does; the bare rate is that of the
session on as many chips, mirror images counted, which are in memory as it wants them."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facesearch.faces.embedder import Embedder
from facesearch.home import cores
from facesearch.models.cards import default_embedder, embedder_card
from facesearch.models.export import prepare
from facesearch.models.serving import serve

_BATCH = 32


def main(chips: int, rounds: int) -> None:
    card = embedder_card(default_embedder())
    prepare([card], lambda _: None)
    (network,) = serve(card, "cpu", 1).values()
    embedder = Embedder(network, card, card.detector)
    given = np.random.default_rng(0).integers(0, 256, (chips, card.chip_px, card.chip_px, 3)).astype(np.uint8)
    parts = [given[start : start + _BATCH] for start in range(0, chips, _BATCH)]
    twice = 2 if card.mirrored else 1

    def bare(part: np.ndarray) -> None:
        for _ in range(twice):
            network(part)

    works: dict[str, Callable[[np.ndarray], object]] = {"bare": bare, "ours": embedder.embed}
    rates: dict[str, list[float]] = {name: [] for name in works}
    with ThreadPoolExecutor(cores()) as pool:
        for _ in range(rounds):
            for name, work in works.items():
                started = time.perf_counter()
                list(pool.map(work, parts))
                rates[name].append(twice * chips / (time.perf_counter() - started))
    print(json.dumps({name: statistics.median(found) for name, found in rates.items()}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))
