"""Faces that are nearest to a question, one row a person, each person judged by all of their faces.

One lucky photo must not decide: what counts is the similarity to the mean of a person's faces, brought to unit
length. That mean is nearer to everybody than a single face is, the more so the less these faces are alike, so a share
of that is taken off. Measured on LFW by benchmarks/by_person.py, with up to 3 (10) photos of a person enrolled: the
DIR at FAR 0.01 of the default model is 0.809 (0.809), where the best face gives 0.742 (0.791), the mean of the two
best 0.694 (0.774), that of the three best 0.597 (0.752): who has few photos loses by those that are unlike. Of
`retail-0095` it is 0.938, 0.930, 0.913 and 0.881."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.flow.stream import chunks
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.tables.alike import Candidate
from facesearch.gallery.tables.scope import Scope

if TYPE_CHECKING:
    from facesearch.gallery.tables.faces import Faces, FacesOfPeople

# Of how much nearer the mean is. Of 100 strangers 79 reach somebody of LFW at the default model's threshold, 80 by
# the best face, and 87 with a share of 0; with 0.5 they are 73, and the DIR is 0.750.
SHARE = 0.25
_AT_ONCE = 64  # people whose faces are read at once
_MOST_OF_PERSON = 256  # faces, evenly over all of theirs: more do not move their mean


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: an embedding, (dim,), and how much higher its own threshold lies; and which faces of the
    gallery take part: those of the scope without those of `left_out`."""

    embedding: Embeddings
    shift: float
    scope: Scope
    min_quality: float
    left_out: frozenset[int] = frozenset()


class ByPerson:
    """The rows of one answer, of people and of faces that are nobody's."""

    def __init__(self, faces: "Faces", judge: Judge, question: Question) -> None:
        self._faces, self._judge, self._question = faces, judge, question

    def rows(self, candidates: Sequence[Candidate], at_once: int) -> Iterator[Candidate]:
        """Of faces by their judged values, highest first: one for each person and each face that is nobody's, by
        their judged values, `at_once` at a time."""
        for part in chunks(_best_of_each(candidates), at_once):
            judged = [each for some in chunks(part, _AT_ONCE) for each in self._judged(some)]
            yield from sorted(judged, key=lambda each: (-each.match.judged, each.match.face_id))

    def _judged(self, rows: Sequence[Candidate]) -> Iterator[Candidate]:
        people = [each.match.person_id for each in rows if each.match.person_id is not None]
        question = self._question
        found = self._faces.of_people(
            people, question.scope, question.min_quality, self._judge.dim, most=_MOST_OF_PERSON
        )
        shifts = self._judge.shifts_of(found.ids.tolist())
        takes_part = ~np.isin(found.ids, list(question.left_out))
        for each in rows:
            theirs = np.flatnonzero(takes_part & (found.people == (each.match.person_id or 0)))
            yield self._by_all(each, found, theirs, shifts) if len(theirs) > 1 else each

    def _by_all(
        self, row: Candidate, found: "FacesOfPeople", theirs: NDArray[np.intp], shifts: Mapping[int, float]
    ) -> Candidate:
        mean = found.embeddings[theirs].mean(axis=0)
        length = max(float(np.linalg.norm(mean)), 1e-6)
        similarity = float(self._question.embedding @ mean) / length
        nearer_to_all = (self._judge.similarity or 0.0) * (1 / length - 1)
        of_faces = [shifts.get(face, 0.0) for face in found.ids[theirs].tolist()]
        shift = (self._question.shift + float(np.mean(of_faces))) / 2
        judged = min(similarity - SHARE * nearer_to_all - shift, 1.0)
        boxes = tuple(found.boxes[i] for i in theirs)
        return row._replace(match=replace(row.match, judged=judged, faces=len(theirs)), boxes=boxes)


def _best_of_each(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """The first face of each person, and all that are nobody's."""
    seen: set[int] = set()
    for each in candidates:
        person = each.match.person_id
        if person is None:
            yield each
        elif person not in seen:
            seen.add(person)
            yield each
