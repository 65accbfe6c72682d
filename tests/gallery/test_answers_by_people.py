"""Answers about people: a group without a name is one, each is judged by all of their faces, and who shares a name is
told apart by an id."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch import Gallery, QueryOptions, Scope
from facesearch.arrays import Embeddings
from facesearch.errors import UsageError
from facesearch.gallery.database import Database
from facesearch.gallery.records.answers import Match, Sighting
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.references import AmbiguousNameError, UnknownPersonError
from facesearch.gallery.search.answers import identify
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.search.probes import KnownProbes, Probe
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.upkeep.forgetting import UnknownError
from facesearch.gallery.vectors.file import build_in_memory
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import embedder_card, index_recipes
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from tests.made_galleries import group, made, suggest

_SETTINGS = GallerySettings("dlib-resnet", "mtcnn", 2, 20)
_BOX = Box(0, 0, 90, 90)


def _at(degrees: float) -> Embeddings:
    """A unit row at this angle: similarities are the cosines of differences."""
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database.create(tmp_path / "faces.db")


def _group(db: Database, *degrees: float, folder: str = "/p", kind: str = "person", name: str | None = None) -> int:
    """A person with faces at these angles, each in a photo of its own."""
    with db.transaction():
        db.connection.execute("INSERT INTO people (name, kind, made_by) VALUES (?, ?, 'auto')", (name, kind))
        (person,) = db.connection.execute("SELECT max(id) FROM people").fetchone()
        for angle in degrees:
            _lone(db, angle, f"{folder}/{person}-{angle:g}.jpg")
            db.connection.execute(
                "UPDATE faces SET person_id = ?, named_by = 'auto' WHERE id = (SELECT max(id) FROM faces)", (person,)
            )
    return int(person)


def _lone(db: Database, degrees: float, path: str) -> None:
    face = Face(_BOX, 1.0, tuple(Point(i, i) for i in range(5)))  # type: ignore[arg-type]
    row = _at(degrees)[None]
    with db.transaction():
        db.photos.save(PhotoRow(PhotoFile(path, 1, 1), Status.OK, path.encode(), faces=[face], embeddings=row))


def _ask(db: Database, options: QueryOptions) -> tuple[Match, ...]:
    """At 0 degrees, without a cohort: judged values of single faces are similarities."""
    index = build_in_memory(db.faces, 2, index_recipes())
    probe = Probe(Sighting("asked.jpg", _BOX, 1.0, 1), _at(0))
    (matches,) = identify(db.faces, index, Judge(db, _SETTINGS), [probe], options)
    return matches


def test_a_group_without_a_name_is_one_row_judged_by_the_mean_of_its_faces(db: Database) -> None:
    person = _group(db, 10, 20, 30)
    _lone(db, 50, "/p/lone.jpg")
    group, lone = _ask(db, QueryOptions(5))
    assert (group.person, group.person_id, group.label, group.faces) == (None, person, f"@{person}", 3)
    assert group.photo == f"/p/{person}-10.jpg"
    assert group.similarity == pytest.approx(np.cos(np.radians(10)))
    threshold = embedder_card("dlib-resnet").threshold
    length = (1 + 2 * np.cos(np.radians(10))) / 3  # of the mean, which lies at 20 degrees
    assert threshold
    assert group.judged == pytest.approx(np.cos(np.radians(20)) - threshold.similarity * (1 / length - 1) / 4)
    assert (lone.label, lone.faces, lone.judged) == (None, 1, lone.similarity)


def test_one_lucky_photo_does_not_win(db: Database) -> None:
    lucky, steady = _group(db, 2, 50, 55), _group(db, 6, 7, 8)
    assert [match.person_id for match in _ask(db, QueryOptions(2))] == [steady, lucky]
    assert [match.person_id for match in _ask(db, QueryOptions(2, group=False))] == [lucky, steady]
    limit = float(np.cos(np.radians(9)))
    assert [match.person_id for match in _ask(db, QueryOptions(2, threshold=limit))] == [steady]


def test_only_the_faces_that_take_part_judge(db: Database) -> None:
    person = _group(db, 10, 50, folder="/old")
    (whole,) = _ask(db, QueryOptions(1))
    (narrow,) = _ask(db, QueryOptions(1, scope=Scope(f"/old/{person}-10.jpg")))
    assert (whole.faces, narrow.faces) == (2, 1)
    assert narrow.judged == narrow.similarity > whole.judged
    with db.transaction():
        db.connection.execute("UPDATE faces SET is_face = 0 WHERE id = 2")
    assert _ask(db, QueryOptions(1)) == (narrow,)
    with db.transaction():
        db.connection.execute("UPDATE faces SET is_face = 0")
    assert _ask(db, QueryOptions(1)) == _ask(db, QueryOptions(1, every=True, threshold=-1)) == ()


def test_whoever_is_ignored_is_shown_as_a_stranger(db: Database) -> None:
    _group(db, 10, 11, kind="stranger")
    (match,) = _ask(db, QueryOptions(1))
    assert match.is_stranger


def test_a_person_of_very_many_faces_is_judged_by_some_of_them(db: Database) -> None:
    _group(db, *np.linspace(0, 20, 300).tolist())
    (match,) = _ask(db, QueryOptions(1))
    assert match.faces == 256
    assert match.judged == pytest.approx(np.cos(np.radians(10)), abs=0.01)


@pytest.fixture
def gallery(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """Six photos of one face each; @1 and @2 are both called Ann, and @3 has no name."""
    monkeypatch.chdir(tmp_path)
    gallery = made(photos=[f"{i}.jpg" for i in range(1, 7)])
    assert group(gallery, (1, 2), (3, 4), (5, 6)) == [1, 2, 3]
    gallery.name_person("@1", "Ann")
    gallery.name_person("@2", "Ann", other=True)
    return gallery


def _photos(gallery: Gallery, *who: str) -> set[str]:
    return {Path(each.photo).name for each in gallery.find(who).photos}


def test_find_takes_ids_and_refuses_a_name_that_two_people_have(gallery: Gallery) -> None:
    assert _photos(gallery, "@1") == {"1.jpg", "2.jpg"}
    assert _photos(gallery, "@3") == {"5.jpg", "6.jpg"}
    assert gallery.find(["@3"]).photos[0].people == ("@3",)
    with pytest.raises(AmbiguousNameError, match="@1, @2"):
        gallery.find(["Ann"])
    with pytest.raises(UnknownPersonError):
        gallery.find(["@9"])
    with pytest.raises(UsageError):
        gallery.find([])


def test_a_photo_in_which_somebody_is_marked_without_a_face_shows_them(gallery: Gallery) -> None:
    with gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE photos SET status = 'no_face' WHERE id = 6")
        db.connection.execute("DELETE FROM faces WHERE photo_id = 6")
        db.connection.execute("INSERT INTO marks VALUES (1, 6, 0, 0, 9, 9, 1)")
    assert _photos(gallery, "@1") == {"1.jpg", "2.jpg", "6.jpg"}
    assert {each.people for each in gallery.find(["@1"]).photos} == {("Ann",)}


def test_what_is_no_face_is_not_asked_about(home: Path) -> None:
    gallery = made(photos={"two.jpg": 2})
    gallery.not_a_face([1])  # the larger one
    with gallery.reading() as (db, settings):
        (probe,) = KnownProbes(db, settings.dim).of_content(b"two.jpg", "two.jpg") or []
    assert (probe.sighting.box.right, probe.sighting.faces, probe.sighting.number) == (99, 1, 1)


def test_without_a_terminal_a_shared_name_is_exit_code_2(gallery: Gallery, cli: Callable[..., Any]) -> None:
    for words in (("find", "Ann"), ("query", "--person", "Ann"), ("forget", "Ann", "--yes")):
        said = cli(*words)
        assert said.code == 2, said.err
        assert "@1, @2" in said.err
    assert cli("find", "@3", "--paths").code == 0


def test_info_says_how_many_people_there_are(gallery: Gallery, cli: Callable[..., Any]) -> None:
    suggest(gallery, "same", 1, 5)
    told = json.loads(cli("info", "--json").out)
    assert (told["people"], told["groups"], told["unsure"], told["questions"]) == (2, 1, 0, 1)
    said = cli("info")
    assert "1 question about people waits: facesearch people ask" in said.err
    assert "1 group" in said.out


def test_forgetting_one_of_two_people_of_a_name_leaves_the_other(gallery: Gallery) -> None:
    assert gallery.forget("@1").faces == 2
    assert _photos(gallery, "Ann") == {"3.jpg", "4.jpg"}
    with pytest.raises(UnknownError):
        gallery.forget("@1")
    assert gallery.forget("@3", "person").faces == 2
    assert [person.id for person in gallery.people()] == [2]


def test_an_old_id_answers_after_something_else_was_forgotten(gallery: Gallery) -> None:
    gallery.join(["@2", "@3"])
    gallery.forget("@1")
    assert gallery.person("@3").id == 2
    gallery.forget("Ann")
    assert gallery.people() == []
    with pytest.raises(UnknownPersonError):
        gallery.person("@3")
