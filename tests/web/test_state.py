"""What the page keeps of a gallery while it changes: its version, lists of people, and names that are proposed."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import get_args

import pytest

from facesearch import Gallery
from facesearch.errors import FaceSearchError, GalleryError
from facesearch.gallery.names.likely import folded
from facesearch.gallery.records.people import PersonFacts
from facesearch.gallery.search.questions import QueryOptions
from facesearch.gallery.tables.freshness import Freshness
from facesearch.web import kept_people
from facesearch.web.people_lists import WhichPeople, which_list
from facesearch.web.state import State
from tests import made_galleries, made_up_gallery

_SOON = 60.0  # seconds, for what takes less than one on a machine with nothing else to do


@pytest.fixture
def gallery(home: Path) -> Gallery:
    """Twenty photos of one face each, in groups @1 to @5 of 5, 4, 3, 2 and 1 faces; the others are nobody's."""
    made = made_galleries.made(photos=[f"/p/{number:02}.jpg" for number in range(20)])
    made_galleries.group(made, range(1, 6), range(6, 10), range(10, 13), range(13, 15), [15])
    return made


@pytest.fixture
def state(gallery: Gallery) -> Iterator[State]:
    """What a page keeps of it."""
    with closing(State(gallery)) as kept:
        yield kept


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gallery is taken for one whose people take long to be read."""
    monkeypatch.setattr(kept_people, "_AT_ONCE_SECONDS", 0.0)
    monkeypatch.setattr(kept_people, "_PAUSE_SECONDS", 0.05)


def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds."""
    ends = time.monotonic() + _SOON
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def something_said(gallery: Gallery, drawn: random.Random, step: int) -> Callable[[], object]:
    """Any of all that can be said, about whomever."""
    who = [each.id for each in gallery.people()]
    one, other = drawn.choice(who), drawn.choice(who)
    faces = [face.face_id for face in gallery.faces_of(one)]
    says: list[Callable[[], object]] = [
        lambda: gallery.name_person(one, f"N{step % 7}", other=True),
        lambda: gallery.join([one, other], one, anyway=True),
        lambda: gallery.part(one, faces[:1]),
        lambda: gallery.cover(one, faces[-1]),
        lambda: gallery.ignore([one]),
        lambda: gallery.hide([one], hidden=step % 2 == 0),
        lambda: gallery.not_a_face(faces[-1:]),
        lambda: gallery.move(faces[:2], "New"),
        lambda: gallery.name_face(drawn.randint(1, 20), f"M{step}", other=True),
        gallery.undo,
        gallery.undo,
    ]
    return drawn.choice(says)


def lists(state: State) -> dict[WhichPeople, list[PersonFacts]]:
    """All that it lists."""
    return {which: list(state.people(which, 0, 500)[2]) for which in get_args(WhichPeople)}


def lists_of(gallery: Gallery) -> dict[WhichPeople, list[PersonFacts]]:
    """All that a reading of the whole gallery lists."""
    people = gallery.people()
    return {which: [each for each in people if which_list(each) == which] for which in get_args(WhichPeople)}


def test_the_version_grows_with_each_change_and_with_nothing_else(gallery: Gallery, state: State) -> None:
    first = state.version()
    lists(state)
    assert state.version() == first
    gallery.name_person(1, "Ann")
    second = state.version()
    assert second > first
    gallery.name_person(1, "Ann")  # changes nothing
    gallery.undo()
    assert state.version() > second


def test_the_version_grows_from_one_start_of_a_page_to_the_next(gallery: Gallery, state: State) -> None:
    before = state.version()
    with closing(State(gallery)) as later:
        assert later.version() >= before


def test_another_file_in_place_of_the_database_is_a_change(gallery: Gallery, state: State) -> None:
    """As `repair` and `migrate` leave one."""
    before = state.version()
    copy = gallery.database.with_name("copy.db")
    shutil.copy(gallery.database, copy)
    copy.replace(gallery.database)
    assert state.version() > before
    gallery.name_person(1, "Ann")
    assert [each.name for each in state.people("named", 0, 9)[2]] == ["Ann"]


def test_a_database_that_could_not_be_opened_once_is_opened_again(gallery: Gallery) -> None:
    whole = gallery.database.read_bytes()
    fresh = Freshness(gallery.database)
    gallery.database.write_bytes(b"no database" * 1000)
    with pytest.raises(GalleryError):
        fresh.stamp()
    with pytest.raises(GalleryError):
        fresh.stamp()
    gallery.database.write_bytes(whole)
    before = fresh.stamp()
    gallery.name_person(1, "Ann")
    assert fresh.stamp() != before
    fresh.close()


def test_what_is_forgotten_leaves_the_files_while_a_page_is_open(gallery: Gallery, state: State) -> None:
    gallery.name_person(1, "Ann")
    lists(state)
    embedding = made_galleries.embedding("/p/00.jpg", 0).tobytes()
    assert any(embedding in each for each in bytes_of(gallery))
    forgotten = gallery.forget("Ann")
    assert forgotten.faces == 5
    with gallery.reading() as (db, _):
        assert not db.removal.is_unfinished()
    assert not any(b"Ann" in each or embedding in each for each in bytes_of(gallery))
    assert lists(state) == lists_of(gallery)


def bytes_of(gallery: Gallery) -> list[bytes]:
    """The content of the database's files."""
    return [each.read_bytes() for each in gallery.directory.glob("faces.db*")]


@pytest.mark.usefixtures("large")
def test_lists_that_are_kept_are_those_of_a_whole_reading_after_whatever_was_said(
    gallery: Gallery, state: State
) -> None:
    drawn = random.Random(5)
    lists(state)
    done = 0
    for step in range(60):
        try:
            something_said(gallery, drawn, step)()
            done += 1
        except FaceSearchError:
            continue
        assert lists(state) == lists_of(gallery), step
    assert done > 30


@pytest.mark.usefixtures("large")
def test_what_was_found_and_not_said_is_listed_soon_and_is_a_version_of_its_own(
    gallery: Gallery, state: State
) -> None:
    lists(state)
    made_galleries.group(gallery, [16, 17])
    version = state.people("groups", 0, 9)[0]
    until(lambda: state.version() > version)
    assert lists(state) == lists_of(gallery)
    assert len(lists(state)["groups"]) == 6


@pytest.mark.usefixtures("large")
def test_a_page_that_ends_while_people_are_read_ends_at_once(gallery: Gallery) -> None:
    state = State(gallery)
    lists(state)
    gallery.name_person(1, "Ann")
    lists(state)
    began = time.monotonic()
    state.close()
    assert time.monotonic() - began < _SOON


def test_faces_that_are_kept_follow_what_is_said(gallery: Gallery, state: State) -> None:
    assert state.faces_of(1, 0, 9)[1] == 5
    assert state.faces_alone(0, 9)[1] == 5
    gallery.part(1, [5])
    assert state.faces_of(1, 0, 9)[1] == 4
    assert state.faces_alone(0, 9)[1] == 6
    assert [each.face_id for each in state.faces_of(1, 3, 9)[2]] == [4]
    assert not state.faces_of(1, 4, 9)[2]


def test_of_all_questions_those_are_counted_that_would_be_asked(gallery: Gallery) -> None:
    """Whatever was said about those who are asked about."""
    drawn = random.Random(8)
    for kind in ("same", "stray"):
        for one, other in {(drawn.randint(1, 20), drawn.randint(1, 20)) for _ in range(60)}:
            made_galleries.suggest(gallery, kind, one, other, drawn.random())
    counted = set()
    for step in range(40):
        with suppress(FaceSearchError):
            something_said(gallery, drawn, step)()
        with gallery.reading() as (db, _):
            counted.add(db.decisions.questions_open())
            assert db.decisions.questions_open() == len(gallery.questions(1000)), step
    assert len(counted) > 5


# Names


@pytest.fixture
def alike(home: Path) -> Gallery:
    """Six people with four faces each, @1 to @6, of whom @2 and @5 are one person in truth."""
    gallery = Gallery.open("default", "cpu")
    rows = made_up_gallery.people(4, 8, 4, 4, 4)
    rows = [rows[0], rows[1][:4], rows[2], rows[3], rows[1][4:], rows[4]]
    made_up_gallery.add_photos(gallery, Path("/p"), rows)
    made_galleries.group(gallery, *(range(4 * who + 1, 4 * who + 5) for who in range(6)))
    for person, name in ((1, "Anna"), (2, "Émile"), (3, "Strauß"), (4, "Bob")):
        gallery.name_person(person, name)
    return gallery


def test_whom_somebody_resembles_most_is_proposed_first(alike: Gallery) -> None:
    names = alike.likely_names()
    first, *others = names.like("", 20, person=5)
    assert (first.person.name, first.same) == ("Émile", True)
    assert {each.person.name for each in others} == {"Anna", "Strauß", "Bob"}
    assert not any(each.same for each in others)
    judged = [each.judged or 0.0 for each in (first, *others)]
    assert judged == sorted(judged, reverse=True)
    assert names.like("", 1, face=17)[0].person.name == "Émile"


def test_likeness_is_judged_as_a_search_judges_it(alike: Gallery) -> None:
    """The judged values are those of query_person, but that it looks at all faces at once."""
    found = {each.person_id: each.judged for each in alike.query_person(6, QueryOptions(20)).matches}
    for each in alike.likely_names().like("", 20, person=6):
        assert each.judged == pytest.approx(found[each.person.id], abs=1e-4)


def test_who_was_told_apart_is_proposed_as_everybody_else(alike: Gallery) -> None:
    asked = alike.question("same", 5, 17)
    alike.answer(asked, "no")
    assert alike.likely_names().like("", 20, person=5)[-1].person.name == "Émile"


def test_what_was_read_of_names_follows_what_is_said(alike: Gallery) -> None:
    names = alike.likely_names()
    assert names.like("", 1, person=6)[0].person.name != "Zoe"
    alike.name_person(5, "Zoe")
    assert names.like("", 1, person=2)[0].person.name == "Zoe"
    alike.undo()
    assert "Zoe" not in [each.person.name for each in names.like("", 20, person=2)]
    alike.move([1, 2, 3, 4], "Émile")
    assert names.like("", 1, person=5)[0].person.name == "Émile"


def test_a_face_that_is_forgotten_is_no_longer_judged_by(alike: Gallery) -> None:
    names = alike.likely_names()
    before = {each.person.name: each.judged for each in names.like("", 20, person=5)}
    alike.forget("/p/1-2.jpg")
    after = {each.person.name: each.judged for each in names.like("", 20, person=5)}
    fresh = {each.person.name: each.judged for each in alike.likely_names().like("", 20, person=5)}
    assert after == fresh != before


def test_names_are_found_by_what_is_typed_of_them(alike: Gallery) -> None:
    names = {
        "": ["Anna", "Bob", "Émile", "Strauß"],
        "EMI": ["Émile"],
        "strauss": ["Strauß"],
        "e\u0301": ["Émile"],
        "n": ["Anna"],
        "ann\u200ba": ["Anna"],
        "x": [],
        "%": [],
        "_": [],
        "A" * 4000: [],
    }
    likely = alike.likely_names()
    assert {typed: [each.person.name for each in likely.like(typed, 20)] for typed in names} == names


def test_who_begins_so_comes_before_who_only_holds_it(alike: Gallery) -> None:
    alike.name_person(5, "Joanna")
    assert [each.person.name for each in alike.likely_names().like("anna", 20)] == ["Anna", "Joanna"]


@pytest.mark.parametrize(
    ("name", "other"), [("Éva", "eva"), ("STRASSE", "straße"), ("Ⅳ", "iv"), ("ﬁ", "FI"), ("İ", "i")]
)
def test_case_and_accents_count_for_nothing(name: str, other: str) -> None:
    assert folded(name) == folded(other)


def test_names_of_nobody_are_none(home: Path) -> None:
    gallery = made_galleries.made(photos=["/p/1.jpg"])
    assert gallery.likely_names().like("", 20) == []
    assert gallery.likely_names().like("", 20, face=1) == []
    with pytest.raises(FaceSearchError):
        gallery.likely_names().like("", 20, face=2)
