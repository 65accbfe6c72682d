"""Galleries of people without photos: rows that a run of indexing would have stored, for tests of what is said of
them. No network is needed."""

import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch import Gallery
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

DIM = 128
_IDENTITIES = 4
_NOISE = 0.27  # of a unit: two faces of one identity have a similarity of about 0.93, which is about the threshold


def face(size: float) -> Face:
    """A square face with sides of so many pixels."""
    points = tuple(Point(i, i) for i in range(5))
    return Face(Box(0, 0, size, size), 0.99, points)  # type: ignore[arg-type]


def embedding(path: str, number: int) -> NDArray[np.float32]:
    """Of a face of a photo, always the same, (128,), of unit length: near to those of one identity of four."""
    drawn = np.random.default_rng(zlib.crc32(os.fsencode(f"{path} {number}")))
    base = np.random.default_rng(drawn.integers(_IDENTITIES)).normal(size=DIM)
    noise = drawn.normal(size=DIM)
    row: NDArray[np.float64] = base / np.linalg.norm(base) + _NOISE * noise / np.linalg.norm(noise)
    return np.asarray(row / np.linalg.norm(row), np.float32)


def made(name: str = "default", photos: Mapping[str, int] | Sequence[str] = ()) -> Gallery:
    """A gallery of these photos, each path with its number of faces, or with one; its faces have the ids 1, 2, ...,
    the first of each photo is the largest, and they are nobody's."""
    gallery = Gallery.open(name, "cpu")
    with gallery.writing() as db:
        with db.transaction():
            db.settings.write(GallerySettings("dlib-resnet", "mtcnn", DIM, 20.0, 1280))
        add(db, photos)
    return gallery


def add(db: Database, photos: Mapping[str, int] | Sequence[str]) -> None:
    """Stores photos as a run of indexing does."""
    counts = photos if isinstance(photos, Mapping) else dict.fromkeys(photos, 1)
    with db.transaction():
        for path, faces in counts.items():
            found = [face(100 - i) for i in range(faces)]
            rows = np.array([embedding(path, i) for i in range(faces)])
            file = PhotoFile(str(Path(path).absolute()), 1, 1)
            db.photos.save(
                PhotoRow(file, Status.OK, digest=os.fsencode(path), size=(400, 400), faces=found, embeddings=rows)
            )


def group(gallery: Gallery, *groups: Sequence[int], margin: float = 0.1) -> list[int]:
    """Puts faces into groups as a grouping does; the ids of the groups."""
    people = []
    with gallery.writing() as db, db.transaction():
        for faces in groups:
            cursor = db.connection.execute("INSERT INTO people (made_by) VALUES ('auto')")
            people.append(int(cursor.lastrowid or 0))
            db.connection.executemany(
                "UPDATE faces SET person_id = ?, named_by = 'auto', margin = ? WHERE id = ?",
                [(people[-1], margin - i / 100, each) for i, each in enumerate(faces)],
            )
    return people


def suggest(gallery: Gallery, kind: str, a: int, b: int, margin: float = -0.01) -> None:
    """Leaves a question, as a grouping does."""
    with gallery.writing() as db, db.transaction():
        db.connection.execute("INSERT INTO suggestions VALUES (?, ?, ?, ?)", (kind, a, b, margin))


def rows(gallery: Gallery) -> dict[str, list[tuple[object, ...]]]:
    """All that is known of people, row by row."""
    wanted = {
        "faces": "SELECT id, person_id, named_by, margin, is_face FROM faces ORDER BY id",
        "people": "SELECT id, name, kind, hidden, cover_face, made_by, joined_into FROM people ORDER BY id",
        "apart": "SELECT * FROM apart ORDER BY face_id, person_id",
        "strangers": "SELECT * FROM strangers ORDER BY a, b",
        "repeats": "SELECT * FROM repeats ORDER BY photo_id",
        "marks": "SELECT * FROM marks ORDER BY id",
    }
    with Database.open(gallery.database) as db, closing(db.connection.cursor()) as cursor:
        return {table: cursor.execute(statement).fetchall() for table, statement in wanted.items()}
