"""People and their faces as a gallery's database has them: lists and single ones, in one reading each."""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from facesearch.gallery.records.people import FaceOf, PersonFacts
from facesearch.gallery.tables.certainty import unsure_below
from facesearch.gallery.tables.columns import ABSENT, TABLES, present
from facesearch.gallery.tables.sqlite import columns, from_sql, marks, parts
from facesearch.geometry.face import Box
from facesearch.people.decisions import FaceState

_Counts = tuple[int, int, int, str | None, str | None]  # faces, photos, unsure ones, first and last date
_NONE: _Counts = (0, 0, 0, None, None)
_OF_FACES = "faces.id, person_id, {named_by}, {margin}, {is_face}, {quality}"
_BOX = "box_left, box_top, box_right, box_bottom"


class PeopleList:
    """Reads people through an open connection, in the database of whichever facesearch."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def all(self) -> list[PersonFacts]:
        """Everybody who has a name or a face and was not joined into another one, those with a name first, then who
        has most faces, then the lower id."""
        return sorted((facts for facts in self._facts("", ()) if is_listed(facts)), key=place)

    def some(self, people: Iterable[int]) -> dict[int, PersonFacts]:
        """These people, by id, those without a face too; without those who were joined into others."""
        found: list[PersonFacts] = []
        for part in parts(sorted(set(people))):
            found += self._facts(f"IN ({marks(part)})", part)
        return {facts.id: facts for facts in found}

    def unnamed_below(self, faces: int) -> list[int]:
        """The ids of those without a name who have fewer faces than so many and may be asked about."""
        rows = self._conn.execute(
            "SELECT person_id FROM faces WHERE person_id IN (SELECT id FROM people WHERE name IS NULL AND "
            "kind = 'person' AND joined_into IS NULL) GROUP BY person_id HAVING count(*) < ?",
            (faces,),
        )
        return [row[0] for row in rows]

    def _facts(self, wanted: str, values: Sequence[int]) -> list[PersonFacts]:
        counts, covers = self._counts(wanted, values), self._covers(wanted, values)
        rows = self._conn.execute(f"SELECT {self._people} FROM people {wanted and f'WHERE id {wanted}'}", values)
        return [
            PersonFacts(
                person, name, kind, *counts.get(person, _NONE)[:3], covers.get(person),
                *counts.get(person, _NONE)[3:], bool(hidden), made_by,
            )
            for person, name, kind, hidden, _, made_by, joined_into in rows
            if joined_into is None
        ]  # fmt: skip

    def _counts(self, wanted: str, values: Sequence[int]) -> dict[int, _Counts]:
        named_by, margin = self._column("named_by"), self._column("margin")
        unsure = f"{named_by} = 'auto' AND coalesce({margin} < {self._unsure_below!r}, 1)"
        taken = "nullif(taken, '')" if "taken" in columns(self._conn, "photos") else "NULL"
        rows = self._conn.execute(
            f"SELECT person_id, count(*), count(DISTINCT photo_id), sum({unsure}), min({taken}), max({taken}) "
            "FROM faces JOIN photos ON photos.id = photo_id "
            f"WHERE person_id {wanted or 'NOTNULL'} GROUP BY person_id",
            values,
        )
        return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in rows}

    def _covers(self, wanted: str, values: Sequence[int]) -> dict[int, int]:
        """The face that stands for each person: the one that the user chose, while it is theirs, or else the best."""
        best = self._conn.execute(  # SQLite gives the id of the row that has the greatest quality
            f"SELECT person_id, id, max(coalesce({self._column('quality')}, 0)) FROM faces "
            f"WHERE person_id {wanted or 'NOTNULL'} GROUP BY person_id",
            values,
        )
        covers = {person: face for person, face, _ in best}
        if "cover_face" in columns(self._conn, "people"):
            covers.update(
                self._conn.execute(
                    "SELECT people.id, cover_face FROM people JOIN faces ON faces.id = cover_face AND "
                    f"person_id = people.id WHERE people.id {wanted or 'NOTNULL'}",
                    values,
                ).fetchall()
            )
        return covers

    def alone(self) -> list[int]:
        """The ids of the faces that are nobody's, of the best quality first; the older id first among equals."""
        rows = self._conn.execute(
            f"SELECT id FROM faces WHERE person_id IS NULL AND {self._column('is_face')} "
            f"ORDER BY coalesce({self._column('quality')}, 0) DESC, id"
        )
        return [face for (face,) in rows]

    def faces_of(self, person: int) -> list[FaceOf]:
        """Somebody's faces: first those of which somebody said that they are theirs, then the computed ones, the
        least sure last; the older id first among equals."""
        found = self._faces("person_id = ?", (person,))
        return sorted(found, key=lambda each: (each.named_by == "auto", -(each.margin or 0.0), each.face_id))

    def faces(self, ids: Iterable[int]) -> dict[int, FaceOf]:
        """Those of these faces that are stored and have an embedding, by id."""
        found: list[FaceOf] = []
        for part in parts(sorted(set(ids))):
            found += self._faces(f"faces.id IN ({marks(part)})", part)
        return {face.face_id: face for face in found}

    def _faces(self, where: str, values: Sequence[Any]) -> list[FaceOf]:
        taken = "taken" if "taken" in columns(self._conn, "photos") else "NULL"
        rows = self._conn.execute(
            f"SELECT {present(self._conn, 'faces', _OF_FACES)}, photo_id, path, {taken}, "
            f"(SELECT name FROM people WHERE id = person_id), {_BOX} FROM faces JOIN photos ON photos.id = photo_id "
            f"WHERE {where}",
            values,
        )
        below = self._unsure_below
        return [
            FaceOf(
                face, from_sql(path), Box(*box), person, named_by, margin, quality,
                FaceState(person, named_by, margin, is_face).is_unsure(below), bool(is_face), date or None,
                photo, name,
            )
            for face, person, named_by, margin, is_face, quality, photo, path, date, name, *box in rows
        ]  # fmt: skip

    @cached_property
    def _unsure_below(self) -> float:
        return unsure_below(self._conn)

    @cached_property
    def _people(self) -> str:
        return present(self._conn, "people", TABLES["people"])

    def _column(self, name: str) -> str:
        """A column of faces, or what stands for it in an earlier facesearch's table."""
        return name if name in columns(self._conn, "faces") else ABSENT[name]


def is_listed(person: PersonFacts) -> bool:
    """Whether a list of all people has this one: who has neither a face nor a name is nobody to be seen."""
    return bool(person.faces or person.name)


def place(person: PersonFacts) -> tuple[bool, int, int]:
    """By what people are ordered in a list: those with a name first, then who has most faces, then the lower id."""
    return (person.name is None, -person.faces, person.id)
