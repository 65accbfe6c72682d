"""LFW View 2 beside the peers: face_recognition's own pipeline on all 6,000 pairs, deepface (model Dlib, detector
mtcnn) on 600 of them, the first 30 of each kind in each fold.

Each takes the most central face of a photo and compares as it does by itself: face_recognition by Euclidean distance,
deepface by the cosine. The folds and the thresholds are the same for all.

    python benchmarks/lfw.py LFW --peers PEERS/bin/python --json benchmarks/lfw.json
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.evaluation import lfw
from facesearch.evaluation.benchmark import Benchmark
from facesearch.evaluation.metrics import accuracy_by_folds, equal_error_rate, roc, tar_at
from facesearch.evaluation.pairs import Pairs
from facesearch.home import cores

_PEERS = str(Path(__file__).with_name("peers.py"))
_EACH = 30  # pairs of each kind and fold in the sample

Rows: TypeAlias = NDArray[np.float64]  # (n, dim)
Similarity: TypeAlias = Callable[[Rows, Rows], Rows]  # to (n,)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = lfw.find(given.lfw)
    pairs = lfw.read_pairs(lfw.find_pairs(given.lfw, found.images), found.images)
    sample = _sample(pairs)
    ours = Benchmark(None, None, "cpu", "centre").lfw_view2(found, pairs).pairs["all"].compared.similarities
    table = [_figures("facesearch", pairs, ours, np.arange(len(pairs)))]
    table.append(_figures("facesearch", pairs, ours, sample))
    everything = _compared(given.peers, "face_recognition", pairs, np.arange(len(pairs)), _minus_distance)
    table.append(_figures("face_recognition", pairs, everything, np.arange(len(pairs))))
    table.append(_figures("face_recognition", pairs, everything, sample))
    some = _compared(given.peers, "deepface", pairs, sample, _cosine)
    table.append(_figures("deepface", pairs, some, sample))
    for row in table:
        print(json.dumps(row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(table, indent=1) + "\n")


def _sample(pairs: Pairs) -> NDArray[np.intp]:
    assert pairs.folds is not None
    chosen = [
        np.flatnonzero((pairs.folds == fold) & (pairs.same == kind))[:_EACH]
        for fold in np.unique(pairs.folds)
        for kind in (True, False)
    ]
    return np.concatenate(chosen)


def _compared(python: str, peer: str, pairs: Pairs, chosen: NDArray[np.intp], similarity: Similarity) -> Rows:
    """The similarities of the chosen pairs by a peer, which runs in a process for each core; 0 for the others."""
    used = np.unique(np.concatenate([pairs.first[chosen], pairs.second[chosen]]))
    with tempfile.TemporaryDirectory() as folder:

        def embed(part: int) -> Rows:
            listed, out = Path(folder) / f"{part}.txt", Path(folder) / f"{part}.npy"
            listed.write_text("\n".join(pairs.photos[i] for i in used[part :: cores()]))
            subprocess.run([python, _PEERS, peer, "embed", str(listed), str(out)], check=True)
            return np.asarray(np.load(out), np.float64)

        with ThreadPoolExecutor(cores()) as pool:
            parts = list(pool.map(embed, range(cores())))
    rows = np.empty((len(pairs.photos), parts[0].shape[1]))
    for part, found in enumerate(parts):
        rows[used[part :: cores()]] = found
    similarities = np.zeros(len(pairs))
    similarities[chosen] = similarity(rows[pairs.first[chosen]], rows[pairs.second[chosen]])
    return similarities


def _minus_distance(a: Rows, b: Rows) -> Rows:
    return -np.asarray(np.linalg.norm(a - b, axis=1))


def _cosine(a: Rows, b: Rows) -> Rows:
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def _figures(name: str, pairs: Pairs, similarities: Rows, chosen: NDArray[np.intp]) -> dict[str, object]:
    assert pairs.folds is not None
    accuracy = accuracy_by_folds(similarities[chosen], pairs.same[chosen], pairs.folds[chosen])
    curve = roc(similarities[chosen], pairs.same[chosen])
    return {
        "name": name,
        "pairs": len(chosen),
        "accuracy": round(accuracy.mean, 4),
        "accuracy_std": round(accuracy.std, 4),
        "tar_at_far_0.01": round(tar_at(curve, 0.01), 4),
        "eer": round(equal_error_rate(curve), 4),
    }


if __name__ == "__main__":
    main()
