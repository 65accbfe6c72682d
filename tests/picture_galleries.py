"""Galleries of given photos whose faces lie where a test says, made without networks."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.encoding import is_picture
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Status
from tests.made_up_gallery import DIM, SETTINGS

MIDDLE = Box(60, 40, 140, 140)


def noise(seed: int, size: tuple[int, int] = (240, 320)) -> Pixels:
    """A picture, (height, width, 3), that is like no other; coarse, so that pictures of it are too."""
    small = np.random.default_rng(seed).integers(0, 255, (size[0] // 8, size[1] // 8, 3), np.uint8)
    return np.asarray(cv2.resize(small, size[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def jpeg(pixels: Pixels) -> bytes:
    """The bytes of a file."""
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def store(
    gallery: Gallery,
    root: Path,
    photos: Mapping[str, Sequence[Box]],
    size: tuple[int, int] = (320, 240),
    person: str | None = None,
) -> list[int]:
    """Stores photos that lie in a folder, by name with the boxes of their faces, as the gallery's; the ids of all
    faces in the order of the boxes."""
    with gallery.writing() as db, db.transaction():
        if db.settings.read() is None:
            db.settings.write(SETTINGS)
        db.roots.add([str(root)])
        found = []
        for name, boxes in photos.items():
            path = root / name
            loaded = load(PhotoFile.from_stat(str(path), path.stat()))
            assert loaded is not None
            rows = np.random.default_rng(len(name)).normal(size=(len(boxes), DIM))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            faces = [face(box) for box in boxes]
            row = PhotoRow(
                loaded.file,
                Status.OK,
                loaded.digest,
                size=size,
                faces=faces,
                embeddings=rows.astype(np.float32),
                person=person,
            )
            found += list(db.pictures.of_photo(db.photos.save(row)))
    return found


def face(box: Box) -> Face:
    """A face with this box."""
    middle = Point((box.left + box.right) / 2, (box.top + box.bottom) / 2)
    return Face(box, 0.99, (middle, middle, middle, middle, middle), 0.9)


def show(gallery: Gallery, face: int, decoders: Decoders, side: int = 112) -> bytes:
    """The picture of a face, kept or made."""
    found = gallery.face_to_show(face, side)
    return found.picture or gallery.make_face_pictures([found.source], side, decoders)[0]


def shown(picture: bytes) -> Pixels:
    """The pixels of a picture, in which there is nothing else."""
    assert is_picture(picture)
    with Image.open(io.BytesIO(picture)) as image:
        assert set(image.info) <= {"loop", "background", "timestamp", "duration"}
        return np.asarray(image.convert("RGB"))
