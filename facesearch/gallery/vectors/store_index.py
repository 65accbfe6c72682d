"""Search by a vector store beside the gallery. What it finds are ids; every answer is judged again from the database,
so that whatever the store holds, no similarity is another one than here. What can be wrong is only what it does not
find, and each state in which it is known that it may lack a face is one in which it is not asked:

| the store | who answers |
|---|---|
| is behind: newer faces are in the database | the store, and these one by one; above 100,000 the local file |
| holds faces that are gone | the store, asked for so many more, and they are dropped; above 4,000 the local file |
| is being filled, or a sync was cut off | the local file |
| has another model's embeddings | the local file, until it is filled anew |
| follows another gallery, a copy or a restored backup | the local file: the mark is not the database's |
| was dropped, or made again by somebody | the local file: there is no mark |
| lost the end of what it was sent | the local file: the mark of a filled one was sent last |
| finds fewer faces than it holds and was asked for | the local file |
| lost other faces than the last | the store, without these, until a sync or `info` counts them |
| is filled anew while it is asked | the local file: the mark is looked for after each answer |
| gives 16,384 answers at most, and more are wanted | the local file |
| cannot be reached, is silent, refuses | nobody: an error with its address; `here` asks the local file |

The mark is a face below 0, which each sync replaces before it changes anything. Whoever finds the mark after an
answer knows that this was of the state that the database has noted: reads of a collection that is loaded in one
copy, as facesearch has it loaded, never go back in time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus import MOST_AT_ONCE, MilvusFaces
from facesearch.cluster.milvus_errors import NoCollectionError, OddAnswerError, StoreError
from facesearch.errors import FaceSearchError
from facesearch.gallery.database import Database
from facesearch.gallery.records.store import StoreStamp
from facesearch.gallery.vectors.index import NONE, Ids, Searchable, Source, best, exact

_MARKS = 2  # that may be there, and may be found
_MOST_NEWER = 100_000  # faces that are compared one by one: a third of a second
_MOST_GONE = 4_000  # with the 8,192 faces that a query asks for at most they stay below what Milvus gives


class RemoteFaces(Protocol):
    """Faces elsewhere, of which the nearest can be asked for."""

    def nearest(self, queries: Embeddings, k: int) -> Ids: ...
    def has(self, face: int) -> bool: ...


class StoreIndex:
    """A store that has followed the database up to a stamp, with the few faces that are newer."""

    def __init__(
        self,
        remote: RemoteFaces,
        stamp: StoreStamp,
        source: Source,
        gone: int,
        here: Callable[[], Searchable],
        on_other: Callable[[str, str], None],
    ) -> None:
        """`gone` faces are in the store and no longer in the database; `here` gives what answers in the store's
        place. `on_other` is called where that must be, with what the store does and the option of a sync that mends
        it."""
        self._remote, self._stamp, self._source, self._gone = remote, stamp, source, gone
        self._make_here, self._on_other = here, on_other
        self._here: Searchable | None = None
        newer = list(source.embeddings(stamp.dim, stamp.newest_id))  # pairs of (n,) and (n, dim)
        self._newer_ids = np.concatenate([ids for ids, _ in newer]) if newer else np.empty(0, np.int64)
        self._newer = np.concatenate([rows for _, rows in newer]) if newer else np.empty((0, stamp.dim), np.float32)

    def __len__(self) -> int:
        return self._stamp.count - self._gone + len(self._newer)

    @property
    def answered_by(self) -> str | None:
        """The address of the store; None where the local file had to answer."""
        return self._stamp.address if self._here is None else None

    def search(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """As Searchable says. Raises StoreError where the store does not answer."""
        wanted = min(k, self._stamp.count) + self._gone + _MARKS
        ids = self._found(queries, wanted) if self._here is None and wanted <= MOST_AT_ONCE else None
        if ids is None:
            if self._here is None:
                self._here = self._make_here()
            return self._here.search(queries, k)
        ids = np.where((ids <= 0) | (ids > self._stamp.newest_id), NONE, ids)
        similarities = exact(self._source, self._stamp.dim, queries, ids)  # (m, wanted)
        if len(self._newer):
            similarities = np.concatenate([similarities, queries @ self._newer.T], axis=1)
            ids = np.concatenate([ids, np.tile(self._newer_ids, (len(queries), 1))], axis=1)
        return best(similarities, ids, k)

    def _found(self, queries: Embeddings, wanted: int) -> Ids | None:
        """What the store finds, (m, wanted); None where it is not the one that the stamp is of."""
        with advised(), suppress(NoCollectionError):
            try:
                ids = self._remote.nearest(queries, wanted)
            except OddAnswerError:  # as of a collection that somebody made for embeddings of another size
                if self._remote.has(-self._stamp.token):
                    raise
            else:
                if self._remote.has(-self._stamp.token):
                    return None if self._is_short(ids) else ids
        self._on_other("does not hold what was stored there", " --again")
        return None

    def _is_short(self, ids: Ids) -> bool:
        """Whether less was found than there is, which would look as if there were no more."""
        least = min(ids.shape[1] - _MARKS, self._stamp.count)  # the gone ones are there too
        is_short = bool(((ids != NONE).sum(axis=1) < least).any())
        if is_short:
            self._on_other("found fewer faces than it was asked for", "")
        return is_short


@contextmanager
def advised() -> Iterator[None]:
    """Of a store that does not answer, also how to ask without it."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{str(error).removesuffix('.')}; with --here this machine's own vectors answer.") from error
    except FaceSearchError as error:  # pymilvus is not installed
        raise FaceSearchError(f"{error}; or ask with --here.") from error


def answered_by(index: Searchable) -> str | None:
    """The address of the store that answers; None where no store does."""
    return index.answered_by if isinstance(index, StoreIndex) else None


def why_not(stamp: StoreStamp, is_of_model: bool, newer: int, gone: int) -> str | None:
    """Why a store is not to be asked, half a sentence; None where it is."""
    if stamp.state == "empty" or not is_of_model:
        return "is not filled with this gallery's faces"
    if stamp.state == "syncing":
        return "is being filled, or that was cut off"
    if newer > _MOST_NEWER or gone > _MOST_GONE:
        return f"lacks {newer:,} faces and holds {gone:,} that are gone"
    return None


def connected(address: str) -> MilvusFaces:
    """The collection at this address. Raises UsageError where it is none, StoreError where nobody answers."""
    return MilvusFaces(StoreAddress.parse(address))


def lag(db: Database, stamp: StoreStamp) -> tuple[int, int]:
    """How many faces a store lacks, and how many it holds that are gone."""
    return db.faces.newer(stamp.newest_id), len(db.removed.after(stamp.removed))
