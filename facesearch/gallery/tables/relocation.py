"""The paths of photos and folders in a gallery's database, when a library has moved to another place."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from facesearch.gallery.tables.sqlite import BELOW, below, from_sql, to_sql

_UNDER = f"(path = ? OR {BELOW[1:]}"
_SEEN = "status NOT IN ('missing', 'forgotten')"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A photo as it was when it was last seen: size in bytes, time in nanoseconds, the digest of its content."""

    id: int
    path: str
    size: int
    mtime_ns: int
    digest: bytes | None


class Relocation:
    """Changes paths through an open connection, inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def seen(self, folder: str) -> Iterator[StoredFile]:
        """The photos under a folder that were there when they were last looked for, by path."""
        rows = self._conn.execute(
            f"SELECT id, path, size, mtime_ns, digest FROM photos WHERE {_SEEN} AND {_UNDER} ORDER BY path",
            _values(folder),
        )
        return (StoredFile(row[0], from_sql(row[1]), *row[2:]) for row in rows)

    def count(self, folder: str) -> int:
        """How many photos lie under a folder, those that are missing or forgotten too."""
        return int(self._conn.execute(f"SELECT count(*) FROM photos WHERE {_UNDER}", _values(folder)).fetchone()[0])

    def move(self, old: str, new: str) -> int:
        """From now on what was under the one folder is under the other; how many photos of other content had these
        paths already, whereupon the caller must undo it. They take two steps, for the folders may overlap."""
        self._conn.create_function("moved", 1, lambda path: to_sql(moved(from_sql(path), old, new)))
        self._conn.execute("CREATE TEMP TABLE moving (id INTEGER PRIMARY KEY, path NOT NULL UNIQUE)")
        self._conn.execute(f"INSERT INTO moving SELECT id, moved(path) FROM photos WHERE {_UNDER}", _values(old))
        self._conn.execute("UPDATE photos SET path = id || ' moving' WHERE id IN (SELECT id FROM moving)")
        (taken,) = self._conn.execute("SELECT count(*) FROM photos JOIN moving USING (path)").fetchone()
        if not taken:
            self._conn.execute(
                "UPDATE photos SET path = (SELECT path FROM moving WHERE moving.id = photos.id) "
                "WHERE id IN (SELECT id FROM moving)"
            )
            self._move_roots(old)
        self._conn.execute("DROP TABLE moving")
        return int(taken)

    def note_times(self, files: Iterable[tuple[int, int]]) -> None:
        """Notes the ctime of photos, by id, that are the same at another place."""
        self._conn.executemany("UPDATE photos SET ctime_ns = ? WHERE id = ?", [(ctime, i) for i, ctime in files])

    def _move_roots(self, old: str) -> None:
        roots = self._conn.execute(f"SELECT path, moved(path) FROM roots WHERE {_UNDER}", _values(old)).fetchall()
        self._conn.executemany("DELETE FROM roots WHERE path = ?", [(before,) for before, _ in roots])
        self._conn.executemany("INSERT OR IGNORE INTO roots VALUES (?)", [(after,) for _, after in roots])


def moved(path: str, old: str, new: str) -> str:
    """The path of what lies in the folder `old`, when that is called `new`."""
    return new if path == old else new.rstrip("/\\") + path[len(old.rstrip("/\\")) :]


def _values(folder: str) -> tuple[object, ...]:
    return to_sql(folder), *below(folder)
