"""What was decided about those who are forgotten is forgotten too, in the log of changes as well."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from facesearch.gallery.row_images import (
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
from facesearch.gallery.sqlite import FACE_TABLES
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
    there = {
        "faces": _ids(conn, *FACE_TABLES),
        "people": _ids(conn, "people"),
        "photos": _ids(conn, "photos"),
        "changes": _ids(conn, "changes"),
    }
    gone, blank = [], []
    for row, table, row_id, *images in conn.execute("SELECT id, table_name, row_id, before, after FROM changed"):
        if table == FACES:
            blank += [(row,)] * (row_id not in there["faces"])
        elif not _all_there(table, row_id, images, there):
            gone.append((row,))
    conn.executemany("UPDATE changed SET before = NULL, after = NULL WHERE id = ?", blank)
    conn.executemany("DELETE FROM changed WHERE id = ?", gone)
    speaks = f"before NOTNULL OR after NOTNULL OR table_name = '{CHANGES}'"
    conn.execute(f"DELETE FROM changes WHERE id NOT IN (SELECT change_id FROM changed WHERE {speaks})")
    conn.execute(f"DELETE FROM changed WHERE table_name = '{CHANGES}' AND row_id NOT IN (SELECT id FROM changes)")
    conn.execute("DELETE FROM changes WHERE id NOT IN (SELECT change_id FROM changed)")
    conn.execute(f"UPDATE people SET cover_face = NULL WHERE cover_face NOT IN ({_SELECT_FACES})")
    conn.execute("DELETE FROM folder_digests")
    _anchor(conn)


_SELECT_FACES = " UNION ".join(f"SELECT id FROM {table}" for table in FACE_TABLES)


def _ids(conn: sqlite3.Connection, *tables: str) -> set[int]:
    return {row[0] for table in tables for row in conn.execute(f"SELECT id FROM {table}")}


def _all_there(table: str, row_id: int, images: list[str | None], there: dict[str, set[int]]) -> bool:
    if table == CHANGES:
        return row_id in there["changes"]
    return all(found in there[kind] for image in images if image for kind, found in _named_in(table, image))


def _named_in(table: str, image: str) -> Iterator[tuple[str, Any]]:
    values = dict(zip(TABLES[table].all, json.loads(image), strict=False))
    yield from ((kind, values.get(column)) for column, kind in _REFERS[table].items())


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
