"""The people in a gallery's database: names, and which faces have them."""

import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from facesearch.gallery.tables.certainty import unsure_below
from facesearch.gallery.tables.sqlite import BELOW, FACE_TABLES, below, columns, from_sql, marks, parts
from facesearch.geometry.face import Box
from facesearch.people import folders, names
from facesearch.people.decisions import PersonState, root_of

_HAS_FACE = "EXISTS (SELECT 1 FROM faces WHERE person_id = people.id)"  # with IN, SQLite would copy all ids first


class People:
    """Reads and writes names through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def of_folder(self, name: str) -> int | None:
        """Whom a folder with this name means: of several the one who is named after a folder; whoever was joined into
        another one is that one. None where nobody has the name."""
        row = self._conn.execute(
            "SELECT id FROM people WHERE name = ? ORDER BY joined_into NOTNULL, made_by != 'folder', id LIMIT 1",
            (names.normal(name),),
        ).fetchone()
        return self.root(row[0]) if row else None

    def id_of(self, name: str | None) -> int | None:
        """As `of_folder`; a person who is added where nobody has the name; None for no name."""
        return None if name is None else self.of_folder(name) or self.add_of_folder(name)

    def add_of_folder(self, name: str) -> int:
        """Adds a person who is named after a folder; the id."""
        added = self._conn.execute("INSERT INTO people (name, made_by) VALUES (?, 'folder')", (names.normal(name),))
        return int(added.lastrowid or 0)

    def in_photo(self, photo_id: int) -> tuple[str, ...]:
        """The names of those whom a photo shows, in alphabetical order."""
        rows = self._conn.execute(
            "SELECT DISTINCT name FROM people WHERE name NOTNULL AND id IN "
            f"(SELECT person_id FROM ({self.shown}) WHERE photo_id = ?) ORDER BY name",
            (photo_id,),
        )
        return tuple(name for (name,) in rows)

    @cached_property
    def shown(self) -> str:
        """The statement that reads who is in which photo: by a face, or where the user has marked somebody."""
        tables = [table for table in ("faces", "marks") if columns(self._conn, table)]
        return " UNION ALL ".join(f"SELECT photo_id, person_id FROM {table}" for table in tables)

    def count(self) -> int:
        """How many people have a name and a face."""
        return int(
            self._conn.execute(f"SELECT count(*) FROM people WHERE name NOTNULL AND {_HAS_FACE}").fetchone()[0]
        )

    def with_faces(self) -> int:
        """How many people have a face, with a name or without."""
        return int(self._conn.execute(f"SELECT count(*) FROM people WHERE {_HAS_FACE}").fetchone()[0])

    def groups(self) -> int:
        """How many people have a face and no name."""
        return int(
            self._conn.execute(f"SELECT count(*) FROM people WHERE name IS NULL AND {_HAS_FACE}").fetchone()[0]
        )

    def unsure(self) -> int:
        """How many faces were put where they are by little; none in an earlier facesearch's gallery."""
        if "margin" not in columns(self._conn, "faces"):
            return 0
        where = "person_id NOTNULL AND named_by = 'auto' AND coalesce(margin < ?, 1)"
        counted = self._conn.execute(f"SELECT count(*) FROM faces WHERE {where}", (unsure_below(self._conn),))
        return int(counted.fetchone()[0])

    def named_at(self, root: str) -> int | None:
        """At which level below a root folders name people (see folders.level_of): the one at which most faces have
        the name of their photo's folder, and with equally many the photo's own; None where none has."""
        who_said = "named_by = 'folder'" if "named_by" in columns(self._conn, "faces") else "1"
        rows = self._conn.execute(
            "SELECT path, name FROM people JOIN faces ON person_id = people.id JOIN photos ON photo_id = photos.id "
            f"WHERE name NOTNULL AND {who_said} AND {BELOW}",
            below(root),
        )
        found: Counter[int] = Counter()
        for stored, name in rows:
            path = from_sql(stored)
            depth = path.count(os.sep) - root.rstrip(os.sep).count(os.sep)
            found.update(level for level in range(depth) if folders.name_at(path, root, level) == name)
        return min(found, key=lambda level: (-found[level], level), default=None)

    # People as rows, for what decides about them

    def state(self, person: int) -> PersonState | None:
        """The row of a person; None where there is none."""
        row = self._conn.execute(
            f"SELECT {', '.join(PersonState._fields)} FROM people WHERE id = ?", (person,)
        ).fetchone()
        return PersonState(*row) if row else None

    def root(self, person: int) -> int | None:
        """Whom an id stands for: themselves, or whom they were joined into; None where nobody has it."""
        joined_into: dict[int, int | None] = {}
        following: int | None = person
        while following is not None and following not in joined_into:
            column = "joined_into" if self._knows_joins else "NULL"
            row = self._conn.execute(f"SELECT {column} FROM people WHERE id = ?", (following,)).fetchone()
            if row is None:
                return None
            joined_into[following] = row[0]
            following = row[0]
        return root_of(person, joined_into)

    def label(self, person: int) -> str:
        """How a person is called: by their name, or `@17`."""
        row = self._conn.execute("SELECT name FROM people WHERE id = ?", (person,)).fetchone()
        return (row and row[0]) or f"@{person}"

    def called(self, name: str) -> list[int]:
        """The ids of all who have this name and were not joined into another one, ascending."""
        live = "AND joined_into IS NULL" if self._knows_joins else ""
        rows = self._conn.execute(f"SELECT id FROM people WHERE name = ? {live} ORDER BY id", (names.normal(name),))
        return [row[0] for row in rows]

    def formerly_called(self, name: str) -> list[int]:
        """For each who had this name when they were joined into another one, whom the id stands for now."""
        if not self._knows_joins:
            return []
        rows = self._conn.execute(
            "SELECT id FROM people WHERE name = ? AND joined_into NOTNULL ORDER BY id", (names.normal(name),)
        )
        roots = [self.root(row[0]) for row in rows.fetchall()]
        return sorted({root for root in roots if root is not None})

    def named(self) -> list[tuple[int, str]]:
        """Ids and names of all who have one and were not joined into another one."""
        live = "AND joined_into IS NULL" if self._knows_joins else ""
        return self._conn.execute(f"SELECT id, name FROM people WHERE name NOTNULL {live} ORDER BY id").fetchall()

    def joined_into(self, person: int) -> list[tuple[int]]:
        """The ids of all who were joined into this person."""
        return self._conn.execute("SELECT id FROM people WHERE joined_into = ?", (person,)).fetchall()

    def photos_with_several(self, person: int) -> list[str]:
        """The paths of the photos that have several faces of a person, without those that are known as collages."""
        rows = self._conn.execute(
            "SELECT path FROM photos WHERE id IN (SELECT photo_id FROM faces WHERE person_id = ? "
            "GROUP BY photo_id HAVING count(*) > 1) AND id NOT IN (SELECT photo_id FROM repeats) ORDER BY path",
            (person,),
        )
        return [from_sql(path) for (path,) in rows]

    def person_of(self, face: int) -> int | None:
        """Whose a face is; None where it is nobody's, or is not stored."""
        row = self._conn.execute(self._in_either("person_id", "id = ?1"), (face,)).fetchone()
        return row[0] if row else None

    def has_face(self, face: int) -> bool:
        """Whether a face with this id is stored."""
        return self._conn.execute(self._in_either("id", "id = ?1"), (face,)).fetchone() is not None

    def faces_in(self, photo: int) -> list[tuple[int, bool]]:
        """The faces of a photo, the largest first, and whether each is one as far as the user said."""
        is_face = "is_face" if self._knows_joins else "1"
        area = "(box_right - box_left) * (box_bottom - box_top)"
        both = self._in_either(f"id, {is_face} AS is_face, {area} AS area", "photo_id = ?1")
        rows = self._conn.execute(f"SELECT id, is_face FROM ({both}) ORDER BY area DESC, id", (photo,))
        return [(face, bool(is_one)) for face, is_one in rows]

    def boxes_of(self, faces: Sequence[int]) -> dict[int, Box]:
        """The boxes of those of these faces that are stored, by id."""
        edges = "box_left, box_top, box_right, box_bottom"
        found: dict[int, Box] = {}
        for part in parts(faces):
            for table in FACE_TABLES if columns(self._conn, FACE_TABLES[1]) else FACE_TABLES[:1]:
                rows = self._conn.execute(f"SELECT id, {edges} FROM {table} WHERE id IN ({marks(part)})", part)
                found.update({face: Box(*box) for face, *box in rows})
        return found

    def _in_either(self, wanted: str, where: str) -> str:
        """The statement that reads these columns from both tables of faces."""
        there = [table for table in FACE_TABLES if columns(self._conn, table)]
        return " UNION ALL ".join(f"SELECT {wanted} FROM {table} WHERE {where}" for table in there)

    @cached_property
    def _knows_joins(self) -> bool:
        return "joined_into" in columns(self._conn, "people")
