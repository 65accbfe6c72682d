"""Faces that are given to people, and people who are added to photos: what it means, and that undo is exact."""

import math

import pytest

from facesearch import Gallery
from facesearch.errors import UsageError
from facesearch.gallery.decisions.acts import NameTakenError, NotSameError
from facesearch.gallery.references import AmbiguousNameError, UnknownFaceError, UnknownPhotoError
from facesearch.people.regions import Box
from tests.conftest import Cli
from tests.made_galleries import group, made, rows

_NOWHERE: Box = (300, 300, 360, 360)  # all made-up faces lie in the upper left corner, the largest with 100 pixels


@pytest.fixture
def gallery(home: object) -> Gallery:
    """Six photos with a face each, and one with two, in which they share their corner; all faces are nobody's."""
    return made(photos={**{f"{number}.jpg": 1 for number in range(1, 7)}, "two.jpg": 2})


def _of(gallery: Gallery, face: int) -> int | None:
    found = gallery.face(face)
    assert found is not None
    return found.person


def test_a_face_that_is_moved_is_parted_from_somebody_with_a_name(gallery: Gallery) -> None:
    ann, bob = group(gallery, [1, 2, 3], [4, 5])
    gallery.name_person(ann, "Ann")
    before = rows(gallery)
    done = gallery.move([3, 6], bob)
    assert [_of(gallery, face) for face in range(1, 7)] == [ann, ann, bob, bob, bob, bob]
    assert (done.person, done.faces) == (bob, 2)
    assert rows(gallery)["apart"] == [(3, ann)]
    assert [each.words for each in gallery.log(1)] == [f"2 faces to @{bob}"]
    gallery.undo()
    assert rows(gallery) == before


def test_a_face_that_is_moved_out_of_a_group_is_not_told_from_it(gallery: Gallery) -> None:
    group_, bob = group(gallery, [1, 2, 3], [4, 5])
    gallery.move([3], bob)
    assert rows(gallery)["apart"] == []
    gallery.join([group_, bob])
    assert {_of(gallery, face) for face in range(1, 6)} == {_of(gallery, 1)}


def test_a_name_that_nobody_has_is_somebody_new(gallery: Gallery) -> None:
    (ann,) = group(gallery, [1, 2])
    before = rows(gallery)
    done = gallery.move([2, 5], "Cid")
    assert done.person not in (None, ann)
    assert gallery.person("Cid").faces == 2
    again = gallery.move([1], "Cid")
    assert again.person == done.person
    gallery.undo()
    gallery.undo()
    assert rows(gallery) == before


def test_faces_are_moved_to_another_person_of_a_name(gallery: Gallery) -> None:
    (ann,) = group(gallery, [1, 2, 3])
    gallery.name_person(ann, "Ann")
    before = rows(gallery)
    done = gallery.move([3, 4], "Ann", other=True)
    assert [_of(gallery, face) for face in (1, 2, 3, 4)] == [ann, ann, done.person, done.person]
    assert done.person != ann
    assert [gallery.person(who).name for who in (ann, done.person or 0)] == ["Ann", "Ann"]
    with pytest.raises(NotSameError):
        gallery.join([ann, done.person or 0])
    gallery.undo()
    assert rows(gallery) == before
    with pytest.raises(UsageError, match="one person"):
        gallery.move([4], ann, other=True)


def test_to_say_that_a_face_is_theirs_takes_back_that_it_is_not(gallery: Gallery) -> None:
    (ann,) = group(gallery, [1, 2, 3])
    gallery.name_person(ann, "Ann")
    gallery.part(ann, [3])
    before = rows(gallery)
    gallery.move([3], "Ann")
    assert _of(gallery, 3) == ann
    assert rows(gallery)["apart"] == []
    gallery.undo()
    assert rows(gallery) == before


def test_what_cannot_be_moved_is_refused_and_nothing_is_written(gallery: Gallery) -> None:
    gallery.name_person("1.jpg", "Ann")
    gallery.name_person("2.jpg", "Ann", other=True)
    gallery.not_a_face([3])
    before = rows(gallery)
    for faces, to, error in (
        ([4], "Ann", AmbiguousNameError),
        ([3], "Bob", UnknownFaceError),
        ([99], "Bob", UnknownFaceError),
        ([4], 99, UsageError),
        ([4], "@99", UsageError),
        ([4], " ", UsageError),
        ([], "Bob", UsageError),
    ):
        with pytest.raises(error):
            gallery.move(faces, to)
    assert rows(gallery) == before


@pytest.mark.parametrize("box", [(0, 0, 100, 100), (20, 20, 130, 130), (45, 45, 55, 55)])
def test_a_box_means_the_face_that_lies_there(gallery: Gallery, box: Box) -> None:
    before = rows(gallery)
    done = gallery.mark("1.jpg", box, "Ann")
    assert _of(gallery, 1) == done.person == gallery.person("Ann").id
    assert gallery.photo(1).marks == ()
    gallery.undo()
    assert rows(gallery) == before


def test_where_no_face_is_the_place_is_kept(gallery: Gallery) -> None:
    before = rows(gallery)
    done = gallery.mark(2, (380, 10, 900, 60), "Ann")
    (mark,) = gallery.photo(2).marks
    assert (mark.box, mark.person, mark.label) == ((380, 10, 400, 60), done.person, "Ann")
    assert [photo.photo for photo in gallery.find(["Ann"]).photos] == [gallery.photo(2).photo]
    gallery.undo()
    assert rows(gallery) == before


def test_a_place_that_was_kept_for_another_one_is_this_ones(gallery: Gallery) -> None:
    gallery.mark(2, _NOWHERE, "Ann")
    before = rows(gallery)
    bob = gallery.mark(2, (302, 300, 362, 360), "Bob").person
    assert [(mark.box, mark.person) for mark in gallery.photo(2).marks] == [(_NOWHERE, bob)]
    assert gallery.mark(2, _NOWHERE, "Bob", same=True).change is None
    gallery.undo()
    assert rows(gallery) == before


def test_a_face_of_somebody_else_is_taken_from_them_and_they_keep_their_name(gallery: Gallery) -> None:
    (ann,) = group(gallery, [1, 2])
    gallery.name_person(ann, "Ann")
    bob = gallery.mark(2, (0, 0, 100, 100), "Bob").person
    assert (_of(gallery, 1), _of(gallery, 2)) == (ann, bob)
    assert [gallery.person(each).name for each in (ann, bob or 0)] == ["Ann", "Bob"]


@pytest.mark.parametrize("box", [(0, 0, 100, 100), _NOWHERE])
def test_of_a_name_that_somebody_has_it_has_to_be_said_who_is_meant(gallery: Gallery, box: Box) -> None:
    ann = gallery.name_person("6.jpg", "Ann").person
    with pytest.raises(NameTakenError) as taken:
        gallery.mark(1, box, "Ann")
    assert taken.value.people == (ann,)
    other = gallery.mark(1, box, "Ann", other=True).person
    assert other != ann
    gallery.undo()
    assert gallery.mark(1, box, "Ann", same=True).person == ann


@pytest.mark.parametrize(
    "box", [(400, 0, 500, 9), (9, 9, 9, 50), (50, 9, 9, 50), (0, 0, math.nan, 9), (0, 0, math.inf, -math.inf)]
)
def test_a_box_without_a_pixel_of_the_photo_is_refused(gallery: Gallery, box: Box) -> None:
    with pytest.raises(UsageError):
        gallery.mark(1, box, "Ann")
    with pytest.raises(UnknownPhotoError):
        gallery.mark(99, (0, 0, 9, 9), "Ann")
    assert gallery.log() == []


def test_a_box_around_several_faces_is_refused(gallery: Gallery) -> None:
    with pytest.raises(UsageError, match="2 faces"):
        gallery.mark("two.jpg", (0, 0, 400, 400), "Ann")


def test_the_commands_say_what_they_did_and_how_to_take_it_back(
    gallery: Gallery, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ann,) = group(gallery, [1, 2, 3])
    cli("people", "name", f"@{ann}", "Ann")
    before = rows(gallery)
    for words, said in (
        (("move", "2,3", "--to", "Bob"), "Moved 2 faces to Bob"),
        (("move", "2", "3", "--to", f"@{ann}"), "All was so before"),
        (("mark", "4.jpg", "Cid", "--box", "300,300,360,360"), "Marked Cid"),
        (("mark", "1.jpg", "Ann", "--box=-9,-9,99.5,99"), "All was so before"),
        (("cover", "Ann", "2"), "Cover of Ann"),
    ):
        done = cli("people", *words)
        assert (done.code, said in done.out) == (0, True), done
        if "All was" not in said:
            assert cli("people", "undo").code == 0
            assert rows(gallery) == before
    for refused in (
        ("move", "2", "--to", "@99"),
        ("mark", "4.jpg", "Cid", "--box", "1,2,3"),
        ("mark", "4.jpg", "Cid", "--box", "1,2,3,x"),
        ("mark", "4.jpg", "Ann", "--box", "300,300,360,360"),
        ("cover", "Ann", "4"),
        ("cover", "Ann", "1,2"),
    ):
        assert cli("people", *refused).code == 2
    assert rows(gallery) == before
