"""The groups with which a grouping begins: labels, the first row of each face's group."""

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings

Rows = NDArray[np.int64]

LARGE = 3  # faces: a new face does not make one of two groups that have so many


def equal_ones(embeddings: Embeddings, photos: Rows, is_free: NDArray[np.bool_]) -> Rows:
    """Labels, (n,), in which faces with the same embedding, in different photos, are one from the start: of which
    two of 10,000 equal ones are the nearest would be chance. Equal ones follow each other; what is not free is left
    out."""
    rows = np.arange(len(embeddings))
    if len(rows) < 2:
        return rows
    is_next = (embeddings[1:] == embeddings[:-1]).all(axis=1)
    first = np.maximum.accumulate(np.where(np.concatenate([[True], ~is_next]), rows, 0))
    copies = np.flatnonzero((first != rows) & is_free & is_free[first] & (photos != photos[first]))
    _, alone = np.unique(np.stack([first[copies], photos[copies]]), axis=1, return_index=True)
    labels = rows.copy()
    labels[copies[alone]] = first[copies[alone]]
    return labels


def large(labels: Rows, is_new: NDArray[np.bool_]) -> list[int]:
    """The groups of three faces or more that were there before: no new face makes two of them one."""
    groups, counts = np.unique(labels[~is_new], return_counts=True)
    found: list[int] = groups[counts >= LARGE].tolist()
    return found


def with_people(labels: Rows, people: Rows) -> Rows:
    """Labels in which the groups of faces who are one person by what was said are one group."""
    said = np.flatnonzero(people > 0)
    if not len(said):
        return labels
    into = labels.copy()
    first = firsts(people)
    into[labels[said]] = labels[first[said]]
    while (into[into] != into).any():
        into = into[into]
    return firsts(into[labels])


def firsts(values: Rows) -> Rows:
    """For each row the first row with the same value."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)
