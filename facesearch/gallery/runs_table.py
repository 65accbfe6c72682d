"""The runs of `index` in a gallery's database, and the roots, the folders that it looks after."""

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facesearch.gallery.sqlite import columns, first_row, from_sql, now, to_sql
from facesearch.models.engines import Engine


@dataclass(frozen=True, slots=True)
class Run:
    """A run: its process, and when it started and ended, in ISO 8601. The end is None while it runs, or when it was
    cut off."""

    pid: int
    started_at: str
    ended_at: str | None


class Runs:
    """Reads and writes runs through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def begin(self) -> int:
        """Notes that this process starts to write; returns the run's number."""
        cursor = self._conn.execute("INSERT INTO runs (pid, started_at) VALUES (?, ?)", (os.getpid(), now()))
        return int(cursor.lastrowid or 0)

    def end(self, run: int, photos: int, faces: int, engine: Engine | None = None) -> None:
        """Notes that a run came to its end, how many photos it saw and faces it found, and what embedded these; None
        where nothing was to be embedded."""
        served = (engine.name, engine.precision) if engine else (None, None)
        statement = "UPDATE runs SET ended_at = ?, photos = ?, faces = ?, engine = ?, precision = ? WHERE id = ?"
        self._conn.execute(statement, (now(), photos, faces, *served, run))

    def engines(self) -> tuple[Engine, ...]:
        """What embedded in all runs, the newest first; of runs of an earlier facesearch it is not known."""
        if "engine" not in columns(self._conn, "runs"):
            return ()
        by_run = "SELECT engine, precision FROM runs WHERE engine IS NOT NULL GROUP BY 1, 2 ORDER BY max(id) DESC"
        return tuple(Engine(*row) for row in self._conn.execute(by_run))

    def newest(self) -> Run | None:
        """The newest run; None before the first."""
        statement = "SELECT pid, started_at, ended_at FROM runs ORDER BY id DESC LIMIT 1"
        row = first_row(self._conn, self._path, statement)
        return Run(*row) if row else None


class Roots:
    """Reads and writes roots through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def paths(self) -> tuple[str, ...]:
        """The folders, and single photos, that were indexed."""
        return tuple(from_sql(row[0]) for row in self._conn.execute("SELECT path FROM roots ORDER BY path"))

    def add(self, roots: Iterable[str]) -> None:
        """From now on the gallery looks after these too."""
        self._conn.executemany("INSERT OR IGNORE INTO roots VALUES (?)", [(to_sql(root),) for root in roots])
