"""Faces as a gallery's database has them, without their embeddings: what it takes to embed them from their photos."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from facesearch.gallery.tables.sqlite import from_sql, marks
from facesearch.geometry.face import Box, Face, Point

_PHOTOS_AT_ONCE = 256  # in one question to the database
_LANDMARKS = 5


@dataclass(frozen=True, slots=True)
class KnownFaces:
    """Faces of one photo, by their ids, and the photo's id, path, bytes and digest, as they were when they were
    found."""

    photo: int
    path: str
    size: int
    digest: bytes | None
    ids: tuple[int, ...]
    faces: tuple[Face, ...]


def known_faces(conn: sqlite3.Connection, table: str, where: str) -> Iterator[KnownFaces]:
    """The faces of each photo that has some in this table and meets the condition, which may name `photos` and the
    table, in the order of the photos' ids. What is written meanwhile counts from the next few hundred photos on."""
    after = 0
    while True:
        photos = conn.execute(
            f"SELECT id FROM photos WHERE id > ? AND EXISTS (SELECT 1 FROM {table} WHERE photo_id = photos.id AND "
            f"{where}) ORDER BY id LIMIT ?",
            (after, _PHOTOS_AT_ONCE),
        ).fetchall()
        if not photos:
            return
        yield from _of_photos(conn, table, where, [photo for (photo,) in photos])
        (after,) = photos[-1]


def _of_photos(conn: sqlite3.Connection, table: str, where: str, photos: Sequence[int]) -> Iterator[KnownFaces]:
    rows = conn.execute(
        f"SELECT photos.id, path, size, digest, {table}.id, box_left, box_top, box_right, box_bottom, score, "
        f"landmarks FROM photos JOIN {table} ON photo_id = photos.id WHERE photos.id IN ({marks(photos)}) AND "
        f"{where} ORDER BY photos.id, {table}.id",
        photos,
    ).fetchall()
    for (photo, path, size, digest), group in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        found = [row[4:] for row in group]
        ids, faces = tuple(row[0] for row in found), tuple(_face(row[1:]) for row in found)
        yield KnownFaces(photo, from_sql(path), size, digest, ids, faces)


def _face(row: Sequence[Any]) -> Face:
    *box, score, landmarks = row
    try:
        points = np.frombuffer(landmarks, np.float32).reshape(_LANDMARKS, 2).tolist()
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError("a face is not as it was stored") from error
    a, b, c, d, e = (Point(x, y) for x, y in points)
    return Face(Box(*box), score, (a, b, c, d, e))
