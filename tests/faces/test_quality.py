"""How good a face is, and photos that need a second look."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facesearch.arrays import Pixels
from facesearch.faces.analyser import Analyser, find_faces
from facesearch.faces.quality import can_tell, qualities
from facesearch.faces.second_look import Look
from facesearch.geometry.chips import ByBox
from facesearch.geometry.face import Box, Face, Point
from facesearch.photos.view import View, decode_view, whole_view

_LANDMARKS = (Point(30, 40), Point(70, 40), Point(50, 60), Point(35, 80), Point(65, 80))
_SHARP = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3)).astype(np.uint8)
_FACE = Face(Box(10, 10, 90, 110), 0.9, _LANDMARKS)


def test_a_face_is_as_good_as_its_worst_side() -> None:
    half = replace(_FACE, box=Box(0, 0, 40, 200))
    (nose_aside,) = (replace(_FACE, landmarks=(*_LANDMARKS[:2], Point(60, 60), *_LANDMARKS[3:])),)
    profile = replace(_FACE, landmarks=(*_LANDMARKS[:2], Point(75, 60), *_LANDMARKS[3:]))
    faces = [_FACE, half, nose_aside, profile]
    found = qualities(faces, _SHARP)
    np.testing.assert_allclose(found, [0.9, 0.5, 0.5, 0], atol=1e-6)  # score; 40 of 80 pixels; a quarter of the eyes
    assert len(qualities([], np.zeros((0, 112, 112, 3), np.uint8))) == 0


def test_a_blurred_face_is_less_good(analyser: Analyser, astronaut: Pixels) -> None:
    found = [
        analyser.analyse([whole_view(cv2.GaussianBlur(astronaut, (0, 0), blur) if blur else astronaut)])[0].faces[0]  # type: ignore[arg-type]
        for blur in (0, 2, 4)
    ]
    sharp, soft, blurred = (face.quality or 0 for face in found)
    assert 1 >= sharp > soft > blurred > 0


def test_one_large_face_is_enough_to_tell() -> None:
    small, large = Box(0, 0, 30, 50), Box(0, 0, 40, 40)
    assert not can_tell(small, small)
    assert can_tell(small, large)


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("framed", [False, True])
def test_a_face_that_is_found_in_a_look_lies_where_it_is(quarters: int, mirrored: bool, framed: bool) -> None:
    photo: Pixels = np.zeros((80, 120, 3), np.uint8)
    spots = [(20, 10), (40, 10), (32, 20), (24, 30), (36, 30)]  # the same five spots, each of its own grey
    for number, (x, y) in enumerate(spots):
        photo[y, x] = 50 + 40 * number
    look = Look(quarters, mirrored, framed)
    seen = look.at(photo)
    found = []
    for number in range(5):
        ((y, x),) = np.argwhere((seen == 50 + 40 * number).all(axis=2))
        found.append(Point(float(x) + 0.5, float(y) + 0.5))  # the middle of the pixel
    if mirrored:  # the detector names the eye on the image's left first
        found = [found[i] for i in (1, 0, 2, 4, 3)]
    xs, ys = [p.x for p in found], [p.y for p in found]
    face = Face(Box(min(xs) - 2, min(ys) - 2, max(xs) + 2, max(ys) + 2), 1.0, tuple(found))  # type: ignore[arg-type]
    back = look.back(face, (120, 80))
    assert back is not None
    assert back.landmarks == tuple(Point(x + 0.5, y + 0.5) for x, y in spots)
    assert back.box == Box(18.5, 8.5, 42.5, 32.5)


def test_what_is_found_in_the_frame_is_no_face() -> None:
    corner = Face(Box(0, 0, 10, 10), 1.0, _LANDMARKS)
    assert Look(framed=True).back(corner, (120, 80)) is None


def _turned(view: View, quarters: int) -> View:
    return whole_view(np.ascontiguousarray(np.rot90(view.pixels, quarters)))


def test_a_photo_that_lies_on_its_side_shows_the_same_person(analyser: Analyser, astronaut: Pixels) -> None:
    photo = whole_view(cv2.resize(astronaut, (384, 384), interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
    (upright,) = analyser.analyse([photo])
    for quarters in (1, 2, 3):
        lying = _turned(photo, quarters)
        (found,) = analyser.analyse([lying])
        assert len(found.faces) == 1
        assert float(found.embeddings[0] @ upright.embeddings[0]) > 0.97
        # Where the file says which way is up, it is believed.
        told = find_faces(analyser.detector, [replace(lying, knows_up=True)])[0]
        assert all(face.score < 0.97 for face in told)


def test_a_face_that_fills_the_photo_is_found(analyser: Analyser, astronaut: Pixels) -> None:
    (face,) = analyser.analyse([whole_view(astronaut)])[0].faces
    left, top, right, bottom = (round(edge) for edge in face.box)
    tight = astronaut[top + 22 : bottom - 18, left + 16 : right - 16]
    photo = cv2.resize(tight, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    assert not analyser.detector.detect([photo])[0]  # type: ignore[list-item]
    (found,) = analyser.analyse([whole_view(photo)])  # type: ignore[arg-type]
    assert len(found.faces) == 1


def test_a_file_that_says_nothing_may_lie_on_its_side(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 1
    picture = Image.new("RGB", (64, 48), (200, 100, 50))
    picture.save(tmp_path / "told.jpg", exif=exif)
    picture.save(tmp_path / "silent.jpg")
    assert decode_view((tmp_path / "told.jpg").read_bytes()).knows_up
    assert not decode_view((tmp_path / "silent.jpg").read_bytes()).knows_up


def test_a_chip_by_its_box_is_turned_by_quarters_where_the_face_lies_on_its_side() -> None:
    photo: Pixels = np.zeros((100, 100, 3), np.uint8)
    photo[20:50] = 255  # the upper half of the face
    upright = Face(
        Box(20, 20, 80, 80), 1.0, (Point(35, 40), Point(65, 40), Point(50, 55), Point(40, 70), Point(60, 70))
    )
    (expected,) = ByBox(0, 60).cut(photo, [upright])
    for quarters in (1, 2, 3):
        turned = np.ascontiguousarray(np.rot90(photo, quarters))
        lying = Look(-quarters % 4).back(upright, (100, 100))
        assert lying is not None
        (chip,) = ByBox(0, 60).cut(turned, [lying])
        assert (chip == expected).all()
