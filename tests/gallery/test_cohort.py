"""Own thresholds, on directions whose similarities are known by construction."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.search.judging import Judge, keep_up
from facesearch.gallery.tables.grouping import GroupingStamp
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import Threshold, embedder_card
from facesearch.people.cohort import (
    MOST,
    JudgedFaces,
    OwnThresholds,
    distinct,
    has_facts,
    measured_nearness,
    shift_of,
    usual_nearness,
)
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_DIM = 128
# Two people reach 0.9; strangers lie at 0.5 to a few others and at 0.7 to many.
_FACTS = Threshold(0.9, 0.001, "directions", unit=0.04, nearest=((10, 0.5), (1000, 0.7)))


def _people(count: int, seed: int = 0) -> Embeddings:
    """As many unit rows that are nearly perpendicular to each other."""
    rows = np.random.default_rng(seed).normal(size=(count, _DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _near(rows: Embeddings, similarity: float, seed: int = 1) -> Embeddings:
    """Rows at this similarity to the given ones, each in a direction of its own."""
    aside = _people(len(rows), seed)
    aside -= rows * (rows * aside).sum(axis=1, keepdims=True)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return np.asarray(similarity * rows + np.sqrt(1 - similarity**2) * aside, np.float32)


def _faces(embeddings: Embeddings, people: int | list[int] = 0, photos: list[int] | None = None) -> JudgedFaces:
    """With ids from 1 on, each in a photo of its own unless told."""
    count = len(embeddings)
    who = np.broadcast_to(np.asarray(people, np.int64), count)
    return JudgedFaces(np.arange(1, count + 1), who, np.array(photos or range(1, count + 1), np.int64), embeddings)


_NOBODY = _faces(_people(0))


def _shifts(cohort: JudgedFaces, faces: JudgedFaces) -> NDArray[np.float32]:
    return OwnThresholds(cohort, _FACTS).shifts(faces)


def test_what_is_usual_follows_the_logarithm_of_the_number_of_strangers() -> None:
    usual = usual_nearness(np.array([0, 1, 10, 100, 1000, 10_000]), _FACTS)
    np.testing.assert_allclose(usual, [0.5, 0.5, 0.5, 0.6, 0.7, 0.8])


def test_the_shift_is_how_much_nearer_the_ten_nearest_strangers_are_shrunk_where_they_are_few() -> None:
    ten = np.full((1, 10), 0.6, np.float32)
    assert shift_of(ten, _FACTS) == pytest.approx(0.1 * 10 / 260)
    thousand = np.append(np.full(990, 0.1), np.full(10, 0.9)).astype(np.float32)[None]
    assert shift_of(thousand, _FACTS) == pytest.approx(0.2 * 1000 / 1250)
    assert shift_of(np.full((1, 3), 0.4, np.float32), _FACTS) == pytest.approx(-0.1 * 3 / 253)
    assert shift_of(np.full((2, 5), -np.inf, np.float32), _FACTS).tolist() == [0, 0]


def test_without_strangers_nothing_is_shifted() -> None:
    face = _faces(_people(3))
    assert _shifts(_NOBODY, face).tolist() == [0, 0, 0]
    assert _shifts(face[:1], face[:1]).tolist() == [0]  # it is its own cohort


def test_who_is_like_many_has_a_higher_threshold_than_who_is_like_nobody() -> None:
    strangers = _people(249)
    crowd, alone = _near(strangers[:1], 0.85), _people(1, seed=7)
    cohort = np.concatenate([_near(np.repeat(crowd, 200, axis=0), 0.88), strangers[200:]])
    shifts = _shifts(_faces(cohort), JudgedFaces.strange(np.concatenate([crowd, alone])))
    assert shifts[0] > 0.05
    assert shifts[1] < 0


def test_faces_of_the_same_person_are_no_strangers() -> None:
    person = _people(1)
    same = np.concatenate([person, _near(person, 0.97), _near(person, 0.93, seed=3)])  # the last one below 0.94
    others = _people(40, seed=5)
    cohort = _faces(np.concatenate([same, others]))
    only_others = _shifts(_faces(others), JudgedFaces.strange(person))
    np.testing.assert_allclose(_shifts(cohort, JudgedFaces.strange(person)), only_others, atol=1e-6)


def test_a_name_says_who_is_a_stranger_however_alike() -> None:
    twins = np.concatenate([_people(1), _near(_people(1), 0.96)])
    named = _faces(np.concatenate([twins, _people(30, seed=5)]), people=list(range(1, 33)))
    unnamed = _faces(named.embeddings)
    assert _shifts(named, named[:1])[0] > _shifts(unnamed, unnamed[:1])[0]
    # A photo that is asked about may show whom it is nearest to, and nobody else: here that leaves the twin.
    asked = JudgedFaces.strange(twins[:1])
    assert _shifts(named, asked)[0] > _shifts(named[1:], asked)[0]


def test_who_is_beside_one_in_a_photo_may_raise_a_threshold_and_never_lowers_it() -> None:
    child = _people(1)
    alike = _near(np.repeat(child, 9, axis=0), 0.92)
    unlike = _people(9, seed=9)
    alone = _shifts(_NOBODY, _faces(child))
    together = [1] * 10
    assert _shifts(_NOBODY, _faces(np.concatenate([child, alike]), photos=together))[0] > alone + 0.05
    assert _shifts(_NOBODY, _faces(np.concatenate([child, unlike]), photos=together))[0] == alone
    twice = np.repeat(child, 10, axis=0)  # a collage
    assert _shifts(_NOBODY, _faces(twice, photos=together)).tolist() == [0] * 10


def test_a_cohort_has_one_face_of_each_person() -> None:
    people = _people(50)
    photos = _faces(np.concatenate([people, _near(people, 0.97), people]))  # copies, too
    cohort = distinct(_NOBODY, photos, _FACTS)
    assert len(cohort) == 50
    assert len(distinct(_faces(people[:20], people=list(range(1, 21))), photos, _FACTS)) == 50
    assert len(distinct(_NOBODY, _faces(np.repeat(people[:1], 500, axis=0)), _FACTS)) == 1
    assert len(distinct(_NOBODY, _NOBODY, _FACTS)) == 0


def test_siblings_in_one_photo_are_two_people() -> None:
    siblings = np.concatenate([_people(1), _near(_people(1), 0.95)])
    assert len(distinct(_NOBODY, _faces(siblings), _FACTS)) == 1
    assert len(distinct(_NOBODY, _faces(siblings, photos=[1, 1]), _FACTS)) == 2


def test_a_damaged_embedding_takes_no_part() -> None:
    rows = _people(30)
    rows[3] = np.nan
    rows[4] *= 3
    faces = _faces(rows)
    cohort = distinct(_NOBODY, faces, _FACTS)
    assert sorted(set(range(1, 31)) - set(cohort.ids.tolist())) == [4, 5]
    assert np.isfinite(_shifts(cohort, faces)).all()


def test_a_cohort_is_bounded() -> None:
    rows = np.eye(_DIM, dtype=np.float32)
    assert len(distinct(_faces(np.tile(rows, (20, 1)), people=list(range(1, 2561))), _NOBODY, _FACTS)) == MOST


def test_a_card_learns_what_is_usual_from_strangers() -> None:
    rows = _people(300)
    ((ten, few), (hundred, many)) = measured_nearness(rows, (10, 100, 1000))
    assert (ten, hundred) == (10, 100)
    assert few == pytest.approx(0, abs=0.01)  # the mean of all
    assert many == pytest.approx(np.sort(rows[:1] @ rows[1:101].T)[0, -10:].mean(), abs=0.05)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.create(tmp_path / "faces.db")


def _add(db: Database, embeddings: Embeddings, named: bool) -> None:
    points = tuple(Point(i, i) for i in range(5))
    first = db.faces.count()
    with db.transaction():
        for number, row in enumerate(embeddings, first):
            face = Face(Box(0, 0, 9, 9), 1.0, points)  # type: ignore[arg-type]
            person = f"person {number}" if named else None
            name = f"photo {number}"
            file = PhotoFile(name, 1, 1)
            db.photos.save(
                PhotoRow(file, Status.OK, name.encode(), faces=[face], embeddings=row[None], person=person)
            )


_SETTINGS = GallerySettings("dlib-resnet", "mtcnn", _DIM, 20)


@pytest.mark.parametrize("named", [True, False])
def test_a_gallery_keeps_its_cohort_until_its_people_have_doubled(db: Database, named: bool) -> None:
    assert has_facts(embedder_card(_SETTINGS.model).threshold)
    keep_up(db, _SETTINGS)
    assert db.cohort.stamp() is None
    people = _people(90)
    for start, end, size in ((0, 20, 20), (20, 39, 20), (39, 41, 41), (41, 60, 41)):
        _add(db, people[start:end], named)
        keep_up(db, _SETTINGS)
        assert len(db.cohort.ids()) == size
        assert len(db.cohort.shifts_of(db.faces.ids().tolist())) == end
    stored = db.cohort.shifts_of([1, 2, 3])
    with db.transaction():
        db._conn.execute("DELETE FROM own_thresholds")
    assert Judge(db, _SETTINGS).shifts_of([1, 2, 3]) == pytest.approx(stored, abs=1e-6)  # measured when asked


def test_what_is_forgotten_leaves_the_cohort(db: Database) -> None:
    _add(db, _people(20), named=True)
    keep_up(db, _SETTINGS)
    with db.transaction():
        db._conn.execute("DELETE FROM faces WHERE id <= 5")
    assert db.cohort.ids() == list(range(6, 21))
    assert not db.cohort.shifts_of(range(1, 6))
    assert Judge(db, _SETTINGS).cohort == 15


def test_the_other_faces_of_a_group_are_no_strangers_of_it() -> None:
    people = _people(61)
    cohort = _faces(people[:60], list(range(-1, -61, -1)))
    near = _near(people[:1], 0.88)  # less alike than what counts as the same anyway
    own, other = (_faces(np.concatenate([people, near]), who)[61:] for who in (-1, -99))
    assert _shifts(cohort, own) < _shifts(cohort, other)
    assert _shifts(cohort, own) == _shifts(cohort[1:], own)


def test_the_cohort_of_a_grouped_gallery_is_one_face_of_each_group(db: Database) -> None:
    people = _people(12)
    _add(db, np.repeat(people, 3, axis=0), named=False)
    keep_up(db, _SETTINGS)
    with db.transaction():
        db.connection.execute("INSERT INTO people (name, made_by) VALUES ('Ann', 'user'), (NULL, 'auto')")
        db.connection.execute("UPDATE faces SET person_id = iif(id < 7, 1, 2) WHERE id < 13")
        db.connection.execute("UPDATE faces SET is_face = 0 WHERE id = 13")
        db.groupings.write_stamp(GroupingStamp("careful", "any", 36, 36))
    keep_up(db, _SETTINGS)
    chosen = db.cohort.ids()
    assert len([face for face in chosen if face < 7]) == len([face for face in chosen if 7 <= face < 13]) == 1
    assert [face for face in chosen if face >= 13] == list(range(14, 37))
    stored = db.cohort.shifts_of(db.faces.ids().tolist())
    keep_up(db, _SETTINGS)
    assert (db.cohort.ids(), db.cohort.shifts_of(db.faces.ids().tolist())) == (chosen, stored)
