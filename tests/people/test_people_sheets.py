"""Pictures of people: faces cut from photos, sheets of them, and faces in a terminal."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facesearch.arrays import Pixels
from facesearch.cli.terminal_faces import blocks
from facesearch.errors import FaceSearchError
from facesearch.geometry.face import Box
from facesearch.pictures import output
from facesearch.pictures.people_sheets import Row, ShownFace, grid_of, rows_of
from facesearch.pictures.sheets import write_sheet
from facesearch.pictures.tiles import EMPTY, Cutter, FacePlace
from tests.conftest import Write

_RED, _BLUE, _GREY = (200, 0, 0), (0, 0, 200), (90, 90, 90)


def _squares() -> Pixels:
    """Two squares of 100 pixels, 200 pixels apart, in a photo of 800 x 400."""
    photo = np.full((400, 800, 3), _GREY, np.uint8)
    photo[150:250, 100:200] = _RED
    photo[150:250, 400:500] = _BLUE
    return photo


def _near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - colour).max() < 12)


@pytest.mark.parametrize("scale", [1, 5])
def test_a_face_fills_the_middle_of_its_tile_however_large_its_photo_is(
    tmp_path: Path, write: Write, scale: int
) -> None:
    photo = write(tmp_path / "a.jpg", np.repeat(np.repeat(_squares(), scale, 0), scale, 1))
    boxes = [Box(100, 150, 200, 250), Box(400, 150, 500, 250)]
    places = [FacePlace(str(photo), Box(*(edge * scale for edge in box))) for box in boxes]
    with Cutter() as cutter:
        red, blue = cutter.cut(places, 100, around=0.5)
    assert _near(red[50, 50], _RED)
    assert _near(blue[50, 50], _BLUE)
    assert _near(red[30, 30], _RED)  # the box is the middle half of the tile, from 25 to 75
    assert _near(red[20, 20], _GREY)
    assert not any(_near(red[-1, at], EMPTY) or _near(red[at, -1], EMPTY) for at in range(100))


def test_what_is_outside_of_a_photo_or_cannot_be_read_is_empty(tmp_path: Path, write: Write) -> None:
    photo = str(write(tmp_path / "a.png", _squares()))
    (tmp_path / "no.jpg").write_text("no photo")
    corner = FacePlace(photo, Box(0, 0, 100, 100))
    outside, before = (FacePlace(photo, Box(left, 0, left + 100, 100)) for left in (900, -300))
    broken, gone = (FacePlace(str(tmp_path / name), Box(0, 0, 10, 10)) for name in ("no.jpg", "gone.jpg"))
    with Cutter() as cutter:
        tiles = cutter.cut([corner, outside, before, broken, gone], 60, around=0.5)
    assert _near(tiles[0][0, 0], EMPTY)
    assert _near(tiles[0][59, 59], _GREY)
    assert all((tile == EMPTY).all() for tile in tiles[1:])


def test_a_sheet_shows_each_row_with_its_heading_and_says_how_many_there_was_room_for(
    tmp_path: Path, write: Write
) -> None:
    photo = str(write(tmp_path / "a.png", _squares()))
    red = ShownFace(FacePlace(photo, Box(100, 150, 200, 250)), "812")
    blue = ShownFace(FacePlace(photo, Box(400, 150, 500, 250)))
    sheet, shown = rows_of("Questions", [Row(("1", "same person?"), (red,), (blue,)), Row(("2",), (blue, red))])
    assert shown == 2
    assert (sheet == _RED).all(-1).any()
    narrow, _ = rows_of("Groups", [Row(("@17",), (red, blue))] * 3)
    wide, shown = rows_of("Groups", [Row(("@17",), (red, blue))] * 30)
    assert (wide.shape[1], shown) == (2 * narrow.shape[1], 30)  # many rows stand in two columns
    sheet, shown = grid_of("Ann", [red] * 6000)
    assert sheet.shape[0] < 65_500  # pixels, the most that a JPEG can have
    assert 4000 < shown < 6000


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_comment_in_a_sheet_is_read_back_and_the_sheet_is_still_a_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"q{suffix}"
    write_sheet(_squares(), path, "facesearch asks: same 1 2; stray 3 4.")
    assert output.comment_of(path) == "facesearch asks: same 1 2; stray 3 4."
    drawn = cv2.imread(str(path))
    assert drawn is not None
    assert drawn.shape == (400, 800, 3)
    assert output.is_ours(path)
    write_sheet(_squares(), path)
    assert output.comment_of(path) == ""
    with pytest.raises(FaceSearchError, match="cannot be read"):
        output.comment_of(tmp_path / "gone.jpg")


def test_two_pixels_share_a_character_in_a_terminal() -> None:
    tile = np.zeros((4, 3, 3), np.uint8)
    tile[0], tile[1] = _RED, _BLUE
    text = blocks([tile, tile], [tile])
    first, second, *_ = text.plain.split("\n")
    assert first == second == "▀▀▀  ▀▀▀  │ ▀▀▀  "
    assert str(text.spans[0].style) == "#c80000 on #0000c8"
