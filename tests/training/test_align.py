"""`facesearch align`: crops as the original's, of any photo, once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facesearch.arrays import Pixels
from facesearch.faces.analyser import Analyser
from facesearch.faces.choosing import largest_and_most_central
from facesearch.geometry.chips import ByBox
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.view import read

Cli = Callable[..., Any]


def _face(left: float, top: float, right: float, bottom: float) -> Face:
    points = tuple(Point(0, 0) for _ in range(5))
    return Face(Box(left, top, right, bottom), 1.0, points)  # type: ignore[arg-type]


def test_a_crop_is_the_box_and_half_the_margin_on_each_side() -> None:
    photo = np.zeros((100, 120, 3), np.uint8)
    photo[20:60, 30:70] = 200  # a square of 40 pixels
    (chip,) = ByBox(20, 160).cut(photo, [_face(40, 30, 60, 50)])  # 20 pixels and 10 on each side
    assert chip.shape == (160, 160, 3)
    assert (chip == 200).all()
    (wider,) = ByBox(40, 160).cut(photo, [_face(40, 30, 60, 50)])  # 60 pixels: a third of them are black
    assert (wider == 200).mean() == pytest.approx((40 / 60) ** 2, abs=0.03)


def test_a_crop_is_cut_at_the_photos_edge_and_stretched() -> None:
    photo = np.zeros((100, 100, 3), np.uint8)
    photo[:, :10] = 255
    (chip,) = ByBox(0, 100).cut(photo, [_face(0, 0, 20, 50)])
    assert (chip[:, :48] == 255).all()
    assert (chip[:, 52:] == 0).all()
    assert ByBox(32, 160).cut(photo, []).shape == (0, 160, 160, 3)
    assert ByBox(0, 16).cut(photo, [_face(99.6, 99.6, 99.9, 99.9)]).shape == (1, 16, 16, 3)


def test_the_largest_and_most_central_face_is_taken() -> None:
    size = (100, 100)
    central, larger_aside = _face(40, 40, 60, 60), _face(0, 0, 25, 25)  # 400; 625 less twice 2 * 37.5^2
    large = _face(20, 20, 80, 80)
    assert largest_and_most_central(size, [larger_aside, central]) is central
    assert largest_and_most_central(size, [central, large]) is large


def test_a_folder_a_person_in_and_out(cli: Cli, album: Path, tmp_path: Path, analyser: Analyser) -> None:
    said = cli("align", album, tmp_path / "out", "--precision", "float32", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out) == {"aligned": 9, "known": 0, "failed": 0, "crops": 9, "failures": []}
    for source in album.rglob("*.jpg"):
        made = tmp_path / "out" / source.parent.name / f"{source.stem}.png"
        photo = read(str(source))
        (faces,) = analyser.detector.detect([photo])
        expected = ByBox(32, 160).cut(photo, [largest_and_most_central((250, 250), faces)])[0]
        # Red is red: a crop with its channels swapped would be far off.
        np.testing.assert_allclose(read(str(made)).astype(int), expected, atol=2)
    again = cli("align", album, tmp_path / "out")
    assert "0 crops of 0 photos" in again.out
    assert "9 photos were done already" in again.out


def test_what_was_cut_off_goes_on(cli: Cli, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli("align", album, out).code == 0
    lost = sorted(out.rglob("*.png"))[4]
    lost.unlink()
    (lost.with_name(".0123abcd.part")).write_bytes(b"half")
    again = json.loads(cli("align", album, out, "--json").out)
    assert (again["aligned"], again["known"]) == (1, 8)
    assert read(str(lost)).shape == (160, 160, 3)


def test_grey_pgm_photos_and_jpeg_crops(cli: Cli, photo_of: Callable[..., Path], tmp_path: Path) -> None:
    person = tmp_path / "in" / "Tony_Blair"
    person.mkdir(parents=True)
    grey = cv2.imread(str(photo_of("Tony_Blair", 1)), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    # A header with a comment line, as some of Yale B have.
    header = f"P5\n# shot in the studio\n{grey.shape[1]} {grey.shape[0]}\n255\n".encode()
    (person / "grey.pgm").write_bytes(header + grey.tobytes())
    said = cli("align", tmp_path / "in", tmp_path / "out", "--size", 96, "--format", "jpg")
    assert said.code == 0, said.err
    made = read(str(tmp_path / "out" / "Tony_Blair" / "grey.jpg"))
    assert made.shape == (96, 96, 3)
    assert np.ptp(made.astype(int), axis=2).max() == 0  # still grey
    assert made.std() > 20


def test_all_faces_and_warped_ones(
    cli: Cli, photo_of: Callable[..., Path], tmp_path: Path, write: Callable[[Path, Pixels], Path], analyser: Analyser
) -> None:
    two = np.concatenate(
        [read(str(photo_of(person, 1)))[30:220, 40:210] for person in ("Tony_Blair", "Tiger_Woods")], axis=1
    )
    write(tmp_path / "in" / "both" / "two.png", two)
    out = tmp_path / "out"
    assert cli("align", tmp_path / "in", out, "--all-faces").code == 0
    assert sorted(path.name for path in (out / "both").iterdir()) == ["two_0.png", "two_1.png"]
    assert "1 photos were done already" in cli("align", tmp_path / "in", out, "--all-faces").out
    warped = tmp_path / "warped"
    turned = np.ascontiguousarray(np.rot90(read(str(photo_of("Tiger_Woods", 1)))[20:230, 20:230]))
    leaning = cv2.warpAffine(
        turned, cv2.getRotationMatrix2D((105, 105), -65, 1.0), (210, 210), borderMode=cv2.BORDER_REFLECT
    )
    write(tmp_path / "lean" / "tiger" / "25.png", np.asarray(leaning, np.uint8))
    assert cli("align", tmp_path / "lean", warped, "--warp", "--size", 150).code == 0
    chip = read(str(warped / "tiger" / "25.png"))
    padded = cv2.copyMakeBorder(chip, 60, 60, 60, 60, cv2.BORDER_REFLECT)
    (faces,) = analyser.detector.detect([np.asarray(padded, np.uint8)])
    left, right = max(faces, key=lambda face: face.box.area).landmarks[:2]
    assert abs(left.y - right.y) < 5  # upright, although the photo leans by 25 degrees


def test_photos_without_a_crop_are_listed_and_stop_nothing(
    cli: Cli, album: Path, tmp_path: Path, write: Callable[[Path, Pixels], Path]
) -> None:
    write(album / "Tiger_Woods" / "wall.png", np.full((200, 200, 3), 120, np.uint8))
    said = cli("align", album, tmp_path / "out")
    assert said.code == 0  # a photo without a face is no failure
    assert "wall.png: no face was found" in said.err
    (album / "Tiger_Woods" / "empty.jpg").write_bytes(b"")
    said = cli("align", album, tmp_path / "out")
    assert said.code == 7
    assert "empty.jpg: the file is empty" in said.err
    assert "9 photos were done already, 2 gave none" in said.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["{in}/absent", "{out}"], 3, "cannot be read"),
        (["{in}", "{out}"], 3, "There is no photo"),
        (["{album}", "{out}", "--detector", "nobody"], 6, "no model named 'nobody'"),
        (["{album}", "{out}", "--detector", "nobody", "--warp"], 6, "Where the landmarks of 'nobody' belong"),
        (["{album}", "{file}"], 3, "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence(
    cli: Cli, album: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "file").write_text("not a folder")
    places = {"in": tmp_path / "in", "out": tmp_path / "out", "album": album, "file": tmp_path / "file"}
    found = cli("align", *[word.format(**places) for word in words])
    assert found.code == code, found.err
    assert said in found.err
    assert found.err.count("\n") == 1


def test_crops_of_another_size_are_not_mixed(cli: Cli, album: Path, tmp_path: Path) -> None:
    assert cli("align", album, tmp_path / "out", "--size", 64).code == 0
    said = cli("align", album, tmp_path / "out", "--size", 96)
    assert said.code == 2
    assert "holds crops of 64 pixels, not 96; name another folder, or give --size 64." in said.err
