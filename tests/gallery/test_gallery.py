"""A gallery from the first run on: what changes on disk is followed, and nothing that was indexed is lost."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import filelock
import numpy as np
import pytest

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.errors import (
    DamagedGalleryError,
    FaceSearchError,
    GalleryError,
    GalleryLockedError,
    ModelError,
    NoFaceError,
    UsageError,
)
from facesearch.faces import analyser
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.flow import stream
from facesearch.gallery.database import Database
from facesearch.gallery.records.answers import Answer, Unanswered
from facesearch.gallery.records.run import Outcome
from facesearch.photos.status import Status
from facesearch.photos.view import View
from tests import made_galleries


@pytest.fixture
def gallery(home: Path) -> Gallery:
    return Gallery.open("test", "cpu")


def _embeddings(gallery: Gallery) -> dict[str, bytes]:
    """The stored bytes of every face, by photo and place."""
    with Database.open(gallery.directory / "faces.db") as db:
        (part,) = db.faces.embeddings(128)
        rows = dict(zip(part[0].tolist(), part[1], strict=True))
        matches = [match for match, *_ in db.faces.matches(dict.fromkeys(rows, 0.0))]
    return {f"{Path(m.photo).name} {m.box.left:.0f}": rows[m.face_id].tobytes() for m in matches}


def _assert_same_faces(ours: dict[str, bytes], theirs: dict[str, bytes]) -> None:
    assert ours.keys() == theirs.keys()
    for face in ours:
        a, b = (np.frombuffer(rows[face], np.float32) for rows in (ours, theirs))
        np.testing.assert_allclose(a, b, atol=2e-3)


def _forbid_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: Analyser, views: Sequence[View]) -> list[Analysed]:
        raise AssertionError("nothing new is there to be analysed")

    monkeypatch.setattr(Analyser, "analyse", forbidden)


def test_first_run_second_run(gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Outcome] = []
    first = gallery.index([album], on_outcome=outcomes.append)
    assert first.photos == {"ok": 9}
    assert first.faces >= 9
    assert [Path(outcome.path).name for outcome in outcomes] == sorted(
        f"{folder.name}_{i:04d}.jpg" for folder in album.iterdir() for i in (1, 2, 3)
    )
    _forbid_analysis(monkeypatch)
    second = gallery.index([album])
    assert (second.photos, second.faces, second.failures) == ({"unchanged": 9}, 0, ())
    facts = gallery.facts()
    assert (facts.photos, facts.faces, facts.people) == ({"ok": 9}, first.faces, 0)
    assert facts.index is not None
    assert (facts.index.recipe, facts.index.count) == ("flat", first.faces)


def test_touched_moved_and_copied_photos_are_recognised_by_their_content(
    gallery: Gallery, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.index([album])
    before = _embeddings(gallery)
    _forbid_analysis(monkeypatch)
    os.utime(album / "Tiger_Woods" / "Tiger_Woods_0001.jpg", (1, 1))
    (album / "Tiger_Woods" / "Tiger_Woods_0002.jpg").rename(album / "golf.jpg")
    shutil.copy(album / "Tiger_Woods" / "Tiger_Woods_0003.jpg", album / "twin.jpg")
    summary = gallery.index([album])
    assert summary.photos == {"moved": 1, "copied": 1, "unchanged": 8}
    after = _embeddings(gallery)
    assert set(before.values()) == set(after.values())
    assert gallery.facts().photos == {"ok": 10}
    with Database.open(gallery.directory / "faces.db") as db:
        assert not db.photos.known([str(album / "Tiger_Woods" / "Tiger_Woods_0002.jpg")])


@pytest.mark.parametrize("how", ["swapped", "shifted", "one into two"])
def test_renamed_photos_are_never_mixed_up(
    gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Each file ends with the faces of its own content, whatever order the files are looked at."""
    names = ["Abdullah_Gul", "Angelina_Jolie", "Tiger_Woods"]
    a, b, c = (album / name / f"{name}_0001.jpg" for name in names)
    contents = {path: path.read_bytes() for path in (a, b, c)}
    gallery.index([album])
    _forbid_analysis(monkeypatch)
    if how == "one into two":
        for i in (1, 2):
            (album / f"twin{i}.jpg").write_bytes(contents[a])
        a.unlink()
        expected = {album / "twin1.jpg": a, album / "twin2.jpg": a, b: b, c: c}
    else:
        order = {"swapped": (b, a, c), "shifted": (c, a, b)}[how]
        for path, source in zip((a, b, c), order, strict=True):
            path.write_bytes(contents[source])
        expected = dict(zip((a, b, c), order, strict=True))
    gallery.index([album])
    assert gallery.index([album]).photos == {"unchanged": len(list(album.rglob("*.jpg")))}
    monkeypatch.undo()
    monkeypatch.setenv("FACESEARCH_HOME", str(gallery.directory.parent.parent))
    for path, source in expected.items():
        (album.parent / "question.jpg").write_bytes(contents[source])
        found = gallery.query(album.parent / "question.jpg", 9, group=False).matches
        assert str(path) in {match.photo for match in found if match.similarity > 0.999}
        assert all(
            match.similarity < 0.99
            for match in found
            if match.photo in set(map(str, expected)) - _with(expected, source)
        )
    assert gallery.facts().index is not None
    assert gallery.facts().index.count == gallery.facts().faces  # type: ignore[union-attr]


def _with(expected: dict[Path, Path], source: Path) -> set[str]:
    """The photos that have this content now."""
    return {str(path) for path, of in expected.items() if of == source}


def test_a_changed_photo_is_looked_at_again(gallery: Gallery, album: Path, photo_of: Callable[..., Path]) -> None:
    gallery.index([album])
    changed = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    shutil.copy(photo_of("Serena_Williams"), changed)
    assert gallery.index([album]).photos == {"unchanged": 8, "ok": 1}
    best = gallery.query(photo_of("Serena_Williams"), 1).matches[0]
    assert best.photo == str(changed)
    assert best.similarity > 0.999


def test_deleted_photos_are_found_no_longer_and_return_as_they_were(
    gallery: Gallery, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.index([album], people_from="folder")
    before = _embeddings(gallery)
    away = tmp_path / "away"
    (album / "Tiger_Woods").rename(away)
    summary = gallery.index([album])
    assert summary.photos == {"unchanged": 6, "missing": 3}
    assert gallery.facts().photos == {"ok": 6, "missing": 3}
    answer = gallery.query(away / "Tiger_Woods_0001.jpg", 5)
    assert {match.person for match in answer.matches} - {None} == {"Abdullah_Gul", "Angelina_Jolie"}
    _forbid_analysis(monkeypatch)
    away.rename(album / "Tiger_Woods")
    assert gallery.index([album]).photos == {"unchanged": 9}
    assert _embeddings(gallery) == before
    assert gallery.facts().photos == {"ok": 9}


@pytest.mark.parametrize("kind", ["absent", "empty", "no photo"])
def test_a_root_that_looks_unmounted_is_an_error_and_marks_nothing(
    gallery: Gallery, album: Path, tmp_path: Path, kind: str
) -> None:
    gallery.index([album])
    album.rename(tmp_path / "elsewhere")
    if kind != "absent":
        album.mkdir()
    if kind == "no photo":
        (album / "README.txt").write_text("mount the disk here")
    with pytest.raises(FaceSearchError, match="nothing was marked missing"):
        gallery.index([album])
    assert gallery.facts().photos == {"ok": 9}


def test_an_absent_root_makes_no_gallery(gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(FaceSearchError, match="No such file"):
        gallery.index([tmp_path / "absent"])
    assert not gallery.directory.exists()


def test_people_are_named_after_folders_whenever_that_is_asked(gallery: Gallery, album: Path) -> None:
    gallery.index([album])
    photo = album / "Angelina_Jolie" / "Angelina_Jolie_0001.jpg"
    assert {match.person for match in gallery.query(photo, 9).matches} == {None}
    gallery.index([album], people_from="folder")  # nothing is new, yet faces get their names
    people = [match.person for match in gallery.query(photo, 9).matches]
    assert people[0] == "Angelina_Jolie"
    assert [who for who in sorted(map(str, people)) if who != "None"] == [
        "Abdullah_Gul",
        "Angelina_Jolie",
        "Tiger_Woods",
    ]
    assert people.count(None) == 1  # who is beside Angelina Jolie in one photo


def test_one_photo_may_be_indexed_alone(gallery: Gallery, album: Path) -> None:
    gallery.index([album])
    summary = gallery.index([album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"])
    assert summary.photos == {"unchanged": 1}
    assert gallery.facts().photos == {"ok": 9}  # the photos beside it are not missing


def test_bad_photos_cost_nothing_else(gallery: Gallery, album: Path, astronaut_file: Path) -> None:
    data = astronaut_file.read_bytes()
    (album / "empty.jpg").write_bytes(b"")
    (album / "text.jpg").write_text("no photo")
    (album / "cut.jpg").write_bytes(data[: len(data) // 4])
    (album / "notes.txt").write_text("never a photo")
    (album / "dot.png").write_bytes(_encoded(np.zeros((1, 1, 3), np.uint8)))
    (album / "wall.png").write_bytes(_encoded(np.full((200, 300, 3), 127, np.uint8)))
    summary = gallery.index([album])
    assert summary.photos == {"ok": 9, "unreadable": 2, "unsupported": 1, "no_face": 2}
    assert {Path(f.path).name: f.reason for f in summary.failures} == {
        "cut.jpg": "cut off after 25 %",
        "empty.jpg": "the file is empty",
    }
    assert summary.failing == {"unreadable": 2}
    assert summary.unsupported == {"its content is not an image of a known format": 1}
    assert gallery.index([album]).photos == {"unchanged": 14}
    assert len(gallery.facts().failures) == 2
    assert len(list(gallery.unread())) == 3


def _encoded(pixels: Pixels) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def test_a_photo_that_breaks_a_stage_is_the_only_one_that_fails(
    gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "poison.png").write_bytes(_encoded(np.full((251, 251, 3), 127, np.uint8)))
    analyse = Analyser.analyse

    def break_on_poison(self: Analyser, views: Sequence[View]) -> list[Analysed]:
        if any(view.size == (251, 251) for view in views):
            raise MemoryError("too much for a stage")
        return analyse(self, views)

    monkeypatch.setattr(Analyser, "analyse", break_on_poison)
    summary = gallery.index([album])
    assert summary.photos == {"ok": 9, "crashed": 1}
    assert summary.failures[0].reason == "MemoryError: too much for a stage"


def test_an_interrupted_run_keeps_its_batches_and_goes_on(
    gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Outcome] = []

    def interrupt(outcome: Outcome) -> None:
        seen.append(outcome)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gallery.index([album], batch=2, on_outcome=interrupt)
    stored = gallery.facts().photos["ok"]
    assert 5 <= stored < 9
    # Faces that are newer than the index are found all the same.
    assert gallery.query(seen[0].path, 1).matches[0].similarity > 0.999
    assert gallery.index([album]).photos == {"unchanged": stored, "ok": 9 - stored}


def test_results_do_not_depend_on_the_batches(
    home: Path, album: Path, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(astronaut_file, album / "astronaut.jpg")
    Gallery.open("whole", "cpu").index([album])
    monkeypatch.setattr(stream, "QUEUE", 2)
    Gallery.open("single", "cpu").index([album], batch=1, threads=3)
    whole, single = _embeddings(Gallery.open("whole")), _embeddings(Gallery.open("single"))
    _assert_same_faces(whole, single)


def test_one_process_writes_at_a_time(gallery: Gallery, album: Path) -> None:
    gallery.index([album])
    with (
        filelock.FileLock(gallery.directory / "faces.lock"),
        pytest.raises(GalleryLockedError, match="being written"),
    ):
        Gallery.open("test", "cpu").index([album])


def test_another_model_or_smallest_face_is_refused(gallery: Gallery, album: Path) -> None:
    gallery.index([album], min_face_px=40, max_side=200)
    settings = gallery.facts().settings
    assert (settings.min_face_px, settings.max_side) == (40, 200)
    gallery.index([album])  # the gallery's own is taken
    with pytest.raises(UsageError, match="faces from 40 pixels"):
        gallery.index([album], min_face_px=20)
    with pytest.raises(UsageError, match="at most 200 pixels a side; leave --max-side out"):
        gallery.index([album], max_side=0)
    with pytest.raises(ModelError, match="holds embeddings of dlib-resnet"):
        gallery.index([album], model="sface")


def test_an_unknown_model_makes_no_gallery(gallery: Gallery, album: Path) -> None:
    with pytest.raises(ModelError, match=r"no model named 'another'\. Available: .*dlib-resnet"):
        gallery.index([album], model="another")
    assert not gallery.directory.exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_directory_is_refused(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a gallery"):
        Gallery.open(name)


def test_a_gallery_that_does_not_exist_says_how_to_make_it(home: Path, astronaut_file: Path) -> None:
    with pytest.raises(GalleryError, match="facesearch index PHOTOS --gallery other"):
        Gallery.open("other").query(astronaut_file)
    with pytest.raises(GalleryError, match="no gallery 'default'; make it with: facesearch index PHOTOS\\."):
        Gallery.open().facts()


def test_a_lost_or_foreign_index_file_is_made_again(gallery: Gallery, album: Path) -> None:
    gallery.index([album])
    photo = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    expected = gallery.query(photo, 5)
    vectors = gallery.directory / "faces.faiss"
    whole = vectors.read_bytes()
    for damage in (None, b"", b"no index at all", whole[: len(whole) // 2], whole + b"more"):
        vectors.unlink()
        if damage is not None:
            vectors.write_bytes(damage)
        assert gallery.query(photo, 5) == expected
        assert vectors.stat().st_size == len(whole)


def test_a_query_while_another_process_writes_needs_no_index_file(gallery: Gallery, album: Path) -> None:
    gallery.index([album])
    photo = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    expected = gallery.query(photo, 5)
    (gallery.directory / "faces.faiss").unlink()
    notes: list[str] = []
    with filelock.FileLock(gallery.directory / "faces.lock"):
        assert Gallery.open("test", "cpu", notes.append).query(photo, 5) == expected
    assert "being written" in notes[0]


def test_the_largest_face_is_asked_about_or_another_one(gallery: Gallery, album: Path, tmp_path: Path) -> None:
    import cv2

    from facesearch.photos.view import read

    gallery.index([album], people_from="folder")
    large = read(str(album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"))
    small = read(str(album / "Angelina_Jolie" / "Angelina_Jolie_0001.jpg"))
    pair = np.concatenate(
        [np.asarray(cv2.resize(large, (500, 500))), np.pad(small, ((125, 125), (0, 0), (0, 0)))], axis=1
    )
    (tmp_path / "pair.png").write_bytes(_encoded(pair[..., ::-1]))
    answer = gallery.query(tmp_path / "pair.png", 1)
    assert answer.query.faces >= 2
    assert answer.matches[0].person == "Tiger_Woods"
    second = gallery.query(tmp_path / "pair.png", 1, face=2)
    assert second.matches[0].person == "Angelina_Jolie"
    assert second.query.box.left > 500
    with pytest.raises(UsageError, match="takes a number up to"):
        gallery.query(tmp_path / "pair.png", 1, face=99)


def test_many_queries_answer_in_order_and_say_what_has_no_answer(
    gallery: Gallery, album: Path, tmp_path: Path
) -> None:
    gallery.index([album], people_from="folder")
    (tmp_path / "wall.png").write_bytes(_encoded(np.full((200, 300, 3), 127, np.uint8)))
    photos = [album / p / f"{p}_0001.jpg" for p in ("Tiger_Woods", "Abdullah_Gul")]
    asked = [photos[0], tmp_path / "wall.png", tmp_path / "absent.jpg", photos[1]]
    answers = list(gallery.query_many(asked, 2))
    for answer, photo in ((answers[0], photos[0]), (answers[3], photos[1])):
        alone = gallery.query(photo, 2)
        assert isinstance(answer, Answer)
        assert answer.query == alone.query
        assert [match.face_id for match in answer.matches] == [match.face_id for match in alone.matches]
        for match, other in zip(answer.matches, alone.matches, strict=True):
            assert match.judged == pytest.approx(other.judged, abs=1e-6)
    assert isinstance(answers[1], Unanswered)
    assert answers[1].status == Status.NO_FACE
    assert isinstance(answers[2], Unanswered)
    assert answers[2].status == Status.UNREADABLE
    with pytest.raises(NoFaceError, match=r"no face in .*wall\.png"):
        gallery.query(tmp_path / "wall.png")
    with pytest.raises(FaceSearchError, match=r"absent\.jpg cannot be used: cannot be opened"):
        gallery.query(tmp_path / "absent.jpg")


def test_only_many_queries_are_worth_a_gpu(gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.index([album])
    photos = sorted(album.glob("*/*.jpg"))[:3]
    asked: list[object] = []

    def on_gpu(source: object, dim: int, recipes: object, fallback: object) -> object:
        asked.append(fallback)
        return fallback

    monkeypatch.setattr("facesearch.gallery.search.questions.on_gpu", on_gpu)
    monkeypatch.setattr("facesearch.flow.pace.BATCH", 2)
    expected = list(gallery.query_many(photos, 2))  # on the CPU, as was said when it was opened
    assert asked == []
    auto = Gallery.open("test", "auto")
    assert len(list(auto.query_many(photos[:2], 2))) == 2
    assert asked == []
    assert list(auto.query_many(photos, 2)) == expected
    assert len(asked) == 1


def test_copies_of_a_photo_are_one_match_until_faces_are_asked_for(
    gallery: Gallery, album: Path, photo_of: Callable[..., Path]
) -> None:
    photo = album / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    for i in range(4):
        shutil.copy(photo, album / f"copy{i}.jpg")
    gallery.index([album])
    answer = gallery.query(photo, 3)
    assert isinstance(answer, Answer)
    assert [match.similarity > 0.999 for match in answer.matches] == [True, False, False]
    faces = gallery.query(photo, 6, group=False).matches
    assert [match.similarity > 0.999 for match in faces] == [True] * 5 + [False]


def test_a_gallery_is_for_its_owner_alone(gallery: Gallery, album: Path) -> None:
    gallery.index([album])
    assert gallery.directory.stat().st_mode & 0o077 == 0
    files = sorted(gallery.directory.iterdir())
    assert {file.name for file in files} >= {"faces.db", "faces.faiss"}
    assert [file.name for file in files if file.stat().st_mode & 0o077] == []


def test_the_engine_for_gpus_gives_the_same_gallery(home: Path, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras runs all networks, here on the CPU; only the choice of the device is replaced."""
    pytest.importorskip("keras", reason="Keras, which serves on a GPU, is not installed")
    Gallery.open("onnx", "cpu", precision="float32").index([album])
    monkeypatch.setattr(analyser, "device_of", lambda card, asked: "gpu")
    Gallery.open("keras", "gpu").index([album])
    onnx, keras = _embeddings(Gallery.open("onnx")), _embeddings(Gallery.open("keras"))
    _assert_same_faces(onnx, keras)


@pytest.mark.parametrize(("table", "column"), [("settings", "model"), ("runs", "started_at")])
def test_a_row_without_its_values_is_damage(home: Path, table: str, column: str) -> None:
    """As SQLite reads one whose page has changed."""
    gallery = made_galleries.made(photos=["1.jpg"])
    with gallery.writing() as db, db.transaction():
        db.runs.begin()
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute("PRAGMA writable_schema = ON")
        conn.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = ?", (table,))
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute(f"UPDATE {table} SET {column} = NULL")
    with pytest.raises(DamagedGalleryError), gallery.reading() as (db, _):
        db.runs.going_on()
