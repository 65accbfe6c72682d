"""A gallery's model is changed: faces keep their ids and names, and nothing is detected again."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch import FaceSearchError, Gallery
from tests.models.second_model import NAME, keep_second_model

Cli = Callable[..., Any]
Faces = dict[str, tuple[Any, ...]]


@pytest.fixture
def gallery(home: Path, album: Path) -> Gallery:
    """Nine photos of three people, by the default model; a second model is at hand."""
    keep_second_model()
    gallery = Gallery.open(device="cpu", precision="float32")
    gallery.index([album], people_from="folder")
    return gallery


def _rows(gallery: Gallery, statement: str) -> list[Any]:
    with closing(sqlite3.connect(gallery.database)) as conn:
        return conn.execute(statement).fetchall()


def _who(gallery: Gallery) -> list[Any]:
    """All that stays: ids, names, boxes, landmarks, photos."""
    return _rows(
        gallery,
        "SELECT faces.id, name, box_left, box_top, score, landmarks, path, face_count FROM faces JOIN photos ON "
        "photos.id = photo_id LEFT JOIN people ON people.id = person_id ORDER BY faces.id",
    )


def _embeddings(gallery: Gallery) -> dict[tuple[str, float], bytes]:
    rows = _rows(gallery, "SELECT path, box_left, embedding FROM faces JOIN photos ON photos.id = photo_id")
    return {(path, left): embedding for path, left, embedding in rows}


def _dump(gallery: Gallery) -> list[str]:
    """All that the database holds."""
    with closing(sqlite3.connect(gallery.database)) as conn:
        return list(conn.iterdump())


def _bytes_of(gallery: Gallery) -> bytes:
    return b"".join(path.read_bytes() for path in gallery.directory.iterdir())


def _break_off(gallery: Gallery, after: int) -> None:
    """Begins to migrate and ends once so many faces are done."""

    def stop(done: int, total: int) -> None:
        if done >= after:
            raise FaceSearchError("enough")

    with pytest.raises(FaceSearchError, match="enough"):
        gallery.migrate(NAME, threads=1, batch=1, on_progress=stop)


def test_faces_keep_their_ids_and_names_and_get_the_embeddings_of_the_new_model(
    gallery: Gallery, album: Path
) -> None:
    before, old = _who(gallery), _embeddings(gallery)
    done = gallery.migrate(NAME)
    assert (done.is_new, done.model_before, done.model, done.set_aside) == (True, "dlib-resnet", NAME, 0)
    assert done.faces == len(before)
    assert _who(gallery) == before
    assert gallery.check().faults == ()

    fresh = Gallery.open("fresh", "cpu", precision="float32")
    fresh.index([album], model=NAME)
    new, expected = _embeddings(gallery), _embeddings(fresh)
    assert new.keys() == expected.keys()
    for face, row in new.items():
        np.testing.assert_allclose(np.frombuffer(row, "f4"), np.frombuffer(expected[face], "f4"), atol=1e-4)
    assert not any(row in _bytes_of(gallery) for row in old.values())

    answer = gallery.query(album / "Tiger_Woods" / "Tiger_Woods_0001.jpg", k=1)
    assert (answer.model, answer.matches[0].person) == (NAME, "Tiger_Woods")
    assert answer.matches[0].similarity > 0.999
    assert gallery.index([album]).photos == {"unchanged": 9}


def test_a_copy_gets_its_embedding_even_where_the_first_is_gone(gallery: Gallery, album: Path) -> None:
    photo = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    shutil.copy(photo, album / "Abdullah_Gul" / "copy.jpg")
    gallery.index([album])
    photo.unlink()
    assert gallery.migrate(NAME).set_aside == 0
    assert len(_embeddings(gallery)) == len({*_embeddings(gallery)})


def test_a_learned_threshold_goes_with_the_embeddings(gallery: Gallery, cli: Cli) -> None:
    with gallery.writing() as db, db.transaction():
        db._conn.execute("INSERT INTO calibration VALUES (1, 0.5, 0.001, 9999, 'today', 1)")
    said = cli("migrate", "--model", NAME, "--json", "--device", "cpu")
    assert (said.code, json.loads(said.out)["lost_threshold"]) == (0, True)
    threshold = gallery.facts().threshold
    assert threshold is not None
    assert not threshold.learned


def test_nothing_is_done_for_the_model_that_it_has_and_none_that_is_not_there(gallery: Gallery, cli: Cli) -> None:
    before = _dump(gallery)
    said = cli("migrate", "--model", "dlib-resnet")
    assert (said.code, said.out.count("\n"), said.err) == (0, 1, "")
    assert cli("migrate", "--model", "nobody").code == 6
    assert cli("migrate", "--model", "sface").code == 6  # its weights are not here
    assert cli("migrate", "--model", NAME, "--gallery", "none").code == 5
    with gallery.locked():
        assert cli("migrate", "--model", NAME).code == 8
    assert _dump(gallery) == before
    refused = cli("index", gallery.facts().roots[0], "--model", NAME)
    assert refused.code == 6
    assert f"facesearch migrate --model {NAME}" in refused.err


@pytest.mark.parametrize("by", ["index", "migrate"])
def test_faces_whose_photo_cannot_be_read_wait_for_it(gallery: Gallery, album: Path, cli: Cli, by: str) -> None:
    gone, changed = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg", album / "Abdullah_Gul" / "Abdullah_Gul_0001.jpg"
    before, content = _who(gallery), {path: path.read_bytes() for path in (gone, changed)}
    gone.unlink()
    changed.write_bytes(b"other")
    said = cli("migrate", "--model", NAME, "--json", "--device", "cpu")
    listed = json.loads(said.out)
    assert said.code == 7
    assert {each["photo"] for each in listed["set_aside"]} == {str(gone), str(changed)}
    assert all(each["reason"] for each in listed["set_aside"])
    assert listed["faces"] + listed["faces_set_aside"] == len(before)
    assert gallery.check().faults == ()
    assert gallery.facts().set_aside == listed["faces_set_aside"]
    assert f"faces set aside: {gone}: cannot be opened" in cli("info", "--failures").out
    assert json.loads(cli("info", "--failures", "--json").out)["set_aside"] == listed["set_aside"]
    other = album / "Tiger_Woods" / "Tiger_Woods_0002.jpg"
    assert str(gone) not in {match.photo for match in gallery.query(other, k=99, group=False).matches}

    for path, data in content.items():
        path.write_bytes(data)
    if by == "index":
        gallery.index([album])
    else:
        assert gallery.migrate(NAME).back == listed["faces_set_aside"]
    assert _who(gallery) == before
    assert gallery.check().faults == ()
    assert str(gone) in {match.photo for match in gallery.query(other, k=99, group=False).matches}


def test_a_moved_or_copied_photo_brings_its_faces_with_it(gallery: Gallery, album: Path) -> None:
    photo = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    moved, copied = album / "moved.jpg", album / "copied.jpg"
    faces = len(_who(gallery))
    photo.rename(moved.with_suffix(".away"))
    before = gallery.migrate(NAME)
    assert before.set_aside
    moved.with_suffix(".away").rename(moved)
    shutil.copy(moved, copied)
    gallery.index([album])
    assert gallery.facts().set_aside == 0
    assert gallery.facts().faces == faces + before.set_aside
    assert gallery.check(photos=True).differences == 0


def test_a_forgotten_person_is_forgotten_aside_too(gallery: Gallery, album: Path) -> None:
    (album / "Tiger_Woods" / "Tiger_Woods_0001.jpg").unlink()
    gallery.migrate(NAME)
    assert gallery.facts().set_aside
    landmarks = [row[0] for row in _rows(gallery, "SELECT landmarks FROM set_aside")]
    gallery.forget("Tiger_Woods")
    assert gallery.facts().set_aside == 0
    assert not any(row in _bytes_of(gallery) for row in landmarks)
    assert gallery.check().faults == ()


def test_what_is_forgotten_in_a_half_done_change_leaves_no_byte(gallery: Gallery) -> None:
    _break_off(gallery, after=4)
    theirs = [
        row[0]
        for row in _rows(
            gallery,
            "SELECT migrated.embedding FROM migrated JOIN faces ON faces.id = face_id JOIN people ON people.id = "
            "person_id WHERE name = 'Abdullah_Gul'",
        )
    ]
    assert theirs
    assert all(row in _bytes_of(gallery) for row in theirs)
    gallery.forget("Abdullah_Gul")
    assert not any(row in _bytes_of(gallery) for row in theirs)
    assert gallery.migrate(NAME).set_aside == 0
    assert gallery.check().faults == ()


def test_a_half_done_change_leaves_the_old_gallery_which_grows_and_goes_on(
    gallery: Gallery, album: Path, photo_of: Callable[..., Path]
) -> None:
    before = _embeddings(gallery)
    _break_off(gallery, after=4)
    assert _embeddings(gallery) == before
    assert gallery.facts().changing_to == NAME
    shutil.copy(photo_of("George_W_Bush"), album)
    assert gallery.index([album]).photos["ok"] == 1
    assert gallery.facts().settings.model == "dlib-resnet"
    aside, all_of_them = len(_rows(gallery, "SELECT * FROM migrated")), len(_who(gallery))
    heard: list[tuple[int, int]] = []
    done = gallery.migrate(NAME, on_progress=lambda done, total: heard.append((done, total)))
    assert (heard[0], heard[-1]) == ((aside, all_of_them), (all_of_them, all_of_them))
    assert (done.faces, done.photos < 10) == (all_of_them, True)
    assert gallery.check().faults == ()


def test_a_folder_that_is_away_stops_it_unless_its_faces_may_wait(gallery: Gallery, album: Path, cli: Cli) -> None:
    before, database = _who(gallery), _dump(gallery)
    away = album.rename(album.with_name("unplugged"))
    refused = cli("migrate", "--model", NAME)
    assert refused.code == 3
    assert str(album) in refused.err
    assert "--set-aside" in refused.err
    assert _dump(gallery) == database
    assert cli("migrate", "--model", NAME, "--set-aside", "--device", "cpu").code == 7
    assert (gallery.facts().faces, gallery.facts().set_aside) == (0, len(before))
    away.rename(album)
    assert cli("migrate", "--model", NAME, "--device", "cpu").code == 0
    assert _who(gallery) == before


def test_what_waits_is_saved_from_a_damaged_gallery(gallery: Gallery, album: Path) -> None:
    (album / "Tiger_Woods" / "Tiger_Woods_0001.jpg").unlink()
    waiting = gallery.migrate(NAME).set_aside
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("UPDATE faces SET score = 0 WHERE id = (SELECT max(id) FROM faces)")
    assert gallery.check().faults
    gallery.repair()
    assert gallery.check().faults == ()
    assert gallery.facts().set_aside == waiting
