"""Which photos show the same: copies, copies in another size, and photos of one burst."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.gallery.records.answers import Match
from facesearch.geometry.face import Box

# How near to 1 the similarity of a face in two copies comes, as a share of the way from the model's threshold.
# Measured on LFW, by the default model and by retail-0095: of 240 copies in 0.5 to 1.6 times the size, or of JPEG
# quality 50, 96 and 99 % are known as such, of those of 100 pixels few. Of 1,324 pairs of different photos of a
# person 1 and 4 are taken for copies, though all faces of LFW have the same place in their photo. With 0.15 it is 99
# % of both, but 6 and 11 pairs; with 0.35 75 and 152 pairs.
_FROM_ONE = 0.1
_LEAST_OVERLAP = 0.8  # of two boxes, as shares of their photos: the detector's own differs by that much in a copy
_SAME_FORM = 0.02  # by how much the ratios of width and height may differ
_LOOKED_BACK = 512  # rows: what shows the same has nearly the same value, and rows come by their values
_ROWS = 64  # for which there is room at first
_EPOCH = datetime(2000, 1, 1)
_BURST = 2.0  # seconds from one photo to the next


class Candidate(NamedTuple):
    """A face that may be a row of an answer, and its photo's digest, width and height (0 where they are not
    known). Where the row stands for a person, `boxes` are of all faces by which the person is judged."""

    match: Match
    digest: bytes
    size: tuple[int, int]
    boxes: tuple[Box, ...] = ()


class Rows:
    """The rows of an answer so far, among which those that show the same as another photo are looked for. `threshold`
    is the similarity from which two faces count as one person, None where it is not known: only copies of the same
    bytes are then found."""

    def __init__(self, dim: int, threshold: float | None) -> None:
        self._embeddings = np.zeros((_ROWS, dim), np.float32)
        self._boxes = np.full((len(self._embeddings), 4), np.nan)
        self._forms = np.full(len(self._embeddings), np.nan)
        self._times = np.full((len(self._embeddings), 2), np.nan)  # of the first and the last photo of a burst
        self._digests: dict[tuple[bytes, object], int] = {}
        self._count = 0
        self._threshold = threshold

    def alike(self, candidate: Candidate, embedding: Embeddings) -> int | None:
        """The first row that shows the same, None where there is none. A burst is then as long as with this photo."""
        known = self._digests.get((candidate.digest, candidate.match.box)) if candidate.digest else None
        if known is not None or self._threshold is None or not self._count:
            return known
        newest = slice(max(0, self._count - _LOOKED_BACK), self._count)
        near = self._embeddings[newest] @ embedding
        is_copy = near >= 1 - (1 - self._threshold) * _FROM_ONE
        in_burst = near >= self._threshold
        if not in_burst.any():
            return None
        box, form, time = _place(candidate)
        is_copy &= np.abs(self._forms[newest] / form - 1) <= _SAME_FORM
        is_copy &= _overlaps(self._boxes[newest], box) >= _LEAST_OVERLAP
        first, last = self._times[newest].T
        in_burst &= (first - _BURST <= time) & (time <= last + _BURST)
        found = np.flatnonzero(is_copy | in_burst)
        if not len(found):
            return None
        row = int(found[0]) + newest.start
        if in_burst[found[0]]:
            self._times[row] = min(self._times[row, 0], time), max(self._times[row, 1], time)
        return row

    def add(self, candidate: Candidate, embedding: Embeddings) -> None:
        """The candidate is the next row."""
        if self._count == len(self._embeddings):
            self._embeddings = np.concatenate([self._embeddings, np.zeros_like(self._embeddings)])
            self._boxes = np.concatenate([self._boxes, np.full_like(self._boxes, np.nan)])
            self._forms = np.concatenate([self._forms, np.full_like(self._forms, np.nan)])
            self._times = np.concatenate([self._times, np.full_like(self._times, np.nan)])
        at = self._count
        self._embeddings[at] = embedding
        self._boxes[at], self._forms[at], self._times[at] = _place(candidate)  # the last one twice
        if candidate.digest:
            self._digests.setdefault((candidate.digest, candidate.match.box), at)
        self._count += 1


def _place(candidate: Candidate) -> tuple[NDArray[np.float64], float, float]:
    """The face's box as shares of its photo, the photo's width by its height, and its time in seconds; NaN for what
    is not known."""
    width, height = candidate.size
    taken = candidate.match.taken
    seconds = (datetime.fromisoformat(taken) - _EPOCH).total_seconds() if taken else np.nan
    if not width or not height:
        return np.full(4, np.nan), np.nan, seconds
    return np.array(candidate.match.box) / [width, height, width, height], width / height, seconds


def _overlaps(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share that each of the boxes, (n, 4), and the other one have in common of what they cover, (n,)."""
    inner = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    common = np.clip(inner, 0, None).prod(axis=1)
    return np.asarray(common / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod() - common))
