"""Groups in a gallery: found, kept up to date, and never against what somebody said."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from facesearch.errors import GalleryError
from facesearch.gallery.gallery import Gallery
from tests.made_up_gallery import add_photo, add_photos, people

_PHOTOS = Path("/photos")


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    return Gallery.open("people")


def _whose(gallery: Gallery) -> dict[str, tuple[int | None, str | None]]:
    """By the name of each photo its face's person, and who said so."""
    with closing(sqlite3.connect(gallery.database)) as conn:
        rows = conn.execute("SELECT path, person_id, named_by FROM photos JOIN faces ON photo_id = photos.id")
        return {Path(path).name: (person, by) for path, person, by in rows}


def _say(gallery: Gallery, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        conn.execute(statement, values)


_FACE = "(SELECT faces.id FROM faces JOIN photos ON photos.id = photo_id WHERE path = ?)"


def _is(gallery: Gallery, photo: str, person: int) -> None:
    _say(gallery, "INSERT OR IGNORE INTO people (id, made_by) VALUES (?, 'user')", person)
    statement = f"UPDATE faces SET person_id = ?, named_by = 'user' WHERE id = {_FACE}"
    _say(gallery, statement, person, str(_PHOTOS / photo))


def test_people_are_found_and_a_face_without_another_is_alone(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(5, 3, 1))
    found = gallery.group()
    assert (found.faces, found.groups, found.people, found.alone, found.is_whole) == (9, 2, 0, 1, True)
    whose = _whose(gallery)
    assert len({whose[f"0-{i}.jpg"] for i in range(5)}) == 1
    assert whose["0-0.jpg"][0] != whose["1-0.jpg"][0]
    assert whose["2-0.jpg"] == (None, None)


def test_a_second_grouping_changes_nothing(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(5, 3, 2))
    gallery.group()
    before = _whose(gallery)
    again = gallery.group(again=True)
    assert again.moved == 0
    assert _whose(gallery) == before
    assert gallery.group().moved == 0


def test_new_faces_join_the_groups_that_are_there(gallery: Gallery) -> None:
    rows = people(8, 6, 4)
    add_photos(gallery, _PHOTOS, [each[:-2] for each in rows])
    gallery.group()
    before = _whose(gallery)
    add_photos(gallery, _PHOTOS, [each[-2:] for each in rows], first=100)
    found = gallery.group()
    assert not found.is_whole
    after = _whose(gallery)
    assert {name: after[name] for name in before} == before
    for who in range(3):
        assert after[f"{who}-100.jpg"] == after[f"{who}-101.jpg"] == before[f"{who}-0.jpg"]


def test_what_was_said_stays_whatever_is_computed(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(5, 5))
    _is(gallery, "0-0.jpg", 900)
    _is(gallery, "0-1.jpg", 901)  # one face, two people
    _is(gallery, "1-0.jpg", 902)
    _is(gallery, "0-4.jpg", 902)  # two faces, one person
    gallery.group(again=True)
    whose = _whose(gallery)
    assert [whose[name] for name in ("0-0.jpg", "0-1.jpg", "1-0.jpg", "0-4.jpg")] == [
        (900, "user"),
        (901, "user"),
        (902, "user"),
        (902, "user"),
    ]


def test_who_is_like_a_face_of_which_it_was_said_is_that_person(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(5, 5))
    _is(gallery, "1-0.jpg", 902)
    gallery.group(again=True)
    whose = _whose(gallery)
    assert whose["1-3.jpg"] == (902, "auto")
    assert whose["0-3.jpg"][0] not in (None, 902)


def test_a_face_that_was_taken_out_of_a_person_does_not_come_back(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(5))
    _is(gallery, "0-0.jpg", 900)
    _say(gallery, f"INSERT INTO apart VALUES ({_FACE}, 900)", str(_PHOTOS / "0-3.jpg"))
    gallery.group(again=True)
    whose = _whose(gallery)
    assert whose["0-0.jpg"] == (900, "user")
    assert whose["0-3.jpg"][0] != 900


def test_two_faces_of_one_photo_are_two_people_unless_it_is_a_collage(gallery: Gallery) -> None:
    (rows,) = people(4)
    add_photos(gallery, _PHOTOS, [rows[:2]])
    with gallery.writing() as db:
        add_photo(db, "/photos/both.jpg", rows[2:])

    def of_photo() -> list[int | None]:
        with closing(sqlite3.connect(gallery.database)) as conn:
            where = "WHERE photo_id = (SELECT id FROM photos WHERE path = '/photos/both.jpg')"
            return [row[0] for row in conn.execute(f"SELECT person_id FROM faces {where}")]

    gallery.group()
    first, second = of_photo()
    assert first != second
    assert not gallery.questions(10)  # nobody is asked what the photo says
    _say(gallery, "INSERT INTO repeats SELECT id FROM photos WHERE path = '/photos/both.jpg'")
    gallery.group(again=True)
    first, second = of_photo()
    assert first == second is not None


def test_copies_of_a_photo_show_the_same_person(gallery: Gallery) -> None:
    (rows,) = people(3)
    add_photos(gallery, _PHOTOS, [rows])
    with gallery.writing() as db:
        for path in ("/photos/a.jpg", "/photos/b.jpg"):
            add_photo(db, path, rows[:1], digest="/photos/0-0.jpg")
    found = gallery.group()
    assert (found.faces, found.groups) == (5, 1)
    assert len({person for person, _ in _whose(gallery).values()}) == 1


def test_a_face_that_is_none_is_nobody(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(4))
    _say(gallery, f"UPDATE faces SET is_face = 0 WHERE id = {_FACE}", str(_PHOTOS / "0-0.jpg"))
    assert gallery.group().faces == 3
    assert _whose(gallery)["0-0.jpg"] == (None, None)


def test_a_dry_run_writes_nothing(gallery: Gallery) -> None:
    add_photos(gallery, _PHOTOS, people(4))
    found = gallery.group(dry_run=True)
    assert (found.groups, found.is_dry) == (1, True)
    assert {person for person, _ in _whose(gallery).values()} == {None}


def test_groups_are_the_same_whatever_the_order_of_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = people(6, 5, 4, 3, 2, seed=5)
    found = []
    for seed in range(3):
        monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / str(seed)))
        gallery = Gallery.open("people")
        photos = [(f"{who}-{i}", row) for who, faces in enumerate(rows) for i, row in enumerate(faces)]
        add_photos(gallery, _PHOTOS, [])
        with gallery.writing() as db:
            for at in np.random.default_rng(seed).permutation(len(photos)).tolist():
                add_photo(db, f"/photos/{photos[at][0]}.jpg", photos[at][1][None])
        gallery.group()
        groups: dict[int | None, set[str]] = {}
        for name, (person, _) in _whose(gallery).items():
            groups.setdefault(person, set()).add(name)
        found.append(sorted(map(sorted, groups.values())))
    assert found[0] == found[1] == found[2]


def test_without_a_gallery_there_is_nothing_to_group(gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match="no gallery 'people'"):
        gallery.group()
