"""Folders as people have them: raw photos beside JPEGs, videos, animations, and what a package is missing for."""

import io
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.indexing import raw_pairs
from facesearch.gallery.records.run import Outcome, RunSummary, Skipped
from facesearch.photos import file as photo_file
from facesearch.photos.formats import format_of
from facesearch.photos.frames import has_more
from facesearch.photos.shot import taken
from tests.photos import raw_files

_SHOT, _LATER = "2024:05:01 10:20:30", "2024:05:01 10:20:33"


@pytest.fixture(scope="module")
def face(astronaut: Pixels) -> Image.Image:
    """A photo of a face, large enough to stand for a raw photo."""
    image = Image.fromarray(astronaut)
    return image.resize((image.width * 3, image.height * 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def _exif(when: str) -> bytes:
    return b"Exif\0\0" + raw_files.tiff(raw_files.Folder(exif=raw_files.taken(when)))


def _write_raw(path: Path, face: Image.Image, when: str = _SHOT) -> None:
    path.write_bytes(raw_files.dng(face.resize((64, 64)), [raw_files.preview(face)], when=when))


def _write_jpeg(path: Path, face: Image.Image, when: str = _SHOT) -> None:
    path.write_bytes(raw_files.jpeg(face.resize((400, 400)), exif=_exif(when)))


def _index(folder: Path) -> tuple[RunSummary, dict[str, str]]:
    """A run, and by name what it did with each file."""
    done: dict[str, str] = {}

    def hear(outcome: Outcome) -> None:
        done[Path(outcome.path).name] = f"{outcome.status} {outcome.done}"

    return Gallery.open().index([folder], on_outcome=hear), done


# Raw photos beside others


@pytest.mark.parametrize("name", ["a.jpg", "z.JPG"])
def test_a_raw_photo_beside_its_jpeg_is_one_photo(home: Path, folder: Path, face: Image.Image, name: str) -> None:
    _write_raw(folder / Path(name).with_suffix(".dng"), face)
    _write_jpeg(folder / name, face)
    raw = Path(name).stem + ".dng"
    assert _index(folder)[1] == {name: "ok indexed", raw: "paired indexed"}
    assert Gallery.open().facts().faces == 1
    assert _index(folder)[1] == {name: "ok unchanged", raw: "paired unchanged"}


def test_once_its_jpeg_is_gone_the_raw_photo_stands_for_itself(home: Path, folder: Path, face: Image.Image) -> None:
    _write_raw(folder / "a.dng", face)
    _write_jpeg(folder / "a.jpg", face)
    _index(folder)
    (folder / "a.jpg").unlink()
    assert _index(folder)[1] == {"a.dng": "ok indexed", "a.jpg": "missing indexed"}
    (answer,) = Gallery.open().query(folder / "a.dng").matches
    assert Path(answer.photo).name == "a.dng"


def test_a_jpeg_that_appears_takes_the_place_of_its_raw_photo(home: Path, folder: Path, face: Image.Image) -> None:
    _write_raw(folder / "a.dng", face)
    assert _index(folder)[1] == {"a.dng": "ok indexed"}
    _write_jpeg(folder / "a.jpg", face)
    assert _index(folder)[1] == {"a.jpg": "ok indexed", "a.dng": "paired indexed"}
    (answer,) = Gallery.open().query(folder / "a.jpg").matches
    assert Path(answer.photo).name == "a.jpg"
    assert not Gallery.open().check().faults


def test_a_jpeg_that_cannot_be_read_stands_for_nothing(home: Path, folder: Path, face: Image.Image) -> None:
    _write_raw(folder / "a.dng", face)
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert _index(folder)[1]["a.dng"] == "ok indexed"
    _write_jpeg(folder / "a.jpg", face)
    assert _index(folder)[1]["a.dng"] == "paired indexed"
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert _index(folder)[1]["a.dng"] == "ok indexed"


def test_of_another_second_they_are_two_photos_and_are_read_once(
    home: Path, folder: Path, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_raw(folder / "a.dng", face)
    _write_jpeg(folder / "a.jpg", face, _LATER)
    assert _index(folder)[1] == {"a.dng": "ok indexed", "a.jpg": "ok indexed"}
    monkeypatch.setattr(raw_pairs, "are_of_one_shot", lambda a, b: pytest.fail("both were read again"))
    assert _index(folder)[1] == {"a.dng": "ok unchanged", "a.jpg": "ok unchanged"}


@pytest.mark.parametrize(("seconds", "status"), [(1, "paired"), (60, "ok")])
def test_where_exif_is_silent_the_files_times_say_whether_it_is_one_shot(
    home: Path, folder: Path, face: Image.Image, seconds: int, status: str
) -> None:
    _write_raw(folder / "a.dng", face, when="")
    _write_jpeg(folder / "a.jpg", face)
    os.utime(folder / "a.dng", (1_700_000_000, 1_700_000_000))
    os.utime(folder / "a.jpg", (1_700_000_000 + seconds,) * 2)
    assert _index(folder)[1]["a.dng"] == f"{status} indexed"


def test_what_was_forgotten_does_not_come_back_by_its_raw_photo(home: Path, folder: Path, face: Image.Image) -> None:
    _write_raw(folder / "a.dng", face)
    _write_jpeg(folder / "a.jpg", face)
    _index(folder)
    Gallery.open().forget(str(folder / "a.jpg"))
    assert _index(folder)[1] == {"a.jpg": "forgotten unchanged", "a.dng": "paired unchanged"}


def test_the_time_of_a_shot_is_read_wherever_a_maker_puts_it(folder: Path, face: Image.Image) -> None:
    _write_raw(folder / "a.dng", face)
    _write_jpeg(folder / "a.jpg", face)
    (folder / "a.cr3").write_bytes(raw_files.cr3(face, 1, _SHOT))
    (folder / "a.raf").write_bytes(raw_files.raf(face, _exif(_SHOT)))
    assert {taken(str(path)) for path in folder.iterdir()} == {_SHOT}
    (folder / "none.jpg").write_bytes(raw_files.jpeg(face))
    assert taken(str(folder / "none.jpg")) == taken(str(folder / "absent.jpg")) == ""


@pytest.mark.parametrize("name", ["IMG_2682.heic", "samsung-one-ui-6.heic"])
def test_the_time_of_a_phones_heic_is_read(data: Path, name: str) -> None:
    assert taken(str(data / "photos" / name)).startswith("20")


# What is left out


def test_what_is_left_out_is_counted_by_kind(
    cli: Callable[..., Any], folder: Path, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_jpeg(folder / "a.jpg", face)
    for name in ("1.mp4", "2.MOV", "3.psd", "4.xmp", "5.txt"):
        (folder / name).write_bytes(b"no photo")
    (folder / "small.dng").write_bytes(raw_files.dng(face.resize((300, 300))))
    monkeypatch.setattr(photo_file, "is_installed", lambda module: False)
    for _ in range(2):
        said = cli("index", folder)
        assert said.code == 0
        assert "Skipped: 2 videos, 1 PSD, 1 RAW (pip install rawpy)." in said.err
    assert "Skipped: 2 videos, 1 PSD, 1 RAW (pip install rawpy)." in cli("info").err
    assert '{"kind": "RAW", "files": 1, "install": "pip install rawpy"}' in cli("info", "--json").out
    assert '{"kind": "video", "files": 2, "install": null}' in cli("index", folder, "--json").out


def test_a_raw_photo_is_looked_at_once_its_package_is_there(
    home: Path, folder: Path, face: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rawpy")
    _write_jpeg(folder / "a.jpg", face)
    (folder / "b.dng").write_bytes(raw_files.dng(face))
    with monkeypatch.context() as without:
        without.setattr(photo_file, "is_installed", lambda module: False)
        assert _index(folder)[0].skipped == (Skipped("RAW", 1, "rawpy"),)
    summary, done = _index(folder)
    assert done == {"a.jpg": "ok unchanged", "b.dng": "ok indexed"}
    assert summary.skipped == ()


def test_folders_within_each_other_are_counted_once_and_leave_with_their_root(
    home: Path, folder: Path, face: Image.Image
) -> None:
    (folder / "inner").mkdir()
    for place in (folder, folder / "inner"):
        _write_jpeg(place / "a.jpg", face)
        (place / "film.mp4").touch()
    assert _index(folder)[0].skipped == (Skipped("video", 2),)
    assert _index(folder / "inner")[0].skipped == (Skipped("video", 1),)
    assert Gallery.open().facts().skipped == (Skipped("video", 2),)
    Gallery.open().forget(str(folder / "inner"))
    Gallery.open().forget(str(folder))
    assert Gallery.open().facts().skipped == ()


# Animations and pages


def _several(kind: str, **options: Any) -> bytes:
    pages = [Image.new("RGB", (40, 30), colour) for colour in ((200, 10, 10), (10, 200, 10), (10, 10, 200))]
    out = io.BytesIO()
    pages[0].save(out, kind, save_all=True, append_images=pages[1:], **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_more_than_one_frame_or_page_is_noticed(kind: str) -> None:
    data = _several(kind)
    assert has_more(data, format_of(data))
    out = io.BytesIO()
    Image.new("RGB", (40, 30)).save(out, kind)
    assert not has_more(out.getvalue(), format_of(out.getvalue()))
    for length in range(0, len(data), 7):
        has_more(data[:length], format_of(data))


def test_of_an_animation_the_first_frame_is_looked_at_and_that_is_said_once(
    cli: Callable[..., Any], folder: Path, face: Image.Image
) -> None:
    small = face.resize((300, 300))
    small.save(folder / "a.gif", save_all=True, append_images=[Image.new("RGB", (300, 300))])
    small.save(folder / "b.tif", save_all=True, append_images=[Image.new("RGB", (300, 300))])
    said = cli("index", folder)
    assert "Of 2 animations or files of pages the first picture alone was looked at." in said.err
    assert "2 new faces" in said.out
    assert "first picture" not in cli("index", folder).err


def test_a_raw_photo_that_an_earlier_facesearch_counted_is_looked_at(
    home: Path, folder: Path, face: Image.Image
) -> None:
    _write_raw(folder / "a.dng", face)
    _index(folder)
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as db, db:
        db.execute("DELETE FROM faces")
        db.execute("UPDATE photos SET status = 'raw', cause = 'file', digest = NULL, face_count = 0")
    assert _index(folder)[1] == {"a.dng": "ok indexed"}
