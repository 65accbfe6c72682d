"""What keeps a gallery fast while it grows: deletions that are noted, so that nothing is compared with all faces."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from facesearch import Gallery
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.vectors import file as vectors_file
from facesearch.gallery.vectors import lagging
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from tests.made_galleries import DIM, embedding, face, made


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees another's galleries."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))


_STATEMENTS = (
    "DELETE FROM photos WHERE id = :n",
    "DELETE FROM faces WHERE id = :n",
    "DELETE FROM faces",
    "UPDATE faces SET person_id = 1 + :n % 2, named_by = 'auto' WHERE id <= :n",
    "UPDATE faces SET person_id = 1, named_by = 'user' WHERE id = :n",
    "UPDATE faces SET person_id = NULL, named_by = NULL WHERE id = :n",
    "UPDATE faces SET is_face = 0 WHERE id = :n AND person_id IS NULL",
    "UPDATE faces SET is_face = 1 WHERE id >= :n",
    "UPDATE photos SET status = 'missing'",
    "INSERT OR IGNORE INTO photos SELECT * FROM photos WHERE id = :n",
)
_FEW = r" USING (COVERING )?INDEX (photos_of_note|photos_without_date|faces_that_are_none)"
_READS_ALL = re.compile(rf"SCAN (photos|faces|other)(?!{_FEW})")
_PHOTOS = {f"/p/{i}.jpg": 2 for i in range(6)}  # faces 1 to 12


def _astronaut() -> bytes:
    """A photo with one face, which facesearch ships."""
    return (resources.files("facesearch") / "astronaut.jpg").read_bytes()


def _synced() -> Gallery:
    gallery = made(photos=_PHOTOS)
    _sync(gallery)
    return gallery


def _sync(gallery: Gallery) -> None:
    with gallery.reading() as (_, settings), gallery.writing() as db:
        gallery.sync(db, settings)


def _delete(gallery: Gallery, statement: str) -> None:
    with gallery.writing() as db, db.transaction():
        db.connection.execute(statement)


def _delete_in_vain(db: Database) -> None:
    with db.transaction():
        db.connection.execute("DELETE FROM faces")
        raise ZeroDivisionError


def test_a_face_that_is_deleted_however_is_noted_once() -> None:
    gallery = _synced()
    with gallery.writing() as db:
        before = db.removed.newest()
        with db.transaction():
            db.connection.execute("DELETE FROM faces WHERE id = 5")
            db.connection.execute("DELETE FROM photos WHERE id = 1")  # its faces go with it
        assert db.removed.after(before).tolist() == [1, 2, 5]
        assert db.removed.newest() == before + 3
        assert db.removed.after(db.removed.newest()).tolist() == []


def test_what_is_rolled_back_is_not_noted() -> None:
    gallery = _synced()
    with gallery.writing() as db:
        with pytest.raises(ZeroDivisionError):
            _delete_in_vain(db)
        assert db.removed.after(0).tolist() == []
        assert db.removed.newest() == 0


def test_a_face_that_is_there_again_is_not_among_those_that_are_gone() -> None:
    gallery = _synced()
    with gallery.writing() as db, db.transaction():
        db.connection.execute("CREATE TEMP TABLE aside AS SELECT * FROM faces WHERE id IN (3, 4)")
        db.connection.execute("DELETE FROM faces WHERE id IN (3, 4)")
        db.connection.execute("INSERT INTO faces SELECT * FROM aside WHERE id = 3")
        assert db.removed.after(0).tolist() == [4]


def test_the_file_of_vectors_follows_and_nothing_is_left_to_note() -> None:
    gallery = _synced()
    _delete(gallery, "DELETE FROM photos WHERE id IN (2, 3)")
    _sync(gallery)
    with gallery.reading() as (db, _):
        stamp = db.stamp.read()
        assert stamp is not None
        assert stamp.removed == db.removed.newest() == 4
        ids = vectors_file.ids_in(gallery.vectors, stamp)
        assert ids is not None
        assert ids.tolist() == db.faces.ids().tolist() == [1, 2, 7, 8, 9, 10, 11, 12]
        assert db.connection.execute("SELECT count(*) FROM removed").fetchone() == (0,)


def test_numbers_go_on_when_the_table_was_emptied() -> None:
    gallery = _synced()
    for photo in (1, 2):
        _delete(gallery, f"DELETE FROM photos WHERE id = {photo}")
        _sync(gallery)
    with gallery.reading() as (db, _):
        assert db.removed.newest() == 4


def test_what_one_cache_has_not_followed_stays() -> None:
    gallery = _synced()
    with gallery.writing() as db, db.transaction():
        db.connection.execute("DROP TABLE IF EXISTS store")
        db.connection.execute("CREATE TABLE store (removed INTEGER)")
        db.connection.execute("INSERT INTO store VALUES (1)")
        db.connection.execute("DELETE FROM faces WHERE id <= 3")
        db.stamp.delete()
        db.removed.drop_followed()
        assert db.removed.after(0).tolist() == [2, 3]


def test_a_file_of_an_earlier_facesearch_is_made_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = _synced()
    _delete(gallery, "UPDATE index_stamp SET removed = NULL")
    _delete(gallery, "DELETE FROM faces WHERE id = 7")
    _delete(gallery, "DELETE FROM removed")  # as if it had been deleted before it was noted
    _sync(gallery)
    with gallery.reading() as (db, _):
        stamp = db.stamp.read()
        assert stamp is not None
        assert stamp.removed == 1
        assert 7 not in vectors_file.ids_in(gallery.vectors, stamp)  # type: ignore[operator]
    monkeypatch.setattr("facesearch.gallery.tables.faces.Faces.ids", lambda _: pytest.fail("all ids are read"))
    _delete(gallery, "DELETE FROM faces WHERE id = 8")
    _sync(gallery)


def test_a_trigger_that_is_not_ours_is_a_fault(tmp_path: Path) -> None:
    gallery = _synced()
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("DROP TRIGGER face_removed")
    assert gallery.check().faults == ("the trigger face_removed is not there",)
    gallery.repair()
    assert gallery.check().faults == ()
    assert np.array_equal(*_ids_in_both(gallery))


def _ids_in_both(gallery: Gallery) -> tuple[np.ndarray, np.ndarray]:
    with gallery.reading() as (db, _):
        stamp = db.stamp.read()
        assert stamp is not None
        ids = vectors_file.ids_in(gallery.vectors, stamp)
        assert ids is not None
        return ids, db.faces.ids()


def _counted(db: Database) -> tuple[dict[str, int], int, tuple[int, int], tuple[int, ...], int]:
    """What the tables say that SQLite keeps."""
    return db.photos.counts(), db.faces.count(), db.groupings.size(), db.groupings.counts(), db.people.with_faces()


def _scanned(db: Database) -> tuple[dict[str, int], int, tuple[int, int], tuple[int, ...], int]:
    """The same from each row."""

    def one(statement: str) -> int:
        return int(db.connection.execute(statement).fetchone()[0])

    alone = one("SELECT count(*) FROM faces WHERE is_face AND person_id IS NULL")
    people = one("SELECT count(DISTINCT person_id) FROM faces WHERE is_face")
    faces = one("SELECT count(*) FROM faces WHERE is_face")
    said = one("SELECT count(DISTINCT person_id) FROM faces WHERE is_face AND named_by != 'auto'")
    counts = faces, said, people - said, alone, one("SELECT count(*) FROM suggestions")
    statuses = dict(db.connection.execute("SELECT status, count(*) FROM photos GROUP BY status"))
    whoever = one("SELECT count(DISTINCT person_id) FROM faces")
    return statuses, one("SELECT count(*) FROM faces"), (people + alone, faces), counts, whoever


class _CancelledError(Exception):
    """What rolls a transaction back."""


class Counting(RuleBasedStateMachine):
    """Whatever is written, and whatever is rolled back, the kept counts are those of the rows."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._db = Database.create(Path(self._folder.name) / "faces.db")
        with self._db.transaction():
            self._db.settings.write(GallerySettings("dlib-resnet", "mtcnn", DIM, 20.0))
            self._db.connection.executemany("INSERT INTO people (id) VALUES (?)", [(1,), (2,)])

    def teardown(self) -> None:
        self._db.connection.close()
        self._folder.cleanup()

    def _write(self, holds: bool, act: Callable[[sqlite3.Connection], object]) -> None:
        with suppress(_CancelledError), self._db.transaction():
            act(self._db.connection)
            if not holds:
                raise _CancelledError

    @rule(photo=st.integers(1, 6), faces=st.integers(0, 2), holds=st.booleans())
    def save(self, photo: int, faces: int, holds: bool) -> None:
        path = f"/p/{photo}.jpg"
        rows = np.array([embedding(path, i) for i in range(faces)], np.float32).reshape(faces, DIM)
        status = Status.OK if faces else Status.NO_FACE
        row = PhotoRow(PhotoFile(path, 1, 1), status, path.encode(), faces=[face(9)] * faces, embeddings=rows)
        self._write(holds, lambda _: self._db.photos.save(row))

    @rule(photo=st.integers(1, 9), status=st.sampled_from(tuple(Status)), holds=st.booleans())
    def mark(self, photo: int, status: Status, holds: bool) -> None:
        self._write(holds, lambda _: self._db.photos.mark([photo], status))

    @rule(statement=st.sampled_from(_STATEMENTS), n=st.integers(1, 9), holds=st.booleans())
    def change(self, statement: str, n: int, holds: bool) -> None:
        self._write(holds, lambda conn: conn.execute(statement, {"n": n}))

    @rule(holds=st.booleans())
    def forget_displaced(self, holds: bool) -> None:
        self._write(holds, lambda _: self._db.photos.delete_displaced())

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        assert _counted(self._db) == _scanned(self._db)


Counting.TestCase.settings = settings(max_examples=12, stateful_step_count=16, deadline=None, derandomize=True)
TestCountsAreRightWhateverIsWritten = Counting.TestCase


def test_counts_that_are_wrong_are_a_fault_and_repaired() -> None:
    gallery = _synced()
    _delete(gallery, "UPDATE photo_counts SET photos = 7 WHERE status = 'ok'")
    _delete(gallery, "UPDATE face_counts SET alone = 3")
    assert len(gallery.check().faults) == 2
    gallery.repair()
    assert gallery.check().faults == ()
    with gallery.reading() as (db, _):
        assert _counted(db) == _scanned(db)


def test_what_is_asked_about_few_of_millions_looks_at_no_others() -> None:
    gallery = _synced()
    with gallery.writing() as db:
        looked: list[str] = []
        db.connection.set_trace_callback(looked.append)
        with db.transaction():
            list(db.photos.unread())
            db.photos.counts(), db.faces.count(), db.groupings.count(), db.groupings.copies([1, 2])
            db.photos.not_looked_at_for_dates(10)
            db.photos.delete_displaced()
            list(db.removal.missing())
        db.connection.set_trace_callback(None)
        asked = [each for each in looked if each.startswith(("SELECT", "DELETE"))]
        assert len(asked) >= 7
        for statement in asked:
            steps = [step for *_, step in db.connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert not [step for step in steps if _READS_ALL.match(step)], statement
            assert not [step for step in steps if "faces_by_person" in step], statement


def _with_one_more(gallery: Gallery, photo: Path, number: int) -> int:
    """Indexes one more photo, whose face is the newest; how many faces the file of vectors has then."""
    photo.parent.mkdir(exist_ok=True)
    photo.write_bytes(_astronaut() + bytes([number]))  # or it would be a copy
    gallery.index([photo.parent])
    with gallery.reading() as (db, _):
        stamp = db.stamp.read()
        assert stamp is not None
        ids = vectors_file.ids_in(gallery.vectors, stamp)
        assert ids is not None
        return len(ids)


def test_one_more_photo_in_a_large_gallery_is_found_and_the_file_of_vectors_not_written_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = _synced()
    assert _with_one_more(gallery, tmp_path / "photos" / "1.jpg", 1) == 13
    monkeypatch.setattr(
        "facesearch.gallery.vectors.lagging.index_recipes", lambda: [SimpleNamespace(name="of fewer faces")]
    )
    assert _with_one_more(gallery, tmp_path / "photos" / "2.jpg", 2) == 13
    with gallery.reading() as (db, settings), gallery.searching(db, settings) as faces:
        ids, rows = db.faces.embeddings_of([14], DIM)
        assert set(faces.search(rows, 2)[1][0].tolist()) == {13, 14}
        assert ids.tolist() == [14]


def test_a_file_of_vectors_that_holds_many_who_are_gone_may_not_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = _synced()
    monkeypatch.setattr(lagging, "index_recipes", lambda: [SimpleNamespace(name="of fewer faces")])
    monkeypatch.setattr(lagging, "_FEW", 3)

    def may() -> tuple[bool, bool]:
        with gallery.writing() as db:
            return lagging.may_lag(db, gallery.vectors), lagging.has_followed(db, gallery.vectors)

    assert may() == (True, True)
    _delete(gallery, "DELETE FROM faces WHERE id IN (3, 4)")
    assert may() == (True, False)
    _delete(gallery, "DELETE FROM faces WHERE id = 5")
    assert may() == (False, False)
