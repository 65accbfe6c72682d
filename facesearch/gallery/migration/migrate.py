"""Changes a gallery's model: every known face is embedded anew, from its photo, and keeps its id, its name and all
that was said of it.

The new embeddings are kept aside, a transaction a batch, so that a change that is interrupted goes on where it was;
one transaction then makes the old gallery the new one. Faces whose photo cannot be read wait until it can."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from facesearch.errors import FaceSearchError, RootError
from facesearch.faces.embedder import Embedder
from facesearch.files import printable
from facesearch.flow.stages import Failed, Found
from facesearch.gallery.agreement import settings_with_model
from facesearch.gallery.database import Database
from facesearch.gallery.grouping import keep_people
from facesearch.gallery.migration.embedding import Effort, Embedded, LoadEmbedder, embed_known
from facesearch.gallery.migration.unreachable import unreachable
from facesearch.gallery.records.facts import Migrated
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.stores import follow
from facesearch.gallery.tables.sqlite import BUSY_SECONDS


@dataclass(frozen=True, slots=True)
class Means:
    """What it takes to embed: the network of a gallery with these settings, how photos are read, and who hears how
    many faces, of how many, are done. With `sets_aside` the work goes on without photos that may only be away, as on
    a disk that is not mounted."""

    load_embedder: Callable[[GallerySettings], Embedder]
    effort: Callable[[GallerySettings], Effort]
    on_progress: Callable[[int, int], None] = lambda done, total: None
    sets_aside: bool = False


def migrate(storage: Storage, model: str, means: Means) -> Migrated:
    """Changes the gallery's model. To the one that it has, only what was set aside before is tried again, and a
    change to another that was begun is given up.

    Raises GalleryError when there is no gallery, ModelError for a model that is missing or cannot be used for the
    faces that this gallery's detector found, RootError for photos that may only be away, GalleryLockedError while
    another process writes, FaceSearchError when the disk refuses: the gallery is then as it was."""
    with storage.reading() as (db, settings):
        change = _Change(storage, settings, settings_with_model(storage.name, settings, model), means)
        if change.is_new:
            change.prepare(db)
        elif not _is_anything_left(db):
            return change.summary(db)
    with storage.writing() as db:
        if change.is_new:
            change.make(db)
        else:
            with db.transaction():
                db.migration.give_up()
        change.bring_back(db)
        storage.sync(db, change.wanted)
        keep_people(db, change.wanted, storage.nearest(db, change.wanted), storage.note)
        follow(storage, db, change.wanted, may_fill=True)
        return change.summary(db)


def bring_back(db: Database, load_embedder: LoadEmbedder, effort: Effort, is_present: bool) -> int:
    """Embeds the faces that were set aside and whose photo can be read now; with `is_present`, those of photos that
    were on disk when they were last looked for. They are found once the file of vectors is synced, which the caller
    must see to. Returns how many."""
    back = 0
    if not db.set_aside.count():
        return 0
    for rows in embed_known(db.set_aside.waiting(is_present), load_embedder, effort):
        found = [row for row in rows if isinstance(row, Found)]
        if not found:
            continue
        with db.transaction():
            db.stamp.delete()  # their ids are older than the newest in the file
            db.store.lack(min(face for row in found for face in row.key.ids))
            for row in found:
                db.set_aside.embedded(row.key, row.result)
                back += len(row.key.ids)
    return back


class _Change:
    """One change of a gallery's model, and what it has done so far."""

    def __init__(self, storage: Storage, settings: GallerySettings, wanted: GallerySettings, means: Means) -> None:
        self.wanted = wanted
        self._storage, self._before, self._means = storage, settings, means
        self._started = time.perf_counter()
        self._photos = self._back = 0
        self._preparing = 0.0  # seconds until the network ran
        self._embedder: Embedder | None = None
        self._lost_threshold = False

    @property
    def is_new(self) -> bool:
        """Whether the gallery has another model."""
        return self._before.model != self.wanted.model or self._before.identity not in ("", self.wanted.identity)

    def prepare(self, db: Database) -> None:
        """Sees to it, before anything is written, that the photos and the network are there."""
        if not self._means.sets_aside:
            self._refuse_unreachable(db, "nothing was changed")
        self._load()

    def make(self, db: Database) -> None:
        """Makes the gallery one of the wanted model."""
        failed = self._embed_all(db)
        if failed and not self._means.sets_aside:  # a disk may have been pulled out
            self._refuse_unreachable(db, "the gallery is as it was, and what was embedded is kept")
        self._replace(db)

    def bring_back(self, db: Database) -> None:
        """Tries again what was set aside before."""
        self._back = bring_back(db, self._load, self._means.effort(self.wanted), is_present=False)

    def summary(self, db: Database) -> Migrated:
        """What was done."""
        seconds = time.perf_counter() - self._started
        return Migrated(
            gallery=self._storage.name,
            model_before=self._before.model,
            model=self.wanted.model,
            is_new=self.is_new,
            faces=db.faces.count(),
            set_aside=db.set_aside.count(),
            photos_set_aside=sum(1 for _ in db.set_aside.by_photo()),
            back=self._back,
            photos=self._photos,
            seconds=seconds,
            photos_per_second=self._photos / (seconds - self._preparing),
            lost_threshold=self._lost_threshold,
        )

    def _embed_all(self, db: Database) -> int:
        """Keeps the new embedding of every face whose photo can be read aside; how many photos cannot."""
        with db.transaction():
            done = db.migration.begin(self.wanted)
        total, failed = db.faces.count(), 0
        if done:
            self._storage.note(f"Going on where the last migrate ended: {done:,} of {total:,} faces are embedded.")
        self._means.on_progress(done, total)
        for rows in embed_known(db.migration.waiting(), self._load, self._means.effort(self.wanted)):
            self._photos += len(rows)
            failed += sum(isinstance(row, Failed) for row in rows)
            done += _keep(db, rows)
            self._means.on_progress(done, total)
        return failed

    def _replace(self, db: Database) -> None:
        """Makes the old gallery the new one: all in one transaction. Then the old embeddings leave the files."""
        self._lost_threshold = db.calibration.read() is not None
        with db.transaction():
            db.set_aside.set_aside()
            db.migration.finish()
            db.settings.change_model(self.wanted)
            _drop_what_follows_from_embeddings(db)
            db.removal.begin_scrubbing()
        try:
            self._storage.delete_vectors()
            db.removal.scrub(db.journal == "wal", BUSY_SECONDS)
        except FaceSearchError as error:
            self._storage.note(f"Bytes of the old embeddings are still there: {error} The next command tries again.")

    def _refuse_unreachable(self, db: Database, consequence: str) -> None:
        away = unreachable(db)
        if not away:
            return
        more = f" (and {len(away) - 1:,} more)" if len(away) > 1 else ""
        photos = sum(each.photos for each in away)
        raise RootError(
            f"{printable(away[0].folder)} {away[0].reason}{more}, so faces in {photos:,} photo{'s' * (photos != 1)} "
            f"cannot be embedded; {consequence}: mount its disk and run it again, or add --set-aside, which keeps "
            "these faces out of searches until their photos are back."
        )

    def _load(self) -> Embedder:
        if self._embedder is None:
            started = time.perf_counter()
            self._embedder = self._means.load_embedder(self.wanted)
            self._preparing = time.perf_counter() - started
        return self._embedder


def _is_anything_left(db: Database) -> bool:
    """Whether an earlier change left something to do: faces set aside, embeddings of another model, old bytes."""
    return bool(db.set_aside.count()) or db.migration.model() is not None or db.removal.is_unfinished()


def _keep(db: Database, rows: Iterable[Embedded]) -> int:
    """Stores what a batch gave; how many faces got an embedding."""
    with db.transaction():
        db.migration.note_failures([(row.key.photo, row.error.reason) for row in rows if isinstance(row, Failed)])
        return sum(db.migration.save(row.key, row.result) for row in rows if isinstance(row, Found))


def _drop_what_follows_from_embeddings(db: Database) -> None:
    """Deletes all that was computed from the old embeddings and says nothing of the new ones. Whoever adds a table of
    that kind deletes its rows here."""
    db.calibration.delete()
    db.stamp.delete()
    db.store.empty()
    db.cohort.delete()
    db.groupings.forget()
    db.connection.execute("DELETE FROM folder_digests")
