"""Figures of groups, by examples that fit on one hand."""

import numpy as np
import pytest

from facesearch.evaluation.clustering import group_figures


def test_groups_that_are_the_people_leave_no_work() -> None:
    figures = group_figures(np.array([1, 1, 2, 3]), np.array([7, 7, 0, 5]))
    assert (figures.pairs.f, figures.bcubed.f, figures.purity, figures.work) == pytest.approx((1, 1, 1, 0))
    assert (figures.faces, figures.people, figures.groups, figures.mixed) == (4, 3, 1, 0)


def test_a_stray_and_a_piece_are_an_action_each() -> None:
    # Ann has three faces, two of them with a face of Bob; her third, and Bob's other, are alone.
    figures = group_figures(np.array([1, 1, 2, 1, 2]), np.array([0, 0, 0, 1, 2]))
    assert figures.pairs.precision == pytest.approx(1 / 3)  # of the pairs aa, ab, ab
    assert figures.pairs.recall == pytest.approx(1 / 4)  # of three of Ann and one of Bob
    assert figures.bcubed.precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert figures.bcubed.recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 2 + 1 / 3 + 1 / 2) / 5)
    assert (figures.strays, figures.pieces, figures.work) == (1, 1, 2)
    assert (figures.purity, figures.groups, figures.mixed) == pytest.approx((4 / 5, 1, 1))


def test_a_number_below_0_is_a_face_alone() -> None:
    people = np.array([1, 1, 2, 2])
    assert group_figures(people, np.array([-1, -1, 4, 4])) == group_figures(people, np.array([0, 1, 2, 2]))


def test_one_face_alone_is_right() -> None:
    figures = group_figures(np.array([9]), np.array([-1]))
    assert (figures.pairs.f, figures.bcubed.f, figures.purity, figures.work) == pytest.approx((1, 1, 1, 0))


def test_figures_do_not_depend_on_numbers_or_order() -> None:
    rng = np.random.default_rng(0)
    people, labels, order = rng.integers(0, 9, 60), rng.integers(0, 12, 60), rng.permutation(60)
    renamed = rng.permutation(12)[labels]
    assert group_figures(people[order] * 5, renamed[order]) == group_figures(people, labels)
