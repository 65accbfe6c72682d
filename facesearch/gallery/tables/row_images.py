"""Rows of people and decisions as images: how the log keeps them, reads them and writes them back.

A row's image is a list in JSON: of a face whose it is, who said so, its margin and whether it is one; of any other
row its key and then its columns."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from facesearch.gallery.tables.sqlite import FACE_TABLES, marks, parts
from facesearch.people.decisions import FaceState, PersonState

Key: TypeAlias = tuple[int, ...]
Image: TypeAlias = tuple[Any, ...]

FACES = "faces"  # in the log for those that were set aside too: an id is a face's, whichever table it is in
CHANGES = "changes"  # a row of the log that says which change was undone
_STATE = ", ".join(FaceState._fields).replace("person", "person_id", 1)
_FACE_KEY = "id"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A table whose rows are logged: the columns of its key, and the others."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """The columns of an image, the key first."""
        return self.key + self.columns

    @property
    def where(self) -> str:
        """The condition that finds a row by its key."""
        return " AND ".join(f"{column} = ?" for column in self.key)

    def read(self, conn: sqlite3.Connection, key: Key) -> Image | None:
        """The row with this key as an image; None where there is none."""
        row = conn.execute(f"SELECT {', '.join(self.all)} FROM {self.name} WHERE {self.where}", key).fetchone()
        return tuple(row) if row else None

    def write(self, conn: sqlite3.Connection, image: Image) -> None:
        """Adds the row or, where one with this key is there, brings its columns up to date."""
        key, values = image[: len(self.key)], image[len(self.key) :]
        update = ", ".join(f"{column} = ?" for column in self.columns)
        if update and conn.execute(f"UPDATE {self.name} SET {update} WHERE {self.where}", (*values, *key)).rowcount:
            return
        conn.execute(f"INSERT OR IGNORE INTO {self.name} ({', '.join(self.all)}) VALUES ({marks(self.all)})", image)

    def delete(self, conn: sqlite3.Connection, key: Key) -> None:
        """Deletes the row with this key."""
        conn.execute(f"DELETE FROM {self.name} WHERE {self.where}", key)


_BOX = ("box_left", "box_top", "box_right", "box_bottom")
PEOPLE = Recorded("people", ("id",), PersonState._fields)
APART = Recorded("apart", ("face_id", "person_id"))
STRANGERS = Recorded("strangers", ("a", "b"))
REPEATS = Recorded("repeats", ("photo_id",))
MARKS = Recorded("marks", ("id",), ("photo_id", *_BOX, "person_id"))
TABLES = {table.name: table for table in (PEOPLE, APART, STRANGERS, REPEATS, MARKS)}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a change: its table, its key, and its images."""

    table: str
    key: Key
    before: Image | None
    after: Image | None

    @property
    def is_affirmed(self) -> bool:
        """Whether the change has only said again what was so before. A row without images is of something lost."""
        return self.before is not None and self.before == self.after

    @property
    def reversed(self) -> "Row":
        """The same row when the change is taken back."""
        return Row(self.table, self.key, self.after, self.before)


def face_states(conn: sqlite3.Connection, ids: Iterable[int]) -> dict[int, FaceState]:
    """Of those of these faces that are stored whose they are, by id."""
    found: dict[int, FaceState] = {}
    wanted = sorted(set(ids))
    for table in FACE_TABLES:
        for part in parts(wanted):
            rows = conn.execute(f"SELECT id, {_STATE} FROM {table} WHERE id IN ({marks(part)})", part)
            found.update({row[0]: FaceState(*row[1:]) for row in rows})
    return found


def faces_of_people(conn: sqlite3.Connection, people: Iterable[int]) -> dict[int, FaceState]:
    """All faces of these people, by id."""
    found: dict[int, FaceState] = {}
    wanted = sorted(set(people))
    for table in FACE_TABLES:
        for part in parts(wanted):
            rows = conn.execute(f"SELECT id, {_STATE} FROM {table} WHERE person_id IN ({marks(part)})", part)
            found.update({row[0]: FaceState(*row[1:]) for row in rows})
    return found


def write_faces(conn: sqlite3.Connection, states: Mapping[int, FaceState]) -> None:
    """Says whose these faces are, in whichever table they lie."""
    values = [(*state, face) for face, state in states.items()]
    for table in FACE_TABLES:
        if not conn.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
            continue
        conn.executemany(
            f"UPDATE {table} SET person_id = ?, named_by = ?, margin = ?, is_face = ? WHERE {_FACE_KEY} = ?", values
        )


def packed(image: Image | None) -> str | None:
    """An image as it is stored."""
    return None if image is None else json.dumps(image, ensure_ascii=False, separators=(",", ":"))


def unpacked(table: str, row_id: int, before: str | None, after: str | None) -> Row:
    """A row of the log. Raises sqlite3.DatabaseError for one that is not as it was stored."""
    try:
        images = [None if image is None else tuple(json.loads(image)) for image in (before, after)]
        is_keyed = table in TABLES
        key = (
            next(image for image in images if image is not None)[: len(TABLES[table].key)] if is_keyed else (row_id,)
        )
    except (TypeError, ValueError, StopIteration) as error:  # SQLite gives what it finds, of whatever kind
        raise sqlite3.DatabaseError("a change is not as it was stored") from error
    if table == FACES:
        images = [image and FaceState(*image) for image in images]
    return Row(table, key, *images)
