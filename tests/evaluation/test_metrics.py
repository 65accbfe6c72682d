"""Figures of verification and identification, beside scikit-learn, brute force and cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from facesearch.evaluation.identification import closed_set, enrol_first, open_set
from facesearch.evaluation.metrics import (
    accuracy_by_folds,
    best_threshold,
    equal_error_rate,
    roc,
    tar_at,
    val_by_folds,
    verification,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Floats, Bools]:
    """Similarities with many ties, and both kinds of pairs."""
    count = draw(st.integers(2, 60))
    steps = draw(st.integers(2, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    same = rng.random(count) < 0.5
    same[:2] = True, False
    similarities = np.round(rng.normal(0.3 * same, 0.3) * steps) / steps
    return np.clip(similarities, -1, 1), same


@given(pairs())
def test_the_curve_is_scikit_learns_and_brute_force(case: tuple[Floats, Bools]) -> None:
    similarities, same = case
    curve = roc(similarities, same)
    far, tar, thresholds = roc_curve(same, similarities, drop_intermediate=False)
    np.testing.assert_allclose(np.c_[curve.far, curve.tar], np.c_[far, tar], atol=1e-9)
    for point, threshold in enumerate(thresholds):
        assert curve.far[point] == pytest.approx((similarities[~same] >= threshold).mean(), abs=1e-9)
        assert curve.tar[point] == pytest.approx((similarities[same] >= threshold).mean(), abs=1e-9)


@given(pairs(), st.sampled_from([0.001, 0.01, 0.1, 0.5]))
def test_auc_and_tar_by_brute_force(case: tuple[Floats, Bools], far: float) -> None:
    similarities, same = case
    figures = verification(similarities, same, None)
    ours, others = similarities[same][:, None], similarities[~same]
    wins = (ours > others).mean() + (ours == others).mean() / 2
    assert figures.auc == pytest.approx(wins, abs=1e-9)
    assert figures.auc == pytest.approx(roc_auc_score(same, similarities), abs=1e-9)
    allowed = [0.0]
    for threshold in similarities:
        if (others >= threshold).mean() <= far:
            allowed.append(float((similarities[same] >= threshold).mean()))
    assert tar_at(roc(similarities, same), far) == pytest.approx(max(allowed), abs=1e-9)


@given(pairs())
def test_the_equal_error_rate_lies_where_the_curve_crosses(case: tuple[Floats, Bools]) -> None:
    similarities, same = case
    curve = roc(similarities, same)
    rate = equal_error_rate(curve)
    # At that FAR the straight lines between the points pass through TAR = 1 - FAR.
    at = np.isclose(curve.far, rate, atol=1e-12)
    if at.any():
        assert curve.tar[at].min() - 1e-9 <= 1 - rate
        low = curve.tar[curve.far < rate - 1e-12].max(initial=0)
        assert low <= 1 - rate + 1e-9
        assert curve.tar[at].max() >= 1 - rate - 1e-9
    else:
        assert np.interp(rate, curve.far, curve.tar) == pytest.approx(1 - rate, abs=1e-9)


@given(pairs())
def test_no_threshold_is_better_than_the_best(case: tuple[Floats, Bools]) -> None:
    similarities, same = case

    def right(threshold: float) -> int:
        return int(((similarities >= threshold) == same).sum())

    tried = [-2.0, 2.0, *similarities]
    best = max(right(threshold) for threshold in tried[:1] + tried[2:])
    assert right(best_threshold(similarities, same)) == best


def test_the_threshold_lies_between_two_similarities() -> None:
    assert best_threshold(np.array([0.2, 0.4, 0.8, 0.9]), np.array([False, False, True, True])) == pytest.approx(0.6)


@settings(max_examples=30)
@given(pairs())
def test_no_fold_is_judged_by_a_threshold_that_saw_it(case: tuple[Floats, Bools]) -> None:
    similarities, same = np.tile(case[0], 3), np.tile(case[1], 3)
    folds = np.repeat([0, 1, 2], len(case[0]))
    before = accuracy_by_folds(similarities, same, folds)
    changed = np.where(folds == 1, -similarities, similarities)
    after = accuracy_by_folds(changed, same, folds)
    assert before.thresholds[1] == after.thresholds[1]
    assert before.tp + before.tn + before.fp + before.fn == len(same)
    assert (before.tp + before.tn) / len(same) == pytest.approx(before.mean)


def test_accuracy_by_hand() -> None:
    similarities = np.array([0.9, 0.1, 0.8, 0.2, 0.3, 0.7])
    same = np.array([True, False, True, False, True, False])
    accuracy = accuracy_by_folds(similarities, same, np.array([0, 0, 1, 1, 2, 2]))
    # Folds 0 and 1 are told apart anywhere from 0.2 to 0.8, but fold 2 is the wrong way round.
    assert accuracy.thresholds[2] == pytest.approx(0.5)
    assert accuracy.folds == (1.0, 1.0, 0.0)
    assert accuracy.mean == pytest.approx(2 / 3)
    assert accuracy.std == pytest.approx(np.sqrt(2) / 3)
    assert accuracy.error == pytest.approx(np.sqrt(1 / 3) / np.sqrt(3))
    assert (accuracy.tp, accuracy.tn, accuracy.fp, accuracy.fn) == (2, 2, 1, 1)


def test_val_by_hand() -> None:
    """Two folds; in each the strangers' squared distances are 0.5, 1.0, 1.5 and 2.0, the others' 0.2 and 1.2."""
    distances = np.tile([0.5, 1.0, 1.5, 2.0, 0.2, 1.2], 2)
    same = np.tile([False] * 4 + [True] * 2, 2)
    folds = np.repeat([0, 1], 6)
    # A distance counts when it is below the threshold. FAR is 0 up to 0.5, then 1/4: 0.125 is reached halfway on the
    # step of 0.001 that begins at 0.5. So 0.2 passes, and of the strangers the one at 0.5.
    val = val_by_folds(1 - distances / 2, same, folds, 0.125)
    assert (val.mean, val.std, val.far) == (0.5, 0.0, 0.25)
    # 0.75 is reached with the third stranger.
    val = val_by_folds(1 - distances / 2, same, folds, 0.75)
    assert (val.mean, val.far) == (1.0, 0.75)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_val_is_facenets_own(seed: int) -> None:
    """validate_on_lfw, written out: scipy's interpolation over all thresholds from 0 to 4 in steps of 0.001."""
    from scipy.interpolate import interp1d

    rng = np.random.default_rng(seed)
    same = rng.random(600) < 0.5
    similarities = np.clip(rng.normal(np.where(same, 0.7, 0.1), 0.2), -1, 1)
    folds = np.arange(600) % 3
    distances, steps = 2 - 2 * similarities, np.arange(0, 4, 0.001)
    vals, fars = [], []
    for fold in range(3):
        train, test = folds != fold, folds == fold
        far_train = np.array([(distances[train & ~same] < step).mean() for step in steps])
        # interp1d wants each FAR once; the step before a rise and the rise itself decide.
        ends = np.flatnonzero(np.diff(far_train, append=2) > 0)
        starts = np.flatnonzero(np.diff(far_train, prepend=-1) > 0)
        chosen = np.union1d(ends, starts)
        limit = interp1d(far_train[chosen] + 1e-12 * np.arange(len(chosen)), steps[chosen])(0.0123)
        vals.append((distances[test & same] < limit).mean())
        fars.append((distances[test & ~same] < limit).mean())
    val = val_by_folds(similarities, same, folds, 0.0123)
    assert (val.mean, val.std, val.far) == pytest.approx((np.mean(vals), np.std(vals), np.mean(fars)), abs=1e-9)


def test_a_far_that_the_pairs_cannot_tell_is_not_told() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(1500) < 500
    figures = verification(rng.normal(same * 1.0), same, None)
    assert figures.tar[0.01] is not None
    assert figures.tar[0.001] is not None  # exactly one stranger may pass
    assert figures.tar[0.0001] is None


def test_one_kind_of_pairs_makes_no_curve() -> None:
    with pytest.raises(ValueError, match="pairs of two"):
        verification(np.array([0.1, 0.2]), np.array([True, True]), None)


# Identification


def _people(seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 12, 60)
    centres = rng.normal(size=(12, 8))
    rows = centres[people] + rng.normal(size=(60, 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), np.unique(
        people, return_inverse=True
    )[1]


@given(st.integers(0, 1000))
def test_closed_set_by_brute_force(seed: int) -> None:
    rows, people = _people(seed)
    enrolled, probes = enrol_first(people)
    assert sorted(people[enrolled]) == sorted(set(people))
    ranks = []
    for probe in probes:
        order = sorted(enrolled, key=lambda i: -float(rows[probe] @ rows[i]))
        ranks.append([people[i] for i in order].index(people[probe]) + 1)
    found = closed_set(rows, people, enrolled, probes)
    assert found.rank1 == pytest.approx(np.mean(np.array(ranks) == 1))
    assert found.rank5 == pytest.approx(np.mean(np.array(ranks) <= 5))
    by_person = [
        np.mean([rank == 1 for rank, probe in zip(ranks, probes, strict=True) if people[probe] == person])
        for person in np.unique(people[probes])
    ]
    assert found.rank1_by_person == pytest.approx(np.mean(by_person))


@given(st.integers(0, 1000))
def test_open_set_by_brute_force(seed: int) -> None:
    rows, people = _people(seed)
    known = people < 6
    enrolled, probes = enrol_first(people)
    enrolled, probes = enrolled[known[enrolled]], probes[known[probes]]
    unknown = np.flatnonzero(~known)
    found = open_set(rows, people, enrolled, probes, unknown, far=0.1)
    best = [max(float(rows[i] @ rows[e]) for e in enrolled) for i in unknown]
    assert np.mean([similarity >= found.threshold for similarity in best]) <= 0.1
    hits = 0
    for probe in probes:
        nearest = max(enrolled, key=lambda e: float(rows[probe] @ rows[e]))
        hits += people[nearest] == people[probe] and float(rows[probe] @ rows[nearest]) >= found.threshold
    assert found.rate == pytest.approx(hits / len(probes), abs=1e-6)


def test_who_is_equally_similar_ranks_before_the_right_person() -> None:
    rows = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    found = closed_set(rows, np.array([0, 1, 1]), np.array([0, 1]), np.array([2]))
    assert (found.rank1, found.rank5) == (0.0, 1.0)
