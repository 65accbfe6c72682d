"""Every change of what is known of people, with the rows as they were before and after it. Names stand in the images
of `people` alone: the words of a change have @ids."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from facesearch.gallery.records.people import Change
from facesearch.gallery.tables.row_images import (
    CHANGES,
    FACES,
    PEOPLE,
    Image,
    Key,
    Recorded,
    Row,
    face_states,
    packed,
    unpacked,
    write_faces,
)
from facesearch.gallery.tables.sqlite import GREATEST_ID, columns, marks, now, parts
from facesearch.people.decisions import FaceState, PersonState

_TURNS = "verb IN ('undo', 'redo')"  # whose words are the id of the change that they are about
_HOLDS = f"undone_at IS NULL AND NOT {_TURNS} AND made_by != 'auto'"


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
            [(self.change, row.table, row.key[0], packed(row.before), packed(row.after)) for row in rows],
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
        """The change with this id; None where there is none."""
        if abs(change) > GREATEST_ID:
            return None
        row = self._conn.execute(
            "SELECT id, at, verb, words, undone_at, made_by FROM changes WHERE id = ?", (change,)
        ).fetchone()
        return Change(*row) if row else None

    def to_undo(self) -> Change | None:
        """The newest change that a user made and that holds."""
        row = self._conn.execute(f"SELECT max(id) FROM changes WHERE {_HOLDS}").fetchone()
        return self.get(row[0]) if row[0] is not None else None

    def rows(self, change: int) -> Iterator[Row]:
        """The rows that a change wrote, in the order in which it did."""
        rows = self._conn.execute(
            "SELECT table_name, row_id, before, after FROM changed WHERE change_id = ? ORDER BY id", (change,)
        )
        for table, row_id, before, after in rows.fetchall():
            yield unpacked(table, row_id, before, after)

    def holding_since(self, change: Change, is_undo: bool, but: int) -> set[int]:
        """The ids of the changes that hold and came after this one. Where it is to be undone, that are those which
        were made, or made to hold again, later than it was; where it is to hold again, those that were made later.
        `but` is the undo that is being done."""
        holding = {row[0] for row in self._conn.execute(f"SELECT id FROM changes WHERE {_HOLDS}")} - {change.id}
        if not is_undo:
            return {each for each in holding if each > change.id}
        rows = self._conn.execute(
            f"SELECT CAST(words AS INTEGER), max(id) FROM changes WHERE {_TURNS} AND id != ? GROUP BY 1", (but,)
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
                row = unpacked(*columns_of_row)
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

    def newest_of(self, face: int) -> int | None:
        """The newest change that holds and has written this face's row; None where there is none."""
        row = self._conn.execute(
            "SELECT max(changes.id) FROM changed JOIN changes ON changes.id = change_id "
            f"WHERE table_name = 'faces' AND row_id = ? AND {_HOLDS}",
            (face,),
        ).fetchone()
        return row[0] if row else None

    def undo_of(self, change: int) -> int | None:
        """The newest undo, which holds, of a change."""
        row = self._conn.execute(
            f"SELECT max(id) FROM changes WHERE {_TURNS} AND CAST(words AS INTEGER) = ? AND undone_at IS NULL",
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
                row = unpacked(*columns_of_row)
                before = row.before[1] if row.before else None
                if row.after and row.after[1] and row.after[1] != before:
                    found[change] = (before, row.after[1])
        return found

    def newest_row(self) -> int:
        """The id of the newest row that a change wrote; 0 where there is none."""
        if not columns(self._conn, "changed"):
            return 0
        return int(self._conn.execute("SELECT coalesce(max(id), 0) FROM changed").fetchone()[0])

    def people_since(self, row: int) -> set[int]:
        """The ids of the people of whom something was written after the row with this id: as it was before, as it is
        now, or as an undo has made it."""
        rows = self._conn.execute(
            "SELECT table_name, row_id, before, after FROM changed WHERE id > ? ORDER BY id", (row,)
        )
        written = [unpacked(*each) for each in rows.fetchall()]
        undone = {each.key[0] for each in written if each.table == CHANGES}
        seen: set[int] = set()
        while undone:  # an undo logs which change it is about, and the rows are those of that one
            change = undone.pop()
            seen.add(change)
            more = list(self.rows(change))
            written += more
            undone |= {each.key[0] for each in more if each.table == CHANGES} - seen
        return {person for each in written for person in _people_of(each)}

    def mark_turned(self, change: int, but: int) -> None:
        """Notes that no earlier undo of a change holds, nor what made it hold again: only the newest, `but`."""
        self._conn.execute(
            f"UPDATE changes SET undone_at = ? WHERE {_TURNS} AND CAST(words AS INTEGER) = ? AND id != ? "
            "AND undone_at IS NULL",
            (now(), change, but),
        )

    def mark(self, change: int, undone: bool) -> None:
        """Notes that a change holds no longer, or again."""
        self._conn.execute("UPDATE changes SET undone_at = ? WHERE id = ?", (now() if undone else None, change))


def _people_of(row: Row) -> Iterator[int]:
    """The people whom a row of the log is about."""
    if row.table == PEOPLE.name:
        yield row.key[0]
    elif row.table == FACES:
        yield from (image[0] for image in (row.before, row.after) if image and image[0] is not None)
