"""What grouping reads from a gallery's database, and what it writes there."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.gallery.tables.sqlite import columns, complete, first_row, has_table, marks, now, parts

_AT_ONCE = 50_000  # faces read at once: 25 MB at 128 dimensions
_COMPUTED = "auto"
_FACE = (
    "faces.id, photo_id, box_left, box_top, box_right, box_bottom, score, coalesce(person_id, 0), "
    f"coalesce(named_by, '{_COMPUTED}') != '{_COMPUTED}', coalesce(margin, 0), coalesce(shift, 0), embedding"
)
_FROM = "FROM faces LEFT JOIN own_thresholds ON face_id = faces.id"


@dataclass(frozen=True, slots=True)
class GroupingStamp:
    """With what the faces of a gallery were grouped as a whole the last time: the mode and the algorithm, how many
    faces there were; and the newest face that has been grouped since."""

    mode: str
    algorithm: str
    faces: int
    newest_id: int


@dataclass(frozen=True, slots=True)
class GroupedFaces:
    """Faces as they are stored, n of them, by id: ids and photos, (n,); boxes, (n, 4); detector's scores, (n,); the
    ids of their people, 0 where they have none, and whether somebody said so, (n,); margins and how much higher own
    thresholds lie, (n,); embeddings, (n, dim)."""

    ids: NDArray[np.int64]
    photos: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    people: NDArray[np.int64]
    is_said: NDArray[np.bool_]
    margins: NDArray[np.float32]
    shifts: NDArray[np.float32]
    embeddings: Embeddings

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "GroupedFaces":
        return GroupedFaces(*(getattr(self, each.name)[chosen] for each in fields(self)))


class Groupings:
    """Reads and writes through an open connection; writes inside of the caller's transactions. A database of an
    earlier facesearch has no groups."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    # When it was done

    def stamp(self) -> GroupingStamp | None:
        """With what the faces were grouped; None where they never were."""
        if not has_table(self._conn, self._path, "grouping"):
            return None
        row = first_row(self._conn, self._path, "SELECT mode, algorithm, faces, newest_id FROM grouping")
        return GroupingStamp(*row) if row else None

    def made_at(self) -> str | None:
        """When the faces were grouped, in UTC, ISO 8601; None where they never were."""
        if not has_table(self._conn, self._path, "grouping"):
            return None
        row = first_row(self._conn, self._path, "SELECT at FROM grouping")
        return str(row[0]) if row else None

    def write_stamp(self, stamp: GroupingStamp) -> None:
        """Notes with what they were grouped just now."""
        values = (stamp.mode, stamp.algorithm, stamp.faces, stamp.newest_id, now())
        self._conn.execute("INSERT OR REPLACE INTO grouping VALUES (1, ?, ?, ?, ?, ?)", values)

    def forget(self) -> None:
        """Forgets all that was computed from embeddings: groups in which nobody has said anything, margins and
        questions. What was decided stays."""
        for statement in (
            "UPDATE faces SET person_id = NULL, named_by = NULL WHERE named_by = 'auto'",
            "UPDATE faces SET margin = NULL WHERE margin NOTNULL",
            "DELETE FROM suggestions",
            "UPDATE grouping SET algorithm = ''",  # the mode that was chosen stays
        ):
            self._conn.execute(statement)
        self.drop_empty()

    # Faces

    def count(self) -> int:
        """How many faces can be grouped: all but those of which the user said that they are none."""
        return self._counted()[0]

    def size(self) -> tuple[int, int]:
        """About how many people there are, each face that is alone for one, and how many faces."""
        faces, alone = self._counted()
        row = self._conn.execute(
            "SELECT count(*) FROM people WHERE EXISTS (SELECT 1 FROM faces WHERE person_id = people.id AND is_face)"
        ).fetchone()
        return int(row[0]) + alone, faces

    def _counted(self) -> tuple[int, int]:
        """How many faces can be grouped, and how many of them are nobody's."""
        if not columns(self._conn, "face_counts"):  # an earlier facesearch's
            row = self._conn.execute("SELECT count(*), total(person_id IS NULL) FROM faces WHERE is_face").fetchone()
        else:
            none = "FROM faces WHERE NOT is_face"  # few: they have an index of their own
            row = self._conn.execute(
                f"SELECT faces - (SELECT count(*) {none}), alone - (SELECT count(*) {none} AND +person_id IS NULL) "
                "FROM face_counts"  # the plus keeps SQLite from looking through all who are nobody's
            ).fetchone()
        faces, alone = complete(row or (None,), "how many faces there are")
        return int(faces), int(alone)

    def counts(self) -> tuple[int, int, int, int, int]:
        """How many faces can be grouped, how many people have a face of which somebody said that it is theirs, how
        many have none, how many faces are alone, and how many questions wait."""
        said = f"coalesce(named_by, '{_COMPUTED}') != '{_COMPUTED}'"
        people = f"SELECT person_id, max({said}) AS said FROM faces WHERE is_face AND person_id NOTNULL GROUP BY 1"
        row = self._conn.execute(
            f"SELECT total(said), total(NOT said), (SELECT count(*) FROM suggestions) FROM ({people})"
        ).fetchone()
        people_said, groups, questions = map(int, row)
        faces, alone = self._counted()
        return faces, people_said, groups, alone, questions

    def faces(self, dim: int) -> GroupedFaces:
        """All faces."""
        return _faces(self._conn.execute(f"SELECT {_FACE} {_FROM} WHERE is_face ORDER BY faces.id"), dim)

    def faces_of(self, ids: Sequence[int], dim: int) -> GroupedFaces:
        """Those of these faces that are stored."""
        return _faces(self._those(ids), dim)

    def newer(self, newest_id: int) -> list[int]:
        """The ids of the faces after that one, ascending."""
        rows = self._conn.execute("SELECT id FROM faces WHERE id > ? AND is_face ORDER BY id", (newest_id,))
        return [row[0] for row in rows]

    def around(self, ids: Sequence[int], photos: Sequence[int]) -> list[int]:
        """The ids of these faces, of those of these photos, and of all faces of the people of both, ascending."""
        found = set(ids)
        for part in parts(list(photos)):
            rows = self._conn.execute(f"SELECT id FROM faces WHERE photo_id IN ({marks(part)}) AND is_face", part)
            found |= {row[0] for row in rows}
        people: set[int] = set()
        for part in parts(sorted(found)):
            rows = self._conn.execute(f"SELECT person_id FROM faces WHERE id IN ({marks(part)})", part)
            people |= {row[0] for row in rows if row[0] is not None}
        for part in parts(sorted(people)):
            rows = self._conn.execute(f"SELECT id FROM faces WHERE person_id IN ({marks(part)}) AND is_face", part)
            found |= {row[0] for row in rows}
        return sorted(found)

    def _those(self, ids: Sequence[int]) -> Iterator[tuple[object, ...]]:
        for part in parts(sorted(ids)):
            where = f"faces.id IN ({marks(part)}) AND is_face"
            yield from self._conn.execute(f"SELECT {_FACE} {_FROM} WHERE {where} ORDER BY faces.id", part)

    def copies(self, of: Sequence[int] | None = None) -> dict[int, int]:
        """For each photo with faces whose content lies at an earlier path, too, the photo there, by ids; for these
        photos and their copies alone where some are named: to look through all takes seconds in millions."""
        if of is None:
            return self._copies("face_count > 0 AND digest NOTNULL", ())
        found: dict[int, int] = {}
        for part in parts(list(of)):
            found |= self._copies(
                f"face_count > 0 AND digest IN (SELECT digest FROM photos WHERE id IN ({marks(part)}))", part
            )
        return found

    def _copies(self, where: str, values: Sequence[int]) -> dict[int, int]:
        rows = self._conn.execute(
            "SELECT id, first_value(id) OVER (PARTITION BY digest ORDER BY id) FROM photos WHERE digest IN (SELECT "
            f"digest FROM photos WHERE {where} GROUP BY digest HAVING count(*) > 1)",
            values,
        )
        return {photo: first for photo, first in rows if photo != first}

    # What was said

    def apart(self) -> list[tuple[int, int]]:
        """Each face that is not a person's: the face, and the first of the faces that are that person's because
        somebody said so."""
        rows = self._conn.execute(
            "SELECT face_id, (SELECT min(id) FROM faces WHERE faces.person_id = apart.person_id AND "
            f"coalesce(named_by, '{_COMPUTED}') != '{_COMPUTED}') FROM apart"
        )
        return [(face, anchor) for face, anchor in rows if anchor is not None]

    def repeats(self) -> set[int]:
        """The photos that may show one person twice."""
        return {row[0] for row in self._conn.execute("SELECT photo_id FROM repeats")}

    def not_to_ask(self) -> tuple[set[tuple[int, int]], set[int], set[int]]:
        """Pairs of people, the lower id first, of whom it is known that they are not the same; people with a name;
        and people who are never asked about."""
        strangers = {(a, b) for a, b in self._conn.execute("SELECT a, b FROM strangers")}
        named = {row[0] for row in self._conn.execute("SELECT id FROM people WHERE name NOTNULL")}
        ignored = {row[0] for row in self._conn.execute("SELECT id FROM people WHERE kind != 'person' OR hidden")}
        return strangers, named, ignored

    # What was found

    def add_people(self, count: int) -> list[int]:
        """The ids of so many new people without a name."""
        insert = "INSERT INTO people (made_by) VALUES ('auto') RETURNING id"
        return [self._conn.execute(insert).fetchone()[0] for _ in range(count)]

    def write(self, faces: Iterable[tuple[int, int, float]]) -> None:
        """Gives faces the person who was found, 0 for none, and how far over its bar each lies: triples. Faces of
        which somebody said whose they are keep their person."""
        self._conn.executemany(
            f"UPDATE faces SET person_id = nullif(?2, 0), named_by = iif(?2 = 0, NULL, '{_COMPUTED}'), "
            f"margin = iif(?2 = 0, NULL, ?3) WHERE id = ?1 AND coalesce(named_by, '{_COMPUTED}') = '{_COMPUTED}'",
            faces,
        )

    def replace_questions(self, questions: Iterable[tuple[str, int, int, float]], about: set[int] | None) -> None:
        """Puts questions (kind, two faces, margin) in place of those about these people and of faces of nobody, or of
        all questions where that is None."""
        if about is None:
            self._conn.execute("DELETE FROM suggestions")
        else:
            self._conn.execute("CREATE TEMP TABLE IF NOT EXISTS regrouped (person_id INTEGER PRIMARY KEY)")
            self._conn.execute("DELETE FROM regrouped")
            self._conn.executemany("INSERT INTO regrouped VALUES (?)", [(person,) for person in about])
            touched = (
                "SELECT 1 FROM faces WHERE id IN (face_a, face_b) AND person_id IN (SELECT person_id FROM regrouped)"
            )
            self._conn.execute(f"DELETE FROM suggestions WHERE EXISTS ({touched})")
        self._conn.executemany("INSERT OR REPLACE INTO suggestions VALUES (?, ?, ?, ?)", questions)

    def drop_empty(self) -> None:
        """Deletes groups without a face of which nothing was ever said."""
        unused = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {table} WHERE {where})"
            for table, where in (
                ("faces", "person_id = people.id"),
                ("set_aside", "person_id = people.id"),
                ("apart", "person_id = people.id"),
                ("marks", "person_id = people.id"),
                ("strangers", "a = people.id"),
                ("strangers", "b = people.id"),
                ("people AS other", "other.joined_into = people.id"),
                ("changed", "table_name = 'people' AND row_id = people.id"),
            )
        )
        self._conn.execute(
            "DELETE FROM people WHERE name IS NULL AND made_by = 'auto' AND kind = 'person' AND NOT hidden AND "
            f"joined_into IS NULL AND cover_face IS NULL AND {unused}"
        )


def _faces(rows: Iterator[tuple[object, ...]] | sqlite3.Cursor, dim: int) -> GroupedFaces:
    """The rows of _FACE, read some ten thousand at a time."""
    found = [_part(part, dim) for part in iter(lambda: list(islice(rows, _AT_ONCE)), [])] or [_part([], dim)]
    return GroupedFaces(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _part(rows: Sequence[tuple[object, ...]], dim: int) -> tuple[NDArray[np.generic], ...]:
    numbers = np.array([row[:-1] for row in rows], np.float64).reshape(-1, 11)
    try:
        embeddings = np.frombuffer(b"".join(row[-1] for row in rows), np.float32).reshape(len(rows), dim)  # type: ignore[misc]
    except (TypeError, ValueError) as error:  # SQLite gives what it finds, of whatever kind
        raise sqlite3.DatabaseError("an embedding is not as it was stored") from error
    ids, photos = numbers[:, 0].astype(np.int64), numbers[:, 1].astype(np.int64)
    boxes, scores = numbers[:, 2:6].astype(np.float32), numbers[:, 6].astype(np.float32)
    people, is_said = numbers[:, 7].astype(np.int64), numbers[:, 8] > 0
    return ids, photos, boxes, scores, people, is_said, *numbers[:, 9:].astype(np.float32).T, embeddings
