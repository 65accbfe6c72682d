"""What was decided about those who are forgotten is forgotten too, in the log of changes as well."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from facesearch.gallery.tables.row_images import (
    APART,
    CHANGES,
    FACES,
    MARKS,
    PEOPLE,
    REPEATS,
    STRANGERS,
    TABLES,
    faces_of_people,
    write_faces,
)
from facesearch.gallery.tables.sqlite import FACE_TABLES, marks, parts
from facesearch.people.decisions import FaceState, best_anchor

_REFERS = {  # which columns of the images of a table name faces, people, photos
    PEOPLE.name: {"id": "people"},
    APART.name: {"face_id": "faces", "person_id": "people"},
    STRANGERS.name: {"a": "people", "b": "people"},
    REPEATS.name: {"photo_id": "photos"},
    MARKS.name: {"photo_id": "photos", "person_id": "people"},
}


def forget_in_log(conn: sqlite3.Connection) -> None:
    """Deletes what speaks of faces, people and photos that are no longer there; what `apart`, `marks` and others said
    of them has gone with them. Of a face in a change that holds for others as well it stays that there was one, so
    that to undo it says that one is lost. Inside of the caller's transaction."""
    is_no_face = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {table} WHERE id = row_id)" for table in FACE_TABLES)
    blank = conn.execute(
        f"SELECT id FROM changed WHERE table_name = '{FACES}' AND {is_no_face} AND (before NOTNULL OR after NOTNULL)"
    ).fetchall()
    gone = _about_what_is_gone(conn)
    conn.executemany("UPDATE changed SET before = NULL, after = NULL WHERE id = ?", blank)
    conn.executemany("DELETE FROM changed WHERE id = ?", gone)
    speaks = f"before NOTNULL OR after NOTNULL OR table_name = '{CHANGES}'"
    conn.execute(f"DELETE FROM changes WHERE NOT EXISTS ({_ROWS} AND ({speaks}))")
    conn.execute(f"DELETE FROM changed WHERE table_name = '{CHANGES}' AND row_id NOT IN (SELECT id FROM changes)")
    conn.execute(f"DELETE FROM changes WHERE NOT EXISTS ({_ROWS})")
    conn.execute(
        "UPDATE people SET cover_face = NULL WHERE cover_face NOTNULL AND "
        + is_no_face.replace("row_id", "people.cover_face")
    )
    conn.execute("DELETE FROM folder_digests")
    _anchor(conn)


_ROWS = "SELECT 1 FROM changed WHERE change_id = changes.id"


def _about_what_is_gone(conn: sqlite3.Connection) -> list[tuple[int]]:
    """The rows of the log that are about a change, or speak of a face, a person or a photo, that is no longer there;
    but for those about faces themselves."""
    rows = conn.execute(
        "SELECT id, table_name, row_id, before, after FROM changed WHERE table_name != ?", (FACES,)
    ).fetchall()
    named = [(row, set(_named(*columns))) for row, *columns in rows]
    there = _there(conn, {each for _, those in named for each in those})
    return [(row,) for row, those in named if not those <= there]


def _named(table: str, row_id: int, before: str | None, after: str | None) -> Iterator[tuple[str, Any]]:
    """What a row speaks of, each by the name of what it is and its id."""
    if table == CHANGES:
        yield CHANGES, row_id
        return
    for image in filter(None, (before, after)):
        values = dict(zip(TABLES[table].all, json.loads(image), strict=False))
        yield from ((kind, values.get(column)) for column, kind in _REFERS[table].items())


def _there(conn: sqlite3.Connection, named: set[tuple[str, Any]]) -> set[tuple[str, Any]]:
    """Those that are still stored."""
    found: set[tuple[str, Any]] = set()
    for kind in (FACES, "people", "photos", CHANGES):
        ids = [each for of, each in named if of == kind]
        for table in FACE_TABLES if kind == FACES else (kind,):
            for part in parts(ids):
                found |= {
                    (kind, row[0])
                    for row in conn.execute(f"SELECT id FROM {table} WHERE id IN ({marks(part)})", part)
                }
    return found


def _anchor(conn: sqlite3.Connection) -> None:
    """Whoever is told from somebody keeps a face that the user said is theirs, also where the one that was is
    gone."""
    told = {row[0] for row in conn.execute("SELECT a FROM strangers UNION SELECT b FROM strangers")}
    told |= {row[0] for row in conn.execute("SELECT person_id FROM apart")}
    of_person: dict[int, dict[int, FaceState]] = {}
    for face, state in faces_of_people(conn, told).items():
        of_person.setdefault(state.person or 0, {})[face] = state
    for person, faces in of_person.items():
        chosen = best_anchor(faces)
        if chosen is not None and all(state.named_by != "user" for state in faces.values()):
            write_faces(conn, {chosen: faces[chosen].fixed(person)})
