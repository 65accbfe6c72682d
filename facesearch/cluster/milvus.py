"""A collection of a Milvus: faces by their ids, to be filled and to be searched. All of pymilvus is behind this, and
nothing of a gallery: what the ids mean, and what is right where the two differ, is for the gallery to say.

pymilvus prints, tries a call again 75 times and reads a .env of the folders above it; here it is silent, no call
takes longer than it says, and no file is read."""

import logging
import logging.config
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus_errors import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    TOKEN,
    NoCollectionError,
    NotLoadedError,
    OddAnswerError,
    StoreError,
    as_sentence,
)
from facesearch.errors import FaceSearchError
from facesearch.libraries import settle
from facesearch.packages import required

Ids: TypeAlias = NDArray[np.int64]
IndexKind: TypeAlias = Literal["hnsw", "ivf-sq8", "diskann"]

NONE: Final = -1  # where a query has fewer answers
MOST_AT_ONCE: Final = 16_384  # answers to a query that Milvus gives at most
_STALLED_SECONDS = 900.0  # without a face put into the index; a segment of a million took minutes on two cores
_LOAD_SECONDS = 300.0  # it says how far it is meanwhile; a million faces took 10

_IMPORTING = threading.Lock()
_NO_DOTENV = "PYTHON_DOTENV_DISABLED"
_ID, _EMBEDDING = "face_id", "embedding"
_CALL_BYTES = 16 << 20  # of embeddings that are sent at once; Milvus takes 64 MB
_ANSWERS_A_CALL = 100_000
_IDS_A_CALL = 5_000  # that are deleted at once: they travel as a text
# Of HNSW. At 200,000 faces in one segment 256 finds 0.988 of the nearest and 512 all; at a million in five segments
# 256 and 384 find 0.997, and 384 takes half the time of 512.
_LEAST_EF = 384


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """What a collection is: the numbers of an embedding, 0 where it was not made by facesearch; its index, rows that
    wait to be put into it, and the version of the server."""

    dim: int
    index: str
    waiting: int
    server: str


def import_meanwhile() -> None:
    """Begins to import pymilvus on a thread: that takes a second."""

    def begin() -> None:
        with suppress(FaceSearchError):
            _pymilvus()

    threading.Thread(target=begin).start()


class MilvusFaces:
    """A connection to a collection. Whatever it cannot do it says by a StoreError, within 30 seconds."""

    def __init__(self, address: StoreAddress) -> None:
        """Connects, and raises StoreError where nobody answers or that is refused. The token is MILVUS_TOKEN's."""
        self.address, self._name = address, address.collection
        self._token = os.environ.get(TOKEN, "")
        self._library = _pymilvus()
        with self._explained():
            self._client: Any = self._library.MilvusClient(
                uri=address.uri,
                token=self._token,
                timeout=CONNECT_SECONDS,
                dedicated=True,  # else a client of before, of a server that died, would be given again
                grpc_options={"grpc.enable_http_proxy": 0},  # to this address, and by no other's way
            )
        self._search: dict[str, Any] | None = None

    def __enter__(self) -> "MilvusFaces":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self._client.close()

    def facts(self) -> CollectionFacts | None:
        """What the collection is; None where there is none."""
        with self._explained():
            if not self._client.has_collection(self._name, timeout=ANSWER_SECONDS):
                return None
            fields = self._client.describe_collection(self._name, timeout=ANSWER_SECONDS)["fields"]
            index = self._index()
            version = str(self._client.get_server_version(timeout=ANSWER_SECONDS))
        dims = {field["name"]: field["params"].get("dim", 0) for field in fields}
        is_ours = set(dims) == {_ID, _EMBEDDING}
        waiting = _waiting(index)
        return CollectionFacts(
            int(dims[_EMBEDDING]) if is_ours else 0, str(index.get("index_type", "")), waiting, version
        )

    def make(self, dim: int, kind: IndexKind, count: int) -> None:
        """Makes the collection for about so many faces of `dim` numbers each; one that is there is dropped."""
        self.drop()
        schema = self._library.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(_ID, self._library.DataType.INT64, is_primary=True)
        schema.add_field(_EMBEDDING, self._library.DataType.FLOAT_VECTOR, dim=dim)
        index = self._library.MilvusClient.prepare_index_params()
        index.add_index(_EMBEDDING, metric_type="IP", **_index_parameters(kind, count))
        with self._explained():
            self._client.create_collection(
                self._name, schema=schema, index_params=index, consistency_level="Bounded", timeout=ANSWER_SECONDS
            )
        self._search = None

    def drop(self) -> None:
        """Drops the collection, if it is there."""
        with self._explained(), suppress(NoCollectionError):
            self._client.drop_collection(self._name, timeout=ANSWER_SECONDS)

    def upsert(self, ids: Ids, rows: Embeddings) -> None:
        """Stores faces, (n,) and (n, dim); those that are there are replaced."""
        at_once = max(1, _CALL_BYTES // (rows.shape[1] * rows.itemsize))
        for start in range(0, len(ids), at_once):
            part = slice(start, start + at_once)
            data = [{_ID: face, _EMBEDDING: row} for face, row in zip(ids[part].tolist(), rows[part], strict=True)]
            with self._explained():
                self._client.upsert(self._name, data, timeout=ANSWER_SECONDS)

    def delete(self, ids: Sequence[int]) -> None:
        """Deletes faces; those that are not there are passed over."""
        for start in range(0, len(ids), _IDS_A_CALL):
            with self._explained():
                self._client.delete(self._name, ids=list(ids[start : start + _IDS_A_CALL]), timeout=ANSWER_SECONDS)

    def flush(self) -> None:
        """Has what was stored written into segments, which are then indexed."""
        with self._explained():
            self._client.flush(self._name, timeout=ANSWER_SECONDS)

    def settle(self, patience: float) -> None:
        """Waits until all that was flushed is in the index, and has it searched by that: until then Milvus does so by
        one that it makes in passing, which misses every tenth nearest face. Raises StoreError where that takes longer
        than so many seconds, or where it does not go on."""
        began = moved = time.monotonic()
        before = 0
        while waiting := self._waiting():
            if waiting != before:
                before, moved = waiting, time.monotonic()
            if time.monotonic() - began > patience or time.monotonic() - moved > _STALLED_SECONDS:
                raise StoreError(f"{self.address} has yet to put {waiting:,} faces into its index.")
            time.sleep(0.5)
        with self._explained():
            self._client.release_collection(self._name, timeout=ANSWER_SECONDS)
        self._load(_LOAD_SECONDS)

    def nearest(self, queries: Embeddings, k: int) -> Ids:
        """The ids of the k nearest of each of m queries, (m, dim): (m, k), NONE where there are fewer. They may be
        some seconds old. `k` is at most MOST_AT_ONCE. Where fewer than k are found, all lists are looked into."""
        ids = np.full((len(queries), k), NONE, np.int64)
        at_once = max(1, _ANSWERS_A_CALL // k)
        for start in range(0, len(queries), at_once):
            part = queries[start : start + at_once]
            found = self._nearest_loaded(part, k)
            if self._has_lists() and min(map(len, found)) < k:
                found = self._nearest(part, k, in_all_lists=True)
            for row, hits in zip(ids[start:], found, strict=False):
                row[: len(hits)] = hits
        return ids

    def has(self, face: int) -> bool:
        """Whether the face with this id is there; a no is of this moment, a yes may be some seconds old."""
        return any(self._query(f"{_ID} == {face}", _ID, level) for level in ("Bounded", "Strong"))

    def below_zero(self) -> set[int]:
        """The ids below 0, as of this moment."""
        return {int(row[_ID]) for row in self._query(f"{_ID} < 0", _ID, "Strong")}

    def count(self) -> int:
        """How many rows there are, as of this moment. What was stored before is then seen by all who ask."""
        return int(self._query("", "count(*)", "Strong")[0]["count(*)"])

    def _waiting(self) -> int:
        with self._explained():
            return _waiting(self._index())

    def _index(self) -> dict[str, Any]:
        names = self._client.list_indexes(self._name, timeout=ANSWER_SECONDS)
        found = self._client.describe_index(self._name, names[0], timeout=ANSWER_SECONDS) if names else {}
        return cast(dict[str, Any], found or {})

    def _query(self, condition: str, field: str, level: str) -> list[dict[str, Any]]:
        def ask() -> list[dict[str, Any]]:
            return list(
                self._client.query(
                    self._name,
                    filter=condition,
                    output_fields=[field],
                    consistency_level=level,
                    timeout=ANSWER_SECONDS,
                )
            )

        try:
            with self._explained():
                return ask()
        except NotLoadedError:
            self._load()
            with self._explained():
                return ask()

    def _nearest_loaded(self, queries: Embeddings, k: int) -> list[list[int]]:
        try:
            return self._nearest(queries, k)
        except NotLoadedError:
            self._load()
            return self._nearest(queries, k)

    def _has_lists(self) -> bool:
        return (self._search or {}).get("index_type") == "IVF_SQ8"

    def _nearest(self, queries: Embeddings, k: int, in_all_lists: bool = False) -> list[list[int]]:
        with self._explained():
            if self._search is None:
                self._search = self._index()
            found = self._client.search(
                self._name,
                data=list(np.ascontiguousarray(queries, np.float32)),
                limit=k,
                output_fields=[_ID],
                search_params={"metric_type": "IP", "params": _search_parameters(self._search, k, in_all_lists)},
                consistency_level="Bounded",
                timeout=ANSWER_SECONDS,
            )
        return [list(hits.ids) for hits in found]

    def _load(self, seconds: float = ANSWER_SECONDS) -> None:
        try:
            with self._explained():
                self._client.load_collection(self._name, timeout=seconds)
        except OddAnswerError as error:  # it takes longer
            raise NotLoadedError(f"{self.address} is being loaded by its server; try again in a minute.") from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What pymilvus raises becomes a StoreError. It raises what it likes, gRPC's errors and plain ones too."""
        try:
            yield
        except FaceSearchError:
            raise
        except Exception as error:
            raise as_sentence(self.address, error, self._token) from error


def _waiting(index: dict[str, Any]) -> int:
    """Rows that are in no index. More are pending where Milvus joins segments: those are searched by the indexes of
    their parts meanwhile, and to wait for the new one would take as long again."""
    missing = int(index.get("total_rows", 0)) - int(index.get("indexed_rows", 0))
    return max(0, min(missing, int(index.get("pending_index_rows", 0))))


def _index_parameters(kind: IndexKind, count: int) -> dict[str, Any]:
    """HNSW and its M are what the figures of docs/scale.md were measured with; IVF's lists are FAISS's advice."""
    if kind == "ivf-sq8":
        return {"index_type": "IVF_SQ8", "params": {"nlist": int(np.clip(4 * count**0.5, 64, 65_536))}}
    if kind == "diskann":
        return {"index_type": "DISKANN", "params": {}}
    return {"index_type": "HNSW", "params": {"M": 16, "efConstruction": 200}}


def _search_parameters(index: dict[str, Any], k: int, in_all_lists: bool) -> dict[str, int]:
    kind = index.get("index_type")
    if kind == "IVF_SQ8":
        lists = int(index.get("nlist") or index.get("params", {}).get("nlist") or 1024)
        return {"nprobe": lists if in_all_lists else max(32, lists // 8)}
    if kind == "DISKANN":
        return {"search_list": max(k, 200)}
    return {"ef": max(_LEAST_EF, k + k // 2)}


def _pymilvus() -> Any:
    settle("pymilvus")
    with _IMPORTING, _without_dotenv(), _without_its_logging():
        library = required("pymilvus")
    for name in ("pymilvus", "pymilvus.milvus_client", "pymilvus.bulk_writer"):  # it may have given them what prints
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
    return library


@contextmanager
def _without_dotenv() -> Iterator[None]:
    """pymilvus' import looks for a .env in all folders above its own, and takes what it says of whatever program."""
    before = os.environ.get(_NO_DOTENV)
    os.environ[_NO_DOTENV] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_DOTENV]
        else:
            os.environ[_NO_DOTENV] = before


@contextmanager
def _without_its_logging() -> Iterator[None]:
    """pymilvus' import sets up logging for the whole program, which closes every handler that was there before."""
    set_up, thread = logging.config.dictConfig, threading.get_ident()

    def of_others(config: Any) -> None:
        if threading.get_ident() != thread:
            set_up(config)

    logging.config.dictConfig = of_others
    try:
        yield
    finally:
        logging.config.dictConfig = set_up
