"""Every change of what is known of people, with the rows as they were before and after it.

A row's image is a list in JSON: of a face whose it is, who said so, its margin and whether it is one; of any other
row its key and then its columns. Names stand in the images of `people` alone: `words` have @ids."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from facesearch.gallery.people_records import Change
from facesearch.gallery.sqlite import FACE_TABLES, columns, marks, now, parts
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


_HOLDS = "undone_at IS NULL AND verb != 'undo' AND made_by != 'auto'"


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


class Recorder:
    """Writes the rows of one change, and logs them. The change is added with its first row: one that changes nothing
    leaves no trace. Everything happens inside of the caller's transaction."""

    def __init__(self, conn: sqlite3.Connection, verb: str, words: str = "", made_by: str = "user") -> None:
        self.conn, self.verb, self.words, self.made_by = conn, verb, words, made_by
        self.change: int | None = None
        self.changed_faces = 0
        self._logged: set[tuple[str, Key]] = set()
        self._affirmed: dict[tuple[str, Key], Row] = {}  # said again: so it was before

    def faces(self, states: Mapping[int, FaceState], known: Mapping[int, FaceState] | None = None) -> int:
        """Says whose these faces are; how many of them were not so before. Faces that are not stored are left out.
        `known` are their rows as they are now, where they have just been read."""
        before = face_states(self.conn, states) if known is None else known
        different = {face: state for face, state in states.items() if before.get(face, state) != state}
        for face in before.keys() & states.keys() - different.keys():
            if not states[face].is_computed:
                self._affirm(Row(FACES, (face,), before[face], before[face]))
        if different:
            write_faces(self.conn, different)
            self._log([Row(FACES, (face,), before[face], after) for face, after in different.items()])
        self.changed_faces += len(different)
        return len(different)

    def put(self, table: Recorded, image: Image) -> bool:
        """Adds or updates a row; whether that changed something."""
        key = image[: len(table.key)]
        before = table.read(self.conn, key)
        if before == image:
            self._affirm(Row(table.name, key, image, image))
            return False
        table.write(self.conn, image)
        self._log([Row(table.name, key, before, image)])
        return True

    def drop(self, table: Recorded, key: Key) -> bool:
        """Deletes a row; whether it was there."""
        before = table.read(self.conn, key)
        if before is None:
            return False
        table.delete(self.conn, key)
        self._log([Row(table.name, key, before, None)])
        return True

    def person(self, person: int, state: PersonState) -> bool:
        """Brings a person's row up to date; whether that changed something."""
        return self.put(PEOPLE, (person, *state))

    def add_person(self, state: PersonState) -> int:
        """Adds a person, with an id that nobody had; the id."""
        conn = self.conn
        cursor = conn.execute(
            f"INSERT INTO people ({', '.join(PEOPLE.columns)}) VALUES ({marks(PEOPLE.columns)})", state
        )
        person = int(cursor.lastrowid or 0)
        self._log([Row(PEOPLE.name, (person,), None, (person, *state))])
        return person

    def note_undone(self, change: int) -> None:
        """Logs that this change takes another one back, or makes it hold again."""
        self._log([Row(CHANGES, (change,), None, None)])

    def _affirm(self, row: Row) -> None:
        self._affirmed[row.table, row.key] = row

    def _log(self, rows: Sequence[Row]) -> None:
        if self.change is None:
            cursor = self.conn.execute(
                "INSERT INTO changes (at, verb, words, made_by) VALUES (?, ?, ?, ?)",
                (now(), self.verb, self.words, self.made_by),
            )
            self.change = int(cursor.lastrowid or 0)
        self.conn.executemany(
            "INSERT INTO changed (change_id, table_name, row_id, before, after) VALUES (?, ?, ?, ?, ?)",
            [(self.change, row.table, row.key[0], _packed(row.before), _packed(row.after)) for row in rows],
        )
        self._logged.update((row.table, row.key) for row in rows)

    def say(self, words: str) -> None:
        """Says in the log what the change did, with @ids in place of names; the last that is written of it. What was
        said again, and was so before, is logged beside what has changed: to undo an earlier change would take it
        back, too."""
        self.words = words
        if self.change is not None:
            self._log([row for key, row in self._affirmed.items() if key not in self._logged])
            self.conn.execute("UPDATE changes SET words = ? WHERE id = ?", (words, self.change))


class Changes:
    """Reads the log through an open connection."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def recorder(self, verb: str, words: str = "", made_by: str = "user") -> Recorder:
        """What writes a new change. `made_by` is who is said to have made it: `user`, or `xmp`, for an import."""
        return Recorder(self._conn, verb, words, made_by)

    def newest(self, most: int, before: int | None = None) -> list[Change]:
        """So many changes, the newest first, with their words as they are stored; with `before` only those with a
        lower id. None in the database of an earlier facesearch."""
        if not columns(self._conn, "changes"):
            return []
        rows = self._conn.execute(
            "SELECT id, at, verb, words, undone_at, made_by FROM changes WHERE ?1 IS NULL OR id < ?1 "
            "ORDER BY id DESC LIMIT ?2",
            (before, most),
        )
        return [Change(*row) for row in rows]

    def get(self, change: int) -> Change | None:
        """The change with this id."""
        row = self._conn.execute(
            "SELECT id, at, verb, words, undone_at, made_by FROM changes WHERE id = ?", (change,)
        ).fetchone()
        return Change(*row) if row else None

    def to_undo(self) -> Change | None:
        """The newest change that a user made and that holds."""
        row = self._conn.execute(
            "SELECT max(id) FROM changes WHERE undone_at IS NULL AND verb != 'undo' AND made_by != 'auto'"
        ).fetchone()
        return self.get(row[0]) if row[0] is not None else None

    def rows(self, change: int) -> Iterator[Row]:
        """The rows that a change wrote, in the order in which it did."""
        rows = self._conn.execute(
            "SELECT table_name, row_id, before, after FROM changed WHERE change_id = ? ORDER BY id", (change,)
        )
        for table, row_id, before, after in rows.fetchall():
            yield _row(table, row_id, before, after)

    def holding_since(self, change: Change, is_undo: bool, but: int) -> set[int]:
        """The ids of the changes that hold and came after this one. Where it is to be undone, that are those which
        were made, or made to hold again, later than it was; where it is to hold again, those that were made later.
        `but` is the undo that is being done. The words of an undo are the id of its change."""
        holding = {row[0] for row in self._conn.execute(f"SELECT id FROM changes WHERE {_HOLDS}")} - {change.id}
        if not is_undo:
            return {each for each in holding if each > change.id}
        rows = self._conn.execute(
            "SELECT CAST(words AS INTEGER), max(id) FROM changes WHERE verb = 'undo' AND id != ? GROUP BY 1", (but,)
        )
        last = dict(rows.fetchall())
        began = max(change.id, last.get(change.id, 0))
        return {each for each in holding if max(each, last.get(each, 0)) > began}

    def touching(self, table: str, key: Key, among: set[int], or_affirming: bool = False) -> Change | None:
        """The newest of these changes that has written this row, or has said it again."""
        rows = self._conn.execute(
            "SELECT change_id, table_name, row_id, before, after FROM changed WHERE table_name = ? AND row_id = ? "
            "ORDER BY change_id DESC",
            (table, key[0]),
        )
        for change, *columns_of_row in rows.fetchall():
            if change in among:
                row = _row(*columns_of_row)
                if row.key == key and (or_affirming or not row.is_affirmed):
                    return self.get(change)
        return None

    def faces_of(self, changes: Iterable[int]) -> set[int]:
        """The ids of all faces of which these changes have said something."""
        found: set[int] = set()
        for change in changes:
            rows = self._conn.execute(
                "SELECT row_id FROM changed WHERE change_id = ? AND table_name = 'faces'", (change,)
            )
            found.update(face for (face,) in rows)
        return found

    def undo_of(self, change: int) -> int | None:
        """The newest undo, which holds, of a change."""
        row = self._conn.execute(
            "SELECT max(change_id) FROM changed JOIN changes ON changes.id = change_id WHERE table_name = 'changes' "
            "AND row_id = ? AND undone_at IS NULL",
            (change,),
        ).fetchone()
        return row[0] if row else None

    def names_given(self, changes: Sequence[int]) -> dict[int, tuple[str | None, str]]:
        """By change the first name that it gave somebody, after the one that they had before."""
        found: dict[int, tuple[str | None, str]] = {}
        for part in parts(changes):
            rows = self._conn.execute(
                "SELECT change_id, table_name, row_id, before, after FROM changed WHERE table_name = 'people' "
                f"AND change_id IN ({marks(part)}) ORDER BY id DESC",
                part,
            )
            for change, *columns_of_row in rows:
                row = _row(*columns_of_row)
                before = row.before[1] if row.before else None
                if row.after and row.after[1] and row.after[1] != before:
                    found[change] = (before, row.after[1])
        return found

    def mark(self, change: int, undone: bool) -> None:
        """Notes that a change holds no longer, or again."""
        self._conn.execute("UPDATE changes SET undone_at = ? WHERE id = ?", (now() if undone else None, change))


def _packed(image: Image | None) -> str | None:
    return None if image is None else json.dumps(image, ensure_ascii=False, separators=(",", ":"))


def _row(table: str, row_id: int, before: str | None, after: str | None) -> Row:
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
