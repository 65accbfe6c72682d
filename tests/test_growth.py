"""What keeps a gallery fast while it grows: deletions that are noted, so that nothing is compared with all faces."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from facesearch import Gallery
from facesearch.gallery import vectors_file
from facesearch.gallery.database import Database
from tests.made_galleries import made


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees another's galleries."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))


_PHOTOS = {f"/p/{i}.jpg": 2 for i in range(6)}  # faces 1 to 12


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


def test_a_file_of_an_earlier_facesearch_is_compared_with_all_faces_once(monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setattr("facesearch.gallery.faces_table.Faces.ids", lambda _: pytest.fail("all ids are read"))
    _delete(gallery, "DELETE FROM faces WHERE id = 8")
    _sync(gallery)


def test_a_trigger_that_is_not_ours_is_a_fault(tmp_path: Path) -> None:
    gallery = _synced()
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("DROP TRIGGER face_removed")
    assert "notes by itself" in gallery.check().faults[0]
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
