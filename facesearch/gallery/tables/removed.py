"""Faces that were deleted, numbered in the order in which they were, until the caches of faces have followed."""

import sqlite3

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.tables.sqlite import columns

_FOLLOWERS = ("index_stamp", "store")  # of one row or none, each with the number up to which its cache has followed


class Removed:
    """Reads and writes them through an open connection; writes inside of the caller's transactions. SQLite adds to
    them itself, by a trigger. An earlier facesearch's database has none."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def newest(self) -> int:
        """The number of the latest deletion, 0 before the first. No number comes twice."""
        if not columns(self._conn, "removed"):
            return 0
        row = self._conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'removed'").fetchone()
        return int(row[0]) if row else 0

    def after(self, n: int) -> NDArray[np.int64]:
        """The ids of the faces that were deleted after that number, ascending, each once; without those that are
        there again, as when a face that was set aside is brought back."""
        if not columns(self._conn, "removed"):
            return np.empty(0, np.int64)
        rows = self._conn.execute(
            "SELECT DISTINCT face_id FROM removed WHERE n > ? AND NOT EXISTS (SELECT 1 FROM faces "
            "WHERE id = face_id) ORDER BY face_id",
            (n,),
        )
        return np.fromiter((row[0] for row in rows), np.int64)

    def drop_up_to(self, n: int) -> None:
        """Forgets the deletions up to that number."""
        self._conn.execute("DELETE FROM removed WHERE n <= ?", (n,))

    def drop_followed(self) -> None:
        """Forgets the deletions that every cache has followed; all where there is no cache, for one that is made
        later is made of the faces that are there."""
        followed = [
            row[0] or 0
            for table in _FOLLOWERS
            if "removed" in columns(self._conn, table)
            for row in self._conn.execute(f"SELECT removed FROM {table}")
        ]
        self.drop_up_to(min(followed, default=self.newest()))
