"""A gallery that facesearch 0.1.0 made, before its tables and networks moved: it opens, answers, grows and shrinks as
one that was made today.

tests/data/gallery-0.1.0 holds four photos made from the shipped portrait, and one that is broken, all under /photos,
which does not exist here."""

import shutil
from pathlib import Path

import pytest

from facesearch import Gallery, verify
from facesearch.photos.file import PhotoFile

_MADE = Path(__file__).parents[1] / "data" / "gallery-0.1.0"


@pytest.fixture
def old(home: Path) -> Gallery:
    gallery = Gallery.open("old", "cpu")
    gallery.directory.mkdir(parents=True, mode=0o700)
    for file in _MADE.iterdir():
        shutil.copy(file, gallery.directory)
    return gallery


def test_it_holds_what_it_held(old: Gallery) -> None:
    facts = old.facts()
    assert (facts.photos, facts.faces, facts.people) == ({"ok": 4, "unreadable": 1}, 5, 1)
    assert (facts.settings.model, facts.settings.detector, facts.settings.max_side) == ("dlib-resnet", "mtcnn", 1280)
    assert facts.index is not None
    assert facts.index.count == 5
    assert [Path(each.path).name for each in old.unread()] == ["broken.jpg"]
    assert old.check().faults == ()


def test_its_embeddings_are_those_of_today(old: Gallery, astronaut_file: Path) -> None:
    """The networks of its models are the same, bit for bit or nearly, however they are built now."""
    answer = old.query(astronaut_file, k=5, group=False)
    assert {Path(match.photo).name: round(match.similarity, 3) for match in answer.matches[:1]} == {
        "portrait.jpg": 1.0
    }
    assert answer.matches[0].person == "collins"
    assert all(match.similarity >= (answer.threshold or 1) for match in answer.matches)
    assert verify(astronaut_file, astronaut_file, gallery="old").same


def test_it_grows_without_losing_what_is_away(old: Gallery, album: Path) -> None:
    photos = len(list(album.rglob("*.jpg")))
    summary = old.index([album])
    assert sum(summary.photos.values()) == photos
    assert old.facts().photos == {"ok": 4 + photos, "unreadable": 1}
    assert old.check().faults == ()


def test_it_forgets(old: Gallery) -> None:
    assert old.to_forget("collins").faces == 2
    assert old.forget("collins").faces == 2
    assert old.facts().faces == 3
    assert old.check().faults == ()


def test_it_is_repaired(old: Gallery) -> None:
    data = bytearray(old.vectors.read_bytes())
    data[-5] ^= 1
    old.vectors.write_bytes(data)
    assert old.check().faults
    assert old.repair().faces == 5
    assert old.check().faults == ()


def test_its_rows_read_as_today(old: Gallery) -> None:
    with old.reading() as (db, _):
        known = db.photos.known(["/photos/two.jpg"])["/photos/two.jpg"]
    assert (known.status, known.faces) == ("ok", 2)
    assert not known.agrees_with(PhotoFile("/photos/two.jpg", 1, 1))
