"""How well people are grouped: protocols on LFW, where the face nearest the centre of a photo is known by name."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.evaluation.album import BYSTANDER, Album
from facesearch.evaluation.answering import answered
from facesearch.evaluation.clustering import GroupFigures, Labels, group_figures
from facesearch.evaluation.grouping_methods import Method, Model, of_facesearch, of_facesearch_moved, of_others
from facesearch.people.cohort import JudgedFaces, OwnThresholds
from facesearch.people.grouping import Mode, group, group_new

Protocol = Literal["all", "often", "halves", "later", "answers"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
OFTEN = 4  # photos of a person
_SHARES_LATER = (0.1, 0.5)
_ANSWERS = (0, 200, 400)
_SEED = 0  # of what is drawn: halves of people, and faces that come later


@dataclass(frozen=True, slots=True)
class Grouping:
    """One line of a report: what grouped the faces, with which setting (in units over the card's threshold; None
    where nothing was chosen), what was different, how good it is, and the seconds it took, neighbours included."""

    method: str
    setting: float | None
    what: str
    figures: GroupFigures
    seconds: float


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """Groupings of one album, by one protocol; `is_same_in_any_order` says whether faces in another order, and a
    second run, gave the same groups (None where it was not tried)."""

    protocol: Protocol | Literal["bars"]
    faces: int
    bystanders: int
    groupings: tuple[Grouping, ...]
    is_same_in_any_order: bool | None = None


def measure(
    protocol: Protocol, album: Album, model: Model, modes: Sequence[Mode], on_step: Callable[[str], None]
) -> PeopleReport:
    """Groups an album as the protocol says; `on_step` hears what is at work. Raises FaceSearchError where nobody has
    enough photos for it."""
    if protocol == "often":
        album = _often(album)
    same = None
    if protocol in ("all", "often"):
        lines = [line for method in _methods(model, modes) for line in _at_its_best(method, album, on_step)]
        same = all(_is_same_in_any_order(model, mode, album) for mode in modes)
    elif protocol == "halves":
        lines = list(_halves(album, model, modes, on_step))
    elif protocol == "later":
        lines = [line for mode in modes for line in _later(album, model, mode, on_step)]
    else:
        lines = [line for mode in modes for line in _answers(album, model, mode, on_step)]
    return PeopleReport(protocol, len(album), album.bystanders, tuple(lines), same)


def _often(album: Album) -> Album:
    """Without the bystanders of their photos, so that nobody is in it once."""
    people = np.flatnonzero(album.photos_of_each() >= OFTEN)
    if not len(people):
        raise FaceSearchError(f"Nobody has {OFTEN} photos; give --data the folder of all of LFW.")
    return album[np.isin(album.people, people)]


def _methods(model: Model, modes: Sequence[Mode]) -> list[Method]:
    return [*(of_facesearch(model, mode) for mode in modes), *of_others(model)]


def _at_its_best(method: Method, album: Album, on_step: Callable[[str], None]) -> Iterator[Grouping]:
    """With the one of its settings that gives the best BCubed F on this very album: a peer's fairest chance."""
    on_step(method.name)
    tried = [_timed(method, album, setting) for setting in method.settings]
    yield max(tried, key=lambda line: line.figures.bcubed.f)


def _timed(method: Method, album: Album, setting: float) -> Grouping:
    started = time.perf_counter()
    labels = method.run(album, setting)
    spent = time.perf_counter() - started
    return Grouping(method.name, setting if len(method.settings) > 1 else None, "", album.figures(labels), spent)


def _is_same_in_any_order(model: Model, mode: Mode, album: Album) -> bool:
    """Whether photos in another order, and the same ones again, give the same groups."""
    order = np.random.default_rng(_SEED).permutation(len(album))
    first, again = (group(album.to_group(), model.facts, mode).labels for _ in range(2))
    shuffled = group(album[order].to_group(), model.facts, mode).labels
    moved = group_figures(first[order], shuffled)
    return bool((first == again).all()) and moved.work == 0


def _halves(album: Album, model: Model, modes: Sequence[Mode], on_step: Callable[[str], None]) -> Iterator[Grouping]:
    """Settings chosen on half of the people and used on the other half, then the other way round."""
    people = np.random.default_rng(_SEED).permutation(len(album.photos_of_each()))
    if len(people) < 2:
        raise FaceSearchError("Halves need two people; give --data the folder of all of LFW.")
    halves = [album.of_people(half) for half in np.array_split(people, 2)]
    ours = [of_facesearch_moved(model, mode) for mode in modes]
    for method in [*(of_facesearch(model, mode) for mode in modes), *ours, *of_others(model)]:
        on_step(method.name)
        tried = [{setting: method.run(half, setting) for setting in method.settings} for half in halves]
        yield _crossed(method, halves, tried)


def _crossed(method: Method, halves: Sequence[Album], tried: Sequence[dict[float, Labels]]) -> Grouping:
    """The figures of both halves together, each with the setting that is best on the other."""
    best = [
        max((half.figures(found).bcubed.f, setting) for setting, found in labels.items())[1]
        for half, labels in zip(halves, tried, strict=True)
    ]
    groups = [labels[setting] for labels, setting in zip(tried, best[::-1], strict=True)]
    apart = max(len(half) for half in halves)
    people = np.concatenate([half.people for half in halves])
    known = people != BYSTANDER
    labels = np.concatenate([np.where(each < 0, -1, each + i * apart) for i, each in enumerate(groups)])
    chosen = f"chosen: {best[1]:g}, {best[0]:g}" if len(method.settings) > 1 else "card"
    return Grouping(method.name, None, chosen, group_figures(people[known], labels[known]), 0.0)


def _later(album: Album, model: Model, mode: Mode, on_step: Callable[[str], None]) -> Iterator[Grouping]:
    """All faces at once, and a share of the photos after the others; the cohort is that of those that came first."""
    name = f"facesearch, {mode}"
    on_step(name)
    whole = of_facesearch(model, mode)
    at_once = _timed(whole, album, 0.0)
    yield Grouping(name, None, "all at once", at_once.figures, at_once.seconds)
    photos = int(album.photos.max()) + 1
    order = np.random.default_rng(_SEED).permutation(photos)
    for share in _SHARES_LATER:
        is_late = np.zeros(photos, bool)
        is_late[order[: int(share * photos)]] = True
        yield _added(album, model, mode, is_late[album.photos], f"{100 * share:g} % of the photos later")


def _added(album: Album, model: Model, mode: Mode, is_new: NDArray[np.bool_], what: str) -> Grouping:
    """Own thresholds of new faces are measured by the cohort of the grouping before them, as in a gallery."""
    rows = np.flatnonzero(~is_new)
    first = album[rows]
    found = group(first.to_group(), model.facts, mode)
    started = time.perf_counter()
    cohort = judged(first, found.labels + 1)[found.cohort]
    shifts = np.zeros(len(album), np.float32)
    shifts[rows] = found.shifts
    late = album[is_new]
    shifts[is_new] = OwnThresholds(cohort, model.threshold).shifts(judged(late, np.zeros(len(late), np.int64)))
    before = np.arange(len(album))
    before[rows] = rows[found.labels]
    gallery = (len(np.unique(found.labels)), len(first))
    groups = group_new(album.to_group(shifts=shifts), is_new, before, model.facts, mode, gallery)
    spent = time.perf_counter() - started
    return Grouping(f"facesearch, {mode}", None, what, album.figures(groups.labels), spent)


def _answers(album: Album, model: Model, mode: Mode, on_step: Callable[[str], None]) -> Iterator[Grouping]:
    """Questions answered by the names of the photos, the most telling first."""
    on_step(f"facesearch, {mode}")
    for count, labels, seconds in answered(album, model.facts, mode, _ANSWERS):
        what = f"{count:,} answers" if count else "nothing asked"
        yield Grouping(f"facesearch, {mode}", None, what, album.figures(labels), seconds)


def judged(album: Album, people: NDArray[np.int64]) -> JudgedFaces:
    """The faces with who they are, (n,), 0 where nobody knows, for their own thresholds; a face is told by its photo
    and its place there."""
    starts = np.flatnonzero(np.diff(album.photos, prepend=-1))
    place = np.arange(len(album)) - np.repeat(starts, np.diff(starts, append=len(album)))
    return JudgedFaces(album.photos * 1000 + place, people, album.photos, album.embeddings)
