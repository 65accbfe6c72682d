"""No picture that was asked for takes the place of a user's file, and no photo loses its crop to another."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facesearch.arrays import Pixels
from facesearch.gallery.records.answers import Answer, Match, Sighting
from facesearch.geometry.face import Box
from facesearch.pictures.sheets import contact_sheet, write_sheet


@pytest.fixture
def photos(tmp_path: Path, astronaut_file: Path, cli: Callable[..., Any]) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(astronaut_file, folder / "a.jpg")
    (folder / "b.jpg").write_bytes(astronaut_file.read_bytes() + b"!")
    assert cli("index", folder).code == 0
    return folder


def _prints(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def test_a_sheet_never_takes_the_place_of_a_photo(photos: Path, cli: Callable[..., Any], tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    os.link(photos / "b.jpg", away / "hard.jpg")
    (away / "soft.jpg").symlink_to(photos / "b.jpg")
    (away / "nowhere.jpg").symlink_to(tmp_path / "not mounted" / "x.jpg")
    (away / "folder.jpg").mkdir()
    (away / "text.png").write_text("a user's own")
    before = _prints(photos), _prints(away)
    taken = [photos / "a.jpg", photos / "b.jpg", *sorted(away.iterdir())]
    for sheet in taken:
        assert cli("query", photos / "a.jpg", "--sheet", sheet).code == 2, sheet
        assert cli("bench", "pairs", "pairs.csv", "--errors", sheet).code == 2, sheet
        assert cli("bench", "pairs", "pairs.csv", "--roc", sheet).code == 2, sheet
    assert (_prints(photos), _prints(away)) == before
    assert (away / "nowhere.jpg").is_symlink()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_earlier_sheet_is_replaced(photos: Path, cli: Callable[..., Any], tmp_path: Path, suffix: str) -> None:
    sheet = tmp_path / f"sheet{suffix}"
    assert cli("query", photos / "a.jpg", "--sheet", sheet).code == 0
    first = sheet.read_bytes()
    assert cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR) is not None
    assert cli("query", photos / "a.jpg", "--faces", "--sheet", sheet).code == 0
    assert sheet.read_bytes() != first
    # Once it is asked about it is a photo like any other.
    assert cli("query", sheet, "--sheet", sheet).code == 2


def test_roc_and_errors_are_two_files(cli: Callable[..., Any], tmp_path: Path) -> None:
    same = tmp_path / "x.png"
    assert cli("bench", "pairs", "pairs.csv", "--roc", same, "--errors", same).code == 2


def _answer(photo: Path, box: Box, count: int) -> Answer:
    sighting = Sighting(str(photo), box, 1.0, 1)
    match = Match("", 0.9, str(photo), box, 1, 0.9)
    return Answer(sighting, "dlib-resnet", 0.929, 0.001, False, count, (match,) * count)


@pytest.mark.parametrize("box", [Box(5000, 5000, 5100, 5100), Box(-900, -900, -800, -800), Box(0, 0, 0, 0)])
def test_a_photo_that_was_cropped_since_leaves_an_empty_tile(box: Box, astronaut_file: Path, tmp_path: Path) -> None:
    sheet, shown, of = contact_sheet([_answer(astronaut_file, box, 1)])
    write_sheet(sheet, tmp_path / "sheet.jpg")
    assert (shown, of) == (1, 1)


def test_a_sheet_for_everybody_shows_as_many_as_a_jpeg_can_hold(tmp_path: Path) -> None:
    sheet, shown, of = contact_sheet([_answer(tmp_path / "gone.jpg", Box(0, 0, 9, 9), 70_000)])
    assert (of, sheet.shape[0] <= 65_500, 0 < shown < of) == (70_000, True, True)
    many, shown, of = contact_sheet([_answer(tmp_path / "gone.jpg", Box(0, 0, 9, 9), 1)] * 1_000)
    assert (of, many.shape[0] <= 65_500, 0 < shown < of) == (1_000, True, True)
    write_sheet(many, tmp_path / "sheet.jpg")


@pytest.mark.parametrize("options", [[], ["--all-faces"]])
def test_each_photo_has_a_crop_of_its_own(
    options: list[str], cli: Callable[..., Any], tmp_path: Path, astronaut: Pixels, write: Callable[..., Path]
) -> None:
    people, crops = tmp_path / "people" / "Eileen", tmp_path / "crops"
    longest = "x" * 251
    write(people / "a.jpg", astronaut)
    assert cli("align", people.parent, crops, *options).code == 0
    (first,) = (crops / "Eileen").iterdir()
    was = first.read_bytes()
    write(people / "a.png", astronaut[:, ::-1])
    (people / f"{longest}.jpg").write_bytes((people / "a.jpg").read_bytes() + b"!")
    assert cli("align", people.parent, crops, *options).code == 0
    names = sorted(path.name for path in (crops / "Eileen").iterdir())
    assert len(names) == 3
    assert first.name in names
    assert first.read_bytes() == was
    # The next run knows them all.
    assert "0 crops of 0 photos" in cli("align", people.parent, crops, *options).out
    assert sorted(path.name for path in (crops / "Eileen").iterdir()) == names


@pytest.mark.parametrize("target", ["people", "people/crops", "linked"])
def test_crops_do_not_go_among_the_photos(
    target: str, cli: Callable[..., Any], tmp_path: Path, astronaut_file: Path
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    (tmp_path / "linked").symlink_to(people)
    shutil.copy(astronaut_file, people / "a.jpg")
    (people / "a.png").write_text("a user's own")
    before = _prints(people)
    assert cli("align", people, tmp_path / target).code == 2
    assert _prints(people) == before


def test_what_was_asked_for_follows_the_umask_and_what_is_kept_is_private(
    tmp_path: Path, home: Path, astronaut_file: Path, process: Callable[..., Any]
) -> None:
    people = tmp_path / "people" / "Eileen"
    people.mkdir(parents=True)
    shutil.copy(astronaut_file, people / "a.jpg")
    home.chmod(0o755)
    before = os.umask(0o022)
    try:
        said = process("index", people)
        assert said.returncode == 0
        assert "Others could read" in said.stderr
        said = process("query", people / "a.jpg", "--sheet", tmp_path / "sheet.jpg")
        assert said.returncode == 0
        assert "Others could read" not in said.stderr
        assert process("align", people.parent, tmp_path / "crops").returncode == 0
    finally:
        os.umask(before)
    assert (tmp_path / "sheet.jpg").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "crops" / "Eileen").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "crops" / "Eileen" / "a.png").stat().st_mode & 0o777 == 0o644
    wide = [path for path in (home, *home.rglob("*")) if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert wide == []
