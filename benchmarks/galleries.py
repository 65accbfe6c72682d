"""Makes a gallery of made-up faces, as large as one likes, to see what a query and the building of an index cost.

python benchmarks/galleries.py NAME COUNT"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from facesearch.evaluation.synthetic import DIM, Identities
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.geometry.face import Box, Face, Point
from facesearch.home import gallery_dir
from facesearch.models.cards import default_embedder, detector_card, embedder_card
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_AT_ONCE = 10_000  # photos in a transaction
_NOISE = 0.5
_LANDMARKS = (Point(105, 110), Point(145, 110), Point(125, 130), Point(108, 150), Point(142, 150))
_FACE = Face(Box(75, 75, 175, 175), 0.99, _LANDMARKS)


def fill(name: str, count: int) -> Path:
    """Makes a gallery of `count` photos with one made-up face each and without an index; its directory."""
    card = embedder_card(default_embedder())
    finder = detector_card(card.detector)
    directory = gallery_dir(name)
    directory.mkdir(parents=True)
    faces = Identities(count, _NOISE)
    with Database.create(directory / "faces.db") as db:
        with db.transaction():
            db.settings.write(GallerySettings(card.name, finder.name, card.dim, finder.min_face_px, finder.max_side))
        for ids, rows in _parts(faces):
            with db.transaction():
                for i, row in zip(ids, rows, strict=True):
                    file = PhotoFile(f"/nowhere/{i // 1000:06d}/{i:09d}.jpg", 20_000, int(i))
                    digest = int(i).to_bytes(16, "big")
                    db.photos.save(
                        PhotoRow(file, Status.OK, digest=digest, size=(250, 250), faces=[_FACE], embeddings=row[None])
                    )
    return directory


def _parts(faces: Identities) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for ids, rows in faces.embeddings(DIM):
        for start in range(0, len(ids), _AT_ONCE):
            yield ids[start : start + _AT_ONCE], rows[start : start + _AT_ONCE]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    fill(given.name, given.count)
