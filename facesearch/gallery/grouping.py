"""Grouping in a gallery: who is who, as far as nobody has said, kept up to date with the faces that are new.

What somebody said is handed to the grouping as what must hold, and is never written over. A group keeps its id as
long as most of its faces stay together."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError, Note
from facesearch.gallery.records.people import Grouped
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.search.judging import keep_up
from facesearch.gallery.tables.grouping import GroupedFaces, GroupingStamp
from facesearch.gallery.vectors.index import Search
from facesearch.models.cards import embedder_card
from facesearch.people.grouping import ALGORITHM, FacesToGroup, Facts, Groups, Mode, facts_of, group, group_new
from facesearch.people.inheritance import ALONE, inherit
from facesearch.people.neighbours import looked_at

if TYPE_CHECKING:
    from facesearch.gallery.database import Database

DEFAULT_MODE: Mode = "careful"  # that two people are one is what users of other programs complain about most
_WORTH_A_NOTE = 100_000  # faces: half a minute
# Small and doubtful faces: of pairs of strangers who are both below 40 pixels, 31 % reach the threshold of the
# default model where 0.1 % should.
_LEAST_SIDE, _LEAST_SCORE = 40.0, 0.9
_MARGIN_DIGITS = 4  # kept of a margin, so that what has hardly changed is not written again
_MOST_QUESTIONS = 5_000  # kept; the most telling ones come first


def grouping_facts(settings: GallerySettings) -> Facts:
    """What a similarity of this gallery's model means to grouping. Raises ModelError where its card does not say."""
    facts = facts_of(embedder_card(settings.model))
    if facts is None:
        raise ModelError(
            f"Faces of the model {settings.model} cannot be grouped, for its card has no threshold; measure one "
            f"with: facesearch bench lfw --model {settings.model} --protocol strangers --save."
        )
    return facts


def keep_grouped(db: "Database", settings: GallerySettings, search: Search, note: Note) -> Grouped | None:
    """Groups the faces that are new, or all where there were none or half as many when all were grouped; None where
    nothing is new, or where the model's card has no facts on similarities."""
    facts = facts_of(embedder_card(settings.model))
    stamp = db.groupings.stamp()
    faces = db.groupings.count()
    if facts is None or not faces:
        return None
    if stamp is None or is_due(stamp, faces):
        if faces > _WORTH_A_NOTE:
            note(f"Grouping {faces:,} faces by person.")
        return group_all(db, settings, _mode(stamp))
    new = db.groupings.newer(stamp.newest_id)
    return _group_new(db, _Grouping(db, settings, facts, _mode(stamp)), new, search) if new else None


def is_due(stamp: GroupingStamp | None, faces: int) -> bool:
    """Whether so many faces are to be grouped as a whole, given what was grouped the last time."""
    return stamp is None or stamp.algorithm != ALGORITHM or faces >= 2 * stamp.faces


def keep_people(db: "Database", settings: GallerySettings, search: Search, note: Note) -> Grouped | None:
    """As `keep_grouped`, and keeps own thresholds up to date. New faces are grouped by theirs; where all are grouped,
    the groups come first, for the cohort is of one face of each."""
    are_judged_first = not is_due(db.groupings.stamp(), db.groupings.count())
    if are_judged_first:
        keep_up(db, settings, note)
    found = keep_grouped(db, settings, search, note)
    if found or not are_judged_first:
        keep_up(db, settings, note)
    return found


def group_all(db: "Database", settings: GallerySettings, mode: Mode, is_dry: bool = False) -> Grouped:
    """Groups all faces anew, and writes what was found unless `is_dry`. Raises ModelError where the model's card does
    not say what its similarities mean."""
    started = time.perf_counter()
    work = _Grouping(db, settings, grouping_facts(settings), mode)
    faces = db.groupings.faces(settings.dim)
    found = work.group(faces)
    if not is_dry:
        with db.transaction():
            work.write(faces, found, None)
            newest = int(faces.ids.max(initial=0))
            db.groupings.write_stamp(GroupingStamp(mode, ALGORITHM, len(faces), newest))
    return work.summary(faces, found, time.perf_counter() - started, is_dry)


def _group_new(db: "Database", work: "_Grouping", new: list[int], search: Search) -> Grouped:
    started = time.perf_counter()
    dim = work.settings.dim
    fresh = db.groupings.faces_of(new, dim)
    near = (
        np.unique(search(fresh.embeddings, looked_at(db.groupings.count()) + 1))
        if len(fresh)
        else np.empty(0, np.int64)
    )
    copies = db.groupings.copies(np.unique(fresh.photos).tolist())
    originals = {copies[photo] for photo in fresh.photos.tolist() if photo in copies}
    around = db.groupings.around([*new, *near[near > 0].tolist()], sorted(originals))
    faces = db.groupings.faces_of(around, dim)
    found = work.group(faces, np.isin(faces.ids, fresh.ids))
    with db.transaction():
        touched = set(faces.people.tolist()) | set(found.people.tolist())
        work.write(faces, found, touched)
        stamp = db.groupings.stamp()
        if stamp:
            db.groupings.write_stamp(GroupingStamp(stamp.mode, stamp.algorithm, stamp.faces, max(new)))
    return work.summary(faces, found, time.perf_counter() - started, is_dry=False, is_whole=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """The person of each of n faces, negative for new people, and its margin, (n,) each; and the questions."""

    people: NDArray[np.int64]
    margins: NDArray[np.float32]
    questions: list[tuple[str, int, int, float]]


class _Grouping:
    """One grouping, of all faces of a gallery or of some."""

    def __init__(self, db: "Database", settings: GallerySettings, facts: Facts, mode: Mode) -> None:
        self.settings = settings
        self._db, self._facts, self._mode = db, facts, mode

    def group(self, faces: GroupedFaces, is_new: NDArray[np.bool_] | None = None) -> _Found:
        """Who the faces are; with `is_new`, (n,), the groups of the others stay together."""
        copies = self._db.groupings.copies(None if is_new is None else np.unique(faces.photos).tolist())
        firsts, twins = _of_copies(faces, copies)
        one_each = faces[firsts]
        given = self._given(one_each, self._barred(faces.ids, twins), is_new is not None)
        if is_new is None:
            groups = group(given, self._facts, self._mode)
        else:
            before = _labels_before(one_each.people)
            groups = group_new(given, is_new[firsts], before, self._facts, self._mode, self._db.groupings.size())
        labels = firsts[groups.labels][twins]  # of all faces, by the row of one of them
        said = np.where(faces.is_said, faces.people, ALONE)
        people = inherit(labels, np.where(faces.is_said, ALONE, faces.people), said)
        margins = np.round(groups.margins[twins], _MARGIN_DIGITS)
        return _Found(people, margins, list(self._questions(groups, one_each, people[firsts])))

    def write(self, faces: GroupedFaces, found: _Found, about: set[int] | None) -> None:
        """Stores what has changed, inside of the caller's transaction."""
        table = self._db.groupings
        new = table.add_people(-int(found.people.min(initial=0)))
        people = np.where(found.people < 0, np.array([0, *new], np.int64)[np.maximum(-found.people, 0)], found.people)
        is_other = (people != faces.people) | ((people != ALONE) & (found.margins != faces.margins))
        changed = is_other & ~faces.is_said
        columns = (faces.ids[changed], people[changed], found.margins[changed])
        table.write(zip(*(column.tolist() for column in columns), strict=True))
        table.replace_questions(found.questions, about)
        table.drop_empty()

    def summary(
        self, faces: GroupedFaces, found: _Found, seconds: float, is_dry: bool, is_whole: bool = True
    ) -> Grouped:
        """What was found, in numbers."""
        said = set(faces.people[faces.is_said].tolist())
        people = set(found.people[found.people != ALONE].tolist())
        moved = ~faces.is_said & (found.people != faces.people)
        return Grouped(
            mode=self._mode,
            faces=len(faces),
            people=len(people & said),
            groups=len(people - said),
            alone=int((found.people == ALONE).sum()),
            questions=len(found.questions),
            moved=int(moved.sum()),
            seconds=seconds,
            is_whole=is_whole,
            is_dry=is_dry,
        )

    def _given(self, faces: GroupedFaces, barred: NDArray[np.int64], is_part: bool) -> FacesToGroup:
        widths, heights = (faces.boxes[:, 2:] - faces.boxes[:, :2]).T
        repeats = self._db.groupings.repeats()
        return FacesToGroup(
            embeddings=faces.embeddings,
            photos=faces.photos,
            boxes=faces.boxes,
            weak=(np.minimum(widths, heights) < _LEAST_SIDE) | (faces.scores < _LEAST_SCORE),
            people=np.where(faces.is_said, faces.people, ALONE),
            barred=barred,
            repeats=np.isin(faces.photos, sorted(repeats)),
            shifts=faces.shifts if is_part else None,
        )

    def _barred(self, ids: NDArray[np.int64], twins: NDArray[np.intp]) -> NDArray[np.int64]:
        """The rows of faces that must never be together, (m, 2)."""
        rows = dict(zip(ids.tolist(), twins.tolist(), strict=True))
        pairs = [(rows[a], rows[b]) for a, b in self._db.groupings.apart() if a in rows and b in rows]
        return np.array(pairs, np.int64).reshape(-1, 2)

    def _questions(
        self, groups: Groups, faces: GroupedFaces, people: NDArray[np.int64]
    ) -> Iterator[tuple[str, int, int, float]]:
        """What may be asked: not what was answered, nor of people who have two names, nor of those who are
        ignored."""
        strangers, named, ignored = self._db.groupings.not_to_ask()
        kept = 0
        for (a, b), worth in zip(groups.questions.tolist(), groups.worths.tolist(), strict=True):
            low, high = sorted((int(people[a]), int(people[b])))
            is_known = low > 0 and (low == high or (low, high) in strangers or {low, high} <= named)
            if kept < _MOST_QUESTIONS and not is_known and not ignored & {low, high}:
                kept += 1
                yield "same", int(faces.ids[a]), int(faces.ids[b]), round(worth, _MARGIN_DIGITS)


def mode_of(db: "Database") -> Mode:
    """The mode in which a gallery's faces are grouped."""
    return _mode(db.groupings.stamp())


def as_they_are(db: "Database") -> Grouped:
    """The groups of a gallery as they are stored, in numbers."""
    faces, people, groups, alone, questions = db.groupings.counts()
    return Grouped(mode_of(db), faces, people, groups, alone, questions, moved=0, seconds=0.0, is_whole=False)


def _mode(stamp: GroupingStamp | None) -> Mode:
    modes: Mapping[str, Mode] = {"careful": "careful", "balanced": "balanced", "eager": "eager"}
    return modes.get(stamp.mode, DEFAULT_MODE) if stamp else DEFAULT_MODE


def _labels_before(people: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row of each face's person; its own where it has none."""
    rows = np.arange(len(people))
    _, firsts, inverse = np.unique(people, return_index=True, return_inverse=True)
    return np.where(people == ALONE, rows, firsts[inverse])


def _of_copies(faces: GroupedFaces, copies: Mapping[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of faces without those of copies of a photo, (m,), and for each face which of these stands for it,
    (n,): a copy's faces are those of the photo. A face that somebody said is somebody else stands for itself."""
    first_of = np.arange(len(faces))
    if copies:
        rows = {(int(photo), tuple(box)): row for row, (photo, box) in enumerate(_places(faces))}
        for row, (photo, box) in enumerate(_places(faces)):
            original = rows.get((copies.get(int(photo), -1), tuple(box)))
            if original is not None and _may_be_one(faces, row, original):
                first_of[row] = original
    firsts = np.flatnonzero(first_of == np.arange(len(faces)))
    return firsts, np.searchsorted(firsts, first_of)


def _places(faces: GroupedFaces) -> Iterator[tuple[int, list[float]]]:
    yield from zip(faces.photos.tolist(), faces.boxes.tolist(), strict=True)


def _may_be_one(faces: GroupedFaces, copy: int, original: int) -> bool:
    return not faces.is_said[copy] or bool(faces.is_said[original] and faces.people[original] == faces.people[copy])
