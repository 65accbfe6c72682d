"""The database of a gallery: what is known of photos, faces and people. It is the truth; vectors are a cache of it.

One process writes (behind a lock that `storage` holds), any number read. Every write happens in a transaction of
the caller's, `with db.transaction():`, so that a batch is stored whole or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.errors import GalleryError
from facesearch.gallery.tables.changes import Changes
from facesearch.gallery.tables.cohort import Cohorts
from facesearch.gallery.tables.decisions import Decisions
from facesearch.gallery.tables.faces import Faces
from facesearch.gallery.tables.grouping import Groupings
from facesearch.gallery.tables.model_change import Migration
from facesearch.gallery.tables.other_files import OtherFilesCounts
from facesearch.gallery.tables.people import People
from facesearch.gallery.tables.people_list import PeopleList
from facesearch.gallery.tables.photos import Photos
from facesearch.gallery.tables.picture_sources import PictureSources
from facesearch.gallery.tables.relocation import Relocation
from facesearch.gallery.tables.removal import Removal
from facesearch.gallery.tables.removed import Removed
from facesearch.gallery.tables.runs import Roots, Runs
from facesearch.gallery.tables.schema import migrations
from facesearch.gallery.tables.set_aside import SetAsideFaces
from facesearch.gallery.tables.settings import Calibrations, LeftOut, Settings, Stamp
from facesearch.gallery.tables.sqlite import (
    BUSY_SECONDS,
    OF_SQLITE,
    add_checksum,
    as_sentence,
    explained,
    make_private,
    to_read,
    with_journal,
)
from facesearch.gallery.tables.store import Stores
from facesearch.libraries import hidden

if TYPE_CHECKING:
    import sqlite_utils


class Database:
    """An open database, a table an attribute. Use `Database.create` to write and `Database.open` to read; both are
    context managers."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path
        self.journal = "wal"
        self.settings = Settings(self._conn, path)
        self.calibration = Calibrations(self._conn, path)
        self.stamp = Stamp(self._conn, path)
        self.store = Stores(self._conn, path)
        self.exclusions = LeftOut(self._conn, path)
        self.roots = Roots(self._conn)
        self.other_files = OtherFilesCounts(self._conn)
        self.runs = Runs(self._conn, path)
        self.people = People(self._conn)
        self.people_list = PeopleList(self._conn)
        self.decisions = Decisions(self._conn)
        self.changes = Changes(self._conn)
        self.faces = Faces(self._conn)
        self.cohort = Cohorts(self._conn, path)
        self.set_aside = SetAsideFaces(self._conn)
        self.photos = Photos(self._conn, self.faces, self.set_aside, self.people)
        self.migration = Migration(self._conn)
        self.groupings = Groupings(self._conn, path)
        self.pictures = PictureSources(self._conn)
        self.removed = Removed(self._conn)
        self.removal = Removal(self._conn, path)
        self.relocation = Relocation(self._conn)

    @property
    def gallery(self) -> str:
        """The name of the gallery, which is that of its folder."""
        return self._path.parent.name

    @classmethod
    def create(cls, path: Path) -> "Database":
        """Opens the database for writing, makes it where there is none and brings its schema up to date.
        Raises GalleryError when the file is not a database or is a newer facesearch's."""
        with explained(path):
            make_private(path)
            conn = sqlite3.connect(path, timeout=BUSY_SECONDS)
            conn.execute("PRAGMA synchronous = FULL")
            opened = cls(conn, path)
            opened._refuse_newer_schema()
            opened.journal = with_journal(conn)
            conn.execute("PRAGMA secure_delete = ON")
            migrations.apply(conn)
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY)")
            conn.execute("CREATE TEMP TABLE not_embedded (photo_id INTEGER PRIMARY KEY, reason TEXT NOT NULL)")
            add_checksum(conn)
        return opened

    @classmethod
    def open(cls, path: Path) -> "Database":
        """Opens an existing database for reading alone. Raises GalleryError when there is none or it is damaged."""
        with explained(path):
            opened = cls(to_read(path), path)
            opened._refuse_newer_schema()
        return opened

    @property
    def connection(self) -> sqlite3.Connection:
        """For what reads and writes several tables at once; inside of a transaction of `transaction`."""
        return self._conn

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Closes it, and turns what SQLite has raised meanwhile into a sentence."""
        with explained(self._path):
            self._conn.close()
        if isinstance(error, OF_SQLITE):
            raise as_sentence(error, self._path) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is of one moment, whatever is written meanwhile."""
        if self._conn.in_transaction:
            yield
            return
        self._conn.execute("BEGIN")
        try:
            self._conn.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from now on
            yield
        finally:
            self._conn.rollback()  # nothing was written

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is stored, or nothing of it. Raises FaceSearchError when the disk refuses it."""
        with explained(self._path), self._writable.atomic():
            yield

    @cached_property
    def _writable(self) -> "sqlite_utils.Database":
        with hidden("pandas"):  # which pymilvus brings, and whose import takes longer than most writing
            from sqlite_utils import Database as Writable  # what only asks does without

        return Writable(self._conn)

    def _refuse_newer_schema(self) -> None:
        known = migrations.names
        try:
            applied = migrations.applied(self._conn)
            if applied - known and known - applied:  # a newer one has made all of our changes, and more
                raise KeyError
        except (LookupError, TypeError, ValueError) as error:
            raise as_sentence(
                sqlite3.DatabaseError("its migrations are not those of facesearch"), self._path
            ) from error
        if applied - known:
            raise GalleryError(f"{self._path} was written by a newer facesearch; upgrade this one.")
