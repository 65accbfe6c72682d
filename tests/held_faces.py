"""A vector store of a dictionary: what a Milvus does, but exactly, at once, and as a test wants it to fail."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus import NONE, CollectionFacts, Ids, IndexKind
from facesearch.cluster.milvus_errors import NoCollectionError, OddAnswerError, StoreError


class CutOffError(Exception):
    """The process ends here, as by a kill."""


@dataclass
class Server:
    """Its collections, each the faces by their ids; `dims` are those of embeddings. Once there were as many `calls`
    as that, it kills who asks."""

    collections: dict[str, dict[int, Embeddings]] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    writes: list[dict[int, Embeddings]] = field(default_factory=list)  # what a collection held after each
    kills_after: int | None = None
    is_away: bool = False

    def connect(self, address: StoreAddress) -> "HeldFaces":
        """As `MilvusFaces`, which this stands for."""
        return HeldFaces(self, address)


class HeldFaces(AbstractContextManager["HeldFaces"]):
    """A connection to a collection of the server."""

    def __init__(self, server: Server, address: StoreAddress) -> None:
        self.address, self._server, self._name = address, server, address.collection
        self._asked("connect")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def facts(self) -> CollectionFacts | None:
        self._asked("facts")
        if self._name not in self._server.collections:
            return None
        return CollectionFacts(self._server.dims[self._name], "HNSW", 0, "held")

    def make(self, dim: int, kind: IndexKind, count: int) -> None:
        self.drop()
        self._asked("make")
        self._server.collections[self._name], self._server.dims[self._name] = {}, dim

    def drop(self) -> None:
        self._asked("drop")
        self._server.collections.pop(self._name, None)

    def upsert(self, ids: Ids, rows: Embeddings) -> None:
        self._asked("upsert")
        held = self._held()
        assert rows.shape == (len(ids), self._server.dims[self._name])
        for number, (face, row) in enumerate(zip(ids.tolist(), rows, strict=True)):
            held[face] = row
            if number == len(ids) // 2:
                self._asked("upsert the other half")
        self._server.writes.append(dict(held))

    def delete(self, ids: Sequence[int]) -> None:
        self._asked("delete")
        for face in ids:
            self._held().pop(face, None)
        self._server.writes.append(dict(self._held()))

    def flush(self) -> None:
        self._asked("flush")

    def settle(self, patience: float) -> None:
        self._asked("settle")

    def nearest(self, queries: Embeddings, k: int) -> Ids:
        self._asked("nearest")
        held = self._held()
        if queries.shape[1] != self._server.dims[self._name]:
            raise OddAnswerError("They are of another size.")
        found = np.full((len(queries), k), NONE, np.int64)
        if held:
            ids, rows = np.array(list(held)), np.stack(list(held.values()))  # (n,), (n, dim)
            order = np.argsort(-queries @ rows.T, axis=1)[:, :k]
            found[:, : order.shape[1]] = ids[order]
        return found

    def has(self, face: int) -> bool:
        self._asked("has")
        return face in self._held()

    def below_zero(self) -> set[int]:
        self._asked("below zero")
        return {face for face in self._held() if face < 0}

    def count(self) -> int:
        self._asked("count")
        return len(self._held())

    def _held(self) -> dict[int, Embeddings]:
        if self._name not in self._server.collections:
            raise NoCollectionError(f"There is no collection {self._name}.")
        return self._server.collections[self._name]

    def _asked(self, call: str) -> None:
        if self._server.is_away:
            raise StoreError(f"{self.address} cannot be reached.")
        self._server.calls.append(call)
        if self._server.kills_after is not None and len(self._server.calls) > self._server.kills_after:
            raise CutOffError
