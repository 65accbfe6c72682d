"""Nearest people, with faces whose neighbours are known by construction."""

from pathlib import Path

import numpy as np
import pytest

from facesearch.arrays import Embeddings
from facesearch.gallery.database import Database
from facesearch.gallery.records.answers import Match, Sighting
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.search.answers import QueryOptions, identify
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.search.probes import Probe
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.vectors.file import build_in_memory
from facesearch.gallery.vectors.index import FaceIndex
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import index_recipes
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_DIM = 2


def _at(*degrees: float) -> Embeddings:
    """Unit rows at these angles: their similarity is the cosine of the difference."""
    angles = np.radians(degrees)
    return np.asarray(np.column_stack([np.cos(angles), np.sin(angles)]), np.float32)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.create(tmp_path / "faces.db")


def _add(db: Database, name: str, degrees: float, person: str | None = None) -> None:
    points = tuple(Point(i, i) for i in range(5))
    with db.transaction():
        db.photos.save(
            PhotoRow(
                PhotoFile(name, 1, 1),
                Status.OK,
                digest=name.encode(),
                faces=[Face(Box(0, 0, 9, 9), 1.0, points)],  # type: ignore[arg-type]
                embeddings=_at(degrees),
                person=person,
            )
        )


def _index(db: Database) -> FaceIndex:
    return build_in_memory(db.faces, _DIM, index_recipes())


def _ask(
    db: Database, queries: Embeddings, options: QueryOptions, index: FaceIndex | None = None
) -> list[tuple[Match, ...]]:
    """Without a cohort: judged values are similarities."""
    judge = Judge(db, GallerySettings("dlib-resnet", "mtcnn", _DIM, 20))
    asked = Sighting("asked.jpg", Box(0, 0, 90, 90), 1.0, 1)
    return identify(db.faces, index or _index(db), judge, [Probe(asked, query) for query in queries], options)


def test_one_row_a_named_person_one_row_an_unnamed_face(db: Database) -> None:
    for i in range(3):
        _add(db, f"ann{i}", 10 + i, "Ann")
    _add(db, "bob", 40, "Bob")
    _add(db, "unknown1", 20)
    _add(db, "unknown2", 21)
    ((first, *rest),) = _ask(db, _at(0), QueryOptions(10))
    assert (first.person, first.photo) == ("Ann", "ann0")
    assert first.similarity == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert [(m.person, m.photo) for m in rest] == [(None, "unknown1"), (None, "unknown2"), ("Bob", "bob")]


def test_a_person_with_many_photos_does_not_hide_the_next(db: Database) -> None:
    for i in range(200):
        _add(db, f"ann{i}", i / 100, "Ann")
    _add(db, "bob", 50, "Bob")
    (matches,) = _ask(db, _at(0), QueryOptions(2))
    assert [match.person for match in matches] == ["Ann", "Bob"]
    (faces,) = _ask(db, _at(0), QueryOptions(2, group=False))
    assert [match.photo for match in faces] == ["ann0", "ann1"]


def test_nothing_below_the_threshold_is_an_answer(db: Database) -> None:
    _add(db, "ann", 30, "Ann")
    _add(db, "bob", 70, "Bob")
    limit = float(np.cos(np.radians(45)))
    near, far = _ask(db, _at(0, 180), QueryOptions(5, threshold=limit))
    assert [match.person for match in near] == ["Ann"]
    assert far == ()


def test_missing_photos_do_not_use_up_the_places(db: Database) -> None:
    for i in range(100):
        _add(db, f"/gone/{i}", i / 100)
    _add(db, "/here/1", 60, "Ann")
    index = _index(db)
    with db.transaction():
        db._conn.execute("UPDATE photos SET status = 'missing' WHERE path LIKE '/gone/%'")
    (matches,) = _ask(db, _at(0), QueryOptions(3), index)
    assert [match.person for match in matches] == ["Ann"]


def test_many_queries_are_answered_each(db: Database) -> None:
    for i in range(50):
        _add(db, f"p{i}", i * 5, f"P{i}")
    answers = _ask(db, _at(*[i * 5 + 1 for i in range(50)]), QueryOptions(1))
    assert [matches[0].person for matches in answers] == [f"P{i}" for i in range(50)]


def test_an_empty_gallery_has_no_answer(db: Database) -> None:
    assert _ask(db, _at(0), QueryOptions(3)) == [()]


def test_faces_of_low_quality_are_left_out_and_two_small_ones_cannot_tell(db: Database) -> None:
    _add(db, "ann", 1, "Ann")
    with db.transaction():
        db._conn.execute("UPDATE faces SET quality = 0.3")
    _add(db, "before", 2)  # stored before quality was measured
    ((first, second),) = _ask(db, _at(0), QueryOptions(2))
    assert (first.quality, second.quality) == (0.3, None)
    assert (first.same, second.same) == (True, True)
    ((only,),) = _ask(db, _at(0), QueryOptions(2, min_quality=0.5))
    assert only.photo == "before"
    judge = Judge(db, GallerySettings("dlib-resnet", "mtcnn", _DIM, 20))
    small = Probe(Sighting("asked.jpg", Box(0, 0, 30, 39), 1.0, 1), _at(0)[0])
    ((match, _),) = identify(db.faces, _index(db), judge, [small], QueryOptions(2))
    assert match.same is None  # the gallery's faces are 9 pixels wide


def _add_photo(db: Database, name: str, degrees: float, box: Box, taken: str | None = None, digest: str = "") -> None:
    points = tuple(Point(i, i) for i in range(5))
    row = PhotoRow(
        PhotoFile(name, 1, 1),
        Status.OK,
        digest=(digest or name).encode(),
        size=(400, 300),
        taken=taken,
        faces=[Face(box, 1.0, points)],  # type: ignore[arg-type]
        embeddings=_at(degrees),
    )
    with db.transaction():
        db.photos.save(row)


def _alike(db: Database, options: QueryOptions) -> dict[str, tuple[str, ...]]:
    (matches,) = _ask(db, _at(0), options)
    return {match.photo: match.alike for match in matches}


_HERE, _THERE = Box(100, 100, 160, 160), Box(200, 100, 260, 160)


def test_what_shows_the_same_face_in_the_same_place_is_one_row(db: Database) -> None:
    """Two degrees are a similarity of 0.9994; from 0.9929 on a face in one place counts as one in a copy."""
    _add_photo(db, "first", 0, _HERE)
    _add_photo(db, "smaller", 2, Box(102, 101, 161, 160))
    _add_photo(db, "elsewhere", 2.1, _THERE)
    _add_photo(db, "another", 9, _HERE)  # 0.988
    _add_photo(db, "copied", 9, _HERE, digest="another")
    expected: dict[str, tuple[str, ...]] = {"first": ("smaller",), "elsewhere": (), "another": ("copied",)}
    assert _alike(db, QueryOptions(5)) == expected
    assert _alike(db, QueryOptions(every=True)) == expected
    each: dict[str, tuple[str, ...]] = dict.fromkeys(["first", "smaller", "elsewhere", "another", "copied"], ())
    assert _alike(db, QueryOptions(5, copies=True)) == each
    assert _alike(db, QueryOptions(5, group=False)) == each
    assert _alike(db, QueryOptions(every=True, copies=True)) == each


def test_photos_of_a_person_within_two_seconds_are_one_row(db: Database) -> None:
    _add_photo(db, "first", 0, _HERE, "2024-07-31T18:05:59")
    _add_photo(db, "burst", 12, _THERE, "2024-07-31T18:06:01")  # 0.978: the same person
    _add_photo(db, "last", 12.5, _THERE, "2024-07-31T18:06:03")  # two seconds after the one before
    _add_photo(db, "later", 13, _THERE, "2024-07-31T18:06:06")
    _add_photo(db, "undated", 14, _THERE)
    _add_photo(db, "other", 40, _THERE, "2024-07-31T18:05:59")  # 0.766: somebody else
    assert _alike(db, QueryOptions(5)) == {"first": ("burst", "last"), "later": ("undated",), "other": ()}
