"""A vector store beside a gallery: added, kept in step, looked at, dropped. It is a cache of the database, as the
file of vectors is; what it is worth in which state is in `store_index`.

A sync notes in the database that it goes on, with a new mark; has the collection bear that mark and no other; sends
what is newer and deletes what is gone; where that is much, waits for the index; counts; and notes that all is there.
Cut off at whatever step, it goes on: each step may be done twice. A collection whose mark is neither that of the
database nor the one that it was to get follows another database, and nothing is written there unless somebody says
so."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus import IndexKind, MilvusFaces, StoreError
from facesearch.errors import FaceSearchError, UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.records import GallerySettings
from facesearch.gallery.storage import Storage
from facesearch.gallery.store_index import connected, lag
from facesearch.gallery.store_table import StoreFacts, StoreStamp, new_token, words

OnProgress = Callable[[int, int], None]  # how many faces are sent, of how many

# Faces. Of 20,000 that are in no index yet Milvus 2.3.5 compared each; of 40,000 it found 94 of 100 nearest.
_WORTH_FLUSHING = 10_000
_PATIENCE = 60.0  # seconds that a run of indexing waits for the index of the store
_WORTH_A_NOTE = 10_000  # faces: a second
KEPT_BYTES = (
    "What is deleted there is found no longer, but Milvus keeps its bytes in its logs and segments until it has "
    "compacted them and collected its garbage: hours to days, as its operator has set it."
)


class _OthersTurnError(StoreError):
    """A user must decide what to do with the collection, and the sentence says it."""


class StrangeStoreError(_OthersTurnError):
    """The collection holds faces of another database, or of another state of this one."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did: faces that were sent, and gone ones that were deleted; `faces` are there now."""

    address: str
    faces: int
    sent: int
    deleted: int
    seconds: float


def add(storage: Storage, address: str, kind: IndexKind = "hnsw", replace_it: bool = False) -> StoreStamp:
    """Notes that the gallery has a store at this address, which must be reachable; `sync` fills it. A collection of
    that name that is there already is only taken with `replace_it`, and only if facesearch made it.

    Raises UsageError for what is no address and where the gallery has a store already, StoreError where the
    collection is there or the store cannot be reached, GalleryError when there is no gallery."""
    where = StoreAddress.parse(address)
    with storage.reading() as (db, _):
        _refuse_second(storage, db, str(where))
    with connected(address) as remote, storage.writing() as db:
        _refuse_second(storage, db, str(where))
        found = remote.facts()
        if found and not found.dim:
            raise StoreError(f"{where} holds something else than faces; choose another name for the collection.")
        if found and not replace_it:
            raise StoreError(
                f"There is a collection {where} already; choose another name, or with --replace it is dropped."
            )
        if found:
            remote.drop()
        stamp = StoreStamp(str(where), kind)
        with db.transaction():
            db.store.write(stamp)
    return stamp


def sync(storage: Storage, again: bool = False, on_progress: OnProgress = lambda done, total: None) -> Synced:
    """Brings the store in step with the database; with `again` from the first face on, whatever it holds. Raises
    UsageError where the gallery has no store, StrangeStoreError where the collection follows another database,
    StoreError where it cannot be reached or does not take a face, GalleryLockedError while another process writes."""
    with storage.reading() as (db, settings):
        stamp = _stamp(storage, db)
    with connected(stamp.address) as remote, storage.writing() as db:
        return _Sync(storage.name, db, settings, remote, on_progress).run(again)


def follow(storage: Storage, db: Database, settings: GallerySettings, may_fill: bool = False) -> None:
    """Brings the store in step after the database was changed, if there is one; `db` is open for writing. A store
    that does not take it is left behind, with a note. To fill it from the first face on takes long, and is done with
    `may_fill` alone."""
    stamp = db.store.read()
    if stamp is None or _is_in_step(db, settings, stamp):
        return
    which = words(storage.name)
    try:
        if stamp.state == "empty" and not may_fill:
            raise _to_be_filled(stamp, which)
        if (lacks := lag(db, stamp)[0]) > _WORTH_A_NOTE:
            storage.note(f"Sending {lacks:,} faces to {stamp.address}.")
        with connected(stamp.address) as remote:
            patience = math.inf if may_fill else _PATIENCE
            _Sync(storage.name, db, settings, remote, patience=patience).run(again=False, may_fill=may_fill)
    except _OthersTurnError as error:
        storage.note(str(error))
    except FaceSearchError as error:
        storage.note(f"{error} It is behind until: facesearch store sync{which}.")


def facts(storage: Storage, asks: bool = True) -> StoreFacts:
    """What is known of the gallery's store; with `asks` also by its server. Raises UsageError where there is none."""
    with storage.reading() as (db, _), db.snapshot():
        found = known(storage, db)
    if found is None:
        raise _no_store(storage)
    if not asks:
        return found
    try:
        with connected(found.stamp.address) as remote:
            collection = remote.facts()
            has_mark = collection is not None and bool(remote.below_zero() & _marks(found.stamp))
            count = remote.count() - 1 if has_mark else 0
    except FaceSearchError as error:
        return replace(found, fault=str(error))
    if collection is None:
        return replace(found, fault=f"{found.stamp.address} is not there.")
    if not has_mark and found.stamp.state != "empty":
        return replace(found, collection=collection, fault=str(_strange(found.stamp, words(storage.name))))
    if found.stamp.state == "ready" and count != found.stamp.count:
        return replace(found, collection=collection, fault=_other_count(found.stamp, count, words(storage.name)))
    return replace(found, collection=collection)


def wrong(storage: Storage) -> str:
    """What is wrong with the gallery's store, a sentence; empty where nothing is, or it has none. Its server is
    asked."""
    with storage.reading() as (db, _):
        if db.store.read() is None:
            return ""
    found = facts(storage)
    if found.state in ("empty", "syncing") and not found.fault:
        return f"{found.stamp.address} is not filled to its end: facesearch store sync{words(storage.name)}."
    return found.fault


def known(storage: Storage, db: Database) -> StoreFacts | None:
    """What the database knows of its store; None where it has none."""
    stamp = db.store.read()
    if stamp is None:
        return None
    settings = db.settings.read()
    if settings and stamp.state == "ready" and not stamp.is_of(settings.model, settings.dim):
        stamp = replace(stamp, state="empty")
    return StoreFacts(storage.name, stamp, *lag(db, stamp))


def drop(storage: Storage, keeps_collection: bool = False) -> bool:
    """Drops the collection and forgets the store; with `keeps_collection` only the latter, without asking the server.
    Returns whether the collection was dropped: one that follows another database is left alone. Raises as `sync`."""
    with storage.writing() as db:
        stamp = _stamp(storage, db)
        try:
            is_dropped = not keeps_collection and drop_collection(stamp)
        except FaceSearchError as error:
            raise type(error)(f"{error} With --keep-there only the gallery forgets it.") from error
        with db.transaction():
            db.store.delete()
            db.removed.drop_followed()
    return is_dropped


def drop_collection(stamp: StoreStamp) -> bool:
    """Drops the collection where it is the one of this stamp; whether it was."""
    with connected(stamp.address) as remote:
        found = remote.facts()
        if found is None:
            return True
        if not found.dim or remote.below_zero() - _marks(stamp):
            return False
        remote.drop()
    return True


class _Sync:
    """One run of bringing a collection in step with a database that is open for writing."""

    def __init__(
        self,
        gallery: str,
        db: Database,
        settings: GallerySettings,
        remote: MilvusFaces,
        on_progress: OnProgress = lambda done, total: None,
        patience: float = math.inf,
    ) -> None:
        self._which, self._db, self._settings = words(gallery), db, settings
        self._remote, self._on_progress, self._patience = remote, on_progress, patience

    def run(self, again: bool, may_fill: bool = True) -> Synced:
        """Does it; see `sync` and `follow`."""
        stamp = self._db.store.read() or StoreStamp("", "hnsw")
        removed = self._db.removed.newest()
        marks = self._marks_there()
        is_ours = again or marks is None or (marks <= _marks(stamp) and (marks or stamp.state != "ready"))
        if not is_ours:
            raise _strange(stamp, self._which)
        is_whole = (
            again or not marks or stamp.state == "empty" or not stamp.is_of(self._settings.model, self._settings.dim)
        )
        if not is_whole and _is_in_step(self._db, self._settings, stamp):
            return Synced(stamp.address, stamp.count, 0, 0, 0.0)
        if is_whole and not may_fill:
            raise _to_be_filled(stamp, self._which)
        started, was_cut_off = time.perf_counter(), stamp.state == "syncing"
        stamp = self._begin(stamp, removed, marks or set(), is_whole)
        gone = np.empty(0, np.int64) if is_whole else self._db.removed.after(stamp.removed)
        sent = self._send(stamp)
        self._remote.delete(gone.tolist())
        self._settle(sent, was_cut_off)
        self._finish(replace(stamp, removed=removed))
        return Synced(stamp.address, self._db.faces.count(), sent, len(gone), time.perf_counter() - started)

    def _marks_there(self) -> set[int] | None:
        """The marks of the collection; None where there is no collection."""
        found = self._remote.facts()
        if found is None:
            return None
        if not found.dim:
            raise StoreError(f"{self._remote.address} holds something else than faces; it is left alone.")
        return self._remote.below_zero()

    def _begin(self, stamp: StoreStamp, removed: int, marks: set[int], is_whole: bool) -> StoreStamp:
        """From here on the collection bears a new mark alone, and the database knows it."""
        token = stamp.next_token if -stamp.next_token in marks else stamp.token
        if cut_off := sorted((marks - {-token}) & _marks(stamp)):  # between two marks
            self._remote.delete(cut_off)
        if is_whole:
            model = self._settings.model, self._settings.dim
            stamp = StoreStamp(stamp.address, stamp.kind, *model, "empty", removed=removed)
        begun = replace(stamp, token=token, next_token=new_token())
        if is_whole:
            self._note(begun)  # empty until its making is over
            self._remote.make(begun.dim, begun.kind, self._db.faces.count())
            self._mark(begun)
        begun = replace(begun, state="syncing")
        self._note(begun)
        if not is_whole:
            self._mark(begun)
            self._remote.delete([-token])
        return begun

    def _mark(self, stamp: StoreStamp) -> None:
        self._remote.upsert(np.array([-stamp.next_token]), np.zeros((1, stamp.dim), np.float32))

    def _note(self, stamp: StoreStamp) -> None:
        with self._db.transaction():
            self._db.store.write(stamp)

    def _send(self, stamp: StoreStamp) -> int:
        """Sends the faces that are newer than the stamp, and notes how far it is; how many they were."""
        total, sent = self._db.faces.newer(stamp.newest_id), 0
        for ids, rows in self._db.faces.embeddings(stamp.dim, stamp.newest_id):
            self._remote.upsert(ids, rows)
            with self._db.transaction():
                self._db.store.reached(int(ids[-1]))
            sent += len(ids)
            self._on_progress(sent, total)
        return sent

    def _settle(self, sent: int, was_cut_off: bool) -> None:
        """Has what was sent indexed, and waits for that where it is much, or may be: until then the store is worse
        than the local file. What comes in small parts is written each time that the ids pass a round number."""
        newest = self._db.faces.newest()
        is_much = sent > _WORTH_FLUSHING or (was_cut_off and newest > _WORTH_FLUSHING)
        if is_much or newest // _WORTH_FLUSHING != (newest - sent) // _WORTH_FLUSHING:
            self._remote.flush()
        if is_much:
            self._remote.settle(self._patience)

    def _finish(self, stamp: StoreStamp) -> None:
        """Notes that all is there, once that is so. The count is of this moment, so that whoever asks from now on
        sees what was sent."""
        count, there = self._db.faces.count(), self._remote.count()
        if there != count + 1 or self._remote.below_zero() != {-stamp.next_token}:
            with self._db.transaction():
                self._db.store.empty()
            raise StoreError(_other_count(replace(stamp, count=count), there - 1, self._which))
        newest, token = self._db.faces.newest(), stamp.next_token
        with self._db.transaction():
            self._db.store.write(
                replace(stamp, state="ready", token=token, next_token=token, count=count, newest_id=newest)
            )
            self._db.removed.drop_followed()


def _is_in_step(db: Database, settings: GallerySettings, stamp: StoreStamp) -> bool:
    has_all = (stamp.newest_id, stamp.removed) == (db.faces.newest(), db.removed.newest())
    return (
        stamp.state == "ready"
        and stamp.is_of(settings.model, settings.dim)
        and has_all
        and stamp.count == db.faces.count()
    )


def _marks(stamp: StoreStamp) -> set[int]:
    return {-stamp.token, -stamp.next_token}


def _strange(stamp: StoreStamp, which: str) -> StrangeStoreError:
    return StrangeStoreError(
        f"{stamp.address} follows another gallery, or a copy or another state of this one, so nothing was written "
        f"there; where it is to follow this one, fill it anew: facesearch store sync --again{which}."
    )


def _other_count(stamp: StoreStamp, count: int, which: str) -> str:
    command = f"facesearch store sync --again{which}"
    return f"{stamp.address} has {count:,} faces where {stamp.count:,} were sent; fill it anew: {command}."


def _to_be_filled(stamp: StoreStamp, which: str) -> _OthersTurnError:
    return _OthersTurnError(f"{stamp.address} is to be filled with all faces: facesearch store sync{which}.")


def _refuse_second(storage: Storage, db: Database, address: str) -> None:
    stamp = db.store.read()
    if stamp and stamp.address == address:
        raise UsageError(
            f"The gallery '{storage.name}' has this store already; to fill it: facesearch store "
            f"sync{words(storage.name)}."
        )
    if stamp:
        raise UsageError(
            f"The gallery '{storage.name}' has a store, {stamp.address}; drop it first: facesearch store "
            f"drop{words(storage.name)}."
        )


def _stamp(storage: Storage, db: Database) -> StoreStamp:
    stamp = db.store.read()
    if stamp is None:
        raise _no_store(storage)
    return stamp


def _no_store(storage: Storage) -> UsageError:
    return UsageError(
        f"The gallery '{storage.name}' has no vector store; add one: facesearch store add "
        f"milvus://HOST:19530/NAME{words(storage.name)}."
    )
