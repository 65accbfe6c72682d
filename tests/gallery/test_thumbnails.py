"""Small pictures of faces that are kept: when one is shown, what a fault costs, and that each goes when it is to."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.gallery import contents, galleries
from facesearch.gallery.tables.picture_sources import PhotoGoneError
from facesearch.gallery.upkeep.checking import check, repair
from facesearch.gallery.upkeep.forgetting import forget, forget_missing
from facesearch.geometry.face import Box
from facesearch.photos.encoding import face_pictures, is_picture, photo_picture
from facesearch.photos.pool import Decoders
from tests.picture_galleries import MIDDLE, jpeg, noise, show, shown, store


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(1) as made:
        yield made


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    return Gallery.open("default", "cpu")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


# What is kept


def test_a_picture_is_made_once_and_shown_when_the_photo_is_away(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    first, other = store(gallery, root, {"a.jpg": [MIDDLE, Box(200, 40, 300, 140)]})
    made = show(gallery, first, decoders)
    (root / "a.jpg").unlink()
    assert show(gallery, first, decoders) == made
    assert is_picture(show(gallery, other, decoders))  # of the same photo, and not smaller: made in passing
    with pytest.raises(PhotoGoneError):
        show(gallery, first, decoders, 224)
    assert gallery.thumbnails.path.stat().st_mode & 0o777 == 0o600


def _stored_again(gallery: Gallery, root: Path, face: int, box: Box) -> None:
    """The photo with another face, to which the id is given once more, as after a repair."""
    (new,) = store(gallery, root, {"a.jpg": [box]})
    with gallery.writing() as db, db.transaction():
        if new != face:
            db.connection.execute("DELETE FROM faces WHERE id = ?", (face,))
            db.connection.execute("UPDATE faces SET id = ? WHERE id = ?", (face, new))


def test_a_picture_of_what_was_there_before_is_notshown(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    before = show(gallery, face, decoders)
    (root / "a.jpg").write_bytes(jpeg(noise(2)))
    _stored_again(gallery, root, face, MIDDLE)
    after = show(gallery, face, decoders)
    assert after != before
    assert show(gallery, face, decoders) == after
    _stored_again(gallery, root, face, Box(70, 40, 150, 140))  # the same photo, another place
    assert show(gallery, face, decoders) != after


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE thumbnails (face_id INTEGER PRIMARY KEY, mine TEXT)")


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:] = os.urandom(len(data) - 100)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database, and longer than its header is" * 50),
        lambda path: path.write_bytes(b""),
        _damaged,
        _foreign,
        lambda path: path.unlink(),
    ],
    ids=["no database", "empty", "damaged", "another one", "gone"],
)
def test_a_file_that_is_not_as_it_was_is_made_anew_and_nobody_hears_of_it(
    gallery: Gallery, root: Path, decoders: Decoders, spoil: Callable[[Path], object]
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    made = show(gallery, face, decoders)
    spoil(gallery.thumbnails.path)
    assert show(gallery, face, decoders) == made
    assert show(gallery, face, decoders) == made
    (root / "a.jpg").unlink()
    assert show(gallery, face, decoders) == made
    assert check(gallery).faults == ()


def test_what_a_link_in_its_place_leads_to_is_not_written(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    theirs = root.parent / "theirs.db"
    theirs.write_bytes(b"")
    gallery.thumbnails.path.symlink_to(theirs)
    assert show(gallery, face, decoders) == show(gallery, face, decoders)
    assert theirs.read_bytes() == b""
    assert not gallery.thumbnails.path.is_symlink()


def test_a_picture_that_the_file_holds_no_more_whole_is_made_again(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    made = show(gallery, face, decoders)
    with closing(sqlite3.connect(gallery.thumbnails.path)) as conn, conn:
        conn.execute("UPDATE thumbnails SET picture = ?", (b"<html><script>alert(1)</script></html>",))
    assert show(gallery, face, decoders) == made


_WRITER = """
import resource, sys
from facesearch import Gallery
from facesearch.photos.encoding import encode
from tests.picture_galleries import noise
gallery = Gallery.open("default", "cpu")
if sys.argv[1] == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
with gallery.reading() as (db, _):
    faces = list(db.pictures.faces(db.faces.ids().tolist()).values())
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[2])):
    face = faces[(i * 7 + int(sys.argv[3])) % len(faces)]
    gallery.thumbnails.write([(face, encode(noise(face.face_id, (112, 112))))], lambda _: {face.face_id: face})
print("done")
"""


def _writer(*words: object) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _many(gallery: Gallery, root: Path, photos: int = 60) -> list[int]:
    for i in range(photos):
        (root / f"{i}.jpg").write_bytes(jpeg(noise(i)))
    return store(gallery, root, {f"{i}.jpg": [MIDDLE] for i in range(photos)})


def _pictures(gallery: Gallery, faces: Sequence[int]) -> dict[int, bytes]:
    with gallery.reading() as (db, _):
        return gallery.thumbnails.read(list(db.pictures.faces(faces).values()))


def test_a_disk_without_room_costs_nothing_but_the_pictures(gallery: Gallery, root: Path) -> None:
    faces = _many(gallery, root)
    writer = _writer("full", 60, 0)
    assert writer.communicate("\n", timeout=60)[0] == "done\n"
    assert writer.returncode == 0
    assert len(_pictures(gallery, faces)) < 60


def test_two_processes_write_at_the_same_time(gallery: Gallery, root: Path) -> None:
    faces = _many(gallery, root)
    writers = [_writer("", 60, first) for first in (0, 3)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[0] for writer in writers] == ["done\n"] * 2
    assert sorted(_pictures(gallery, faces)) == faces


def test_a_process_that_is_killed_while_it_writes_leaves_a_file_that_serves(gallery: Gallery, root: Path) -> None:
    faces = _many(gallery, root)
    writer = _writer("", 100_000, 0)
    assert writer.stdin is not None
    writer.stdin.write("\n")
    writer.stdin.flush()
    while not (gallery.thumbnails.path.exists() and gallery.thumbnails.path.stat().st_size > 60_000):
        assert writer.poll() is None
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    with gallery.reading() as (db, _):
        source = db.pictures.faces(faces[:1])[faces[0]]
        gallery.thumbnails.write([(source, photo_picture(jpeg(noise(0)), 112, 10))], db.pictures.faces)
    assert faces[0] in _pictures(gallery, faces)
    with closing(sqlite3.connect(gallery.thumbnails.path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_where_nothing_may_be_written_pictures_are_made_each_time(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    gallery.thumbnails.path.mkdir()  # as root may write everywhere: nothing can be written here
    assert is_picture(show(gallery, face, decoders))
    assert gallery.thumbnails.path.is_dir()


def test_pictures_of_a_large_photo_are_made_while_it_is_indexed(
    home: Path, root: Path, astronaut: Pixels, decoders: Decoders
) -> None:
    """And go when the photo has changed; those of a small one are made when somebody looks."""
    large = np.asarray(cv2.resize(astronaut, (1536, 1536)), np.uint8)
    (root / "large.jpg").write_bytes(jpeg(large))
    (root / "small.jpg").write_bytes(jpeg(astronaut))
    gallery = Gallery.open("default", "cpu")
    gallery.index([root])
    with gallery.reading() as (db, _):
        photo = db.photos.id_of(str(root / "large.jpg"))
        (face,) = db.pictures.of_photo(photo or 0).values()
        assert list(gallery.thumbnails.read(list(db.pictures.faces(range(1, 9)).values()))) == [face.face_id]
    kept = gallery.thumbnails.read([face])[face.face_id]
    (again,) = gallery.make_face_pictures([face], 112, decoders)
    assert np.abs(shown(kept).astype(int) - shown(again)).mean() < 8
    (root / "large.jpg").write_bytes(jpeg(large[:, ::-1]))
    gallery.index()
    assert kept[60:100] not in _everything(gallery)
    assert len(_pictures(gallery, range(1, 9))) == 1
    assert Gallery.open("without", "cpu").index([root], thumbnails=False).photos["ok"] == 2
    assert not Gallery.open("without", "cpu").thumbnails.path.exists()


# What goes


def _everything(gallery: Gallery) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(gallery.directory.rglob("*")) if path.is_file())


def _assert_only(gallery: Gallery, kept: dict[int, bytes], gone: dict[int, bytes]) -> None:
    everything = _everything(gallery)
    assert [face for face, picture in gone.items() if picture[60:100] in everything] == []
    assert [face for face, picture in kept.items() if picture not in everything] == []
    assert not list(gallery.directory.glob("*-journal"))


def _remember_all(gallery: Gallery, faces: Sequence[int], decoders: Decoders) -> dict[int, bytes]:
    """The pictures of these faces, made in no order, as a page is scrolled: pages of the file are split."""
    mixed = np.random.default_rng(0).permutation(faces).tolist()
    made = {face: show(gallery, face, decoders) for face in mixed}
    assert _pictures(gallery, faces) == made
    return made


def test_the_picture_of_who_is_forgotten_leaves_no_byte(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    others = _many(gallery, root, 40)
    for i in range(4):
        (root / f"ann-{i}.jpg").write_bytes(jpeg(noise(100 + i)))
    anns = store(gallery, root, {f"ann-{i}.jpg": [MIDDLE] for i in range(4)}, person="Ann")
    made = _remember_all(gallery, [*others, *anns], decoders)
    with closing(sqlite3.connect(gallery.thumbnails.path)) as held:  # as by a page that has it open
        held.execute("SELECT count(*) FROM thumbnails").fetchone()
        forget(gallery, "Ann")
        assert held.execute("SELECT count(*) FROM thumbnails").fetchone() == (40,)
    _assert_only(gallery, {face: made[face] for face in others}, {face: made[face] for face in anns})
    forget(gallery, str(root / "7.jpg"))
    (root / "8.jpg").unlink()
    with gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE photos SET status = 'missing' WHERE path LIKE '%/8.jpg'")
    forget_missing(gallery)
    gone = [others[7], others[8], *anns]
    _assert_only(gallery, {face: made[face] for face in others[9:]}, {face: made[face] for face in gone})
    (root / "more").mkdir()
    forget(gallery, str(root))
    _assert_only(gallery, {}, made)


def test_a_picture_that_is_made_while_its_face_is_forgotten_is_not_kept(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    found = gallery.face_to_show(face)
    with gallery.reading() as (db, _):
        roots = db.pictures.roots()
    assert roots
    forget(gallery, str(root / "a.jpg"))
    picture = face_pictures((root / "a.jpg").read_bytes(), [MIDDLE], 112, 10)[0]
    gallery.thumbnails.write([(found.source, picture)], gallery.still_stored)
    assert picture[60:100] not in _everything(gallery)


def test_a_file_that_cannot_be_cleared_goes_as_a_whole(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    faces = _many(gallery, root, 5)
    made = _remember_all(gallery, faces, decoders)
    _damaged(gallery.thumbnails.path)
    forget(gallery, str(root / "0.jpg"))
    assert not gallery.thumbnails.path.exists()
    _assert_only(gallery, {}, made)


def test_a_gallery_is_renamed_and_deleted_with_its_pictures(gallery: Gallery, root: Path, decoders: Decoders) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    made = show(gallery, face, decoders)
    assert gallery.facts().bytes_on_disk > gallery.thumbnails.path.stat().st_size > 0
    assert contents.unknown(gallery.directory) == ()
    galleries.rename("default", "other", lambda _: None)
    (root / "a.jpg").unlink()
    other = Gallery.open("other", "cpu")
    assert show(other, face, decoders) == made
    other.sheet.write_bytes(b"a sheet of faces")
    galleries.delete("other", lambda _: None)
    assert not other.directory.exists()


def test_a_page_writes_nothing_into_a_gallery_that_was_deleted(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    (face,) = store(gallery, root, {"a.jpg": [MIDDLE]})
    found = gallery.face_to_show(face)
    galleries.delete("default", lambda _: None)
    gallery.directory.mkdir()  # as while it is being deleted
    gallery.thumbnails.write([(found.source, b"picture")], gallery.still_stored)
    assert list(gallery.directory.iterdir()) == []


def test_a_repair_keeps_the_pictures_of_the_faces_that_it_keeps(
    gallery: Gallery, root: Path, decoders: Decoders
) -> None:
    first, second = _many(gallery, root, 2)
    made = _remember_all(gallery, [first, second], decoders)
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("UPDATE faces SET embedding = x'00' WHERE id = ?", (second,))
    repair(gallery, lambda folder, people_from: gallery.index([folder], people_from=people_from))
    assert _pictures(gallery, [first, second]) == {first: made[first]}
    assert made[second][60:100] not in gallery.thumbnails.path.read_bytes()


def test_a_journal_that_was_left_goes_with_what_is_forgotten(gallery: Gallery, root: Path) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    store(gallery, root, {"a.jpg": [MIDDLE]})
    left = gallery.thumbnails.path.with_name("thumbnails.db-journal")
    left.write_bytes(b"a face")
    assert contents.unknown(gallery.directory) == ()
    forget(gallery, str(root / "a.jpg"))
    assert not left.exists()
