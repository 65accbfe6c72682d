"""Some of a gallery's faces, to be searched as if there were no others."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.gallery.vectors.index import Ids, Source, best

_AT_ONCE = 20_000  # embeddings that are compared at once: 10 MB at 128 dimensions
_KEPT = 200_000  # embeddings that are read once for all searches: 100 MB


class Narrowed:
    """The faces with these ids, compared one by one: exact, and the faster the fewer they are."""

    def __init__(self, source: Source, ids: Ids, dim: int) -> None:
        self._source, self._ids, self._dim = source, ids, dim
        self._kept: list[tuple[Ids, Embeddings]] | None = None
        if len(ids) <= _KEPT:
            self._kept = list(self._parts())

    def __len__(self) -> int:
        return len(self._ids)

    def search(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """As Searchable says."""
        similarities = np.empty((len(queries), 0), np.float32)
        ids = np.empty((len(queries), 0), np.int64)
        for stored, rows in self._parts() if self._kept is None else self._kept:
            similarities = np.concatenate([similarities, queries @ rows.T], axis=1)
            ids = np.concatenate([ids, np.broadcast_to(stored, (len(queries), len(stored)))], axis=1)
            similarities, ids = best(similarities, ids, min(k, similarities.shape[1]))
        return best(similarities, ids, k)

    def _parts(self) -> Iterator[tuple[Ids, Embeddings]]:
        for start in range(0, len(self._ids), _AT_ONCE):
            yield self._source.embeddings_of(self._ids[start : start + _AT_ONCE].tolist(), self._dim)
