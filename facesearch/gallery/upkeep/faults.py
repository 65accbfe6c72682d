"""What is wrong with a damaged database."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.errors import DamagedGalleryError
from facesearch.gallery.database import Database
from facesearch.gallery.tables.columns import FACE, TABLES, WITHOUT_EMBEDDING, present, tables_in
from facesearch.gallery.tables.decisions_check import faults_of_decisions
from facesearch.gallery.tables.definitions import faults_of_definitions
from facesearch.gallery.tables.schema import migrations
from facesearch.gallery.tables.sqlite import OF_SQLITE, checksum, columns, faces_of_photo, marks, to_read
from facesearch.photos.status import Cause, Status

_NAMED = 10  # faults of one kind; more would fill a terminal, and `repair` is the answer to all
_TOLERANCE = 1e-3  # of a length that is 1; rounding in float32 moves it by less than 1e-6


def faults(path: Path) -> Iterator[str]:
    """What is wrong with a database, half a sentence each; nothing when it is sound. It is only read. Raises
    GalleryError when it cannot be judged, as one of a newer facesearch."""
    try:
        with Database.open(path) as db:
            settings = db.settings.read()
            if settings:
                for read in (db.stamp.read, db.store.read, db.calibration.read, db.runs.newest, db.exclusions.read):
                    read()
    except DamagedGalleryError as error:
        yield f"it cannot be opened ({error.__cause__ or error})"
        return
    with closing(to_read(path)) as conn:
        try:
            if not tables_in(conn):
                return  # its making was cut off at the start
            yield from faults_of_definitions(conn)
            yield from _faults_of_sqlite(conn)
            _read_all(conn)
            yield from _faults_of_counts(conn)
            yield from _faults_of_photos(conn)
            yield from _faults_of_faces(conn, settings.dim if settings else None)
            yield from faults_of_decisions(conn)
        except OF_SQLITE as error:
            yield f"the database cannot be read to its end ({error})"


def _faults_of_sqlite(conn: sqlite3.Connection) -> Iterator[str]:
    for (finding,) in conn.execute(f"PRAGMA integrity_check({_NAMED})"):
        if finding != "ok":
            yield f"SQLite's own check says: {finding}"
    for table, row, parent, _ in conn.execute("PRAGMA foreign_key_check").fetchmany(_NAMED):
        yield f"row {row} of {table} refers to a row of {parent} that is not there"


def _read_all(conn: sqlite3.Connection) -> None:
    """Reads every row, and so fails at text that is not UTF-8, which SQLite's own check does not look for."""
    conn.execute("SELECT * FROM sqlite_master").fetchall()
    is_older = bool(migrations.names - migrations.applied(conn))  # or its making was cut off
    for table, wanted in TABLES.items():
        if is_older and table not in tables_in(conn):
            continue
        for _ in conn.execute(f"SELECT {present(conn, table, wanted)} FROM {table}"):
            pass


def _faults_of_counts(conn: sqlite3.Connection) -> Iterator[str]:
    """Counts that SQLite keeps, beside what is there; none in an earlier facesearch's database."""
    if not columns(conn, "face_counts"):
        return
    # Each in one statement, so that what is counted and what is there are of one moment while somebody writes.
    kept = "SELECT status, photos FROM photo_counts WHERE photos"
    there = "SELECT status, count(*) FROM photos GROUP BY status"
    if any(conn.execute(f"SELECT EXISTS ({kept} EXCEPT {there}), EXISTS ({there} EXCEPT {kept})").fetchone()):
        yield "how many photos have which status is not what was counted"
    faces = "SELECT faces, alone FROM face_counts"
    if (
        conn.execute(f"{faces} EXCEPT SELECT count(*), count(*) - count(person_id) FROM faces").fetchone()
        or (conn.execute("SELECT NOT EXISTS (SELECT 1 FROM face_counts)").fetchone()[0])
    ):
        yield "how many faces there are is not what was counted"


def _faults_of_photos(conn: sqlite3.Connection) -> Iterator[str]:
    unknown = f"status NOT IN ({marks(tuple(Status))})"
    for photo, status in conn.execute(f"SELECT id, status FROM photos WHERE {unknown} LIMIT {_NAMED}", tuple(Status)):
        yield f"photo {photo} has the unknown status {status!r}"
    if "cause" in columns(conn, "photos"):
        unknown = f"SELECT id, cause FROM photos WHERE cause NOT IN ({marks(tuple(Cause))}) LIMIT {_NAMED}"
        for photo, cause in conn.execute(unknown, tuple(Cause)):
            yield f"photo {photo} failed for the unknown cause {cause!r}"
    if "face_count" not in columns(conn, "photos"):
        return
    counted = faces_of_photo(conn)
    for photo, stored, has in conn.execute(
        f"SELECT id, face_count, {counted} FROM photos WHERE face_count != {counted} LIMIT {_NAMED}"
    ):
        yield f"photo {photo} has {has} faces, and had {stored}"
    for photo, status, has in conn.execute(
        "SELECT id, status, face_count FROM photos WHERE (status = 'ok' AND face_count = 0 OR "
        f"status NOT IN ('ok', 'missing', 'excluded') AND face_count > 0) LIMIT {_NAMED}"
    ):
        yield f"photo {photo} is {status!r} with {has} faces"


def _faults_of_faces(conn: sqlite3.Connection, dim: int | None) -> Iterator[str]:
    named = 0
    for face, sound in _faces_judged(conn, dim):
        if not sound:
            named += 1
            if named <= _NAMED:
                yield f"face {face} is not as it was stored"
    if named > _NAMED:
        yield f"{named - _NAMED:,} more faces are not as they were stored"


def _faces_judged(conn: sqlite3.Connection, dim: int | None) -> Iterator[tuple[int, bool]]:
    """Each face's id, and whether it is as it was stored."""
    for face, *values in conn.execute(f"SELECT id, {present(conn, 'faces', FACE)} FROM faces"):
        yield face, is_as_stored(values, dim)
    if columns(conn, "set_aside"):
        for face, *values in conn.execute(
            f"SELECT id, {present(conn, 'set_aside', WITHOUT_EMBEDDING)} FROM set_aside"
        ):
            yield face, is_as_set_aside(values)


def is_as_stored(values: list[Any], dim: int | None) -> bool:
    """Whether a face agrees with its checksum (one of an earlier facesearch has none) and its embedding is one."""
    *box, score, landmarks, embedding, expected = values
    try:
        if expected is not None and checksum(box, score, landmarks, embedding) != expected:
            return False
        row = np.frombuffer(embedding, np.float32)
    except (TypeError, ValueError, ArithmeticError, struct.error):  # another type than was stored
        return False
    length = float(np.linalg.norm(row))
    return dim in (None, len(row)) and abs(length - 1) < _TOLERANCE


def is_as_set_aside(values: list[Any]) -> bool:
    """Whether a face that waits for an embedding agrees with its checksum."""
    *box, score, landmarks, expected = values
    try:
        return bool(checksum(box, score, landmarks, b"") == expected)
    except (TypeError, ValueError, struct.error):
        return False
