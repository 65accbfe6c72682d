"""Galleries without photos: people whose similarities are known by construction, for what needs no network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.gallery.database import Database
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

MODEL, DETECTOR, DIM = "dlib-resnet", "mtcnn", 128
SETTINGS = GallerySettings(MODEL, DETECTOR, DIM, 20.0)
_SIDE = 100.0  # pixels of a face
_SAME = 0.97  # similarity of two faces of a person; strangers lie at 0.85 as in the default model


def people(*sizes: int, seed: int = 0) -> list[Embeddings]:
    """For each size the faces of one person, (size, DIM): about 0.97 alike, and 0.85 to those of others."""
    rng = np.random.default_rng(seed)
    common = _unit(rng.normal(size=DIM))
    found = []
    for size in sizes:
        own = _unit(rng.normal(size=DIM))
        centre = np.sqrt(0.85) * common + np.sqrt(_SAME - 0.85) * own
        rows = centre + np.sqrt(1 - _SAME) * _unit(rng.normal(size=(size, DIM)))
        found.append(np.asarray(_unit(rows), np.float32))
    return found


def face(left: float = 0.0, side: float = _SIDE) -> Face:
    """A face whose box begins so far to the right."""
    box = Box(left, 0.0, left + side, side)
    eye, other, nose, mouth, corner = (
        Point(left + x * side, y * side) for x, y in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.4, 0.8), (0.6, 0.8))
    )
    return Face(box, 0.99, (eye, other, nose, mouth, corner))


def add_photo(db: Database, path: str, embeddings: Embeddings, person: str | None = None, digest: str = "") -> None:
    """Stores a photo with these faces, (n, DIM), side by side; two photos with one digest are copies."""
    faces = [face(i * 2 * _SIDE) for i in range(len(embeddings))]
    file, content = PhotoFile(path, 1, 1), (digest or path).encode()
    row = PhotoRow(file, Status.OK, content, size=(9999, 999), faces=faces, embeddings=embeddings, person=person)
    with db.transaction():
        db.photos.save(row)


def add_photos(gallery: Gallery, folder: Path, rows: Sequence[Embeddings], first: int = 0) -> None:
    """Stores a photo for each face of each person: FOLDER/PERSON-FACE.jpg, both counted from 0 and from `first`."""
    with gallery.writing() as db:
        if db.settings.read() is None:
            with db.transaction():
                db.settings.write(SETTINGS)
        for who, faces in enumerate(rows):
            for i, row in enumerate(faces):
                add_photo(db, str(folder / f"{who}-{first + i}.jpg"), row[None])


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))
