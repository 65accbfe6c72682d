"""A gallery's folder: its database, opened for reading or for the one writer, and the file of vectors beside it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, GalleryError, GalleryLockedError, Note
from facesearch.gallery import contents
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.records.store import StoreStamp
from facesearch.gallery.tables.runs import Run
from facesearch.gallery.thumbnails import Thumbnails
from facesearch.gallery.vectors.file import belongs, build_in_memory, open_index, sync, without_removed
from facesearch.gallery.vectors.index import Search, Searchable
from facesearch.gallery.vectors.narrowed import Narrowed
from facesearch.gallery.vectors.store_index import StoreIndex, advised, connected, lag, why_not
from facesearch.home import gallery_dir, gallery_words, is_running, narrow_home, private_folder, valid_name
from facesearch.interruption import at_once
from facesearch.models.cards import index_recipes

_TRIES_TO_OPEN = 4  # the file of vectors, while another process writes: three waits in all
_BETWEEN_TRIES = 0.25  # seconds; the writer needs some milliseconds between the new file and its stamp


class Storage:
    """The folder of the gallery with this name. `note` hears what a user should know."""

    def __init__(self, name: str, note: Note) -> None:
        """Raises UsageError for a name that no directory can have. Nothing is read or written."""
        self.name, self.note = valid_name(name, "gallery"), note
        self.directory = gallery_dir(name)
        self.patience = 0.0  # seconds that a write waits for another one that is short

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.directory / contents.DATABASE

    @property
    def vectors(self) -> Path:
        """The file of vectors."""
        return self.directory / contents.VECTORS

    @property
    def sheet(self) -> Path:
        """Where the contact sheet lies that was drawn to be shown at once."""
        return self.directory / contents.SHEET

    @property
    def thumbnails(self) -> Thumbnails:
        """The small pictures of faces."""
        return Thumbnails(self.directory / contents.THUMBNAILS)

    def settings(self) -> GallerySettings | None:
        """What was fixed when the gallery was made; None where there is none yet. Raises GalleryError when its
        database is damaged."""
        if not self.database.exists():
            return None
        with Database.open(self.database) as db:
            return db.settings.read()

    @property
    def absent(self) -> str:
        """That there is no such gallery, and which others there are."""
        others = sorted(path.parent.name for path in self.directory.parent.glob("*/faces.db"))
        return f"There is no gallery '{self.name}'" + (f" (available: {', '.join(others)})" if others else "")

    @contextmanager
    def reading(self) -> Iterator[tuple[Database, GallerySettings]]:
        """The database for reading, and what was fixed when it was made. Raises GalleryError when there is none."""
        if not self.database.exists():
            raise GalleryError(f"{self.absent}; make it with: facesearch index PHOTOS{gallery_words(self.name)}.")
        with Database.open(self.database) as db:
            settings = db.settings.read()
            if settings is None:
                raise GalleryError(
                    f"The gallery '{self.name}' is still empty; run: facesearch index "
                    f"PHOTOS{gallery_words(self.name)}."
                )
            yield db, settings

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """The database for writing, while no other process writes. Raises GalleryLockedError when one does."""
        with self.locked(), Database.create(self.database) as db:
            if db.journal != "wal":
                self.note(
                    f"The disk of {self.directory} cannot keep a write-ahead log, so queries and indexing wait for "
                    "each other."
                )
            self._finish_forgetting(db)
            yield db

    def _finish_forgetting(self, db: Database) -> None:
        """What was deleted while somebody read the gallery, or by a process that was killed, leaves the files."""
        if not db.removal.is_unfinished():
            return
        try:
            self.erase(db, wait_seconds=0)
        except FaceSearchError as error:
            self.note(
                f"Bytes of what was forgotten or replaced are still there: {error} The next command tries again."
            )
            return
        self.note("The bytes of what was forgotten or replaced before are now gone from all files.")

    def erase(self, db: Database, wait_seconds: float) -> None:
        """Removes the bytes of what was deleted from all files: from the file of vectors, which is deleted where that
        is not possible, the pictures, and the database's own. Raises FaceSearchError while somebody reads what was
        there before, for longer than these seconds, and when the disk refuses."""
        self._erase_from_vectors(db)
        self.delete_pictures(db)
        db.removal.scrub(db.journal == "wal", wait_seconds)

    def _erase_from_vectors(self, db: Database) -> None:
        stamp = db.stamp.read()
        if stamp and stamp.removed == db.removed.newest():
            return
        stamp = without_removed(self.vectors, stamp, db.faces) if stamp else None
        if stamp is None:
            self.delete_vectors()
            return
        with db.transaction():
            db.stamp.write(stamp)
            db.removed.drop_followed()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The right to write, for this process alone; the system gives it back when the process ends, however. What
        a process left unfinished is removed. Raises GalleryLockedError while another process writes, FaceSearchError
        when the disk refuses."""
        lock = filelock.FileLock(self.directory / contents.LOCK, mode=0o600)
        try:
            private_folder(self.directory)
            narrow_home(self.note)
            self._acquire(lock)
        except filelock.Timeout as error:
            raise GalleryLockedError(self._who_writes()) from error
        except (OSError, RuntimeError) as error:  # filelock refuses links and kinds of files in words of its own
            reason = getattr(error, "strerror", None) or str(error)
            where = getattr(error, "filename", None) or self.directory
            raise FaceSearchError(f"The gallery '{self.name}' cannot be written: {where}: {reason}.") from error
        try:
            contents.remove_unfinished(self.directory)
            yield
        finally:
            lock.release()

    def is_being_written(self) -> bool:
        """Whether a process has the right to write now. Where none has, it is taken for this moment."""
        try:
            with self.locked():
                return False
        except GalleryLockedError:
            return True
        except FaceSearchError:  # nobody may write there
            return False

    def _acquire(self, lock: filelock.BaseFileLock) -> None:
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            if not self.patience or self._is_indexed():
                raise
            lock.acquire(timeout=self.patience, poll_interval=0.02)

    def _is_indexed(self) -> bool:
        """Whether a run of indexing goes on, so that to wait is in vain."""
        run = self._newest_run()
        return run is not None and run.ended_at is None and is_running(run.pid)

    def _newest_run(self) -> Run | None:
        with suppress(GalleryError), Database.open(self.database) as db:  # it may not be made yet, or be damaged
            return db.runs.newest()
        return None

    def _who_writes(self) -> str:
        """The sentence that names the process that holds the lock."""
        run = self._newest_run()
        by = "another process"
        if run and run.ended_at is None:
            by = f"process {run.pid}, which started at {run.started_at}"
        return f"The gallery '{self.name}' is being written by {by}; wait for it to end, or stop it."

    def sync(self, db: Database, settings: GallerySettings) -> None:
        """Brings the file of vectors up to date with the database that is being written. The old stamp goes before
        the new file comes: a file that is not the stamped one is then damaged, and never merely newer."""
        before = db.stamp.read()
        made = (settings.model, settings.dim, index_recipes(), self.note)
        try:
            with at_once():
                stamp = sync(self.vectors, before, db.faces, *made, partial(_delete_stamp, db))
        except FaceSearchError:  # the disk refuses the new file: the old one may still be there
            if before and not db.stamp.read() and belongs(self.vectors, before):
                with suppress(FaceSearchError), db.transaction():
                    db.stamp.write(before)
            raise
        if stamp:
            with db.transaction():
                db.stamp.write(stamp)
                db.removed.drop_followed()

    def delete_vectors(self) -> None:
        """Deletes the file of vectors, which holds what is no longer in the database. Raises FaceSearchError when the
        disk refuses."""
        _delete(self.vectors)

    def delete_pictures(self, db: Database) -> None:
        """Deletes the pictures of faces that are not stored any more: the contact sheet, and thumbnails. Raises as
        `delete_vectors`."""
        _delete(self.sheet)
        self.thumbnails.sweep(db.pictures.faces)

    @contextmanager
    def searching(self, db: Database, settings: GallerySettings, here: bool = False) -> Iterator[Searchable]:
        """The vectors and, while they are searched, the database in the state that belongs to them: those of the
        gallery's vector store, where it has one that is in step, but for `here`; else those of the file. Raises
        StoreError where the store does not answer."""
        with ExitStack() as stack:
            index = None if here else stack.enter_context(self._by_store(db, settings))
            yield stack.enter_context(self._by_file(db, settings)) if index is None else index

    @contextmanager
    def _by_store(self, db: Database, settings: GallerySettings) -> Iterator[Searchable | None]:
        with db.snapshot():
            stamp = db.store.read()
            why = why_not(stamp, stamp.is_of(settings.model, settings.dim), *lag(db, stamp)) if stamp else None
        if stamp is None or why:
            if stamp and why:
                self._answer_in_place_of(stamp, why)
            yield None
            return
        with advised():
            remote = connected(stamp.address)
        with remote, db.snapshot():
            self._refuse_another_model(db, settings)
            now = db.store.read() or stamp
            yield StoreIndex(
                remote,
                now,
                db.faces,
                lag(db, now)[1],
                lambda: self._opened(db, settings) or Narrowed(db.faces, db.faces.ids(), settings.dim),
                partial(self._answer_in_place_of, stamp),
            )

    def _answer_in_place_of(self, stamp: StoreStamp, why: str, how: str = "") -> None:
        command = f"facesearch store sync{how}{gallery_words(self.name)}"
        self.note(f"{stamp.address} {why}, so this machine's own vectors answer; to fill it: {command}")

    @contextmanager
    def _by_file(self, db: Database, settings: GallerySettings) -> Iterator[Searchable]:
        """The vectors of the file. When it is not the one that belongs to the database it is made again; while
        another process writes it may just have been replaced, and is opened once more."""
        refusal: FaceSearchError | None = None
        for attempt in range(_TRIES_TO_OPEN):
            with db.snapshot():
                self._refuse_another_model(db, settings)
                index = self._opened(db, settings)
                if index is not None:
                    yield index
                    return
            try:
                with self.writing() as writable:
                    self.sync(writable, settings)
            except GalleryLockedError as error:
                refusal = error
                time.sleep(_BETWEEN_TRIES * (attempt < _TRIES_TO_OPEN - 1))
            except FaceSearchError as error:  # the disk is full or may not be written
                refusal = error
                break
        self.note(f"{refusal} The answer comes from the database.")  # an answer needs no file
        with db.snapshot():
            self._refuse_another_model(db, settings)
            yield build_in_memory(db.faces, settings.dim, index_recipes())

    def nearest(self, db: Database, settings: GallerySettings) -> Search:
        """A search for who holds the database for writing, by which the vectors of the file are opened when it is
        called: they are in step, whatever a store is, and nearer."""

        def search(embeddings: Embeddings, k: int) -> NDArray[np.int64]:
            vectors = self._opened(db, settings) or build_in_memory(db.faces, settings.dim, index_recipes())
            return vectors.search(embeddings, k)[1]

        return search

    def _refuse_another_model(self, db: Database, settings: GallerySettings) -> None:
        """Raises FaceSearchError where the model was changed since the settings were read: the faces asked about have
        embeddings of the old one."""
        now = db.settings.read() or settings
        if (now.model, now.dim) != (settings.model, settings.dim):
            raise FaceSearchError(f"The model of the gallery '{self.name}' was changed just now; ask again.")

    def _opened(self, db: Database, settings: GallerySettings) -> Searchable | None:
        stamp = db.stamp.read()
        return open_index(self.vectors, stamp, db.faces, settings.dim, index_recipes()) if stamp else None

    def bytes_on_disk(self) -> int:
        """How many bytes the folder holds, backups too."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FaceSearchError(f"{path} cannot be deleted ({error.strerror}).") from error


def _delete_stamp(db: Database) -> None:
    with db.transaction():
        db.stamp.delete()
