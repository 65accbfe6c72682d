"""How people of a gallery are best judged by several photos, and by whom own thresholds are best measured: LFW, half
of the people with one photo enrolled beside some photos of everybody with several, the other half asked about as
strangers, and then the other way round.

    facesearch index LFW/images -g lfw && python benchmarks/by_person.py lfw

Of each photo the face nearest to its centre counts, and its folder says who that is.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facesearch import Gallery
from facesearch.arrays import Embeddings
from facesearch.gallery.search.by_person import SHARE
from facesearch.gallery.tables.faces import PhotoFaces
from facesearch.models.cards import Threshold, embedder_card
from facesearch.people.cohort import MOST, JudgedFaces, OwnThresholds, distinct
from facesearch.people.grouping import FacesToGroup, facts_of, group

_ASKED_OF_PERSON = 20  # photos
_FARS = (0.01, 0.001)
_COLUMNS = "| rank 1 | DIR at FAR 0.01 | 0.001 | strangers at the threshold"

Rows = NDArray[np.intp]
Values = NDArray[np.float32]


class Faces(NamedTuple):
    """Embeddings, (n, dim), who is in each row, (n,), and boxes, (n, 4)."""

    embeddings: Embeddings
    people: Rows
    boxes: NDArray[np.float32]


class Trial(NamedTuple):
    """Rows that are enrolled, and those of known people and of strangers that are asked about."""

    enrolled: Rows
    known: Rows
    strangers: Rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("gallery")
    opened = Gallery.open(parser.parse_args().gallery, "cpu")
    with opened.reading() as (db, settings):
        faces = _central(list(db.faces.by_photo(settings.dim)))
    card = embedder_card(settings.model)
    facts = facts_of(card)
    assert facts is not None
    print(f"{card.name}, {len(faces.people):,} photos of {len(set(faces.people.tolist())):,} people")
    for most in (3, 10):
        print(f"\nUp to {most} photos of a person {_COLUMNS}")
        _show([_figures(faces, trial, facts.threshold, _by_names, _RULES) for trial in _trials(faces, most)])
    print(f"\nHalf of each person's photos {_COLUMNS}")
    groups = _by_groups(lambda part: group(part, facts, "careful").labels)
    for name, cohort in {"none": None, "look-alikes": _by_looks, "groups": groups, "names": _by_names}.items():
        rules = {name: _less(SHARE)}
        _show([_figures(faces, trial, facts.threshold, cohort, rules) for trial in _trials(faces, None)])


def _show(trials: list[dict[str, list[float]]]) -> None:
    for name in trials[0]:
        means = np.mean([each[name] for each in trials], axis=0)
        print(f"{name} | " + " | ".join(f"{value:.4f}" for value in means), flush=True)


def _central(photos: list[PhotoFaces]) -> Faces:
    places = [np.abs((each.boxes[:, :2] + each.boxes[:, 2:]) - each.size).sum(axis=1).argmin() for each in photos]
    names = [Path(each.path).parent.name for each in photos]
    return Faces(
        np.stack([each.embeddings[i] for each, i in zip(photos, places, strict=True)]),
        np.unique(names, return_inverse=True)[1],
        np.stack([each.boxes[i] for each, i in zip(photos, places, strict=True)]).astype(np.float32),
    )


def _trials(faces: Faces, most: int | None) -> list[Trial]:
    """Both ways round; with None half of each person's photos are enrolled."""
    rng = np.random.default_rng(0)
    counts = np.bincount(faces.people)
    enrolled, known = list[int](), list[int]()
    for person in np.flatnonzero(counts > 1):
        rows = rng.permutation(np.flatnonzero(faces.people == person)).tolist()
        first = max(1, len(rows) // 2) if most is None else min(most, len(rows) - 1)
        enrolled += rows[:first]
        known += rows[first:][:_ASKED_OF_PERSON]
    halves = np.array_split(rng.permutation(np.flatnonzero(counts[faces.people] == 1)), 2)
    several = np.array(enrolled)
    return [
        Trial(np.sort(np.concatenate([several, half])), np.array(known), other)
        for half, other in (halves, halves[::-1])
    ]


Cohort = Callable[[Faces, Trial, Threshold], tuple[JudgedFaces, Rows]]  # and who the enrolled faces are to it


def _by_names(faces: Faces, trial: Trial, threshold: Threshold) -> tuple[JudgedFaces, Rows]:
    people = faces.people[trial.enrolled] + 1
    first = np.unique(people, return_index=True)[1]
    return _one_each(faces, trial, people, first, threshold), people


def _by_looks(faces: Faces, trial: Trial, threshold: Threshold) -> tuple[JudgedFaces, Rows]:
    nobody = np.zeros(len(trial.enrolled), np.int64)
    drawn = _judged(faces, trial, nobody)[np.random.default_rng(1).permutation(len(nobody))]
    return distinct(drawn[:0], drawn, threshold), nobody


def _by_groups(grouped: Callable[[FacesToGroup], Rows]) -> Cohort:
    def cohort(faces: Faces, trial: Trial, threshold: Threshold) -> tuple[JudgedFaces, Rows]:
        rows, count = trial.enrolled, len(trial.enrolled)
        no = np.zeros(count, bool)
        parts = np.arange(count), faces.boxes[rows], no, np.zeros(count, np.int64), np.empty((0, 2), np.int64), no
        labels = grouped(FacesToGroup(faces.embeddings[rows], *parts))
        first = np.flatnonzero(labels == np.arange(count))
        return _one_each(faces, trial, -1 - labels, first, threshold), -1 - labels

    return cohort


def _one_each(faces: Faces, trial: Trial, people: Rows, first: Rows, threshold: Threshold) -> JudgedFaces:
    chosen = np.random.default_rng(1).permutation(first)[:MOST]
    some = _judged(faces, trial, people)[chosen]
    return distinct(some, some[:0], threshold)


def _judged(faces: Faces, trial: Trial, people: Rows) -> JudgedFaces:
    return JudgedFaces(trial.enrolled + 1, people, trial.enrolled + 1, faces.embeddings[trial.enrolled])


class Person(NamedTuple):
    """One person of a trial: values of those asked about, (n, m), by each of n faces, their mean as it would be by a
    face in the mean direction, (m,), and how much nearer that direction is at the threshold."""

    by_face: Values
    by_mean: Values
    nearer: float


Rule = Callable[[Person], Values]


def _best(count: int) -> Rule:
    def mean(person: Person) -> Values:
        if len(person.by_face) <= count:
            return np.asarray(person.by_face.mean(axis=0))
        return np.asarray(np.partition(person.by_face, -count, axis=0)[-count:].mean(axis=0))

    return mean


def _less(share: float) -> Rule:
    return lambda person: person.by_mean - share * person.nearer


_RULES: dict[str, Rule] = {
    "best face": _best(1),
    "mean of the 2 best": _best(2),
    "mean of the 3 best": _best(3),
    "mean direction": _less(0),
    f"mean direction, less {SHARE:g}": _less(SHARE),
    "mean direction, less 0.5": _less(0.5),
}


def _figures(
    faces: Faces, trial: Trial, threshold: Threshold, cohort: Cohort | None, rules: dict[str, Rule]
) -> dict[str, list[float]]:
    asked = faces.embeddings[np.concatenate([trial.known, trial.strangers])]
    of_asked, of_enrolled = np.zeros(len(asked), np.float32), np.zeros(len(trial.enrolled), np.float32)
    if cohort is not None:
        chosen, people = cohort(faces, trial, threshold)
        own = OwnThresholds(chosen, threshold)
        of_asked, of_enrolled = own.shifts(JudgedFaces.strange(asked)), own.shifts(_judged(faces, trial, people))
    order = np.argsort(faces.people[trial.enrolled], kind="stable")
    who, starts = np.unique(faces.people[trial.enrolled][order], return_index=True)
    embeddings, shifts = faces.embeddings[trial.enrolled][order], of_enrolled[order]
    similarities = embeddings @ asked.T  # (enrolled, asked)
    first = (similarities - (shifts[:, None] + of_asked) / 2)[starts]
    values = {name: first.copy() for name in rules}
    for row, theirs in enumerate(map(slice, starts, [*starts[1:], len(order)])):
        if theirs.stop - theirs.start > 1:  # else all rules say the same
            length = float(np.linalg.norm(embeddings[theirs].mean(axis=0)))
            by_face = similarities[theirs] - (shifts[theirs, None] + of_asked) / 2
            by_mean = similarities[theirs].mean(axis=0) / length - (shifts[theirs].mean() + of_asked) / 2
            found = Person(by_face, by_mean, threshold.similarity * (1 / length - 1))
            for name, rule in rules.items():
                values[name][row] = rule(found)
    return {name: _rates(faces, trial, who, each, threshold) for name, each in values.items()}


def _rates(faces: Faces, trial: Trial, who: Rows, values: Values, threshold: Threshold) -> list[float]:
    """Of the values of all who are enrolled, (w, m)."""
    best, highest = who[values.argmax(axis=0)], values.max(axis=0)
    count = len(trial.known)
    right, strangers = best[:count] == faces.people[trial.known], np.sort(highest[count:])
    passing = [strangers[len(strangers) - int(far * len(strangers)) - 1] for far in _FARS]
    rates = [float((right & (highest[:count] > least)).mean()) for least in passing]
    return [float(right.mean()), *rates, float((strangers >= threshold.similarity).mean())]


if __name__ == "__main__":
    main()
