"""Bringing a collection in step with a database.

A sync notes in the database that it goes on, with a new mark; has the collection bear that mark and no other; sends
what is newer and deletes what is gone; where that is much, waits for the index; counts; has the collection bear the
mark of one that is filled, so that a server that loses the end of what it was sent loses this first; and notes that
all is there. Cut off at whatever step, it goes on: each step may be done twice. A collection whose mark is neither
that of the database nor the one that it was to get follows another database, and nothing is written there unless
somebody says so."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from facesearch.cluster.milvus import MilvusFaces
from facesearch.cluster.milvus_errors import StoreError
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.records.store import StoreStamp
from facesearch.gallery.tables.store import new_token
from facesearch.home import gallery_words

OnProgress = Callable[[int, int], None]  # how many faces are sent, of how many

# Faces. Of 20,000 that are in no index yet Milvus 2.3.5 compared each; of 40,000 it found 94 of 100 nearest.
_WORTH_FLUSHING = 10_000


class AskUserError(StoreError):
    """A user must decide what to do with the collection, and the sentence says it."""


class StrangeStoreError(AskUserError):
    """The collection holds faces of another database, or of another state of this one."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did: faces that were sent, and gone ones that were deleted; `faces` are there now."""

    address: str
    faces: int
    sent: int
    deleted: int
    seconds: float


class Sync:
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
        self._which, self._db, self._settings = gallery_words(gallery), db, settings
        self._remote, self._on_progress, self._patience = remote, on_progress, patience

    def run(self, again: bool, may_fill: bool = True) -> Synced:
        """Does it; see `sync` and `follow`."""
        stamp = self._db.store.read() or StoreStamp("", "hnsw")
        removed = self._db.removed.newest()
        marks = self._marks_there()
        if not (again or self._is_ours(stamp, marks)):
            raise strange(stamp, self._which)
        is_whole = (
            again or not marks or stamp.state == "empty" or not stamp.is_of(self._settings.model, self._settings.dim)
        )
        if not is_whole and marks == {-stamp.token} and is_in_step(self._db, self._settings, stamp):
            self._refuse_lost(stamp, stamp.count)
            return Synced(stamp.address, stamp.count, 0, 0, 0.0)
        if is_whole and not may_fill:
            raise to_be_filled(stamp, self._which)
        started, was_cut_off = time.perf_counter(), stamp.state == "syncing"
        stamp = self._begin(stamp, removed, marks or set(), is_whole)
        gone = np.empty(0, np.int64) if is_whole else self._db.removed.after(stamp.removed)
        sent = self._send(stamp)
        self._remote.delete(gone.tolist())
        self._settle(sent, was_cut_off)
        stamp = self._fill(stamp)
        self._finish(replace(stamp, removed=removed))
        return Synced(stamp.address, self._db.faces.count(), sent, len(gone), time.perf_counter() - started)

    def _is_ours(self, stamp: StoreStamp, marks: set[int] | None) -> bool:
        """Whether nobody else's faces are there: one without a mark may be anybody's, unless it is empty."""
        if marks is None or marks:
            return marks is None or marks <= marks_of(stamp)
        return stamp.state != "ready" and not self._remote.count()

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
        token = next((-mark for mark in _latest_first(stamp) if mark in marks), stamp.token)
        if cut_off := sorted((marks - {-token}) & marks_of(stamp)):  # between two marks
            self._remote.delete(cut_off)
        if is_whole:
            model = self._settings.model, self._settings.dim
            stamp = StoreStamp(stamp.address, stamp.kind, *model, "empty", removed=removed)
        begun = replace(stamp, token=token, next_token=new_token())
        if is_whole:
            self._note(begun)  # empty until its making is over
            self._remote.make(begun.dim, begun.kind, self._db.faces.count())
            self._mark(begun, begun.next_token)
        begun = replace(begun, state="syncing")
        self._note(begun)
        if not is_whole:
            self._mark(begun, begun.next_token)
            self._remote.delete([-token])
        return begun

    def _mark(self, stamp: StoreStamp, token: int) -> None:
        self._remote.upsert(np.array([-token]), np.zeros((1, stamp.dim), np.float32))

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

    def _fill(self, stamp: StoreStamp) -> StoreStamp:
        """Once all is there, has the collection bear the mark of that alone."""
        filled = replace(stamp, token=filled_token(stamp))
        self._refuse_lost(replace(stamp, token=stamp.next_token), self._db.faces.count())
        self._mark(filled, filled.token)
        self._remote.delete([-filled.next_token])
        return filled

    def _finish(self, stamp: StoreStamp) -> None:
        """Notes that all is there. It is counted as of this moment, so that whoever asks from now on sees what was
        sent, and the mark."""
        count, newest = self._db.faces.count(), self._db.faces.newest()
        self._refuse_lost(stamp, count)
        with self._db.transaction():
            self._db.store.write(replace(stamp, state="ready", count=count, newest_id=newest))
            self._db.removed.drop_followed()

    def _refuse_lost(self, stamp: StoreStamp, count: int) -> None:
        """Raises StoreError where not so many faces and the mark are there, and notes that all must be sent."""
        there = self._remote.count()
        if there == count + 1 and self._remote.below_zero() == {-stamp.token}:
            return
        with self._db.transaction():
            self._db.store.empty()
        raise StoreError(other_count(replace(stamp, count=count), there - 1, self._which))


def is_in_step(db: Database, settings: GallerySettings, stamp: StoreStamp) -> bool:
    """Whether nothing is to be done."""
    has_all = (stamp.newest_id, stamp.removed) == (db.faces.newest(), db.removed.newest())
    return (
        stamp.state == "ready"
        and stamp.is_of(settings.model, settings.dim)
        and has_all
        and stamp.count == db.faces.count()
    )


def marks_of(stamp: StoreStamp) -> set[int]:
    """The marks that the collection of this stamp may bear; none where it was never filled."""
    return set(_latest_first(stamp)) if stamp.next_token else set()


def filled_token(stamp: StoreStamp) -> int:
    """The mark of a collection that a sync has filled, which bears `next_token` before."""
    return stamp.next_token + 1


def _latest_first(stamp: StoreStamp) -> tuple[int, int, int]:
    return -filled_token(stamp), -stamp.next_token, -stamp.token


def strange(stamp: StoreStamp, which: str) -> StrangeStoreError:
    """The error of a collection that bears another mark."""
    return StrangeStoreError(
        f"{stamp.address} follows another gallery, or a copy or another state of this one, so nothing was written "
        f"there; where it is to follow this one, fill it anew: facesearch store sync --again{which}."
    )


def other_count(stamp: StoreStamp, count: int, which: str) -> str:
    """The sentence about a collection that has lost faces."""
    command = f"facesearch store sync --again{which}"
    return f"{stamp.address} has {count:,} faces where {stamp.count:,} were sent; fill it anew: {command}."


def to_be_filled(stamp: StoreStamp, which: str) -> AskUserError:
    """The error of a collection that is empty, or as good as that."""
    return AskUserError(f"{stamp.address} is to be filled with all faces: facesearch store sync{which}.")
