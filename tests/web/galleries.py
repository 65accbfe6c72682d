"""Galleries to look at in a browser, made without networks: people who do not exist, with small photos behind them
whose faces can be seen, and very many faces behind which there is nothing."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.gallery.database import Database
from facesearch.gallery.tables.faces import stored_values
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.status import Status
from tests.made_galleries import group, suggest
from tests.made_up_gallery import DIM, SETTINGS, people
from tests.portraits import SIDE, portrait, sources

_DIFFERENT = 24  # portraits; others are these in another light
_QUALITY = 85  # of a JPEG
_FACE_WIDTH, _FACE_HEIGHT = 96, 120  # pixels, in the middle of a portrait
# As the people of a family's photos: a few very often, most of them rarely.
FAMILY = (30, 22, 16, 12, 10, 9, 8, 8, 7, 7, 6, 6, 5, 5, 5, 4, 4, 4, 4, 4, *[3] * 30, *[2] * 60)
_TOGETHER = 6  # photos of the three who are there most often, side by side
_UNSURE = 12  # questions
_NOBODYS = 3  # faces
Drawn: TypeAlias = Callable[[int, int], Pixels]
_SUREST = 0.3  # margin of a group's first face: of the largest group the last few are unsure


def family(name: str, photos: Path, sizes: Sequence[int] = FAMILY, drawn: Drawn | None = None) -> Gallery:
    """A gallery whose groups have so many faces, the largest first, each face in a photo of its own that is written
    to `photos`; then photos of the first three together, which are in these groups, too, and three faces that are
    nobody's. Nobody has a name, and some groups that stand side by side are asked about. `drawn` gives the portrait
    of a person, (SIDE, SIDE, 3), by two numbers."""
    shown = _Portraits(photos, drawn)
    gallery = Gallery.open(name, "cpu")
    rows = people(*[size + _TOGETHER for size in sizes], *[1] * _NOBODYS)
    with gallery.writing() as db, db.transaction():
        db.settings.write(SETTINGS)
        db.roots.add([str(photos.resolve())])
        groups = [_alone(db, shown, who, rows[who][_TOGETHER:]) for who in range(len(sizes))]
        for i in range(_TOGETHER):
            for of, face in zip(
                groups[:3], _together(db, shown, i, np.array([each[i] for each in rows[:3]])), strict=True
            ):
                of.append(face)
        for who in range(len(sizes), len(rows)):
            _alone(db, shown, who, rows[who])
    group(gallery, *groups, margin=_SUREST)
    for one, other in pairwise(groups[3 : 4 + _UNSURE]):
        suggest(gallery, "same", one[0], other[0])
    return gallery


class _Portraits:
    """Writes photos into a folder."""

    def __init__(self, folder: Path, drawn: Drawn | None = None) -> None:
        self.folder, self.of = folder, drawn or self._of
        folder.mkdir(parents=True, exist_ok=True)
        both = sources()
        self._drawn = [portrait(both, seed, number) for seed in (269, 376, 97, 202, 469, 438) for number in range(4)]

    def _of(self, who: int, number: int) -> Pixels:
        """(SIDE, SIDE, 3): a portrait that looks a little otherwise each time."""
        lit = np.random.default_rng((who, number)).uniform(0.8, 1.2, 3)
        return np.asarray(np.clip(self._drawn[(who * 7 + number % 2) % _DIFFERENT] * lit, 0, 255), np.uint8)

    def write(self, name: str, pixels: Pixels) -> tuple[PhotoFile, bytes]:
        """The file of a photo, and its digest."""
        path = self.folder / name
        path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY))
        loaded = load(PhotoFile.from_stat(str(path.resolve()), path.stat()))
        assert loaded is not None
        return loaded.file, loaded.digest


def _alone(db: Database, shown: _Portraits, who: int, rows: NDArray[np.float32]) -> list[int]:
    """A photo for each face; the ids of the faces."""
    return [
        _save(db, shown.write(f"{who:03d}-{i:02d}.jpg", shown.of(who, i)), row[None], who)[0]
        for i, row in enumerate(rows)
    ]


def _together(db: Database, shown: _Portraits, number: int, rows: NDArray[np.float32]) -> list[int]:
    pixels = np.concatenate([shown.of(who, 100 + number) for who in range(len(rows))], axis=1)
    return _save(db, shown.write(f"together-{number}.jpg", pixels), rows, number)


def _save(db: Database, written: tuple[PhotoFile, bytes], rows: NDArray[np.float32], day: int) -> list[int]:
    file, digest = written
    faces = [_face(i * SIDE) for i in range(len(rows))]
    size = (SIDE * len(rows), SIDE)
    taken = f"20{10 + day % 15:02d}-0{1 + day % 9}-1{day % 10}T12:00:00"
    photo = db.photos.save(PhotoRow(file, Status.OK, digest, size=size, taken=taken, faces=faces, embeddings=rows))
    found = db.connection.execute("SELECT id FROM faces WHERE photo_id = ? ORDER BY id", (photo,))
    return [each[0] for each in found]


def _face(left: float) -> Face:
    """In the middle of a portrait that begins there."""
    x, y = left + (SIDE - _FACE_WIDTH) / 2, (SIDE - _FACE_HEIGHT) / 2
    eyes_and_mouth = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    at = tuple(Point(x + u * _FACE_WIDTH, y + v * _FACE_HEIGHT) for u, v in eyes_and_mouth)
    return Face(Box(x, y, x + _FACE_WIDTH, y + _FACE_HEIGHT), 0.99, at, 0.9)  # type: ignore[arg-type]


def crowd(name: str, faces: int, groups: int, photos: Path | None = None) -> Gallery:
    """A gallery of so many made-up faces in so many groups, the first the largest. Behind each is a photo in a folder
    below `photos`, of which many are one file; without `photos` none is there."""
    gallery = Gallery.open(name, "cpu")
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(faces, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    # Two each; of the others the first group has as many as the second to fourth together, and so on.
    whose = np.concatenate([np.arange(groups).repeat(2), (groups ** rng.random(faces - 2 * groups)).astype(int) - 1])
    with gallery.writing() as db, db.transaction():
        db.settings.write(SETTINGS)
        db.roots.add([str(photos.resolve()) if photos else "/nowhere"])
        _fill(db, _copies(photos, faces) if photos else _nowhere(faces), rows, np.sort(whose) + 1)
    return gallery


_Copy = tuple[str, int, int, int, bytes]  # path, size, mtime_ns, ctime_ns, digest


def _nowhere(count: int) -> Iterator[_Copy]:
    for i in range(count):
        yield f"/nowhere/{i // 1000:03d}/{i:06d}.jpg", 1, 1, 0, i.to_bytes(16, "big")


def _copies(folder: Path, count: int) -> Iterator[_Copy]:
    """Hard links to a few portraits, in folders of a thousand."""
    shown = _Portraits(folder)
    files = [shown.write(f"portrait-{i}.jpg", shown.of(i, 0)) for i in range(_DIFFERENT)]
    for i in range(count):
        path = folder.resolve() / f"{i // 1000:03d}" / f"{i:06d}.jpg"
        path.parent.mkdir(exist_ok=True)
        os.link(files[i % _DIFFERENT][0].path, path)
    for i in range(count):  # a link more changes the ctime of all
        path = folder.resolve() / f"{i // 1000:03d}" / f"{i:06d}.jpg"
        found = path.stat()
        yield str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, files[i % _DIFFERENT][1]


def _fill(db: Database, photos: Iterable[_Copy], rows: NDArray[np.float32], whose: NDArray[np.int64]) -> None:
    """A photo of its own for each face, (n, DIM), of the people with these ids, (n,)."""
    db.connection.executemany(
        "INSERT INTO people (id, made_by) VALUES (?, 'auto')", [(int(who),) for who in np.unique(whose)]
    )
    db.connection.executemany(
        "INSERT INTO photos (id, path, size, mtime_ns, ctime_ns, digest, status, width, height, face_count) "
        "VALUES (?, ?, ?, ?, ?, ?, 'ok', 250, 250, 1)",
        ((i, *photo) for i, photo in enumerate(photos, 1)),
    )
    face = _face(0)
    db.connection.executemany(
        "INSERT INTO faces (photo_id, person_id, named_by, margin, quality, box_left, box_top, box_right, "
        "box_bottom, score, landmarks, embedding, checksum) VALUES (?, ?, 'auto', 0.1, 0.9, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((i, int(who), *stored_values(face, row)) for i, (who, row) in enumerate(zip(whose, rows, strict=True), 1)),
    )
