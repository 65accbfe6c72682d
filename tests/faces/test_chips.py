"""Geometry that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.geometry.boxes import cut_window, non_maximum_suppression, squared, suppress_nested
from facesearch.geometry.chips import ByLandmarks, similarity_transforms
from facesearch.geometry.face import Box, Face, Point

_TEMPLATE = np.array([[20.0, 20.0], [40.0, 20.0], [30.0, 30.0], [22.0, 42.0], [38.0, 42.0]])
_EQUAL = np.ones(5)
_ALIGNER = ByLandmarks(_TEMPLATE, _EQUAL, 60)


def test_non_maximum_suppression_keeps_the_better_of_two_that_overlap() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])  # the first two share 90 of 110
    scores = np.array([0.7, 0.9, 0.8], np.float32)
    assert non_maximum_suppression(boxes, scores, 0.5).tolist() == [1, 2]
    assert non_maximum_suppression(boxes, scores, 0.85).tolist() == [1, 2, 0]


def test_a_box_is_only_dropped_for_one_that_is_kept() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])  # each shares 60 of 140 with the next
    assert non_maximum_suppression(boxes, np.array([0.9, 0.8, 0.7], np.float32), 0.4).tolist() == [0, 2]


def test_suppress_nested_drops_a_box_inside_a_better_one() -> None:
    boxes = np.array([[0.0, 0, 100, 100], [40, 40, 60, 60], [90, 0, 190, 100]])
    scores = np.array([0.9, 0.95, 0.8], np.float32)
    assert suppress_nested(boxes, scores, 0.7).tolist() == [1, 2]
    assert non_maximum_suppression(boxes, scores, 0.7).tolist() == [1, 0, 2]


def test_no_boxes_leave_no_boxes() -> None:
    assert len(non_maximum_suppression(np.empty((0, 4)), np.empty(0, np.float32), 0.5)) == 0
    assert len(suppress_nested(np.empty((0, 4)), np.empty(0, np.float32), 0.5)) == 0


def test_squared_keeps_the_centre_and_the_longer_side() -> None:
    assert squared(np.array([[10.0, 20, 30, 60]])).tolist() == [[0, 20, 40, 60]]


@given(
    angle=st.floats(-3.1, 3.1),
    scale=st.floats(0.05, 20),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_similarity_transform_finds_the_turn_scale_and_shift(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    photo = (_TEMPLATE - [x, y]) @ np.linalg.inv(turn).T
    (found,) = similarity_transforms(photo[None], _TEMPLATE, _EQUAL)
    np.testing.assert_allclose(found, np.column_stack([turn, [x, y]]), atol=1e-6 * (1 + scale + abs(x) + abs(y)))


def test_a_landmark_without_weight_moves_nothing() -> None:
    smiling = _TEMPLATE + np.array([[0, 0], [0, 0], [0, 0], [-4, 3], [4, 3]])
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    (found,) = similarity_transforms(smiling[None], _TEMPLATE, np.array([1.0, 1, 1, 0, 0]))
    np.testing.assert_allclose(found, still, atol=1e-9)
    moved = [
        np.abs(similarity_transforms(smiling[None], _TEMPLATE, np.array([1, 1, 1, mouth, mouth]))[0] - still).max()
        for mouth in (0.15, 1.0)
    ]
    assert 0 < moved[0] < moved[1] / 2


def test_similarity_transform_never_mirrors() -> None:
    mirrored = _TEMPLATE * [-1, 1]
    (found,) = similarity_transforms(mirrored[None], _TEMPLATE, _EQUAL)
    assert np.linalg.det(found[:, :2]) > 0


def test_landmarks_that_coincide_give_a_finite_transform() -> None:
    assert np.isfinite(similarity_transforms(np.ones((1, 5, 2)), _TEMPLATE, _EQUAL)).all()


@pytest.mark.parametrize(("times", "turned"), [(1, False), (1, True), (3, False), (9, True)])
def test_align_brings_landmarks_to_the_template(times: int, turned: bool) -> None:
    """White dots at the landmarks of a photo of any size, upright or lying, shine at the template's places."""
    place = (_TEMPLATE + 8) * times
    photo = np.zeros((80 * times, 90 * times, 3), np.uint8)
    for x, y in place:
        photo[int(y) - times : int(y) + times, int(x) - times : int(x) + times] = 255
    if turned:  # a quarter turn clockwise: (x, y) goes to (height - y, x)
        photo = np.ascontiguousarray(np.rot90(photo, -1))
        place = np.column_stack([80 * times - place[:, 1], place[:, 0]])
    face = Face(Box(0, 0, 1, 1), 1.0, tuple(Point(x, y) for x, y in place.tolist()))  # type: ignore[arg-type]
    (chip,) = _ALIGNER.cut(photo, [face])
    for x, y in _TEMPLATE.astype(int):
        spot = chip[y - 3 : y + 3, x - 3 : x + 3, 0].astype(float)
        assert spot.max() > 150
        middle = (np.indices(spot.shape).reshape(2, -1) + 0.5) @ spot.ravel() / spot.sum()
        np.testing.assert_allclose(middle, [3, 3], atol=0.15)  # (row, column) of the dot's centre of mass


def test_align_averages_a_large_face_down_and_does_not_alias() -> None:
    """Stripes one pixel wide become grey when the face is ten times as large as the chip."""
    photo = np.zeros((700, 700, 3), np.uint8)
    photo[:, ::2] = 255
    face = Face(Box(0, 0, 1, 1), 1.0, tuple(Point(*p) for p in (_TEMPLATE * 10).tolist()))  # type: ignore[arg-type]
    (chip,) = _ALIGNER.cut(photo, [face])
    assert abs(chip[5:55, 5:55].astype(float) - 127.5).max() < 6


def test_align_without_faces_gives_no_chips() -> None:
    assert _ALIGNER.cut(np.zeros((10, 10, 3), np.uint8), []).shape == (0, 60, 60, 3)


def test_cut_takes_exactly_the_box_and_grey_outside() -> None:
    photo = np.arange(100, dtype=np.uint8).reshape(10, 10)[..., None].repeat(3, axis=2)
    out = np.empty((4, 4, 3), np.uint8)
    cut_window(photo, np.array([3.0, 2, 7, 6]), 4, (1.0, 1.0), out)
    np.testing.assert_array_equal(out, photo[2:6, 3:7])
    cut_window(photo, np.array([-4.0, 2, 0, 6]), 4, (1.0, 1.0), out)
    assert (out == 128).all()


def test_cut_from_a_smaller_version_shows_the_same_place() -> None:
    large = np.zeros((40, 40, 3), np.uint8)
    large[10:20, 20:30] = 200
    small = np.ascontiguousarray(large[::2, ::2])
    out = np.empty((5, 5, 3), np.uint8)
    cut_window(small, np.array([20.0, 10, 30, 20]), 5, (0.5, 0.5), out)
    assert (out == 200).all()
