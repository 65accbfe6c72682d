"""What of a damaged database can be saved."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeAlias

from facesearch.errors import ModelError, UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.tables.columns import ABSENT, BEFORE_FACE, TABLES, present, tables_in
from facesearch.gallery.tables.decisions_check import is_sound_awaited, is_sound_change, keep_counting, mend_decisions
from facesearch.gallery.tables.definitions import are_damaged, mend_definitions
from facesearch.gallery.tables.same_faces import set_down
from facesearch.gallery.tables.schema import merge_spellings
from facesearch.gallery.tables.sqlite import FACE_TABLES, OF_SQLITE, checksum, explained, faces_of_photo, marks
from facesearch.gallery.tables.store import keep_store
from facesearch.gallery.upkeep.faults import is_as_set_aside, is_as_stored
from facesearch.gallery.upkeep.replacement import copy_database
from facesearch.models.cards import detector_card, embedder_card
from facesearch.photos.exclusions import Exclusions
from facesearch.photos.status import Cause, Status

_Row: TypeAlias = tuple[Any, ...]

_MOST_TRIES = 1_000_000  # spans of rows that cannot be read, a table: so that reading around them comes to an end
_LEAST_ROW = 64  # bytes, assumed: an embedding alone has 512 and a digest 16, and each photo's path is stored
_INTERIOR = 5  # the first byte of a table's page that has children
_PAGE = 4096  # bytes; SQLite's default since 3.12
# Where the first pages of two databases with the same tables differ: counters, size, free pages. See "The Database
# Header" in https://www.sqlite.org/fileformat.html.
_VARYING_BYTES = ((24, 28), (28, 32), (32, 40), (92, 96))


def salvage(damaged: Path, new: Path) -> bool:
    """Makes a new database of all that the damaged one still holds as it was stored. A photo that has lost a face is
    left out with all its faces, so that it is looked at again, unless it is no longer on disk. Where the settings are
    lost, the stamp of the file of vectors still says which model made the faces, and its usual detector and sizes
    are taken; without either, all faces are left out. What the damaged one holds is not changed.

    Returns whether the settings were still there. Raises FaceSearchError when the disk refuses the new one."""
    with Database.create(new):
        pass
    if are_damaged(damaged) or not _has_tables(damaged):
        damaged = copy_database(damaged, new.parent / "damaged")
        mend_definitions(damaged)
        if not _has_tables(damaged):
            _transplant_schema(new, damaged)
    with explained(new):
        with closing(sqlite3.connect(new)) as into, closing(_still_readable(damaged)) as conn, into:
            had_settings = _copy_all(conn, into)
        with closing(sqlite3.connect(new)) as into:  # its log ends here, for the file is moved alone
            is_busy, *_ = into.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if is_busy:
                raise sqlite3.OperationalError("its log could not be closed")
    return had_settings


def _copy_all(conn: sqlite3.Connection, into: sqlite3.Connection) -> bool:
    """Copies every sound row; returns whether the settings were among them."""
    into.execute("PRAGMA secure_delete = ON")
    into.execute("PRAGMA foreign_keys = OFF")  # what is referred to may be lost
    for table, columns in TABLES.items():
        _copy(conn, into, table, columns)
        if table == "settings":
            had_settings = into.execute("SELECT 1 FROM settings").fetchone() is not None
            if not had_settings:
                _guess_settings(conn, into)
    _delete_incomplete(into)
    with suppress(*OF_SQLITE):
        if "apart" not in tables_in(conn):  # of a database of before; later ones have one form of each name
            merge_spellings(into)
    set_down(conn, into)
    mend_decisions(into)
    keep_counting(conn, into)
    keep_store(conn, into)
    return had_settings


def _guess_settings(conn: sqlite3.Connection, into: sqlite3.Connection) -> None:
    """Stores the usual settings of the model that the stamp of the file of vectors names, where it can be read."""
    with suppress(*OF_SQLITE, ModelError, TypeError):
        (model,) = conn.execute("SELECT model FROM index_stamp").fetchone()
        card = embedder_card(model)
        finder = detector_card(card.detector)
        usual = (card.name, finder.name, card.dim, finder.min_face_px, finder.max_side)
        columns = TABLES["settings"].format(max_side="max_side", identity="identity")
        into.execute(f"INSERT INTO settings ({columns}) VALUES (1, ?, ?, ?, ?, ?, '')", usual)


def _has_tables(path: Path) -> bool:
    try:
        with closing(_still_readable(path)) as conn:
            return {"settings", "photos", "faces"} <= tables_in(conn)
    except OF_SQLITE:
        return False


def _still_readable(path: Path) -> sqlite3.Connection:
    """A connection that takes a log into account, whoever left it, and tables in whatever state."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def _transplant_schema(sound: Path, damaged: Path) -> None:
    """Replaces the pages that say where the tables are, the first one and its children, by those of a sound gallery:
    tables are made in the same order, hence at the same places. In a gallery that an earlier facesearch made they may
    be elsewhere; then nothing fits and nothing is read."""
    pages = sound.read_bytes()
    first = bytearray(pages[:_PAGE])
    for start, end in _VARYING_BYTES:
        first[start:end] = bytes(end - start)
    first[92:96] = b"\0\0\0\1"  # differs from the counter at 24, so that SQLite derives the size from the file's
    with suppress(OSError), damaged.open("rb+") as file:
        file.write(first)
        for number in _children(first):
            file.seek((number - 1) * _PAGE)
            file.write(pages[(number - 1) * _PAGE : number * _PAGE])


def _children(first: bytes | bytearray) -> list[int]:
    """The numbers of the pages below the first one, where the schema does not fit into it: see "B-tree Pages" in the
    description of the file format. Its header is behind the database's, of 100 bytes."""
    kind, count = first[100], int.from_bytes(first[103:105], "big")
    if kind != _INTERIOR:
        return []
    cells = (int.from_bytes(first[at : at + 2], "big") for at in range(112, 112 + 2 * count, 2))
    rightmost = int.from_bytes(first[108:112], "big")
    return [*(int.from_bytes(first[cell : cell + 4], "big") for cell in cells), rightmost]


def _copy(conn: sqlite3.Connection, into: sqlite3.Connection, table: str, columns: str) -> None:
    names = columns.format(**{name: name for name in ABSENT})
    statement = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks(names.split(','))})"
    is_sound = _SOUND.get(table, _is_sound)
    dim = into.execute("SELECT dim FROM settings").fetchone()
    if table == "faces" and dim is None:
        return
    with suppress(*OF_SQLITE):  # a table that cannot be read at all
        select = f"SELECT rowid, {present(conn, table, columns)} FROM {table} WHERE rowid BETWEEN ? AND ?"
        for _, *row in _rows(conn, table, f"{select} ORDER BY rowid"):
            with suppress(sqlite3.IntegrityError, sqlite3.ProgrammingError, OverflowError):  # values that cannot be
                if is_sound(row, dim and dim[0]):
                    into.execute(statement, _with_checksum(row) if table == "faces" else row)


def _rows(conn: sqlite3.Connection, table: str, statement: str) -> Iterator[_Row]:
    """All rows that can be read; where some cannot, those before and after them. Each begins with its key."""
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
    return max(_newest_face_id(conn), pages * _PAGE // _LEAST_ROW)


def _newest_face_id(conn: sqlite3.Connection) -> int:
    """The greatest id that a face ever had, as far as it can be read: none may be given twice."""
    with suppress(sqlite3.DatabaseError, TypeError, ValueError):
        return int(conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").fetchone()[0])
    return 0


def _is_sound(*_: object) -> bool:
    """Whether it is sound cannot be checked, so it is taken for sound."""
    return True


def _is_sound_photo(row: list[Any], *_: object) -> bool:
    """Whether the values are of their kinds; what they say cannot be checked."""
    path, size, mtime_ns, digest, status = row[1:6]
    taken, cause, needs, ctime_ns, faces = row[-5:]
    numbers = all(isinstance(number, int) for number in (size, mtime_ns, ctime_ns, faces))
    words = isinstance(digest, bytes | None) and all(isinstance(word, str | None) for word in (taken, needs))
    return numbers and words and bool(path) and status in tuple(Status) and cause in (None, *Cause)


def _is_sound_face(row: list[Any], dim: int | None) -> bool:
    return is_as_stored(row[BEFORE_FACE:], dim)


def _is_sound_set_aside(row: list[Any], *_: object) -> bool:
    return is_as_set_aside(row[BEFORE_FACE:-1])


def _are_sound_exclusions(row: list[Any], *_: object) -> bool:
    _, patterns, defaults = row
    try:
        return bool(Exclusions(tuple(json.loads(patterns)), defaults)) and defaults in (0, 1)
    except (TypeError, ValueError, AttributeError, UsageError):
        return False


_SOUND: dict[str, Callable[[list[Any], int | None], bool]] = {
    "photos": _is_sound_photo,
    "faces": _is_sound_face,
    "set_aside": _is_sound_set_aside,
    "exclusions": _are_sound_exclusions,
    "awaited": is_sound_awaited,
    "changed": is_sound_change,
}


def _with_checksum(row: list[Any]) -> list[Any]:
    *box, score, landmarks, embedding, _ = row[BEFORE_FACE:]
    return [*row[:-1], checksum(box, score, landmarks, embedding)]


def _delete_incomplete(conn: sqlite3.Connection) -> None:
    counted = faces_of_photo(conn)
    for statement in (
        f"UPDATE photos SET face_count = {counted} WHERE status IN ('missing', 'excluded') OR face_count < 0",
        f"DELETE FROM photos WHERE face_count != {counted} OR status = 'ok' AND face_count = 0 OR "
        "status NOT IN ('ok', 'missing', 'excluded') AND face_count > 0",
        *(f"DELETE FROM {table} WHERE photo_id NOT IN (SELECT id FROM photos)" for table in FACE_TABLES),
    ):
        conn.execute(statement)
