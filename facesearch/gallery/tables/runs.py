"""The runs of `index` in a gallery's database, and the roots, the folders that it looks after."""

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facesearch.gallery.tables.sqlite import columns, complete, first_row, from_sql, marks, now, to_sql
from facesearch.models.engines import Engine
from facesearch.photos.status import FAILURES

_TELLING = 20  # photos from which on a run's rate says something of the next


@dataclass(frozen=True, slots=True)
class Run:
    """A run: its process, and when it started and ended, in ISO 8601. The end is None while it runs, or when it was
    cut off."""

    pid: int
    started_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: how many photos it met and faces it found, on how many photos it worked, and how many seconds
    that took, without the time in which the networks were loaded; `engine` is what embedded, None where nothing was
    to be embedded."""

    photos: int
    faces: int
    worked_on: int
    seconds: float
    engine: Engine | None = None


@dataclass(frozen=True, slots=True)
class Going:
    """A run whose end is not noted: its number, its process, when it started, and what it has stored until now:
    photos that were new or had changed, about so many faces in them, and photos that could not be read."""

    run: int
    pid: int
    started_at: str
    photos: int
    faces: int
    failed: int


class Runs:
    """Reads and writes runs through an open connection; writes inside of the caller's transactions."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def begin(self) -> int:
        """Notes that this process starts to write; returns the run's number."""
        cursor = self._conn.execute(
            "INSERT INTO runs (pid, started_at, newest_photo, newest_face) VALUES (?, ?, "
            "(SELECT coalesce(max(id), 0) FROM photos), (SELECT coalesce(max(id), 0) FROM faces))",
            (os.getpid(), now()),
        )
        return int(cursor.lastrowid or 0)

    def end(self, run: int, done: "Done") -> None:
        """Notes that a run came to its end, and what it did."""
        served = (done.engine.name, done.engine.precision) if done.engine else (None, None)
        self._conn.execute(
            "UPDATE runs SET ended_at = ?, photos = ?, faces = ?, worked_on = ?, seconds = ?, engine = ?, "
            "precision = ? WHERE id = ?",
            (now(), done.photos, done.faces, done.worked_on, done.seconds, *served, run),
        )

    def rate(self) -> float | None:
        """How many photos a second the newest run worked on that says something of it; None where there is none."""
        if "seconds" not in columns(self._conn, "runs"):  # an earlier facesearch's
            return None
        row = first_row(
            self._conn,
            self._path,
            f"SELECT worked_on / seconds FROM runs WHERE worked_on >= {_TELLING} AND seconds > 0 "
            "ORDER BY id DESC LIMIT 1",
        )
        return float(row[0]) if row else None

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

    def going_on(self) -> "Going | None":
        """How far the newest run is, as the database shows it, where its end is not noted: it runs, or was cut
        off."""
        there = columns(self._conn, "runs")
        began = "newest_photo, newest_face" if "newest_face" in there else "NULL, NULL"
        statement = f"SELECT id, pid, started_at, ended_at, {began} FROM runs ORDER BY id DESC LIMIT 1"
        row = first_row(self._conn, self._path, statement)
        if row is None or row[3] is not None:
            return None
        run, pid, started_at, _, photo, face = row
        complete((pid, started_at), "its newest run")
        if photo is None:
            return Going(run, pid, started_at, 0, 0, 0)
        count = f"SELECT count(*), coalesce(sum(status IN ({marks(FAILURES)})), 0) FROM photos WHERE id > ?"
        done, failed = self._conn.execute(count, (*FAILURES, photo)).fetchone()
        (newest,) = self._conn.execute("SELECT coalesce(max(id), 0) FROM faces").fetchone()
        return Going(run, pid, started_at, done, max(0, newest - face), failed)


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
