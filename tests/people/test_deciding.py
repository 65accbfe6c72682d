"""What a user says about people: it holds, and every word of it can be taken back."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from facesearch import Gallery
from facesearch.errors import GalleryError, GalleryLockedError, UsageError
from facesearch.gallery.decisions.acts import NameTakenError, NotSameError, TwoNamesError
from facesearch.gallery.decisions.restoring import InTheWayError
from facesearch.gallery.decisions.undoing import NothingToUndoError
from facesearch.gallery.references import AmbiguousNameError, UnknownFaceError, UnknownPersonError
from tests.made_galleries import group, made, rows, suggest


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    """Eight photos of one face each; @1 has faces 1, 2, 3, @2 has 4 and 5, @3 has 6 and 7; face 8 is nobody's."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    gallery = made(photos=[f"{i}.jpg" for i in range(1, 9)])
    assert group(gallery, (1, 2, 3), (4, 5), (6, 7)) == [1, 2, 3]
    return gallery


def _faces(gallery: Gallery, who: str) -> list[int]:
    return sorted(face.face_id for face in gallery.faces_of(who))


def test_a_named_group_keeps_the_faces_that_it_had(gallery: Gallery) -> None:
    done = gallery.name_person("@1", "Ann")
    assert (done.person, done.faces) == (1, 3)
    (ann, *unnamed) = gallery.people()
    assert (ann.label, ann.faces, ann.photos, ann.unsure) == ("Ann", 3, 3, 0)
    assert [each.label for each in unnamed] == ["@2", "@3"]
    assert {face.named_by for face in gallery.faces_of("Ann")} == {"user"}


def test_a_face_that_is_nobodys_becomes_somebody_by_its_photo(gallery: Gallery) -> None:
    assert gallery.name_person("8.jpg", "Bob").person == 4
    assert _faces(gallery, "Bob") == [8]
    assert gallery.person("8.jpg#1").name == "Bob"
    gallery.undo()
    assert [person.label for person in gallery.people()] == ["@1", "@2", "@3"]


def test_a_second_person_of_a_name_has_to_be_meant(gallery: Gallery) -> None:
    gallery.name_person("@1", "Ann")
    with pytest.raises(NameTakenError, match="@1") as taken:
        gallery.name_person("@2", "Ann")
    assert taken.value.people == (1,)
    gallery.name_person("@2", "Ann", other=True)
    with pytest.raises(AmbiguousNameError, match="@1, @2"):
        gallery.person("Ann")
    with pytest.raises(NotSameError):
        gallery.join(["@1", "@2"])
    gallery.name_person("@3", "Cid")
    with pytest.raises(AmbiguousNameError):
        gallery.name_person("@3", "Ann", same=True)


def test_the_same_name_and_the_same_person_are_one(gallery: Gallery) -> None:
    gallery.name_person("@1", "Ann")
    assert gallery.name_person("@2", "Ann", same=True).person == 1
    assert _faces(gallery, "Ann") == _faces(gallery, "@2") == [1, 2, 3, 4, 5]
    assert gallery.name_person("8.jpg", "Ann", same=True).person == 1
    assert len(_faces(gallery, "@1")) == 6


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "x" * 201,
        "x" * 10_000,
        "a\nb",
        "a\x00b",
        "a\u202eb",
        "a\u200bb",
        "a\u2028b",
        "@17",
        "A\ufeffnn",
        "a\x7fb",
    ],
)
def test_a_name_that_could_not_be_told_or_typed_is_refused(gallery: Gallery, name: str) -> None:
    with pytest.raises(UsageError):
        gallery.name_person("@1", name)
    assert gallery.log() == []


@pytest.mark.parametrize(
    "name", ["-x", "a/b", "..", "<b>Ann</b>", "Ann'; DROP TABLE people", "王", "O'Brien", "👩‍🚀", "%"]
)
def test_other_names_are_kept_as_they_are(gallery: Gallery, name: str) -> None:
    gallery.name_person("@1", f" {name} ")
    assert gallery.person(name).name == name


def test_two_spellings_of_one_name_are_one_and_two_cases_are_said(gallery: Gallery) -> None:
    gallery.name_person("@1", "Zoe\u0301")
    with pytest.raises(NameTakenError):
        gallery.name_person("@2", "Zo\u00e9")
    assert gallery.person("Zoe\u0301").id == 1
    (note,) = gallery.name_person("@2", "ZO\u00c9").notes
    assert "@1" in note


def test_a_person_and_a_face_of_one_number_are_two(gallery: Gallery) -> None:
    gallery.part("@1", [1])
    gallery.join(["@1", "1.jpg"], anyway=True)
    assert _faces(gallery, "@1") == [1, 2, 3]


def test_who_was_joined_answers_to_the_old_number_and_name(gallery: Gallery) -> None:
    gallery.name_person("@1", "Ann")
    gallery.name_person("@2", "Anna")
    with pytest.raises(TwoNamesError, match="--into"):
        gallery.join(["@1", "@2"])
    gallery.join(["@1", "@2", "8.jpg"], "@1")
    assert _faces(gallery, "@2") == _faces(gallery, "Anna") == _faces(gallery, "Ann") == [1, 2, 3, 4, 5, 8]
    gallery.join(["@2", "@3"])
    assert gallery.person("@3").id == 1


def test_nobody_is_joined_with_themselves(gallery: Gallery) -> None:
    with pytest.raises(UsageError, match="one already"):
        gallery.join(["@1", "1.jpg"])
    gallery.join(["@1", "@2"])
    with pytest.raises(UsageError, match="one already"):
        gallery.join(["@2", "@1"], "@2")
    assert len(gallery.log()) == 1


def test_a_face_that_was_parted_never_comes_back_by_a_join(gallery: Gallery) -> None:
    gallery.part("@1", [3])
    assert (_faces(gallery, "@1"), _faces(gallery, "3.jpg")) == ([1, 2], [3])
    with pytest.raises(UsageError, match="not @1's"):
        gallery.part("@1", [3])
    with pytest.raises(NotSameError, match="face 3"):
        gallery.join(["@1", "3.jpg"])
    gallery.join(["@1", "3.jpg"], anyway=True)
    assert _faces(gallery, "@1") == [1, 2, 3]
    gallery.undo()
    gallery.undo()
    assert _faces(gallery, "@1") == [1, 2, 3]


def test_who_is_parted_from_keeps_a_face_that_no_computation_takes(gallery: Gallery) -> None:
    gallery.part("@1", photos=["3.jpg"])
    assert [face.named_by for face in gallery.faces_of("@1")] == ["user", "auto"]


def test_a_no_is_kept_for_two_groups_a_face_and_two_faces(gallery: Gallery) -> None:
    suggest(gallery, "same", 1, 4, -0.01)
    suggest(gallery, "same", 2, 5, -0.02)
    suggest(gallery, "same", 6, 8, -0.03)
    groups, lone = gallery.questions()
    assert (groups.a.face_id, groups.b.face_id, lone.b.person) == (1, 4, None)
    gallery.answer(groups, "no")
    gallery.answer(lone, "no")
    assert gallery.questions() == []
    with pytest.raises(NotSameError, match="@1 and @2"):
        gallery.join(["@1", "@2"])
    assert rows(gallery)["apart"] == [(8, 3)]
    gallery.undo()
    gallery.undo()
    assert [(each.a.face_id, each.b.face_id) for each in gallery.questions()] == [(1, 4), (6, 8)]
    assert "user" not in {face.named_by for face in gallery.faces_of("@1")}


def test_a_yes_joins_and_a_stray_face_leaves(gallery: Gallery) -> None:
    suggest(gallery, "same", 1, 4)
    suggest(gallery, "stray", 7, 6)
    same, stray = gallery.questions()
    with pytest.raises(UsageError, match="no answer"):
        gallery.answer(same, "maybe")  # type: ignore[arg-type]
    gallery.answer(same, "yes")
    gallery.answer(stray, "no")
    assert (_faces(gallery, "@2"), _faces(gallery, "@3")) == ([1, 2, 3, 4, 5], [6])
    assert gallery.questions() == []
    with pytest.raises(UsageError, match="meanwhile"):
        gallery.answer(same, "no")


def test_strangers_are_not_asked_about_until_they_have_a_name(gallery: Gallery) -> None:
    suggest(gallery, "same", 4, 6)
    assert gallery.ignore(unnamed_below=3).people == 2
    assert gallery.questions() == []
    assert {person.id for person in gallery.people() if person.kind == "stranger"} == {2, 3}
    gallery.name_person("@2", "Bob")
    assert gallery.person("@2").kind == "person"


def test_what_is_no_face_is_nobodys(gallery: Gallery) -> None:
    gallery.name_person("@2", "Bob")
    gallery.not_a_face([4, "8.jpg"])
    assert _faces(gallery, "Bob") == [5]
    for face in (99, 2**70, "9" * 5000, "@1", "no.jpg", "\ud800", ""):
        with pytest.raises(UnknownFaceError):
            gallery.not_a_face([face])
    assert gallery.undo().faces == 2
    assert _faces(gallery, "Bob") == [4, 5]


def test_a_cover_is_a_face_of_the_person(gallery: Gallery) -> None:
    gallery.cover("@1", 2)
    assert gallery.person("@1").cover == 2
    with pytest.raises(UsageError):
        gallery.cover("@1", 4)
    gallery.part("@1", [2])
    assert gallery.person("@1").cover in (1, 3)


def test_each_change_is_undone_exactly_and_done_again(gallery: Gallery) -> None:
    states = [rows(gallery)]
    for act in _acts(gallery):
        act()
        states.append(rows(gallery))
        assert states[-1] != states[-2]
    for state in reversed(states[:-1]):
        gallery.undo()
        assert rows(gallery) == state
    with pytest.raises(NothingToUndoError):
        gallery.undo()
    undos = [change.id for change in gallery.log(100) if change.verb == "undo"]
    for change, state in zip(undos, states[1:], strict=True):
        gallery.undo(change)
        assert rows(gallery) == state


def test_the_log_says_what_was_taken_back_and_what_was_done_again(gallery: Gallery) -> None:
    def log() -> list[tuple[str, str, bool]]:
        return [(each.verb, each.words, each.undone_at is None) for each in gallery.log(3)]

    named = gallery.name_person("@1", "Ann").change
    assert named
    undo = gallery.undo().change
    assert undo
    again = gallery.undo(undo.id).change
    assert again
    name = ("name", named.words, True)
    about = str(named.id)
    assert log() == [("redo", about, True), ("undo", about, False), name]
    gallery.undo()
    assert log()[:2] == [("undo", about, True), ("redo", about, False)]
    with pytest.raises(NothingToUndoError, match=f"make it hold again with: facesearch people undo {again.id + 1}"):
        gallery.undo(named.id)
    gallery.undo(again.id + 1)
    gallery.undo(again.id + 2)  # as the newest undo, so by the number of what made it hold again
    assert [each.name for each in gallery.people() if each.name] == []


def _acts(gallery: Gallery) -> list[Callable[[], object]]:
    return [
        lambda: gallery.name_person("@1", "Ann"),
        lambda: gallery.name_person("8.jpg", "Bob"),
        lambda: gallery.part("@2", [5]),
        lambda: gallery.join(["@2", "@1"]),
        lambda: gallery.name_person("Ann", "Anna"),
        lambda: gallery.ignore(["@3"]),
        lambda: gallery.collage(["1.jpg"]),
        lambda: gallery.not_a_face([7]),
        lambda: gallery.join(["Bob", "Anna"], "Bob"),
        lambda: gallery.cover("Bob", 2),
        lambda: gallery.hide(["Bob"]),
    ]


def test_a_change_in_the_middle_is_undone_where_nothing_stands_in_the_way(gallery: Gallery) -> None:
    gallery.name_person("@1", "Ann")
    gallery.join(["@2", "@3"])
    gallery.name_person("@1", "Anna")
    with pytest.raises(InTheWayError, match="undo 3") as way:
        gallery.undo(1)
    assert way.value.change == 3
    gallery.undo(2)
    assert _faces(gallery, "@3") == [6, 7]
    with pytest.raises(NothingToUndoError, match="undo 4"):
        gallery.undo(2)
    gallery.undo(4)
    assert _faces(gallery, "@3") == [4, 5, 6, 7]
    for change in (99, 0, -1, 2**70):
        with pytest.raises(NothingToUndoError, match="no change"):
            gallery.undo(change)


def test_what_was_said_again_since_is_not_taken_back(gallery: Gallery) -> None:
    """A no holds to one face of each, which the name then says again, with the others."""
    suggest(gallery, "same", 1, 4)
    gallery.answer(gallery.questions()[0], "no")
    gallery.name_person("@1", "Ann")
    with pytest.raises(InTheWayError) as way:
        gallery.undo(1)
    assert way.value.change == 2
    gallery.name_person("@2", "Ann", other=True)
    gallery.undo(2)  # @1 has no name now; of the two who share one, one is left
    assert {face.named_by for face in gallery.faces_of("@1")} == {"user", "auto"}
    with pytest.raises(InTheWayError):
        gallery.undo(1)


def test_the_log_says_what_was_done_with_the_names_of_today(gallery: Gallery) -> None:
    gallery.name_person("@1", "Ann")
    gallery.join(["@1", "@2"])
    gallery.name_person("Ann", "Anna")
    gallery.undo()
    words = [change.words for change in gallery.log()]
    assert words == ["3", "@1 named Anna, before Ann", "@2 into Ann (@1)", "@1 named Ann"]
    assert gallery.log()[1].undone_at is not None


def test_what_is_gone_stays_gone_when_a_change_is_undone(gallery: Gallery) -> None:
    gallery.name_person("@1", "Ann")
    gallery.forget(str(Path("1.jpg").absolute()))
    (note,) = gallery.undo().notes
    assert "gone" in note
    assert _faces(gallery, "@1") == [2, 3]


def test_who_is_meant_must_exist(gallery: Gallery) -> None:
    for who in ("@9", f"@{'9' * 5000}", "Nobody", 9, -1, 2**70, "a\x00", "\ud800", "", "#1", "-"):
        with pytest.raises(UnknownPersonError):
            gallery.person(who)
    with pytest.raises(UnknownPersonError, match="name it"):
        gallery.part("8.jpg", [8])
    with pytest.raises(UnknownFaceError, match="no number 2"):
        gallery.person("1.jpg#2")


def test_nothing_is_made_or_changed_without_a_gallery_or_the_right_to_write(gallery: Gallery) -> None:
    with pytest.raises(GalleryError):
        Gallery.open("none").name_person("@1", "Ann")
    assert not Gallery.open("none").directory.exists()
    before = rows(gallery)
    with gallery.locked(), pytest.raises(GalleryLockedError):
        gallery.name_person("@1", "Ann")
    assert rows(gallery) == before


def test_a_verb_that_fails_in_the_middle_leaves_nothing(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(gallery)
    with gallery.writing() as db, db.transaction():
        db.connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON faces WHEN new.id = 3 BEGIN SELECT raise(ABORT, 'full'); END"
        )
    with pytest.raises(GalleryError):
        gallery.name_person("@1", "Ann")
    assert rows(gallery) == before
    assert gallery.log() == []


def test_a_gallery_of_before_has_people_and_takes_decisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    old = Gallery.open("old", "cpu")
    shutil.copytree(Path(__file__).parents[1] / "data" / "gallery-0.1.0", old.directory)
    (person,) = old.people()
    assert (person.made_by, person.unsure, old.log(), old.questions()) == ("folder", 0, [], [])
    faces = old.faces_of(person.id)
    assert {face.named_by for face in faces} == {"folder"}
    old.part(person.id, [faces[0].face_id])
    assert len(old.faces_of(person.label)) == len(faces) - 1
    old.undo()
    assert old.faces_of(person.id) == faces
