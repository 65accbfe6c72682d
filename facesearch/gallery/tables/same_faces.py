"""What was said about a face holds for the same face when its photo is looked at anew and its faces get new ids:
after the file has changed, and after a repair that had to leave the photo out."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.tables.decisions_check import is_sound_awaited
from facesearch.gallery.tables.sqlite import FACE_TABLES, OF_SQLITE, columns, marks
from facesearch.models.cards import embedder_card

_SAID = "(named_by IN ('folder', 'xmp', 'user') OR NOT is_face OR id IN (SELECT face_id FROM apart))"
_SAME_PLACE = 0.9  # overlap, intersection over union: in the same pixels the same networks find the same box
_BOX = "box_left, box_top, box_right, box_bottom"


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said of a face: whose it is, who said so, whether it is a face, and whose it is not."""

    person: int | None
    named_by: str | None
    is_face: int
    apart: tuple[int, ...]


def carry_over(conn: sqlite3.Connection, old: int, new: int, model: str) -> None:
    """What was said of the faces of the photo `old`, whose path has another content now, holds for those of `new`
    that are clearly the same faces: each is most similar to the other one, and similar enough to be one person by the
    model's card. Inside of the caller's transaction."""
    threshold = embedder_card(model).threshold
    if threshold is None:
        return
    before = conn.execute(f"SELECT id, embedding FROM faces WHERE photo_id = ? AND {_SAID}", (old,)).fetchall()
    after = conn.execute("SELECT id, embedding FROM faces WHERE photo_id = ?", (new,)).fetchall()
    if not before or not after:
        return
    similar = _rows(before) @ _rows(after).T
    for a, b in _mutual(similar, threshold.similarity):
        _say(conn, after[b][0], _said_of(conn, before[a][0]))
    conn.execute("INSERT OR IGNORE INTO repeats SELECT ? FROM repeats WHERE photo_id = ?", (new, old))


def set_down(conn: sqlite3.Connection, into: sqlite3.Connection) -> None:
    """Writes down, in a database that is being made of a damaged one, what was said of faces that it cannot keep, by
    the content of their photo and their place in it, until that photo is looked at again."""
    faces = {row[0] for table in FACE_TABLES for row in into.execute(f"SELECT id FROM {table}")}
    photos = {row[0] for row in into.execute("SELECT id FROM photos")}
    found: list[tuple[object, ...]] = []
    with suppress(*OF_SQLITE, TypeError):  # as far as it can be read
        if columns(conn, "apart"):
            for rows in (_lost_faces(conn, faces), _lost_repeats(conn, photos)):
                for row in rows:
                    found.append(row)
    sound = [row for row in found if is_sound_awaited(list(row))]
    into.executemany("INSERT INTO awaited VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", sound)


def _lost_faces(conn: sqlite3.Connection, kept: set[int]) -> Iterator[tuple[object, ...]]:
    statement = (
        f"SELECT faces.id, digest, {_BOX} FROM faces JOIN photos ON photos.id = photo_id WHERE {_SAID_OF_FACES}"
    )
    for face, digest, *box in conn.execute(statement):
        if face not in kept and isinstance(digest, bytes):
            said = _said_of(conn, face)
            yield digest, *box, said.person, said.named_by, said.is_face, json.dumps(said.apart)


def _lost_repeats(conn: sqlite3.Connection, kept: set[int]) -> Iterator[tuple[object, ...]]:
    statement = "SELECT id, digest FROM photos WHERE id IN (SELECT photo_id FROM repeats)"
    for photo, digest in conn.execute(statement):
        if photo not in kept and isinstance(digest, bytes):
            yield digest, None, None, None, None, None, None, 1, "[]"


_SAID_OF_FACES = _SAID.replace("id IN", "faces.id IN")


def is_any_awaited(conn: sqlite3.Connection) -> bool:
    """Whether `take_up` has something to look for."""
    return bool(conn.execute("SELECT EXISTS (SELECT 1 FROM awaited)").fetchone()[0])


def take_up(conn: sqlite3.Connection, photo: int, digest: bytes | None) -> None:
    """What was written down by `set_down` of the faces in a photo that has been looked at holds for them again.
    Inside of the caller's transaction."""
    waiting = conn.execute(
        f"SELECT {_BOX}, person_id, named_by, is_face, apart FROM awaited WHERE digest = ?", (digest,)
    ).fetchall()
    if not waiting:
        return
    if any(row[0] is None for row in waiting):
        conn.execute("INSERT OR IGNORE INTO repeats VALUES (?)", (photo,))
    places = [row for row in waiting if row[0] is not None]
    faces = conn.execute(f"SELECT id, {_BOX} FROM faces WHERE photo_id = ?", (photo,)).fetchall()
    if places and faces:
        overlaps = _overlaps([row[:4] for row in places], [row[1:] for row in faces])
        for a, b in _mutual(overlaps, _SAME_PLACE):
            person, named_by, is_face, apart = places[a][4:]
            _say(conn, faces[b][0], _Said(person, named_by, is_face, tuple(json.loads(apart))))
    conn.execute("DELETE FROM awaited WHERE digest = ?", (digest,))


def _said_of(conn: sqlite3.Connection, face: object) -> _Said:
    whose = "SELECT person_id, named_by, is_face FROM faces WHERE id = ?"
    person, named_by, is_face = conn.execute(whose, (face,)).fetchone()
    apart = conn.execute("SELECT person_id FROM apart WHERE face_id = ? ORDER BY person_id", (face,)).fetchall()
    return _Said(person, named_by, is_face, tuple(other for (other,) in apart))


def _say(conn: sqlite3.Connection, face: int, said: _Said) -> None:
    """As far as the people are still there."""
    everybody = [*({said.person} - {None}), *said.apart]
    there = {row[0] for row in conn.execute(f"SELECT id FROM people WHERE id IN ({marks(everybody)})", everybody)}
    if not said.is_face or said.person in there:
        conn.execute(
            "UPDATE faces SET person_id = ?, named_by = ?, is_face = ?, margin = NULL WHERE id = ?",
            (said.person if said.person in there else None, said.named_by, said.is_face, face),
        )
    rows = [(face, person) for person in said.apart if person in there]
    conn.executemany("INSERT OR IGNORE INTO apart VALUES (?, ?)", rows)


def _rows(faces: Sequence[tuple[int, bytes]]) -> NDArray[np.float32]:
    return np.array([np.frombuffer(embedding, np.float32) for _, embedding in faces])


def _mutual(values: NDArray[np.float32], least: float) -> list[tuple[int, int]]:
    """The rows and columns that have each other's highest value, where that is at least this."""
    best = values.argmax(axis=1)
    return [
        (row, int(column))
        for row, column in enumerate(best)
        if values[row, column] >= least and values[:, column].argmax() == row
    ]


def _overlaps(some: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Intersection over union, (some, others)."""
    a, b = np.array(some, np.float64)[:, None], np.array(others, np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(sides, 0).prod(axis=2)
    both = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2) - shared
    return np.asarray(shared / np.maximum(both, 1e-9), np.float32)
