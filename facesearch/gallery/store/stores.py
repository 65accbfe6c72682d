"""A vector store beside a gallery: added, kept in step, looked at, dropped. It is a cache of the database, as the
file of vectors is; what it is worth in which state is in `store_index`."""

import math
from dataclasses import replace

from facesearch.cluster.addresses import StoreAddress
from facesearch.cluster.milvus import IndexKind, MilvusFaces
from facesearch.cluster.milvus_errors import StoreError
from facesearch.errors import FaceSearchError, UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.records.store import StoreFacts, StoreStamp
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.sync import (
    AskUserError,
    OnProgress,
    Sync,
    Synced,
    is_in_step,
    marks_of,
    other_count,
    strange,
    to_be_filled,
)
from facesearch.gallery.tables.store import is_mark
from facesearch.gallery.vectors.store_index import connected, lag
from facesearch.home import gallery_words

_PATIENCE = 60.0  # seconds that a run of indexing waits for the index of the store
_WORTH_A_NOTE = 10_000  # faces: a second
NOT_OURS = "does not bear this gallery's mark"
KEPT_BYTES = (
    "What is deleted there is found no longer, but Milvus keeps its bytes in its logs and segments until it has "
    "compacted them and collected its garbage: hours to days, as its operator has set it."
)


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
        if found and not _is_free(remote):
            raise StoreError(f"{where} bears no mark of facesearch; choose another name for the collection.")
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
        return Sync(storage.name, db, settings, remote, on_progress).run(again)


def follow(storage: Storage, db: Database, settings: GallerySettings, may_fill: bool = False) -> bool:
    """Brings the store in step after the database was changed, if there is one; `db` is open for writing. A store
    that does not take it is left behind, with a note. To fill it from the first face on takes long, and is done with
    `may_fill` alone. Returns whether it has followed."""
    stamp = db.store.read()
    if stamp is None or is_in_step(db, settings, stamp):
        return True
    which = gallery_words(storage.name)
    try:
        if stamp.state == "empty" and not may_fill:
            raise to_be_filled(stamp, which)
        if (lacks := lag(db, stamp)[0]) > _WORTH_A_NOTE:
            storage.note(f"Sending {lacks:,} faces to {stamp.address}.")
        with connected(stamp.address) as remote:
            patience = math.inf if may_fill else _PATIENCE
            Sync(storage.name, db, settings, remote, patience=patience).run(again=False, may_fill=may_fill)
        return True
    except AskUserError as error:
        storage.note(str(error))
    except FaceSearchError as error:
        storage.note(f"{error} It is behind until: facesearch store sync{which}.")
    return False


def follow_forgotten(storage: Storage, db: Database, settings: GallerySettings) -> None:
    """As `follow`, after faces were forgotten; what the store keeps of them is said."""
    has_followed, stamp = follow(storage, db, settings), db.store.read()
    if stamp and has_followed:
        storage.note(f"{stamp.address}: {KEPT_BYTES}")
    elif stamp:
        command = f"facesearch store sync{gallery_words(storage.name)}"
        storage.note(f"{stamp.address} still holds the forgotten faces, until this has been done: {command}.")


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
            marks = remote.below_zero() & marks_of(found.stamp) if collection else set()
            count = remote.count() - len(marks) if marks else 0
    except FaceSearchError as error:
        return replace(found, fault=str(error))
    if collection is None:
        return replace(found, fault=f"{found.stamp.address} is not there.")
    return replace(found, collection=collection, fault=_fault(found.stamp, marks, count, gallery_words(storage.name)))


def _fault(stamp: StoreStamp, marks: set[int], count: int, which: str) -> str:
    """Why a collection with these marks and so many faces is not the stamp's; empty where it is."""
    if stamp.state == "empty":
        return ""
    if marks and stamp.state == "ready" and count != stamp.count:
        return other_count(stamp, count, which)
    return "" if marks and (stamp.state != "ready" or -stamp.token in marks) else str(strange(stamp, which))


def wrong(storage: Storage) -> str:
    """What is wrong with the gallery's store, a sentence; empty where nothing is, or it has none. Its server is
    asked."""
    with storage.reading() as (db, _):
        if db.store.read() is None:
            return ""
    found = facts(storage)
    if found.state in ("empty", "syncing") and not found.fault:
        return f"{found.stamp.address} is not filled to its end: facesearch store sync{gallery_words(storage.name)}."
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
        if not found.dim or not _is_free(remote, marks_of(stamp)):
            return False
        remote.drop()
    return True


def _is_free(remote: MilvusFaces, ours: set[int] | None = None) -> bool:
    """Whether a collection may be dropped: it bears marks, which are `ours`, or whoever's that facesearch made; one
    without a mark may be anybody's, unless it is empty."""
    marks = remote.below_zero()
    if not marks:
        return not remote.count()
    return marks <= ours if ours is not None else all(is_mark(mark) for mark in marks)


def _refuse_second(storage: Storage, db: Database, address: str) -> None:
    stamp = db.store.read()
    if stamp and stamp.address == address:
        raise UsageError(
            f"The gallery '{storage.name}' has this store already; to fill it: facesearch store "
            f"sync{gallery_words(storage.name)}."
        )
    if stamp:
        raise UsageError(
            f"The gallery '{storage.name}' has a store, {stamp.address}; drop it first: facesearch store "
            f"drop{gallery_words(storage.name)}."
        )


def _stamp(storage: Storage, db: Database) -> StoreStamp:
    stamp = db.store.read()
    if stamp is None:
        raise _no_store(storage)
    return stamp


def _no_store(storage: Storage) -> UsageError:
    return UsageError(
        f"The gallery '{storage.name}' has no vector store; add one: facesearch store add "
        f"milvus://HOST:19530/NAME{gallery_words(storage.name)}."
    )
