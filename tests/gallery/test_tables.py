"""The database: what it must keep, and what it must refuse."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import FaceSearchError, GalleryError
from facesearch.gallery.database import Database
from facesearch.gallery.records.settings import GallerySettings, IndexStamp
from facesearch.gallery.tables.photos import KnownPhoto, PhotoRow
from facesearch.gallery.tables.runs import Done
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_DIM = 4


def _face(left: float = 0) -> Face:
    points = tuple(Point(left + i, i) for i in range(5))
    return Face(Box(left, 1, left + 10, 12), 0.9, points)  # type: ignore[arg-type]


def _rows(*values: float) -> np.ndarray:
    return np.array([[value] * _DIM for value in values], np.float32)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.create(tmp_path / "faces.db")


def _save(db: Database, path: str, digest: bytes, *values: float, person: str | None = None) -> None:
    with db.transaction():
        faces = [_face(i) for i in range(len(values))]
        status = Status.OK if values else Status.NO_FACE
        db.photos.save(
            PhotoRow(
                PhotoFile(path, 1, 1), status, digest=digest, faces=faces, embeddings=_rows(*values), person=person
            )
        )


def _known(db: Database, digest: bytes) -> KnownPhoto:
    known = db.photos.known_content(digest)
    assert known is not None
    return known


def test_photos_that_are_numbered_anew_keep_their_faces(db: Database) -> None:
    """1 becomes 2, 2 becomes 3: each takes the place of the one that has not been looked at yet."""
    for i in (1, 2, 3):
        _save(db, f"/a/{i}.jpg", bytes([i]), i / 10)
    ids = db.faces.ids().tolist()
    with db.transaction():
        for i in (1, 2, 3):
            db.photos.move(_known(db, bytes([i])), PhotoFile(f"/a/{i + 1}.jpg", 1, 9))
        db.photos.delete_displaced()
    matches = db.faces.matches({face: 1 - face / 10 for face in ids})
    assert [match.photo for match, *_ in matches] == ["/a/2.jpg", "/a/3.jpg", "/a/4.jpg"]
    assert db.photos.counts() == {"ok": 3}


def test_what_is_saved_is_found(db: Database) -> None:
    _save(db, "/a/1.jpg", b"1", 0.25, 0.5, person="Ann")
    known = db.photos.known(["/a/1.jpg", "/a/2.jpg"])
    assert list(known) == ["/a/1.jpg"]
    assert (known["/a/1.jpg"].status, known["/a/1.jpg"].faces) == (Status.OK, 2)
    ((ids, rows),) = db.faces.embeddings(_DIM)
    np.testing.assert_array_equal(rows, _rows(0.25, 0.5))
    matches = db.faces.matches({int(ids[0]): 0.5, int(ids[1]): 0.75, 99: 1.0})
    assert [(m.face_id, m.person, m.photo, m.box.left) for m, *_ in matches] == [
        (ids[1], "Ann", "/a/1.jpg", 1),
        (ids[0], "Ann", "/a/1.jpg", 0),
    ]


def test_a_photo_that_is_saved_again_replaces_its_faces_and_their_ids(db: Database) -> None:
    _save(db, "/a/1.jpg", b"1", 0.1, 0.2)
    first = db.faces.ids().tolist()
    _save(db, "/a/1.jpg", b"2", 0.3)
    assert len(db.faces.matches(dict.fromkeys(db.faces.ids().tolist(), 1.0))) == 1
    with db.transaction():
        db.photos.delete_displaced()
    assert db.faces.count() == 1
    assert not set(db.faces.ids().tolist()) & set(first)
    assert db.photos.counts() == {"ok": 1}


def test_the_id_of_a_deleted_face_is_never_given_again(db: Database) -> None:
    _save(db, "/a/1.jpg", b"1", 0.1)
    newest = db.faces.newest()
    _save(db, "/a/1.jpg", b"1")
    _save(db, "/a/2.jpg", b"2", 0.1)
    assert db.faces.newest() > newest


def test_a_transaction_that_fails_leaves_nothing(db: Database) -> None:
    with pytest.raises(ValueError, match="zip"), db.transaction():
        db.photos.save(
            PhotoRow(PhotoFile("/a/1.jpg", 1, 1), Status.OK, digest=b"1", faces=[_face()], embeddings=_rows(1, 2))
        )
    assert db.photos.counts() == {}
    assert db.faces.count() == 0


def test_moved_and_copied_photos_keep_their_faces(db: Database) -> None:
    _save(db, "/a/1.jpg", b"1", 0.1, person="Ann")
    assert db.photos.known_content(b"2") is None
    known = _known(db, b"1")
    ids = db.faces.ids().tolist()
    with db.transaction():
        db.photos.move(known, PhotoFile("/b/1.jpg", 1, 2))
    assert not db.photos.known(["/a/1.jpg"])
    assert db.faces.ids().tolist() == ids
    with db.transaction():
        db.photos.copy(_known(db, b"1"), PhotoFile("/c/1.jpg", 1, 3), "Bob")
    matches = db.faces.matches(dict.fromkeys(db.faces.ids().tolist(), 1.0))
    assert [(m.photo, m.person) for m, *_ in matches] == [("/b/1.jpg", "Ann"), ("/c/1.jpg", "Bob")]


def test_a_photo_may_move_to_where_another_one_was(db: Database) -> None:
    _save(db, "/a/1.jpg", b"1", 0.1)
    _save(db, "/a/2.jpg", b"2", 0.2)
    with db.transaction():
        db.photos.move(_known(db, b"1"), PhotoFile("/a/2.jpg", 1, 5))
        db.photos.delete_displaced()
    ((_, rows),) = db.faces.embeddings(_DIM)
    np.testing.assert_array_equal(rows, _rows(0.1))


def test_missing_photos_are_among_those_under_the_root_that_were_not_seen(tmp_path: Path) -> None:
    with Database.create(tmp_path / "faces.db") as db:
        for path in ("/a/1.jpg", "/a/b/2.jpg", "/ab/4.jpg", "/a0.jpg", "/a/seen.jpg"):
            _save(db, path, path.encode(), 0.1)
    with Database.create(tmp_path / "faces.db") as db:  # another run, which has seen nothing yet
        with db.transaction():
            db.photos.mark_seen(db.photos.known(["/a/seen.jpg"]).values())
            unseen = db.photos.unseen("/a")
            db.photos.mark([photo for photo, _ in unseen.values()], Status.MISSING)
        assert sorted(unseen) == ["/a/1.jpg", "/a/b/2.jpg"]
        assert db.photos.unseen("/a") == {}
        assert db.photos.counts() == {"ok": 3, "missing": 2}
        assert len(db.faces.matches(dict.fromkeys(db.faces.ids().tolist(), 1.0))) == 3
        assert db.faces.count() == 5


def test_paths_that_are_no_utf8_come_back_as_they_were(db: Database) -> None:
    path = os.fsdecode(b"/a/latin1-\xe9.jpg")
    _save(db, path, b"1", 0.1)
    assert list(db.photos.known([path])) == [path]
    assert db.photos.unseen("/a") == {}  # this run has just saved it
    assert db.faces.matches({1: 1.0})[0][0].photo == path


def test_a_reader_cannot_write(db: Database, tmp_path: Path) -> None:
    with (
        Database.open(tmp_path / "faces.db") as reader,
        pytest.raises(FaceSearchError, match="readonly"),
        reader.transaction(),
    ):
        reader.settings.write(GallerySettings("m", "d", 4, 20))


def test_settings_and_stamp_come_back(db: Database, tmp_path: Path) -> None:
    assert db.settings.read() is None
    assert db.stamp.read() is None
    settings = GallerySettings("m", "d", 4, 20.5)
    stamp = IndexStamp("flat", "m", 3, 9, 100, 5, "ab", None)
    with db.transaction():
        db.settings.write(settings)
        db.stamp.write(stamp)
        db.stamp.write(stamp)
    with Database.open(tmp_path / "faces.db") as reader:
        assert reader.settings.read() == settings
        assert reader.stamp.read() == stamp


def test_a_gallery_from_before_photos_were_shrunk_looks_at_them_whole(tmp_path: Path) -> None:
    path = tmp_path / "faces.db"
    with Database.create(path) as db, db.transaction():
        db.settings.write(GallerySettings("m", "d", 4, 20, 1600))
    with sqlite3.connect(path) as conn:
        conn.execute("ALTER TABLE settings DROP COLUMN max_side")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'longest_side'")
    for opener in (Database.open, Database.create, Database.open):
        with opener(path) as db:
            assert db.settings.read() == GallerySettings("m", "d", 4, 20, 0)


def test_the_newest_run_names_its_process_until_it_ends(db: Database) -> None:
    with db.transaction():
        db.roots.add(["/a"])
        run = db.runs.begin()
    newest = db.runs.newest()
    assert newest is not None
    assert newest.pid == os.getpid()
    assert newest.ended_at is None
    with db.transaction():
        db.runs.end(run, Done(1, 2, 1, 0.5, None))
    ended = db.runs.newest()
    assert ended is not None
    assert ended.ended_at is not None


@pytest.mark.parametrize("content", [b"this is no database, only text " * 100, b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "faces.db"
    path.write_bytes(content)
    for opener in (Database.open, Database.create):
        with (
            pytest.raises(GalleryError, match=r"faces\.db is damaged \(.*\); try: facesearch repair"),
            opener(path) as db,
        ):
            db.settings.read()
    assert path.read_bytes() == content


def test_a_newer_schema_is_refused(db: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "faces.db") as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations SELECT 99, migration_set, 'from_the_future', applied_at "
            "FROM _sqlite_migrations LIMIT 1"
        )
    with pytest.raises(GalleryError, match="newer facesearch"):
        Database.open(tmp_path / "faces.db")


def test_a_process_that_is_killed_between_batches_leaves_whole_batches(tmp_path: Path) -> None:
    path = tmp_path / "faces.db"
    program = f"""
import os, signal
from pathlib import Path
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from facesearch.gallery.database import Database
from facesearch.gallery.tables.photos import PhotoRow
db = Database.create(Path({str(path)!r}))
for batch in range(2):
    with db.transaction():
        for i in range(5):
            if (batch, i) == (1, 3):
                os.kill(os.getpid(), signal.SIGKILL)
            db.photos.save(PhotoRow(PhotoFile(f"/{{batch}}/{{i}}.jpg", 1, 1), Status.NO_FACE, digest=b"1"))
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    with Database.create(path) as db:
        assert db.photos.counts() == {"no_face": 5}
