"""What was decided about people, in a database that may be damaged: what is wrong with it, and what can be kept.

That a face's person, or a person's name, is another one than was stored is found by SQLite's own check: both stand a
second time in an index (faces_by_person, people_by_name), and so do the pairs of `apart` and `strangers`."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from facesearch.gallery.tables.sqlite import FACE_TABLES, columns, marks
from facesearch.people.decisions import WHO_SAYS

_KINDS = ("person", "stranger")
_MOST = 10  # faults of one kind
_COUNTED = ("faces", "people", "changes", "marks")  # tables whose ids are never given twice


def faults_of_decisions(conn: sqlite3.Connection) -> Iterator[str]:
    """Half a sentence for each row that nothing here writes; none of a database of an earlier facesearch."""
    if not columns(conn, "changed"):
        return
    for table in FACE_TABLES:
        wrong = f"named_by NOT IN ({marks(WHO_SAYS)}) OR is_face NOT IN (0, 1)"
        for (face,) in conn.execute(f"SELECT id FROM {table} WHERE {wrong} LIMIT {_MOST}", WHO_SAYS):
            yield f"who named face {face} is not as it was stored"
    for (person,) in conn.execute(f"SELECT id FROM people WHERE kind NOT IN ({marks(_KINDS)}) LIMIT {_MOST}", _KINDS):
        yield f"person {person} is not as it was stored"
    lost = "SELECT id FROM people WHERE joined_into NOT IN (SELECT id FROM people) LIMIT ?"
    for (person,) in conn.execute(lost, (_MOST,)):
        yield f"person {person} was joined into one who is not there"
    for row, *images in conn.execute("SELECT id, before, after FROM changed"):
        if not all(map(_is_image, images)):
            yield f"row {row} of the log of changes is not as it was stored"


def is_sound_change(row: list[Any], *_: object) -> bool:
    """Whether a row of `changed` can be read: id, change_id, table_name, row_id, before, after."""
    return isinstance(row[2], str) and isinstance(row[3], int) and all(map(_is_image, row[4:6]))


def is_sound_awaited(row: list[Any], *_: object) -> bool:
    """Whether a row of `awaited` can be read."""
    digest, *box, person, named_by, is_face, apart = row
    has_place = all(isinstance(edge, float) for edge in box) or all(edge is None for edge in box)
    is_said = isinstance(person, int | None) and named_by in (None, *WHO_SAYS) and is_face in (0, 1)
    return isinstance(digest, bytes) and has_place and is_said and isinstance(apart, str) and _is_image(apart)


def _is_image(image: object) -> bool:
    try:
        return image is None or (isinstance(image, str) and isinstance(json.loads(image), list))
    except ValueError:
        return False


def mend_decisions(conn: sqlite3.Connection) -> None:
    """Deletes rows that speak of what is lost, in a database that was filled with foreign keys off. A face whose
    person is known and who named it is not, counts as named by the user: names are hours of work."""
    words = ", ".join(f"'{word}'" for word in WHO_SAYS)
    for table in FACE_TABLES:
        for statement in (
            f"UPDATE {table} SET named_by = 'user' WHERE named_by NOT IN ({words})",
            f"UPDATE {table} SET is_face = 1 WHERE is_face NOT IN (0, 1)",
            f"UPDATE {table} SET person_id = NULL, margin = NULL, named_by = iif(is_face, NULL, named_by) "
            "WHERE person_id NOT IN (SELECT id FROM people)",
        ):
            conn.execute(statement)
    faces = " UNION ".join(f"SELECT id FROM {table}" for table in FACE_TABLES)
    people, photos = "SELECT id FROM people", "SELECT id FROM photos"
    for statement in (
        "UPDATE people SET kind = 'person' WHERE kind NOT IN ('person', 'stranger')",
        f"UPDATE people SET joined_into = NULL WHERE joined_into NOT IN ({people})",
        f"UPDATE people SET cover_face = NULL WHERE cover_face NOT IN ({faces})",
        f"DELETE FROM apart WHERE face_id NOT IN ({faces}) OR person_id NOT IN ({people})",
        f"DELETE FROM strangers WHERE a NOT IN ({people}) OR b NOT IN ({people})",
        f"DELETE FROM repeats WHERE photo_id NOT IN ({photos})",
        f"DELETE FROM marks WHERE photo_id NOT IN ({photos}) OR person_id NOT IN ({people})",
        f"DELETE FROM awaited WHERE person_id NOT IN ({people})",
        "DELETE FROM changed WHERE change_id NOT IN (SELECT id FROM changes)",
    ):
        conn.execute(statement)


def keep_counting(conn: sqlite3.Connection, into: sqlite3.Connection) -> None:
    """No id that was ever given is given again, as far as the damaged database still says which were."""
    for table in _COUNTED:
        try:
            (newest,) = conn.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone() or (0,)
        except sqlite3.DatabaseError:
            return
        if isinstance(newest, int) and newest:
            row = into.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (newest, table))
            if not row.rowcount:
                into.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, newest))
