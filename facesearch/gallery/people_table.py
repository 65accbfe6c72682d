"""The people in a gallery's database: names, and which faces have them."""

import sqlite3

from facesearch.gallery.sqlite import BELOW, FACE_TABLES, below, from_sql
from facesearch.people import names


class People:
    """Reads and writes names through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._ids: dict[str, int] = {}  # by name, of those that were asked for

    def id_of(self, name: str | None) -> int | None:
        """The id of the person with this name, who is added where nobody has it; None for no name."""
        if name is None:
            return None
        name = names.normal(name)
        if name not in self._ids:
            known = "SELECT id FROM people WHERE name = ? ORDER BY made_by != 'folder', id LIMIT 1"
            if not self._conn.execute(known, (name,)).fetchone():
                self._conn.execute("INSERT INTO people (name, made_by) VALUES (?, 'folder')", (name,))
            (self._ids[name],) = self._conn.execute(known, (name,)).fetchone()
        return self._ids[name]

    def name_faces(self, photo_id: int, person: str) -> None:
        """Names every face in a photo."""
        values = (self.id_of(person), photo_id)
        for table in FACE_TABLES:
            self._conn.execute(
                f"UPDATE {table} SET person_id = ?1, named_by = 'folder' WHERE photo_id = ?2 "
                "AND person_id IS NOT ?1 AND coalesce(named_by, '') NOT IN ('user', 'xmp')",
                values,
            )

    def names(self) -> set[str]:
        """All names that a face has."""
        rows = self._conn.execute(
            "SELECT name FROM people WHERE name NOTNULL AND id IN (SELECT person_id FROM faces)"
        )
        return {name for (name,) in rows}

    def in_photo(self, photo_id: int) -> tuple[str, ...]:
        """The names of those whom a photo shows, in alphabetical order."""
        rows = self._conn.execute(
            "SELECT DISTINCT name FROM people JOIN faces ON person_id = people.id "
            "WHERE photo_id = ? AND name NOTNULL ORDER BY name",
            (photo_id,),
        )
        return tuple(name for (name,) in rows)

    def count(self) -> int:
        """How many people have a name and a face."""
        return int(
            self._conn.execute(
                "SELECT count(*) FROM people WHERE name NOTNULL AND id IN (SELECT person_id FROM faces)"
            ).fetchone()[0]
        )

    def are_named_by_folder(self, root: str) -> bool:
        """Whether a face in a photo under a folder has the name of that photo's own folder."""
        rows = self._conn.execute(
            "SELECT path, name FROM people JOIN faces ON person_id = people.id JOIN photos ON photo_id = photos.id "
            f"WHERE name NOTNULL AND {BELOW}",
            below(root),
        )
        return any(names.of_folder(from_sql(path)) == name for path, name in rows)
