"""The database of a gallery: what is known of photos, faces and people. It is the truth; vectors are a cache of it.

One process writes (behind a lock that `gallery` holds), any number read. Every write happens in a transaction of
the caller's, `with store.atomic():`, so that a batch is stored whole or not at all."""

import dataclasses
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sqlite_utils
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import GalleryError
from facesearch.gallery.faces_table import Faces
from facesearch.gallery.records import Calibration, GallerySettings, IndexStamp, Limit, Outcome
from facesearch.gallery.removal import LOST_A_FACE, Removal, inside
from facesearch.gallery.schema import migrations
from facesearch.gallery.sqlite import (
    BUSY_SECONDS,
    OF_SQLITE,
    as_sentence,
    checksum,
    explained,
    from_sql,
    make_private,
    marks,
    parts,
    to_read,
    to_sql,
    with_journal,
)
from facesearch.geometry.face import Face
from facesearch.people import names
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import FAILURES, Cause, Status

# What a photo's content alone decides, so that a copy has it too; so does a failure whose cause is the file.
_SETTLED = (Status.OK, Status.NO_FACE, Status.FORGOTTEN)
_DISPLACED = " displaced"  # after its id the path of a photo that is set aside; real paths begin with a slash
_KNOWN = "SELECT id, path, size, mtime_ns, status, face_count, {ctime_ns}, reason, {cause}, {needs} FROM photos"
_ABSENT = {"ctime_ns": "0", "cause": "NULL", "needs": "NULL"}  # in the tables of an earlier facesearch


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A photo as the database has it."""

    id: int
    path: str
    size: int
    mtime_ns: int
    status: Status
    faces: int
    ctime_ns: int = 0
    reason: str | None = None
    cause: Cause | None = None
    needs: str = ""

    @property
    def status_on_disk(self) -> Status:
        """What it is again when it turns up somewhere."""
        if self.status != Status.MISSING:
            return self.status
        return Status.OK if self.faces else Status.NO_FACE

    @property
    def has_lost_a_face(self) -> bool:
        """Whether one of several people in it was forgotten."""
        return self.status not in FAILURES and self.needs == LOST_A_FACE

    def agrees_with(self, file: PhotoFile) -> bool:
        """Whether nothing says that the file is another one now. A ctime that is not known says nothing."""
        is_unchanged = file.ctime_ns == self.ctime_ns or not file.ctime_ns or not self.ctime_ns
        return is_unchanged and (file.size, file.mtime_ns) == (self.size, self.mtime_ns)


class Store:
    """An open database. Use `Store.create` to write and `Store.open` to read; both are context managers."""

    def __init__(self, db: sqlite_utils.Database, path: Path) -> None:
        self._db = db
        self._conn: sqlite3.Connection = db.conn
        self._path = path
        self._people: dict[str, int] = {}
        self.faces = Faces(self._conn)
        self.removal = Removal(self._conn, path)
        self.journal = "wal"

    @classmethod
    def create(cls, path: Path) -> "Store":
        """Opens the database for writing, makes it where there is none and brings its schema up to date.
        Raises GalleryError when the file is no database or of a newer facesearch."""
        with explained(path):
            make_private(path)
            conn = sqlite3.connect(path, timeout=BUSY_SECONDS)
            conn.execute("PRAGMA synchronous = FULL")
            db = sqlite_utils.Database(conn)
            store = cls(db, path)
            store._refuse_newer_schema()
            store.journal = with_journal(conn)
            migrations.apply(db)
            conn.execute("PRAGMA foreign_keys = ON")
            conn.execute("PRAGMA secure_delete = ON")
            conn.execute("CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY)")
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Opens an existing database for reading alone. Raises GalleryError when there is none or it is damaged."""
        with explained(path):
            store = cls(sqlite_utils.Database(to_read(path)), path)
            store._refuse_newer_schema()
        return store

    def __enter__(self) -> "Store":
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
        with self._db.atomic():
            self._conn.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from now on
            yield

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """A transaction: all that is written inside is stored, or nothing of it. Raises FaceSearchError when the
        disk refuses it."""
        with explained(self._path), self._db.atomic():
            yield

    # Settings and runs

    def settings(self) -> GallerySettings | None:
        """What was fixed when the gallery was made; None in a database that is still empty."""
        with explained(self._path):
            there = {row[1] for row in self._conn.execute("PRAGMA table_info(settings)")}
            fields = dataclasses.fields(GallerySettings)
            names = [field.name for field in fields if field.name in there]
            if any(field.default is dataclasses.MISSING and field.name not in there for field in fields) and names:
                raise sqlite3.DatabaseError("its settings are not as they were stored")
            row = self._row(f"SELECT {', '.join(names)} FROM settings") if names else None
            if not row:
                return None
            found = GallerySettings(**dict(zip(names, row, strict=True)))
            # Where no face is stored nothing must be comparable.
            has_faces = self._row("SELECT EXISTS (SELECT 1 FROM faces)")[0]
        return dataclasses.replace(found, identity=_unsealed(found.identity) if has_faces else "")

    def set_settings(self, settings: GallerySettings) -> None:
        """Fixes the settings; they are never changed afterwards."""
        self._conn.execute(
            "INSERT INTO settings (only, model, detector, dim, min_face_px, max_side, identity) "
            "VALUES (1, ?, ?, ?, ?, ?, ?)",
            dataclasses.astuple(dataclasses.replace(settings, identity=_sealed(settings.identity))),
        )

    def note_identity(self, identity: str) -> None:
        """Notes which networks make the embeddings, in a gallery that does not know it or has none: that they are not
        others than before is for the caller to know."""
        self._conn.execute("UPDATE settings SET identity = ?", (_sealed(identity),))

    def begin_run(self, roots: Iterable[str]) -> int:
        """Notes that this process starts to write; the run's number."""
        self._conn.executemany("INSERT OR IGNORE INTO roots VALUES (?)", [(to_sql(root),) for root in roots])
        cursor = self._conn.execute("INSERT INTO runs (pid, started_at) VALUES (?, ?)", (os.getpid(), _now()))
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, photos: int, faces: int) -> None:
        """Notes that a run came to its end, and how many photos it saw and faces it found."""
        values = (_now(), photos, faces, run)
        self._conn.execute("UPDATE runs SET ended_at = ?, photos = ?, faces = ? WHERE id = ?", values)

    def newest_run(self) -> tuple[int, str, str | None] | None:
        """Process, start and end of the newest run; its end is None while it runs or when it was cut off."""
        row = self._row("SELECT pid, started_at, ended_at FROM runs ORDER BY id DESC LIMIT 1")
        return (row[0], row[1], row[2]) if row else None

    def limit(self) -> Limit | None:
        """The threshold that was learned from this gallery; None where none was."""
        row = self._row("SELECT similarity, far FROM calibration") if self._has("calibration") else None
        return Limit(row[0], row[1], learned=True) if row else None

    def set_limit(self, learned: Calibration | None) -> None:
        """Keeps a learned threshold in place of the one before, or forgets it."""
        self._conn.execute("DELETE FROM calibration")
        if learned is not None:
            values = (learned.threshold, learned.far, learned.strangers, _now())
            self._conn.execute("INSERT INTO calibration VALUES (1, ?, ?, ?, ?)", values)

    # Photos

    def known(self, paths: Sequence[str]) -> dict[str, KnownPhoto]:
        """What is known of these paths, by path."""
        found = {}
        for part in parts([to_sql(path) for path in paths]):
            for row in self._conn.execute(f"{self._known} WHERE path IN ({marks(part)})", part):
                photo = _known_photo(row)
                found[photo.path] = photo
        return found

    def has_content(self, known: KnownPhoto, digest: bytes) -> bool:
        """Whether the photo was stored with this digest."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM photos WHERE id = ? AND digest = ?)", known.id, digest))

    def known_content(self, digest: bytes, path: str = "") -> KnownPhoto | None:
        """A photo with the same bytes that need not be looked at again: the one that has this path, else one that is
        on disk before one that is missing or forgotten."""
        row = self._conn.execute(
            f"{self._known} WHERE digest = ? AND (status IN ({marks(_SETTLED)}) OR status = 'missing' AND face_count "
            f"> 0 OR status IN ({marks(FAILURES)}) AND cause = ?) "
            "ORDER BY path != ?, status = 'missing', status = 'forgotten', id LIMIT 1",
            (digest, *_SETTLED, *FAILURES, Cause.FILE, to_sql(path)),
        ).fetchone()
        return _known_photo(row) if row else None

    def save(
        self,
        file: PhotoFile,
        status: Status,
        *,
        digest: bytes | None = None,
        reason: str | None = None,
        cause: Cause | None = None,
        needs: str = "",
        size: tuple[int, int] | None = None,
        faces: Sequence[Face] = (),
        embeddings: Embeddings | None = None,
        person: str | None = None,
    ) -> None:
        """Stores what was found in a photo, in place of what its path held before. `size` is width and height;
        `embeddings` has one row for each face. Of a failure `cause` and `needs` say when it is worth another look."""
        why = (reason, cause, needs or None)
        photo = self._save_photo(file, digest, status, why, size or (None, None), len(faces))
        who = self._person(person)
        rows: Iterable[NDArray[np.float32]] = () if embeddings is None else np.ascontiguousarray(embeddings)
        self._conn.executemany(
            "INSERT INTO faces (photo_id, person_id, box_left, box_top, box_right, box_bottom, score, landmarks, "
            "embedding, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(photo, who, *_values(face, row)) for face, row in zip(faces, rows, strict=True)],
        )

    def _save_photo(
        self,
        file: PhotoFile,
        digest: bytes | None,
        status: Status,
        why: tuple[str | None, str | None, str | None],
        size: tuple[int | None, int | None],
        faces: int,
    ) -> int:
        self._make_room(file.path)
        cursor = self._conn.execute(
            "INSERT INTO photos (path, size, mtime_ns, ctime_ns, digest, status, reason, cause, needs, width, "
            "height, face_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (to_sql(file.path), file.size, file.mtime_ns, file.ctime_ns, digest, status, *why, *size, faces),
        )
        photo = int(cursor.lastrowid or 0)
        self._see([photo])
        return photo

    def _make_room(self, path: str) -> None:
        """Sets aside the photo that had this path: its content may lie at another path now, as when photos are
        numbered anew, and is then not embedded again. `forget_displaced` ends it."""
        self._conn.execute(
            "UPDATE photos SET path = id || ?, status = iif(status = 'forgotten', status, 'missing') WHERE path = ?",
            (_DISPLACED, to_sql(path)),
        )

    def forget_displaced(self) -> None:
        """Deletes the photos whose path another content has taken and that were found nowhere else."""
        self._conn.execute("DELETE FROM photos WHERE path = id || ?", (_DISPLACED,))

    def move(self, known: KnownPhoto, file: PhotoFile) -> None:
        """The photo lies at another path now, or was only touched; its faces stay as they are."""
        if known.path != file.path:
            self._make_room(file.path)
        self._conn.execute(
            "UPDATE photos SET path = ?, size = ?, mtime_ns = ?, ctime_ns = ?, status = ? WHERE id = ?",
            (to_sql(file.path), file.size, file.mtime_ns, file.ctime_ns, known.status_on_disk, known.id),
        )
        self._see([known.id])

    def copy(self, known: KnownPhoto, file: PhotoFile, person: str | None) -> None:
        """The photo lies at a second path too: its faces are stored for that one as well."""
        digest, width, height = self._conn.execute(
            "SELECT digest, width, height FROM photos WHERE id = ?", (known.id,)
        ).fetchone()
        why = (known.reason, known.cause, known.needs or None)
        photo = self._save_photo(file, digest, known.status, why, (width, height), known.faces)
        who = self._person(person)
        self._conn.execute(
            "INSERT INTO faces (photo_id, person_id, box_left, box_top, box_right, box_bottom, score, landmarks, "
            "embedding, checksum) SELECT ?, ?, box_left, box_top, box_right, box_bottom, score, landmarks, "
            "embedding, checksum FROM faces WHERE photo_id = ? ORDER BY id",
            (photo, who, known.id),
        )

    def name_faces(self, photo_id: int, person: str) -> None:
        """Names every face in a photo."""
        values = (self._person(person), photo_id)
        self._conn.execute("UPDATE faces SET person_id = ?1 WHERE photo_id = ?2 AND person_id IS NOT ?1", values)

    def fill_in(self, files: Iterable[tuple[KnownPhoto, PhotoFile]]) -> None:
        """Notes the ctime of photos that an earlier facesearch stored without it."""
        values = [(file.ctime_ns, known.id) for known, file in files if file.ctime_ns and not known.ctime_ns]
        self._conn.executemany("UPDATE photos SET ctime_ns = ? WHERE id = ?", values)

    def see(self, photos: Iterable[KnownPhoto]) -> None:
        """Notes that these photos are on disk, for mark_missing."""
        self._see([photo.id for photo in photos])

    def _see(self, ids: Iterable[int]) -> None:
        self._conn.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(i,) for i in ids])

    def unseen(self, root: str) -> dict[str, int]:
        """The photos under a folder that this run has not met, by path, with their ids; without those that are
        known to be missing or are forgotten, wherever they are."""
        rows = self._conn.execute(
            "SELECT path, id FROM photos WHERE status NOT IN ('missing', 'forgotten') AND id NOT IN (SELECT id FROM "
            "seen) AND (path >= ? AND path < ? OR path >= ? AND path < ?)",
            _range(root),
        )
        return {from_sql(path): photo for path, photo in rows}

    def mark_missing(self, photos: Iterable[int]) -> None:
        """Notes that the photos with these ids are gone. Their faces are kept, and found no longer."""
        self._conn.executemany("UPDATE photos SET status = 'missing' WHERE id = ?", [(i,) for i in photos])

    def present(self, root: str) -> Iterator[str]:
        """The photos under a folder that were on disk when they were last looked for."""
        rows = self._conn.execute(
            "SELECT path FROM photos WHERE status NOT IN ('missing', 'forgotten') AND "
            "(path >= ? AND path < ? OR path >= ? AND path < ?)",
            _range(root),
        )
        return (from_sql(path) for (path,) in rows)

    def names_of_folders(self, root: str) -> bool:
        """Whether a face in a photo under a folder has the name of that photo's own folder."""
        rows = self._conn.execute(
            "SELECT path, name FROM people JOIN faces ON person_id = people.id JOIN photos ON photo_id = photos.id "
            "WHERE path >= ? AND path < ? OR path >= ? AND path < ?",
            _range(root),
        )
        return any(names.of_folder(from_sql(path)) == name for path, name in rows)

    def _person(self, name: str | None) -> int | None:
        if name is None:
            return None
        name = names.normal(name)
        if name not in self._people:
            self._conn.execute("INSERT OR IGNORE INTO people (name) VALUES (?)", (name,))
            (self._people[name],) = self._conn.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
        return self._people[name]

    # The file of vectors

    def stamp(self) -> IndexStamp | None:
        """What the file of vectors must be; None before the first."""
        row = self._row("SELECT recipe, model, count, newest_id, size, mtime_ns, sha256, recall FROM index_stamp")
        return IndexStamp(*row) if row else None

    def set_stamp(self, stamp: IndexStamp) -> None:
        """Notes a new file of vectors."""
        s = stamp
        values = (s.recipe, s.model, s.count, s.newest_id, s.size, s.mtime_ns, s.sha256, s.recall)
        self._conn.execute("INSERT OR REPLACE INTO index_stamp VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def forget_stamp(self) -> None:
        """From now on no file of vectors belongs to the database."""
        self._conn.execute("DELETE FROM index_stamp")

    # What the gallery holds

    def counts(self) -> dict[str, int]:
        """How many photos have each status."""
        rows = self._conn.execute("SELECT status, count(*) FROM photos GROUP BY status ORDER BY count(*) DESC")
        return dict(rows.fetchall())

    def people_count(self) -> int:
        """How many people have a name and a face."""
        row = self._row("SELECT count(DISTINCT person_id) FROM faces")
        return int(row[0])

    def roots(self) -> tuple[str, ...]:
        """The folders that were indexed."""
        return tuple(from_sql(row[0]) for row in self._conn.execute("SELECT path FROM roots ORDER BY path"))

    def unread(self) -> Iterator[Outcome]:
        """The photos whose content is not known, by path: failures, and files of kinds that nothing here reads."""
        rows = self._conn.execute(f"{self._known} WHERE status IN ({marks(FAILURES)}) ORDER BY path", FAILURES)
        for photo in map(_known_photo, rows):
            yield Outcome(photo.path, photo.status, 0, reason=photo.reason, cause=photo.cause)

    @cached_property
    def _known(self) -> str:
        """The statement that reads what is known of photos, from tables of an earlier facesearch too."""
        there = {row[1] for row in self._conn.execute("PRAGMA table_info(photos)")}
        return _KNOWN.format(**{name: name if name in there else otherwise for name, otherwise in _ABSENT.items()})

    def _one(self, statement: str, *values: object) -> Any:
        (value,) = self._conn.execute(statement, values).fetchone()
        return value

    def _has(self, table: str) -> bool:
        """Whether the database, which an earlier facesearch may have written, has this table."""
        return self._row(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'") is not None

    def _row(self, statement: str) -> Any:
        with explained(self._path):
            return self._conn.execute(statement).fetchone()

    def _refuse_newer_schema(self) -> None:
        known = {migration.name for migration in migrations.pending(sqlite_utils.Database(memory=True))}
        try:
            applied = {migration.name for migration in migrations.applied(self._db)}
            if applied - known and known - applied:  # a newer one has made all of our changes, and more
                raise KeyError
        except (LookupError, TypeError, ValueError) as error:
            raise as_sentence(sqlite3.DatabaseError("its history is not one of facesearch"), self._path) from error
        if applied - known:
            raise GalleryError(f"{self._path} was written by a newer facesearch; upgrade this one.")


def _sealed(identity: str) -> str:
    """With what tells whether it is still as it was stored: of a damaged one nothing follows."""
    return f"{identity}{zlib.crc32(identity.encode()):08x}" if identity else ""


def _unsealed(stored: object) -> str:
    """The identity, empty where it is not as it was stored."""
    return stored[:-8] if isinstance(stored, str) and stored == _sealed(stored[:-8]) else ""


def _known_photo(row: Sequence[Any]) -> KnownPhoto:
    photo_id, path, size, mtime_ns, status, faces, ctime_ns, reason, cause, needs = row
    for value, kind in ((status, Status), (cause or Cause.FILE, Cause)):
        if value not in tuple(kind):
            raise sqlite3.DatabaseError(f"the photo {photo_id} has the unknown {kind.__name__.lower()} {value!r}")
    why = (reason, Cause(cause) if cause else None, str(needs or ""))
    return KnownPhoto(photo_id, from_sql(path), size, mtime_ns, Status(status), faces, ctime_ns, *why)


def _values(face: Face, row: NDArray[np.float32]) -> tuple[Any, ...]:
    """A face's columns from its box on, its checksum last."""
    box = tuple(float(edge) for edge in face.box)
    landmarks, embedding = np.array(face.landmarks, np.float32).tobytes(), row.tobytes()
    return *box, float(face.score), landmarks, embedding, checksum(box, float(face.score), landmarks, embedding)


def _range(folder: str) -> tuple[str | bytes, ...]:
    return *inside(folder), *map(os.fsencode, inside(folder))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
