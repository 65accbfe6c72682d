"""Whether a gallery's database has changed, by whichever process: for who keeps what was read of it."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from facesearch.gallery.tables.sqlite import explained, to_read

Stamp: TypeAlias = tuple[int, int, int]  # the file's device and inode, and how often its connection saw a change


class Freshness:
    """Keeps a connection to one database, on which SQLite says at the cost of a look into shared memory whether
    anybody has committed meanwhile. May be asked from any thread."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._conn: sqlite3.Connection | None = None
        self._file = (0, 0)

    def stamp(self) -> Stamp:
        """What is another one as soon as the database has changed, or another file is in its place, as after `repair`
        and `migrate`. Raises GalleryError when the database is damaged; where it is away, that is a change, too."""
        with self._lock, explained(self._path):
            file = self._lies_at()
            if file != self._file:
                self._open_anew(file)
            return (*self._file, self._seen())

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            self._open_anew((0, 0))

    def _lies_at(self) -> tuple[int, int]:
        with suppress(OSError):
            found = os.stat(self._path)
            return found.st_dev, found.st_ino
        return 0, 0

    def _open_anew(self, file: tuple[int, int]) -> None:
        if self._conn:
            self._conn.close()
        self._conn, self._file = None, (0, 0)
        if file != (0, 0):
            self._conn = to_read(self._path, any_thread=True)
            self._file = file  # where that could not be opened, the next one who asks tries again

    def _seen(self) -> int:
        return int(self._conn.execute("PRAGMA data_version").fetchone()[0]) if self._conn else 0
