"""Who is one person: faces on a circle, so that every similarity is the cosine of an angle."""

from typing import Any

import numpy as np
import pytest

from facesearch.arrays import Embeddings
from facesearch.models.card import Threshold
from facesearch.people.grouping import FacesToGroup, Facts, Mode, group, group_new
from facesearch.people.telling import Asked, how_telling

BARS: dict[Mode, tuple[float, float]] = {"careful": (0.0, 0.0), "balanced": (0.0, 0.0), "eager": (0.0, 0.0)}


def facts(threshold: float) -> Facts:
    return Facts(Threshold(threshold, 0.001, "a circle", 0.05, ((5, 0.0), (1000, 0.0))), BARS, rise=0.0)


FACTS = facts(0.9)  # 25.8 degrees


def at(*degrees: float) -> Embeddings:
    angles = np.radians(np.array(degrees, np.float64))
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.float32)


def each_in_a_photo(rows: Embeddings) -> FacesToGroup:
    n = len(rows)
    no, none = np.zeros(n, bool), np.empty((0, 2), np.int64)
    return FacesToGroup(rows, np.arange(n), np.zeros((n, 4), np.float32), no, np.zeros(n, np.int64), none, no)


def faces(*degrees: float, **columns: Any) -> FacesToGroup:
    plain = each_in_a_photo(at(*degrees))
    names = ("embeddings", "photos", "boxes", "weak", "people", "barred", "repeats")
    given = {name: columns.get(name, getattr(plain, name)) for name in names}
    return FacesToGroup(*(np.asarray(value, getattr(plain, name).dtype) for name, value in given.items()))


def labels(*degrees: float, **columns: Any) -> list[int]:
    found: list[int] = group(faces(*degrees, **columns), FACTS, "balanced").labels.tolist()
    return found


def test_faces_that_are_alike_on_average_are_one_person() -> None:
    assert labels(0, 10, 100, 110, 200) == [0, 0, 2, 2, 4]


def test_a_chain_of_alike_faces_is_not_one_person() -> None:
    assert labels(0, 20, 40, 60) == [0, 0, 2, 2]  # 20 degrees: 0.94; two pairs: 0.78


def test_two_faces_in_one_photo_are_two_people() -> None:
    assert labels(0, 1, photos=[7, 7], boxes=[[0, 0, 9, 9], [20, 0, 29, 9]]) == [0, 1]


def test_a_face_that_was_found_twice_in_a_photo_is_one_person() -> None:
    assert labels(0, 1, photos=[7, 7], boxes=[[0, 0, 9, 9], [1, 1, 9, 9]]) == [0, 0]


def test_in_a_collage_a_person_may_be_seen_twice() -> None:
    twice = {"photos": [7, 7], "boxes": [[0, 0, 9, 9], [20, 0, 29, 9]]}
    assert labels(0, 1, repeats=[True, True], **twice) == [0, 0]


def test_what_was_parted_stays_apart_and_others_join_the_nearer() -> None:
    assert labels(0, 4, 3, barred=[[0, 1]]) == [0, 1, 1]


def test_what_was_said_to_be_one_person_is_one_however_unlike() -> None:
    assert labels(0, 90, 180, people=[5, 0, 5]) == [0, 1, 0]


def test_two_people_who_were_named_are_two_however_alike() -> None:
    assert labels(0, 1, 2, people=[5, 6, 0]) == [0, 1, 1] or labels(0, 1, 2, people=[5, 6, 0]) == [0, 1, 0]
    assert labels(0, 1, people=[5, 6]) == [0, 1]


def test_a_weak_face_joins_a_group_and_connects_none() -> None:
    assert labels(0, 40, 20, weak=[False, False, True])[:2] == [0, 1]
    assert labels(0, 2, 1, weak=[False, False, True]) == [0, 0, 0]
    assert labels(0, 1, weak=[True, True]) == [0, 1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_there_may_be_few_faces(count: int) -> None:
    assert labels(*range(0, 90 * count, 90)) == list(range(count))


def test_an_embedding_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        labels(0, np.nan)


def test_a_face_that_is_alone_has_no_margin_and_another_the_mean_to_the_rest() -> None:
    margins = group(faces(0, 10, 100), FACTS, "balanced").margins
    assert margins[:2] == pytest.approx(np.cos(np.radians(10)) - 0.9, abs=1e-5)
    assert margins[2] == 0


def test_a_question_is_about_two_groups_that_just_miss_their_bar() -> None:
    groups = group(faces(0, 1, 27, 28), FACTS, "balanced")
    assert [sorted(groups.labels[pair]) for pair in groups.questions] == [[0, 2]]
    assert groups.worths.tolist() == sorted(groups.worths, reverse=True)


def test_a_new_face_joins_a_group_that_is_there_and_those_stay() -> None:
    new = np.array([False, False, False, False, True])
    before = np.array([3, 3, 8, 9, 0])
    found = group_new(faces(0, 2, 100, 101, 1), new, before, FACTS, "balanced", (3, 5)).labels.tolist()
    assert found == [0, 0, 2, 3, 0]


def test_a_new_face_between_two_groups_of_three_is_a_question() -> None:
    new = np.array([False] * 6 + [True])
    before = np.array([1, 1, 1, 2, 2, 2, 0])
    groups = group_new(faces(0, 1, 2, 10, 11, 12, 5.9), new, before, FACTS, "balanced", (2, 7))
    assert groups.labels.tolist() == [0, 0, 0, 3, 3, 3, 0]
    assert len(groups.questions) == 1


def test_what_is_likely_and_changes_more_is_asked_first() -> None:
    both, none = np.zeros(2, np.float32), np.ones(2, np.float32)
    nearer = how_telling(Asked(np.array([-0.5, -0.1], np.float32), both, none, none))
    assert nearer[1] > nearer[0]
    larger = how_telling(Asked(both, both, none, np.array([1, 5], np.float32)))
    assert larger[1] > larger[0]


def people_of(seed: int, count: int = 60, each: int = 5) -> Embeddings:
    chance = np.random.default_rng(seed)
    middles = chance.normal(size=(count, 16))
    rows = np.repeat(middles, each, axis=0) + chance.normal(scale=0.45, size=(count * each, 16))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_faces_changes_nothing(seed: int) -> None:
    chance = np.random.default_rng(seed)
    rows = people_of(seed)
    rows[200:220] = rows[0:20]  # copies of photos
    plain = each_in_a_photo(rows)
    here = group(plain, facts(0.7), "careful").labels
    order = chance.permutation(len(rows))
    there = group(each_in_a_photo(rows[order]), facts(0.7), "careful").labels
    assert (there[:, None] == there).tolist() == (here[order][:, None] == here[order]).tolist()
    assert len(np.unique(here)) < len(rows) / 2


def test_a_person_of_ten_thousand_equal_faces_is_one_group() -> None:
    rows = np.repeat(at(0, 90), [10_000, 1], axis=0)
    assert group(each_in_a_photo(rows), FACTS, "balanced").labels.tolist() == [0] * 10_000 + [10_000]


def test_a_crowd_of_alike_faces_in_one_photo_is_a_crowd_of_people() -> None:
    rows = np.repeat(at(0), 500, axis=0)
    boxes = np.arange(500)[:, None] * [20, 0, 20, 0] + [0, 0, 9, 9]
    crowd = faces(*[0] * 500, photos=[1] * 500, boxes=boxes)
    assert len(np.unique(group(crowd, FACTS, "balanced").labels)) == len(rows)
