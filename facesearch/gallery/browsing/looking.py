"""A photo of a gallery as it is looked at: who is in it and where, and which photos lie beside it."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from facesearch.gallery.database import Database
from facesearch.gallery.records.people import FaceOf, MarkOf, PhotoFacts
from facesearch.gallery.references import References, UnknownPhotoError, Who
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.columns import ABSENT
from facesearch.gallery.tables.scope import THERE
from facesearch.gallery.tables.sqlite import GREATEST_ID, columns, from_sql
from facesearch.geometry.face import Box


class Looking(Storage):
    """A gallery whose photos are looked at, one after the other."""

    def photo(self, photo: int, beside: Who | None = None) -> PhotoFacts:
        """A photo by its id. Its neighbours are those of the order of paths, or the photos of the person `beside`.
        Raises UnknownPhotoError where there is none of that id, and the errors of `references`."""
        with self.reading() as (db, _), db.snapshot():
            row = photo_row(db, self.name, photo)
            person = None if beside is None else References(db, self.name).person(beside)
            previous, following = _neighbours(db, row["path"], row["taken"], person)
            return PhotoFacts(
                photo, from_sql(row["path"]), row["width"], row["height"], row["taken"] or None, row["status"],
                row["reason"], _is_collage(db, photo), _faces(db, photo), _marks(db, photo), previous, following,
            )  # fmt: skip


def photo_row(db: Database, gallery: str, photo: int) -> dict[str, Any]:
    """What is stored of a photo, by column. Raises UnknownPhotoError where nothing is."""
    wanted = ("path", "width", "height", "status", "reason", "taken")
    there = columns(db.connection, "photos")
    chosen = ", ".join(name if name in there else ABSENT[name] for name in wanted)
    found = None
    if 0 < photo <= GREATEST_ID:
        found = db.connection.execute(f"SELECT {chosen} FROM photos WHERE id = ?", (photo,)).fetchone()
    if found is None:
        raise UnknownPhotoError(f"The gallery '{gallery}' has no photo {photo}; it may have been deleted.")
    return dict(zip(wanted, found, strict=True))


def _neighbours(
    db: Database, path: str | bytes, taken: str | None, person: int | None
) -> tuple[int | None, int | None]:
    if person is None:
        return _beside(db.connection, "path < ?", "path DESC", [path]), _beside(
            db.connection, "path > ?", "path", [path]
        )
    date = ABSENT["taken"] if "taken" not in columns(db.connection, "photos") else "taken"
    among = f"id IN (SELECT photo_id FROM ({db.people.shown}) WHERE person_id = ?)"
    key = f"coalesce({date}, '')"
    values = [person, taken or "", taken or "", path]
    before = f"{among} AND ({key} > ? OR {key} = ? AND path < ?)"
    after = f"{among} AND ({key} < ? OR {key} = ? AND path > ?)"
    return (
        _beside(db.connection, before, f"{key}, path DESC", values),
        _beside(db.connection, after, f"{key} DESC, path", values),
    )


def _beside(conn: sqlite3.Connection, where: str, order: str, values: Sequence[Any]) -> int | None:
    """The first photo that can be looked at, in this order."""
    row = conn.execute(f"SELECT id FROM photos WHERE {where} AND {THERE} ORDER BY {order} LIMIT 1", values).fetchone()
    return row[0] if row else None


def _is_collage(db: Database, photo: int) -> bool:
    if not columns(db.connection, "repeats"):
        return False
    return db.connection.execute("SELECT 1 FROM repeats WHERE photo_id = ?", (photo,)).fetchone() is not None


def _faces(db: Database, photo: int) -> tuple[FaceOf, ...]:
    ids = [face for face, is_face in db.people.faces_in(photo) if is_face]
    found = db.people_list.faces(ids)
    return tuple(found[face] for face in ids if face in found)


def _marks(db: Database, photo: int) -> tuple[MarkOf, ...]:
    if not columns(db.connection, "marks"):
        return ()
    rows = db.connection.execute(
        "SELECT id, person_id, box_left, box_top, box_right, box_bottom FROM marks WHERE photo_id = ? ORDER BY id",
        (photo,),
    ).fetchall()
    people = {person: db.people.root(person) or person for _, person, *_ in rows}
    return tuple(
        MarkOf(mark, Box(*box), people[person], db.people.label(people[person])) for mark, person, *box in rows
    )
