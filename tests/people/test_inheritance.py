"""Groups keep the ids of the people before them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facesearch.people.inheritance import ALONE, inherit


def _inherit(labels: list[int], before: list[int], said: list[int] | None = None) -> list[int]:
    zeros = [0] * len(labels)
    people: list[int] = inherit(np.array(labels), np.array(before), np.array(said or zeros)).tolist()
    return people


def test_a_group_keeps_the_id_with_which_it_shares_most_faces() -> None:
    assert _inherit([0, 0, 0, 3, 3], [7, 7, 9, 9, 9]) == [7, 7, 7, 9, 9]


def test_of_two_parts_the_larger_keeps_the_id_and_the_other_is_new() -> None:
    assert _inherit([0, 0, 0, 3, 3], [7, 7, 7, 7, 7]) == [7, 7, 7, -1, -1]


def test_of_two_groups_that_became_one_the_id_of_more_faces_stays_and_of_equally_many_the_lower() -> None:
    assert _inherit([0, 0, 0], [9, 9, 7]) == [9, 9, 9]
    assert _inherit([0, 0, 0, 0], [9, 9, 7, 7]) == [7, 7, 7, 7]


def test_what_was_said_decides_and_nobody_else_gets_that_id() -> None:
    assert _inherit([0, 0, 2, 2], [7, 7, 5, 5], [0, 5, 0, 0]) == [5, 5, -1, -1]


def test_a_face_alone_is_nobody_unless_it_was_said_who_it_is() -> None:
    assert _inherit([0, 1, 2], [7, 7, 7], [0, 0, 3]) == [ALONE, ALONE, 3]


def test_without_faces_there_is_nobody() -> None:
    assert _inherit([], []) == []


@given(
    arrays(np.int64, 30, elements=st.integers(0, 8)),
    arrays(np.int64, 30, elements=st.integers(0, 5)),
)
def test_each_group_has_one_id_and_each_id_one_group(labels: np.ndarray, before: np.ndarray) -> None:
    people = inherit(labels, before, np.zeros(30, np.int64))
    pairs = {(a, b) for a, b in zip(labels.tolist(), people.tolist(), strict=True) if b != ALONE}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    stored = np.where(people < 0, 100 - people, people)
    assert (inherit(labels, stored, np.zeros(30, np.int64)) == stored).all()  # and grouped again nothing changes
