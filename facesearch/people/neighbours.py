"""The most similar faces of each face."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings

_NEIGHBOURS = 20  # of each face; 10 and 40 lead to the same groups of LFW's faces but for one in 10,000
_NEIGHBOURS_AMONG_MANY = 10
_EXACT = 100_000  # faces: up to here all are compared with all, which takes 40 s of two cores
_AT_ONCE = 16_384
_PROBES = 16  # lists of an inverted file that are looked at for each face: 0.99 of the true neighbours are in them
_SAMPLES = 40  # faces a list from which the lists are learned

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def neighbours(
    embeddings: Embeddings, least: float = -1.0, of: NDArray[np.int64] | None = None, k: int | None = None
) -> Pairs:
    """The pairs of each of n faces, (n, dim), or of those at the rows `of` alone, with its k most similar ones, from
    the similarity `least` on: rows a and b, a < b, ascending, each pair once, (m,) each, and their similarities,
    (m,). Up to 100,000 faces all are compared, and k is 20; above them those in the nearest lists of an inverted
    file, and k is 10. Similarities are exact."""
    count = len(embeddings)
    k = k or looked_at(count)
    if count < 2:
        none = np.empty(0, np.int64)
        return none, none, np.empty(0, np.float32)
    index = _index(np.ascontiguousarray(embeddings, np.float32))
    asked = np.arange(count) if of is None else of
    keys, similarities = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for start in range(0, len(asked), _AT_ONCE):
        part = asked[start : start + _AT_ONCE]
        found, ids = index.search(embeddings[part], min(k + 1, count))  # (part, k + 1) both
        rows = np.broadcast_to(part[:, None], ids.shape)
        chosen = (ids >= 0) & (ids != rows) & (found >= least)
        low, high = np.minimum(rows, ids)[chosen], np.maximum(rows, ids)[chosen]
        keys.append(low.astype(np.int64) * count + high)
        similarities.append(found[chosen].astype(np.float32))
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    order = order[np.diff(key[order], prepend=-1) > 0]
    key = key[order]
    return key // count, key % count, np.concatenate(similarities)[order]


def looked_at(faces: int) -> int:
    """How many neighbours of a face are looked at, among so many faces."""
    return _NEIGHBOURS if faces <= _EXACT else _NEIGHBOURS_AMONG_MANY


def _index(embeddings: Embeddings) -> Any:
    import faiss

    count, dim = embeddings.shape
    if count <= _EXACT:
        flat = faiss.IndexFlatIP(dim)
        flat.add(embeddings)
        return flat
    lists = int(4 * np.sqrt(count))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.niter, index.cp.max_points_per_centroid = 0, 6, _SAMPLES
    index.train(embeddings)
    index.add(embeddings)
    index.nprobe = _PROBES
    return index
