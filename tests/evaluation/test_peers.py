"""Other programs' rules of grouping, on faces that are angles of a circle."""

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.evaluation.peers import chinese_whispers, dbscan, hdbscan, immich, nearest


def _at(*degrees: float) -> Embeddings:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


_WITHIN_10 = float(np.cos(np.radians(10.5)))


def test_the_nearest_come_first_and_none_is_its_own_neighbour() -> None:
    near = nearest(_at(0, 10, 30), k=2)
    assert near.rows.tolist() == [[1, 2], [0, 2], [1, 0]]
    assert np.allclose(near.similarities[0], np.cos(np.radians([10, 30])))


def test_immich_needs_cores_and_takes_the_first_that_has_a_person() -> None:
    near = nearest(_at(0, 10, 20, 90, 95, 180))
    assert immich(near, _WITHIN_10, 1).tolist() == [0, 0, 0, 3, 3, 5]
    # With three, 10 alone is a core: it waits for nobody, and those beside it come again and join it.
    assert immich(near, _WITHIN_10, 3).tolist() == [1, 1, 1, -1, -1, -1]


def test_dbscan_leads_from_core_to_core() -> None:
    near = nearest(_at(0, 10, 20, 30, 90, 99))
    labels = dbscan(near, _WITHIN_10, 3)
    assert len(set(labels[:4])) == 1
    assert labels[0] >= 0
    assert (labels[4:] == -1).all()


def test_whispers_part_two_crowds_that_one_thread_joins() -> None:
    crowds = _at(0, 1, 2, 3, 12, 21, 22, 23, 24)
    labels = chinese_whispers(nearest(crowds), _WITHIN_10)
    assert len(set(labels[:4])) == len(set(labels[5:])) == 1
    assert labels[0] != labels[-1]


def test_hdbscan_finds_both_crowds_and_leaves_who_is_alone() -> None:
    labels = hdbscan(_at(0, 1, 2, 3, 90, 91, 92, 93, 200), 1)
    assert len(set(labels[:4])) == len(set(labels[4:8])) == 1
    assert labels[8] == -1
