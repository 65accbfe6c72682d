"""SQLite as a gallery uses it: connections, values, conditions, and errors as sentences."""

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facesearch.errors import DamagedGalleryError, FaceSearchError
from facesearch.home import gallery_words
from facesearch.photos.addresses import separator

BUSY_SECONDS = 30
_AT_ONCE = 500  # values in one statement; SQLite allows 999 at the least
OF_SQLITE = (sqlite3.DatabaseError, UnicodeDecodeError)  # the second where its words quote what is damaged
BELOW = "(path >= ? AND path < ? OR path >= ? AND path < ?)"  # the paths below a folder, as text or as bytes
GREATEST_ID = 2**63 - 1
FACE_TABLES = ("faces", "set_aside")  # those that take part in a search, and those that have no embedding for it
_REFUSED = {  # what to do when SQLite may not write, by the start of its error's name
    "SQLITE_FULL": "free some space",
    "SQLITE_IOERR": "check the disk",
    "SQLITE_READONLY": "allow writing there",
    "SQLITE_CANTOPEN": "allow writing there",
    "SQLITE_BUSY": "wait for whoever uses it",
    "SQLITE_PROTOCOL": "wait for whoever uses it",
}


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


def to_read(path: Path, any_thread: bool = False) -> sqlite3.Connection:
    """A connection that can neither write nor move the log into the database: the writer alone does (with two that
    do, SQLite before 3.51.3 may lose a transaction). With `any_thread`, for who lets one thread use it at a time."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        conn = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=not any_thread)
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        log = path.with_name(f"{path.name}-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        # Where nobody can write nothing changes, and no log is needed to read it.
        conn = sqlite3.connect(f"{uri}&immutable=1", uri=True, check_same_thread=not any_thread)
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
    return DamagedGalleryError(
        f"{path} is damaged ({error}); try: facesearch repair{gallery_words(path.parent.name)}."
    )


def checksum(box: Sequence[float], score: float, landmarks: bytes, embedding: bytes) -> int:
    """What tells later whether a face is still as it was stored: CRC-32."""
    return zlib.crc32(embedding, zlib.crc32(landmarks, zlib.crc32(struct.pack("<5d", *box, score))))


def add_checksum(conn: sqlite3.Connection) -> None:
    """Lets SQL compute a face's checksum."""
    conn.create_function("face_checksum", 7, lambda a, b, c, d, *rest: checksum((a, b, c, d), *rest))


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


def inside(folder: str) -> tuple[str, str]:
    """The least text that begins with the folder and a separator, and the least one that no longer does."""
    mark = separator(folder)
    text = folder.rstrip(mark)
    return text + mark, text + chr(ord(mark) + 1)


def below(folder: str) -> tuple[str | bytes, ...]:
    """The values for the condition BELOW."""
    is_text = isinstance(to_sql(folder), str)
    as_text = inside(folder) if is_text else ("", "")  # below a folder that is not UTF-8 no path is
    return *as_text, *map(os.fsencode, inside(folder))


def columns(conn: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; none where there is no such table."""
    return {row[1] for row in conn.execute(f"PRAGMA table_info({table})")}


def triggers(conn: sqlite3.Connection) -> dict[str, str]:
    """What SQLite does by itself in this database: the statement of each trigger, by its name."""
    rows = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {name: str(statement) for name, statement in rows}


def faces_of_photo(conn: sqlite3.Connection) -> str:
    """The expression that counts all faces of a row of `photos`, in a database of whichever facesearch."""
    there = [table for table in FACE_TABLES if columns(conn, table)]
    return f"({' + '.join(f'(SELECT count(*) FROM {table} WHERE photo_id = photos.id)' for table in there)})"


def has_table(conn: sqlite3.Connection, path: Path, table: str) -> bool:
    """Whether the database, which an earlier facesearch may have written, has this table."""
    return first_row(conn, path, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'") is not None


def first_row(conn: sqlite3.Connection, path: Path, statement: str) -> Any:
    """The first row of the answer, None where it is empty. Raises GalleryError with the file's name."""
    with explained(path):
        return conn.execute(statement).fetchone()


def complete(row: Any, what: str) -> Any:
    """A row none of whose columns may be empty. Raises sqlite3.DatabaseError, with what it is, where one is: of a
    damaged page SQLite reads what is no longer there as NULL."""
    if row is not None and any(value is None for value in row):
        raise sqlite3.DatabaseError(f"{what} is not as it was stored")
    return row


def now() -> str:
    """The time in UTC as it is stored: ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
