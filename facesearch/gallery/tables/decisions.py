"""What was decided about faces and people, besides whose a face is; and the questions that wait."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from facesearch.gallery.records.people import QuestionKind
from facesearch.gallery.tables.sqlite import columns, marks, parts
from facesearch.geometry.face import Box

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two faces that are to be asked about, and how far over their bar they lie."""

    kind: QuestionKind
    a: int
    b: int
    margin: float


# As asking.questions leaves them out: answered ones, those about strangers, hidden people and what is no face, and
# all but one of those about the same two people or faces.
_OPEN = """
WITH asked AS (
  SELECT suggestions.kind AS kind, face_a,
    coalesce(a.person_id, -face_a) AS who_a, coalesce(b.person_id, -face_b) AS who_b
  FROM suggestions JOIN faces AS a ON a.id = face_a JOIN faces AS b ON b.id = face_b
  LEFT JOIN people AS p ON p.id = a.person_id LEFT JOIN people AS q ON q.id = b.person_id
  WHERE a.is_face AND b.is_face AND NOT coalesce(p.hidden, 0) AND NOT coalesce(q.hidden, 0)
  AND coalesce(p.kind, '') != 'stranger' AND coalesce(q.kind, '') != 'stranger'
  AND iif(suggestions.kind = 'stray', a.named_by = 'auto' AND a.person_id IS b.person_id,
    (p.id IS NULL OR p.id IS NOT q.id) AND NOT coalesce(p.name != q.name, 0)
    AND NOT EXISTS (SELECT 1 FROM strangers AS s WHERE s.a = min(p.id, q.id) AND s.b = max(p.id, q.id))
    AND NOT EXISTS (SELECT 1 FROM apart WHERE face_id = face_a AND apart.person_id = q.id)
    AND NOT EXISTS (SELECT 1 FROM apart WHERE face_id = face_b AND apart.person_id = p.id)))
SELECT count(DISTINCT iif(kind = 'stray', kind || face_a, min(who_a, who_b) || ' ' || max(who_a, who_b))) FROM asked
"""


class Decisions:
    """Reads them through an open connection; `changes.Recorder` writes them."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def apart_from(self, people: Iterable[int]) -> list[Pair]:
        """(face, person) for each face that is not one of these people's."""
        return self._pairs("SELECT face_id, person_id FROM apart WHERE person_id IN ({})", people)

    def apart_of(self, faces: Iterable[int]) -> list[Pair]:
        """(face, person) for everybody that these faces do not belong to."""
        return self._pairs("SELECT face_id, person_id FROM apart WHERE face_id IN ({})", faces)

    def strangers_of(self, people: Iterable[int]) -> list[Pair]:
        """The pairs of people who are not the same and of whom one is among these, the lower id first."""
        wanted = list(people)
        found = self._pairs("SELECT a, b FROM strangers WHERE a IN ({})", wanted)
        found += self._pairs("SELECT a, b FROM strangers WHERE b IN ({})", wanted)
        return sorted(set(found))

    def are_strangers(self, a: int, b: int) -> bool:
        """Whether the user said that two people are not the same."""
        row = self._conn.execute("SELECT 1 FROM strangers WHERE a = ? AND b = ?", (min(a, b), max(a, b)))
        return row.fetchone() is not None

    def is_apart(self, face: int, person: int) -> bool:
        """Whether the user said that a face is not that person's."""
        row = self._conn.execute("SELECT 1 FROM apart WHERE face_id = ? AND person_id = ?", (face, person))
        return row.fetchone() is not None

    def marks_of(self, people: Iterable[int]) -> list[tuple[int, ...]]:
        """The ids of the places in photos where these people were marked without a face."""
        rows: list[tuple[int, ...]] = []
        for part in parts(sorted(set(people))):
            rows += self._conn.execute(f"SELECT id FROM marks WHERE person_id IN ({marks(part)})", part).fetchall()
        return rows

    def marks_in(self, photo: int) -> list[tuple[int, Box]]:
        """The ids and boxes of the places in a photo where people were marked without a face."""
        edges = "box_left, box_top, box_right, box_bottom"
        rows = self._conn.execute(f"SELECT id, {edges} FROM marks WHERE photo_id = ? ORDER BY id", (photo,))
        return [(mark, Box(*box)) for mark, *box in rows]

    def next_mark(self) -> int:
        """An id that no mark had."""
        last = "(SELECT seq FROM sqlite_sequence WHERE name = 'marks')"
        used = f"SELECT max((SELECT coalesce(max(id), 0) FROM marks), coalesce({last}, 0))"
        return int(self._conn.execute(used).fetchone()[0]) + 1

    def questions_open(self) -> int:
        """How many questions asking.questions would give, all in all."""
        if not columns(self._conn, "suggestions"):
            return 0
        return int(self._conn.execute(_OPEN).fetchone()[0])

    def suggestions(self) -> Iterator[Suggestion]:
        """The questions that wait, the most likely first; none in the database of an earlier facesearch."""
        if not columns(self._conn, "suggestions"):
            return
        rows = self._conn.execute(
            "SELECT kind, face_a, face_b, margin FROM suggestions ORDER BY margin DESC, face_a, face_b, kind"
        )
        for kind, a, b, margin in rows:
            yield Suggestion(kind, a, b, margin)

    def _pairs(self, statement: str, ids: Iterable[int]) -> list[Pair]:
        found: list[Pair] = []
        wanted: Sequence[int] = sorted(set(ids))
        for part in parts(wanted):
            found += self._conn.execute(statement.format(marks(part)), part).fetchall()
        return found
