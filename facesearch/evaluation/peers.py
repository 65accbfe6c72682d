"""How other programs group faces, each in a few lines: what facesearch is measured against.

All work on `Nearest`, each face's most similar others, from a similarity of their own on; what they give is a label a
face, (n,), below 0 where it is alone. None of them knows of photos, or of what somebody said."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.evaluation.clustering import Labels

_AT_ONCE = 1024  # faces that are compared with all: 60 MB of similarities to 15,000
_SWEEPS = 20  # of Chinese whispers; on LFW nothing moves after 10

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The k most similar other faces of n, (n, k), best first, and their similarities, (n, k)."""

    rows: Rows
    similarities: NDArray[np.float32]


def nearest(embeddings: Embeddings, k: int = 200) -> Nearest:
    """Compares all of n faces, (n, dim), with all."""
    count = len(embeddings)
    k = min(k, count - 1)
    rows, found = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
    for start in range(0, count, _AT_ONCE):
        similarities = embeddings[start : start + _AT_ONCE] @ embeddings.T  # (part, n)
        here = np.arange(len(similarities))
        similarities[here, start + here] = -np.inf
        near = np.argpartition(similarities, count - k, axis=1)[:, count - k :]  # (part, k)
        values = np.take_along_axis(similarities, near, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        rows[start : start + len(here)] = np.take_along_axis(near, order, axis=1)
        found[start : start + len(here)] = np.take_along_axis(values, order, axis=1)
    return Nearest(rows, found)


def immich(near: Nearest, threshold: float, min_faces: int) -> Labels:
    """Immich's rule (server/src/services/person.service.ts, 2025): face by face, one that has `min_faces` within
    reach, itself counted, is a core; each takes the person of the first that has one, a core without such opens a
    person, and the others come again at the end."""
    labels = np.full(len(near.rows), -1, np.int64)
    reach = (near.similarities >= threshold).sum(axis=1)  # (n,)
    is_core = reach + 1 >= min_faces
    queue = [*range(len(labels)), *np.flatnonzero(~is_core).tolist()]  # a face that is no core is deferred once
    for turn, face in enumerate(queue):
        if not is_core[face] and turn < len(labels):
            continue
        known = labels[near.rows[face, : reach[face]]]
        known = known[known >= 0]
        if len(known):
            labels[face] = known[0]
        elif is_core[face]:
            labels[face] = face
    return labels


def dbscan(near: Nearest, threshold: float, min_samples: int) -> Labels:
    """DBSCAN (Ester et al. 1996): cores within reach of each other are one group, others go with their nearest
    core."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(near.rows)
    touches = near.similarities >= threshold  # (n, k)
    is_core = touches.sum(axis=1) + 1 >= min_samples
    both = touches & is_core[:, None] & is_core[near.rows]
    a, place = np.nonzero(both)
    graph = coo_array((np.ones(len(a), bool), (a, near.rows[a, place])), shape=(count, count))
    labels = np.where(is_core, connected_components(graph, directed=False)[1], -1).astype(np.int64)
    to_core = touches & is_core[near.rows]
    first = to_core.argmax(axis=1)
    border = ~is_core & to_core.any(axis=1)
    labels[border] = labels[near.rows[border, first[border]]]
    return labels


def chinese_whispers(near: Nearest, threshold: float, seed: int = 0) -> Labels:
    """Chinese whispers (Biemann 2006), as dlib has it, on those within reach of each other."""
    a, place = np.nonzero(near.similarities >= threshold)
    return whispers(len(near.rows), a, near.rows[a, place], seed)


def whispers(count: int, a: Rows, b: Rows, seed: int = 0) -> Labels:
    """Chinese whispers of so many faces, of which those in rows `a` and `b`, (m,) each, are linked: in an order that
    is drawn anew each time, each takes the label that most of those linked to it have, all of which count the
    same."""
    links = _links(count, a, b)
    labels = list(range(count))
    drawn = np.random.default_rng(seed)
    connected = np.array([face for face, others in enumerate(links) if others], np.int64)
    for _ in range(_SWEEPS):
        moved = 0
        for face in drawn.permutation(connected).tolist():
            votes: dict[int, int] = {}
            for other in links[face]:
                votes[labels[other]] = votes.get(labels[other], 0) + 1
            best = max(votes, key=lambda label: (votes[label], -label))
            moved += best != labels[face]
            labels[face] = best
        if not moved:
            break
    return np.array(labels, np.int64)


def _links(count: int, a: Rows, b: Rows) -> list[list[int]]:
    """Those linked to each face, in either direction."""
    keys = np.unique(np.concatenate([a * count + b, b * count + a]))
    starts = np.searchsorted(keys // count, np.arange(1, count))
    return [part.tolist() for part in np.split(keys % count, starts)]


def hdbscan(embeddings: Embeddings, min_samples: int) -> Labels:
    """scikit-learn's HDBSCAN (Campello et al. 2013), groups from two faces on: minutes for tens of thousands, as it
    compares all with all."""
    from facesearch.libraries import settle

    settle("sklearn")
    from sklearn.cluster import HDBSCAN

    found = HDBSCAN(min_cluster_size=2, min_samples=min_samples, copy=True, n_jobs=-1).fit(embeddings)
    return np.asarray(found.labels_, np.int64)
