"""A damaged database: what is wrong with it, and what of it can be saved."""

import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import sqlite_utils

from facesearch.errors import DamagedGalleryError, ModelError
from facesearch.gallery.database import Database
from facesearch.gallery.replacement import copy_database
from facesearch.gallery.schema import merge_spellings, migrations
from facesearch.gallery.sqlite import OF_SQLITE, checksum, explained, marks, to_read
from facesearch.models.cards import detector_card, embedder_card
from facesearch.photos.status import Cause, Status

_Row: TypeAlias = tuple[Any, ...]

_NAMED = 10  # faults of one kind
_MOST_TRIES = 1_000_000  # to read around what cannot be read
_PAGE = 4096  # bytes; SQLite's own choice
_PLACES_THAT_MAY_DIFFER = ((24, 28), (28, 32), (32, 40), (92, 96))  # in a first page: counters, sizes, free pages
_ROUNDED = 1e-3  # of a length that is 1

_FACE = "box_left, box_top, box_right, box_bottom, score, landmarks, embedding, {checksum}"
_TABLES = {  # in an order in which what is referred to comes first
    "settings": "only, model, detector, dim, min_face_px, {max_side}, {identity}",
    "roots": "path",
    "runs": "id, pid, started_at, ended_at, photos, faces",
    "calibration": "only, similarity, far, strangers, learned_at",
    "people": "id, name",
    "photos": "id, path, size, mtime_ns, digest, status, reason, width, height, {cause}, {needs}, {ctime_ns}, "
    "{face_count}",
    "faces": f"id, photo_id, person_id, {_FACE}",
}
_ABSENT = {  # columns in an earlier facesearch's database, and what stands for them
    "max_side": "0",
    "identity": "''",
    "face_count": "-1",
    "checksum": "NULL",
    "cause": "NULL",
    "needs": "NULL",
    "ctime_ns": "0",
}


def faults(path: Path) -> Iterator[str]:
    """What is wrong with a database, half a sentence each; nothing when it is sound. It is only read. Raises
    GalleryError when it cannot be judged, as one of a newer facesearch."""
    try:
        with Database.open(path) as db:
            settings = db.settings.read()
            if settings:
                for read in (db.stamp.read, db.calibration.read, db.runs.newest):
                    read()
    except DamagedGalleryError as error:
        yield f"it cannot be opened ({error.__cause__ or error})"
        return
    with closing(to_read(path)) as conn:
        try:
            if not _tables(conn):
                return  # its making was cut off at the start
            yield from _faults_of_sqlite(conn)
            _read_all(conn)
            yield from _faults_of_photos(conn)
            yield from _faults_of_faces(conn, settings.dim if settings else None)
        except OF_SQLITE as error:
            yield f"it cannot be read to its end ({error})"


def _faults_of_sqlite(conn: sqlite3.Connection) -> Iterator[str]:
    for (said,) in conn.execute(f"PRAGMA integrity_check({_NAMED})"):
        if said != "ok":
            yield f"SQLite's own check says: {said}"
    for table, row, parent, _ in conn.execute("PRAGMA foreign_key_check").fetchmany(_NAMED):
        yield f"row {row} of {table} refers to a row of {parent} that is not there"


def _read_all(conn: sqlite3.Connection) -> None:
    """Meets every text that is none any more, of which SQLite's own check knows nothing."""
    conn.execute("SELECT * FROM sqlite_master").fetchall()
    is_older = bool(migrations.pending(sqlite_utils.Database(conn)))  # or its making was cut off
    for table, columns in _TABLES.items():
        if is_older and table not in _tables(conn):
            continue
        for _ in conn.execute(f"SELECT {_present(conn, table, columns)} FROM {table}"):
            pass


def _faults_of_photos(conn: sqlite3.Connection) -> Iterator[str]:
    unknown = f"status NOT IN ({marks(tuple(Status))})"
    for photo, status in conn.execute(f"SELECT id, status FROM photos WHERE {unknown} LIMIT {_NAMED}", tuple(Status)):
        yield f"photo {photo} has the unknown status {status!r}"
    if "cause" in _columns(conn, "photos"):
        unknown = f"SELECT id, cause FROM photos WHERE cause NOT IN ({marks(tuple(Cause))}) LIMIT {_NAMED}"
        for photo, cause in conn.execute(unknown, tuple(Cause)):
            yield f"photo {photo} failed for the unknown cause {cause!r}"
    if "face_count" not in _columns(conn, "photos"):
        return
    counted = "(SELECT count(*) FROM faces WHERE photo_id = photos.id)"
    for photo, stored, has in conn.execute(
        f"SELECT id, face_count, {counted} FROM photos WHERE face_count != {counted} LIMIT {_NAMED}"
    ):
        yield f"photo {photo} has {has} faces, and had {stored}"
    for photo, status, has in conn.execute(
        "SELECT id, status, face_count FROM photos WHERE (status = 'ok' AND face_count = 0 OR "
        f"status NOT IN ('ok', 'missing') AND face_count > 0) LIMIT {_NAMED}"
    ):
        yield f"photo {photo} is {status!r} with {has} faces"


def _faults_of_faces(conn: sqlite3.Connection, dim: int | None) -> Iterator[str]:
    named = 0
    for face, *values in conn.execute(f"SELECT id, {_present(conn, 'faces', _FACE)} FROM faces"):
        if not _is_as_stored(values, dim):
            named += 1
            if named <= _NAMED:
                yield f"face {face} is not as it was stored"
    if named > _NAMED:
        yield f"{named - _NAMED:,} more faces are not as they were stored"


def _is_as_stored(values: list[Any], dim: int | None) -> bool:
    """Whether a face agrees with its checksum (one of an earlier facesearch has none) and its embedding is one."""
    *box, score, landmarks, embedding, expected = values
    try:
        if expected is not None and checksum(box, score, landmarks, embedding) != expected:
            return False
        row = np.frombuffer(embedding, np.float32)
    except (TypeError, ValueError, ArithmeticError, struct.error):  # another type than was stored
        return False
    length = float(np.linalg.norm(row))
    return dim in (None, len(row)) and abs(length - 1) < _ROUNDED


def salvage(damaged: Path, new: Path) -> bool:
    """Makes a new database of all that the damaged one still holds as it was stored. A photo that has lost a face is
    left out with all its faces, so that it is looked at again, unless it is no longer on disk. Where the settings are
    lost, the stamp of the file of vectors still says which model made the faces, and its usual detector and sizes
    are taken; without either, all faces are left out. What the damaged one holds is not changed.

    Returns whether the settings were still there. Raises FaceSearchError when the disk refuses the new one."""
    with Database.create(new):
        pass
    if not _has_tables(damaged):
        damaged = copy_database(damaged, new.parent / "damaged")
        _transplant_first_page(new, damaged)
    with explained(new):
        with closing(sqlite3.connect(new)) as into, closing(_still_readable(damaged)) as conn, into:
            had_settings = _copy_all(conn, into)
        with closing(sqlite3.connect(new)) as into:  # its log ends here, for the file is moved alone
            is_busy, *_ = into.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if is_busy:
                raise sqlite3.OperationalError("its log could not be closed")
    return had_settings


def _copy_all(conn: sqlite3.Connection, into: sqlite3.Connection) -> bool:
    into.execute("PRAGMA foreign_keys = OFF")  # what is referred to may be lost
    for table, columns in _TABLES.items():
        _copy(conn, into, table, columns)
        if table == "settings":
            had_settings = into.execute("SELECT 1 FROM settings").fetchone() is not None
            if not had_settings:
                _guess_settings(conn, into)
    _drop_what_is_not_whole(into)
    merge_spellings(into)
    newest = _newest_face_ever(conn)
    into.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'faces'", (newest,))
    return had_settings


def _guess_settings(conn: sqlite3.Connection, into: sqlite3.Connection) -> None:
    with suppress(*OF_SQLITE, ModelError, TypeError):
        (model,) = conn.execute("SELECT model FROM index_stamp").fetchone()
        card = embedder_card(model)
        finder = detector_card(card.detector)
        usual = (card.name, finder.name, card.dim, finder.min_face_px, finder.max_side)
        columns = _TABLES["settings"].format(max_side="max_side", identity="identity")
        into.execute(f"INSERT INTO settings ({columns}) VALUES (1, ?, ?, ?, ?, ?, '')", usual)


def _has_tables(path: Path) -> bool:
    try:
        with closing(_still_readable(path)) as conn:
            return {"settings", "photos", "faces"} <= _tables(conn)
    except OF_SQLITE:
        return False


def _tables(conn: sqlite3.Connection) -> set[str]:
    found = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return found & set(_TABLES)


def _still_readable(path: Path) -> sqlite3.Connection:
    """A connection that takes a log into account, whoever left it, and tables in whatever state."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def _transplant_first_page(sound: Path, damaged: Path) -> None:
    """Where the first page is lost, and with it all knowledge of the tables, that of another gallery does: tables are
    made in the same order, hence at the same places. (In a gallery that an earlier facesearch made they may be
    elsewhere; then nothing fits and nothing is read.)"""
    with sound.open("rb") as file:
        page = bytearray(file.read(_PAGE))
    for start, end in _PLACES_THAT_MAY_DIFFER:
        page[start:end] = bytes(end - start)
    page[92:96] = b"\0\0\0\1"  # other than the counter at 24: SQLite then takes the size from the file's
    with suppress(OSError), damaged.open("rb+") as file:
        file.write(page)


def _columns(conn: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in conn.execute(f"PRAGMA table_info({table})")}


def _present(conn: sqlite3.Connection, table: str, columns: str) -> str:
    """The columns, each that an earlier facesearch's table lacks as what stands for it."""
    there = _columns(conn, table)
    return columns.format(**{name: name if name in there else otherwise for name, otherwise in _ABSENT.items()})


def _copy(conn: sqlite3.Connection, into: sqlite3.Connection, table: str, columns: str) -> None:
    names = columns.format(**{name: name for name in _ABSENT})
    statement = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks(names.split(','))})"
    is_sound = _SOUND.get(table, _is_sound)
    dim = into.execute("SELECT dim FROM settings").fetchone()
    if table == "faces" and dim is None:
        return
    with suppress(*OF_SQLITE):  # a table that cannot be read at all
        select = f"SELECT rowid, {_present(conn, table, columns)} FROM {table} WHERE rowid BETWEEN ? AND ?"
        for _, *row in _rows(conn, table, f"{select} ORDER BY rowid"):
            with suppress(sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError):  # values that cannot be
                if is_sound(row, dim and dim[0]):
                    into.execute(statement, _with_checksum(row) if table == "faces" else row)


def _rows(conn: sqlite3.Connection, table: str, statement: str) -> Iterator[_Row]:
    """All rows that can be read; where some cannot, those before and behind them. Each begins with its key."""
    spans = [(1, _greatest_key(conn, table))]
    tries = 0
    while spans and tries < _MOST_TRIES:
        low, high = spans.pop()
        try:
            for row in conn.execute(statement, (low, high)):
                low = row[0] + 1
                yield row
        except OF_SQLITE:
            tries += 1
            if low < high:
                middle = (low + high) // 2
                spans += [(middle + 1, high), (low, middle)]


def _greatest_key(conn: sqlite3.Connection, table: str) -> int:
    """The greatest key, or where that cannot be read a number that it hardly exceeds."""
    with suppress(*OF_SQLITE):
        return int(conn.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0)
    pages = int(conn.execute("PRAGMA page_count").fetchone()[0])
    return max(_newest_face_ever(conn), pages * _PAGE // 64)


def _newest_face_ever(conn: sqlite3.Connection) -> int:
    """The greatest id that a face ever had, as far as it can be read: none may be given twice."""
    with suppress(sqlite3.DatabaseError, TypeError, ValueError):
        return int(conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").fetchone()[0])
    return 0


def _is_sound(*_: object) -> bool:
    """Nothing tells whether it is."""
    return True


def _is_sound_photo(row: list[Any], *_: object) -> bool:
    """Whether the values are of their kinds; what they say cannot be checked."""
    path, size, mtime_ns, digest, status = row[1:6]
    cause, needs, ctime_ns, faces = row[-4:]
    numbers = all(isinstance(number, int) for number in (size, mtime_ns, ctime_ns, faces))
    words = isinstance(digest, bytes | None) and isinstance(needs, str | None)
    return numbers and words and bool(path) and status in tuple(Status) and cause in (None, *Cause)


def _is_sound_face(row: list[Any], dim: int | None) -> bool:
    return _is_as_stored(row[3:], dim)


_SOUND: dict[str, Callable[[list[Any], int | None], bool]] = {"photos": _is_sound_photo, "faces": _is_sound_face}


def _with_checksum(row: list[Any]) -> list[Any]:
    *box, score, landmarks, embedding, _ = row[3:]
    return [*row[:-1], checksum(box, score, landmarks, embedding)]


def _drop_what_is_not_whole(conn: sqlite3.Connection) -> None:
    counted = "(SELECT count(*) FROM faces WHERE photo_id = photos.id)"
    for statement in (
        f"UPDATE photos SET face_count = {counted} WHERE status = 'missing' OR face_count < 0",
        f"DELETE FROM photos WHERE face_count != {counted} OR status = 'ok' AND face_count = 0 OR "
        "status NOT IN ('ok', 'missing') AND face_count > 0",
        "DELETE FROM faces WHERE photo_id NOT IN (SELECT id FROM photos)",
        "UPDATE faces SET person_id = NULL WHERE person_id NOT IN (SELECT id FROM people)",
    ):
        conn.execute(statement)
