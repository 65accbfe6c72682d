"""The cohort in a gallery's database, and by it the own threshold of each face."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesearch.gallery.tables.sqlite import complete, first_row, has_table, marks, parts
from facesearch.people.cohort import Ids, Shifts


@dataclass(frozen=True, slots=True)
class CohortStamp:
    """When the cohort of `size` people was chosen: there were so many `people` and `faces`. No face's own
    threshold lies lower than by `least_shift`."""

    size: int
    people: int
    faces: int
    least_shift: float


class Cohorts:
    """Reads and writes through an open connection; writes inside of the caller's transactions. A database of an
    earlier facesearch has no cohort."""

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn, self._path = conn, path

    def stamp(self) -> CohortStamp | None:
        """When the cohort was chosen; None where there is none."""
        if not has_table(self._conn, self._path, "cohort_stamp"):
            return None
        row = first_row(self._conn, self._path, "SELECT size, named, faces, least_shift FROM cohort_stamp")
        return CohortStamp(*complete(row, "its cohort")) if row else None

    def ids(self) -> list[int]:
        """The faces of the cohort that are still stored, ascending."""
        rows = self._conn.execute("SELECT face_id FROM cohort ORDER BY face_id")
        return [complete(row, "its cohort")[0] for row in rows]

    def replace(self, faces: Ids, stamp: CohortStamp) -> None:
        """Chooses another cohort; no face has an own threshold then."""
        self.delete()
        self._conn.executemany("INSERT INTO cohort VALUES (?)", [(face,) for face in faces.tolist()])
        values = (stamp.size, stamp.people, stamp.faces, stamp.least_shift)
        self._conn.execute("INSERT INTO cohort_stamp VALUES (1, ?, ?, ?, ?)", values)

    def delete(self) -> None:
        """Forgets the cohort and all own thresholds, as when embeddings have changed."""
        for table in ("own_thresholds", "cohort", "cohort_stamp"):
            self._conn.execute(f"DELETE FROM {table}")

    def add(self, faces: Ids, shifts: Shifts) -> None:
        """Keeps how much higher the own thresholds of these faces lie."""
        rows = zip(faces.tolist(), shifts.tolist(), strict=True)
        self._conn.executemany("INSERT OR REPLACE INTO own_thresholds VALUES (?, ?)", rows)
        self._conn.execute(
            "UPDATE cohort_stamp SET least_shift = min(least_shift, ?)", (float(shifts.min(initial=0.0)),)
        )

    def count(self) -> int:
        """How many faces have an own threshold."""
        return int(self._conn.execute("SELECT count(*) FROM own_thresholds").fetchone()[0])

    def newest(self) -> int:
        """The greatest id of a face with an own threshold, 0 where there is none."""
        return int(self._conn.execute("SELECT coalesce(max(face_id), 0) FROM own_thresholds").fetchone()[0])

    def shifts_of(self, faces: Sequence[int]) -> dict[int, float]:
        """How much higher the own thresholds lie of those of these faces that have one."""
        found: dict[int, float] = {}
        for part in parts(faces):
            statement = f"SELECT face_id, shift FROM own_thresholds WHERE face_id IN ({marks(part)})"
            found |= dict(self._conn.execute(statement, part).fetchall())
        return found
