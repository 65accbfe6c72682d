"""Questions: are two photos the same person, and who in the gallery is nearest to a face."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from facesearch import limits
from facesearch.arrays import Embeddings
from facesearch.errors import ModelError
from facesearch.faces.analyser import Analyser
from facesearch.faces.quality import can_tell
from facesearch.flow.stream import chunks
from facesearch.gallery.records.answers import Match, Verdict
from facesearch.gallery.records.settings import ActiveThreshold
from facesearch.gallery.search.by_person import ByPerson, Question
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.search.probes import Chosen, Probe, embed_faces
from facesearch.gallery.tables.alike import Candidate, Rows
from facesearch.gallery.tables.scope import WHOLE, Scope
from facesearch.gallery.vectors.index import NONE, Searchable, distinct
from facesearch.home import gallery_words
from facesearch.photos.given import GivenPhoto
from facesearch.photos.pool import Decoders

if TYPE_CHECKING:
    from facesearch.gallery.tables.faces import Faces

# Faces asked of the index for a query, which are judged again; more when they turn out to be few people.
_FIRST_LOOK = 256
_WIDER = 4  # times as many at each next search
# Faces whose embeddings are read at once to look for what shows the same; and beyond the last row so many are looked
# at for more of it, of any answer but one of every photo.
_SOME_AT_ONCE, _ALL_AT_ONCE, _BEYOND = 64, 5000, 32
_WIDEST = 8192  # faces; beyond these an answer of few people would cost a walk through the whole gallery


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What is wanted: the `k` nearest people whose judged value is at least `threshold`, one match for each person,
    named or not, judged by all of their faces, and one for each face that is nobody's; with `group` off, the k
    nearest faces. With `every`, all
    photos that show the person: from `threshold` on, or where that is None from the threshold that the gallery goes
    by. Copies of a photo, resized copies and photos of one burst are one match, but with `copies`; so is nothing with
    `group` off. `min_quality` leaves out faces whose quality is known and lower, `scope` photos. With `here` the
    gallery's vector store, if it has one, is not asked."""

    k: int = 5
    group: bool = True
    threshold: float | None = None
    min_quality: float = 0.0
    every: bool = False
    copies: bool = False
    scope: Scope = WHOLE
    here: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is out of range."""
        limits.check("k", self.k, limits.MATCHES)
        limits.check("threshold", self.threshold, limits.SIMILARITY)
        limits.check("min_quality", self.min_quality, limits.QUALITY)

    @property
    def by_person(self) -> bool:
        """Whether a row stands for a person."""
        return self.group and not self.every

    def least(self, known: ActiveThreshold | None, gallery: str) -> float:
        """The least judged value of a match. Raises ModelError where every photo is wanted and no threshold is
        known."""
        if self.threshold is not None:
            return self.threshold
        if self.every and known is None:
            raise ModelError(
                "No threshold is known for this gallery's model, so all photos cannot be told from the others; give "
                f"one with --threshold X, or let the gallery learn it: facesearch calibrate{gallery_words(gallery)}."
            )
        return known.similarity if self.every and known else -1.0


@dataclass(frozen=True, slots=True)
class FacesToCompare:
    """Which faces of two photos are compared: the largest, or the `a`-th and `b`-th largest; with `each`, each face
    of the first photo (or the one that `a` says) with each of the second, and the best pair counts."""

    a: int | None = None
    b: int | None = None
    each: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is out of range."""
        limits.check("face_a", self.a, limits.FACE)
        limits.check("face_b", self.b, limits.FACE)


LARGEST = FacesToCompare()


def compare(
    load_analyser: Callable[[], Analyser],
    a: GivenPhoto,
    b: GivenPhoto,
    threshold: ActiveThreshold | None,
    judge: Judge | None = None,
    chosen: FacesToCompare = LARGEST,
) -> Verdict:
    """How similar the faces of two photos are, and whether that reaches the threshold, where there is one; as a
    gallery's `judge` judges it, where one is given. The networks are loaded while a decoder starts. Raises
    FaceSearchError when a photo cannot be read, NoFaceError when it shows no face, ModelError for a model that is
    missing, UsageError where it shows fewer faces."""
    with Decoders(1) as decoders:
        decoders.start_one()
        return compare_by(load_analyser(), decoders, (a, b), threshold, judge, chosen)


def compare_by(
    analyser: Analyser,
    decoders: Decoders,
    photos: tuple[GivenPhoto, GivenPhoto],
    threshold: ActiveThreshold | None,
    judge: Judge | None = None,
    chosen: FacesToCompare = LARGEST,
) -> Verdict:
    """As `compare`, by networks and decoders that are running."""
    otherwise = None if chosen.each else 1
    which = Chosen(chosen.a or otherwise, "--face-a"), Chosen(chosen.b or otherwise, "--face-b")
    firsts, seconds = embed_faces(analyser, photos, decoders.decode, which)
    return compare_probes(firsts, seconds, analyser.embedder.card.name, threshold, judge)


def compare_probes(
    firsts: Sequence[Probe],
    seconds: Sequence[Probe],
    model: str,
    threshold: ActiveThreshold | None,
    judge: Judge | None = None,
) -> Verdict:
    """As `compare`, for faces whose embeddings, of that model, are known: the best pair of one of the first with one
    of the second counts."""
    similarities = np.clip(_matrix(firsts) @ _matrix(seconds).T, -1, 1)  # (a, b)
    shifts = judge.shifts(_matrix([*firsts, *seconds])) if judge else np.zeros(len(firsts) + len(seconds))
    judged = np.minimum(similarities - (shifts[: len(firsts), None] + shifts[len(firsts) :]) / 2, 1.0)
    best = divmod(int(judged.argmax()), len(seconds))
    verdict = Verdict(
        None,
        float(similarities[best]),
        float(judged[best]),
        None,
        None,
        model,
        firsts[best[0]].sighting,
        seconds[best[1]].sighting,
        cohort=judge.cohort if judge else 0,
        pairs=judged.size,
    )
    if threshold is None:
        return verdict
    tells = threshold.far is None or can_tell(verdict.a.box, verdict.b.box)
    same = verdict.judged >= threshold.similarity if tells else None
    least = threshold.similarity
    return replace(verdict, same=same, threshold=least, far=threshold.far, learned=threshold.learned)


def _matrix(probes: Sequence[Probe]) -> Embeddings:
    return np.stack([probe.embedding for probe in probes])


def identify(
    faces: "Faces", index: Searchable, judge: Judge, probes: Sequence[Probe], options: QueryOptions
) -> list[tuple[Match, ...]]:
    """For each probe the nearest people, highest judged value first, all among the 8,192 most similar faces; or,
    where every photo is wanted, all of them. The values of a question with several faces are means over these."""
    answers: list[tuple[Match, ...]] = [()] * len(probes)
    if not probes:
        return answers
    least = options.least(judge.threshold, judge.gallery)
    # The mean of similarities is the similarity to the mean, (m, dim).
    queries = np.stack([probe.embeddings().mean(axis=0) for probe in probes])
    lowest = least - judge.lift if options.by_person else least
    shifts = [float(judge.shifts(probe.embeddings()).mean()) for probe in probes]  # (m,)
    open_rows = list(range(len(queries)))
    wanted = max(_FIRST_LOOK, options.k)
    widest = len(index) if options.every else min(max(_WIDEST, options.k), len(index))
    while open_rows:
        similarities, ids = index.search(queries[open_rows], wanted)
        of_faces = judge.shifts_of(distinct(ids))
        unsettled = []
        for row, found, of in zip(open_rows, similarities, ids, strict=True):
            no_answer = probes[row].not_found | {NONE}
            near = {int(i): float(np.clip(s, -1, 1)) for s, i in zip(found, of, strict=True) if i not in no_answer}
            judged = {i: min(s - (shifts[row] + of_faces.get(i, 0.0)) / 2, 1.0) for i, s in near.items()}
            reached = {i: s for i, s in near.items() if judged[i] >= lowest}
            # A row is settled when it has its k, when the index is exhausted or when the rest is below the threshold.
            is_last = wanted >= widest or judge.highest(float(found[-1]), shifts[row]) < lowest
            if is_last or not options.every:
                question = Question(
                    queries[row], shifts[row], options.scope, options.min_quality, probes[row].not_found
                )
                choice = _Choice(faces, judge, options, probes[row])
                answers[row] = choice.rows(faces.matches(reached, judged), question)
            if not is_last and (options.every or len(answers[row]) < options.k):
                unsettled.append(row)
        open_rows = unsettled
        wanted = min(wanted * _WIDER, widest)
    return answers


class _Choice:
    """The rows of one answer, of the faces that may be such."""

    def __init__(self, faces: "Faces", judge: Judge, options: QueryOptions, asked: Probe) -> None:
        self._faces, self._judge, self._options, self._asked = faces, judge, options, asked
        self._most = math.inf if options.every else options.k
        self._least = options.least(judge.threshold, judge.gallery)
        self._chosen: dict[object, Match] = {}
        self._alike: dict[object, list[str]] = {}  # by the key of the row
        self._merged: set[object] = set()
        self._mergeable: list[object] = []  # the keys of rows that can have others alike, as `Rows` counts them
        self._shown = Rows(judge.dim, judge.similarity)

    def rows(self, candidates: Iterable[Candidate], question: Question) -> tuple[Match, ...]:
        """One a person, a photo or a face, of candidates that come by their judged values, each with what shows the
        same."""
        good = [each for each in candidates if self._is_good(each.match)]
        at_once = _ALL_AT_ONCE if self._options.every else _SOME_AT_ONCE
        by_value: Iterable[Candidate] = good
        if self._options.by_person:
            at_once = self._options.k + _BEYOND
            by_value = ByPerson(self._faces, self._judge, question).rows(good, at_once)
        wanted = (each for each in map(self._judged, by_value) if each is not None)
        beyond = 0
        for part in chunks(wanted, at_once):
            embeddings = self._embeddings(part)
            for each in part:
                self._take(each, embeddings.get(each.match.face_id))
                beyond += len(self._chosen) >= self._most
            if beyond >= _BEYOND or (beyond and not embeddings):
                break
        rows = (self._with_alike(key, match) for key, match in self._chosen.items())
        return tuple(sorted(rows, key=lambda match: -match.judged))  # which keeps the order of equal ones

    def _take(self, candidate: Candidate, embedding: Embeddings | None) -> None:
        """Makes the candidate a row, or a part of one."""
        key = self._key(candidate)
        if key in self._chosen or key in self._merged:
            return
        same = None if embedding is None else self._shown.alike(candidate, embedding)
        if same is not None:
            self._alike[self._mergeable[same]].append(candidate.match.photo)
            self._merged.add(key)
        elif len(self._chosen) < self._most:
            self._chosen[key], self._alike[key] = candidate.match, []
            if embedding is not None:
                self._mergeable.append(key)
                self._shown.add(candidate, embedding)

    def _with_alike(self, key: object, match: Match) -> Match:
        return replace(match, alike=tuple(p for p in dict.fromkeys(self._alike[key]) if p != match.photo))

    def _is_good(self, match: Match) -> bool:
        return match.quality is None or match.quality >= self._options.min_quality

    def _judged(self, candidate: Candidate) -> Candidate | None:
        """With what its value means; None for what is not wanted."""
        match, known = candidate.match, self._judge.threshold
        if match.judged < self._least:
            return None
        boxes = candidate.boxes or (match.box,)
        tells = known and any(can_tell(face.sighting.box, box) for face in self._asked.faces for box in boxes)
        same = match.judged >= known.similarity if known and tells else None
        if self._options.every and self._options.threshold is None and not same:
            return None
        return candidate._replace(match=replace(match, same=same))

    def _key(self, candidate: Candidate) -> object:
        match = candidate.match
        if not self._options.group:
            return match.face_id
        if self._options.every:
            return match.photo
        return match.face_id if match.person_id is None else ("person", match.person_id)

    def _embeddings(self, candidates: Sequence[Candidate]) -> dict[int, Embeddings]:
        """Of the faces of rows that stand for a photo, not for a person; none where nothing is merged."""
        if not self._options.group or self._options.copies:
            return {}
        ids = [each.match.face_id for each in candidates if self._options.every or each.match.person_id is None]
        if not ids:
            return {}
        stored, rows = self._faces.embeddings_of(ids, self._judge.dim)
        return dict(zip(stored.tolist(), rows, strict=True))
