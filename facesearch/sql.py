"""SQLite as a gallery uses it: connections, the tables, what goes into them, and errors as sentences.

A change of the tables is a new migration at the end: what was applied is never edited."""

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlite_utils

from facesearch import names
from facesearch.errors import DamagedGalleryError, FaceSearchError

BUSY_SECONDS = 30
_AT_ONCE = 500  # values in one statement; SQLite allows 999 at the least
OF_SQLITE = (sqlite3.DatabaseError, UnicodeDecodeError)  # the second where its words quote what is damaged
_REFUSED = {  # what to do when SQLite may not write, by the start of its error's name
    "SQLITE_FULL": "free some space",
    "SQLITE_IOERR": "check the disk",
    "SQLITE_READONLY": "allow writing there",
    "SQLITE_CANTOPEN": "allow writing there",
    "SQLITE_BUSY": "wait for whoever uses it",
    "SQLITE_PROTOCOL": "wait for whoever uses it",
}

migrations = sqlite_utils.Migrations("facesearch")


@migrations()
def photos_faces_people(db: sqlite_utils.Database) -> None:
    """The first schema."""
    statuses = "'ok', 'no_face', 'unreadable', 'unsupported', 'too_large', 'crashed', 'missing'"
    for statement in (
        # path is a BLOB where its bytes are no UTF-8; digest is NULL where the file could not be opened.
        f"""CREATE TABLE photos (
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
            digest BLOB, status TEXT NOT NULL CHECK (status IN ({statuses})), reason TEXT,
            width INTEGER, height INTEGER)""",
        "CREATE INDEX photos_by_digest ON photos (digest)",
        "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        # AUTOINCREMENT: the id of a deleted face is never given to another one, so an old index cannot lie.
        """CREATE TABLE faces (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            photo_id INTEGER NOT NULL REFERENCES photos (id) ON DELETE CASCADE,
            person_id INTEGER REFERENCES people (id),
            box_left REAL NOT NULL, box_top REAL NOT NULL, box_right REAL NOT NULL, box_bottom REAL NOT NULL,
            score REAL NOT NULL, landmarks BLOB NOT NULL, embedding BLOB NOT NULL)""",
        "CREATE INDEX faces_by_photo ON faces (photo_id)",
        "CREATE INDEX faces_by_person ON faces (person_id)",
        "CREATE TABLE roots (path TEXT PRIMARY KEY)",
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
            photos INTEGER, faces INTEGER)""",
        """CREATE TABLE settings (
            only INTEGER PRIMARY KEY CHECK (only = 1), model TEXT NOT NULL, detector TEXT NOT NULL,
            dim INTEGER NOT NULL, min_face_px REAL NOT NULL)""",
        """CREATE TABLE index_stamp (
            only INTEGER PRIMARY KEY CHECK (only = 1), recipe TEXT NOT NULL, model TEXT NOT NULL,
            count INTEGER NOT NULL, newest_id INTEGER NOT NULL, size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, recall REAL)""",
    ):
        db.execute(statement)


@migrations()
def learned_threshold(db: sqlite_utils.Database) -> None:
    """What `calibrate` learned; empty before."""
    db.execute(
        """CREATE TABLE calibration (
            only INTEGER PRIMARY KEY CHECK (only = 1), similarity REAL NOT NULL, far REAL NOT NULL,
            strangers INTEGER NOT NULL, learned_at TEXT NOT NULL)"""
    )


@migrations()
def longest_side(db: sqlite_utils.Database) -> None:
    """In which size photos are looked at; before, always in their own."""
    db.execute("ALTER TABLE settings ADD COLUMN max_side INTEGER NOT NULL DEFAULT 0")


@migrations()
def any_status_and_face_count(db: sqlite_utils.Database) -> None:
    """A photo's status may be one that came later: which there are is for `records.Status` alone to say. And a photo
    knows how many faces it has, so that one that is lost is missed. SQLite cannot drop a condition, so the table is
    made anew (with foreign keys off, or its faces would go with the old one)."""
    for statement in (
        """CREATE TABLE photos_anew (
            id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
            digest BLOB, status TEXT NOT NULL, reason TEXT, width INTEGER, height INTEGER,
            face_count INTEGER NOT NULL)""",
        "INSERT INTO photos_anew SELECT id, path, size, mtime_ns, digest, status, reason, width, height, "
        "(SELECT count(*) FROM faces WHERE photo_id = photos.id) FROM photos",
        "DROP TABLE photos",
        "ALTER TABLE photos_anew RENAME TO photos",
        "CREATE INDEX photos_by_digest ON photos (digest)",
    ):
        db.execute(statement)


@migrations()
def checksums(db: sqlite_utils.Database) -> None:
    """Each face with what tells whether it is still as it was stored."""
    db.conn.create_function("face_checksum", 7, lambda a, b, c, d, *rest: checksum((a, b, c, d), *rest))
    db.execute("ALTER TABLE faces ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE faces SET checksum = "
        "face_checksum(box_left, box_top, box_right, box_bottom, score, landmarks, embedding)"
    )


@migrations()
def causes_of_failures(db: sqlite_utils.Database) -> None:
    """Why a photo could not be read: where the cause lies, what would help, and when the file changed last. Of the
    failures of before no cause is known, so they are tried once more; ctime_ns is 0 where it is not known."""
    for column in ("cause TEXT", "needs TEXT", "ctime_ns INTEGER NOT NULL DEFAULT 0"):
        db.execute(f"ALTER TABLE photos ADD COLUMN {column}")


@migrations()
def identity_of_the_models(db: sqlite_utils.Database) -> None:
    """Which networks made the embeddings; in a gallery of before the next run notes it."""
    db.execute("ALTER TABLE settings ADD COLUMN identity TEXT NOT NULL DEFAULT ''")


@migrations()
def unfinished_forgetting(db: sqlite_utils.Database) -> None:
    """Since when bytes of deleted faces may still lie in the files; empty when none do."""
    db.execute("CREATE TABLE unfinished (only INTEGER PRIMARY KEY CHECK (only = 1), since TEXT NOT NULL)")


@migrations()
def one_spelling_a_name(db: sqlite_utils.Database) -> None:
    """People whose names differ in Unicode's form alone become one."""
    merge_spellings(db.conn)


def merge_spellings(conn: sqlite3.Connection) -> None:
    """Brings all names into the composed form; the faces of two people who then have one name are one person's."""
    for person, name in conn.execute("SELECT id, name FROM people ORDER BY id").fetchall():
        normal = names.normal(name)
        if normal == name:
            continue
        same = conn.execute("SELECT id FROM people WHERE name = ?", (normal,)).fetchone()
        if same:
            conn.execute("UPDATE faces SET person_id = ? WHERE person_id = ?", (same[0], person))
            conn.execute("DELETE FROM people WHERE id = ?", (person,))
        else:
            conn.execute("UPDATE people SET name = ? WHERE id = ?", (normal, person))


def with_journal(conn: sqlite3.Connection) -> str:
    """The journal that SQLite keeps: a write-ahead log, with which readers and the writer do not wait for each other;
    or, on a network's disk that cannot share memory, the older kind, with which they do."""
    try:
        mode = str(conn.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    except sqlite3.OperationalError as error:
        if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_IOERR_SHM", "SQLITE_PROTOCOL")):
            raise
        mode = "none"
    return mode if mode == "wal" else str(conn.execute("PRAGMA journal_mode = DELETE").fetchone()[0])


def to_read(path: Path) -> sqlite3.Connection:
    """A connection that can neither write nor move the log into the database: the writer alone does (with two that
    do, SQLite before 3.51.3 may lose a transaction)."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        conn = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        log = path.with_name(f"{path.name}-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        # Where nobody can write nothing changes, and no log is needed to read it.
        conn = sqlite3.connect(f"{uri}&immutable=1", uri=True)
    return conn


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """SQLite's temporary files are as private as the gallery."""
    before = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["SQLITE_TMPDIR"]
        if before is not None:
            os.environ["SQLITE_TMPDIR"] = before


def make_private(path: Path) -> None:
    """An empty file that its owner alone may read, where there is none; SQLite gives its mode to the journal too."""
    with suppress(OSError):  # SQLite says what is wrong, in its own words
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into a sentence with the file's name."""
    try:
        yield
    except OF_SQLITE as error:
        raise as_sentence(error, path) from error


def as_sentence(error: Exception, path: Path) -> FaceSearchError:
    """What SQLite says of this file: a refusal to write it, or damage."""
    name = getattr(error, "sqlite_errorname", "")
    for start, advice in _REFUSED.items():
        if name.startswith(start):
            return FaceSearchError(f"{path} cannot be used now ({error}); {advice} and run it again.")
    gallery = path.parent.name
    which = "" if gallery == "default" else f" --gallery {gallery}"
    return DamagedGalleryError(f"{path} is damaged ({error}); try: facesearch repair{which}.")


def checksum(box: Sequence[float], score: float, landmarks: bytes, embedding: bytes) -> int:
    """What tells later whether a face is still as it was stored: CRC-32."""
    return zlib.crc32(embedding, zlib.crc32(landmarks, zlib.crc32(struct.pack("<5d", *box, score))))


def to_sql(path: str) -> str | bytes:
    """SQLite's text is UTF-8; a path that is not is stored as its bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def from_sql(path: str | bytes) -> str:
    """A path as the file system takes it."""
    if not isinstance(path, str | bytes):  # SQLite gives what it finds, of whatever kind
        raise sqlite3.DatabaseError("a path is not as it was stored")
    return os.fsdecode(path)


def parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The values in parts that one statement can take."""
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def marks(values: Sequence[Any]) -> str:
    """A question mark for each value."""
    return ", ".join("?" * len(values))
