"""The questions that are worth asking, out of the suggestions that a grouping left."""

from collections.abc import Iterator
from itertools import islice

from facesearch.gallery.database import Database
from facesearch.gallery.decisions.acts import STRANGER
from facesearch.gallery.records.people import FaceOf, PersonFacts, Question
from facesearch.gallery.tables.decisions import Suggestion

_AT_ONCE = 200  # suggestions that are looked up together


def questions(db: Database, most: int) -> list[Question]:
    """At most so many, the most likely first: without those that have been answered, are about strangers or hidden
    people, or are about two people who are asked about already."""
    found: list[Question] = []
    asked: set[tuple[object, ...]] = set()
    suggestions = db.decisions.suggestions()
    while len(found) < most and (some := list(islice(suggestions, _AT_ONCE))):
        for question in _open(db, some):
            about = _about(question)
            if about not in asked and len(found) < most:
                asked.add(about)
                found.append(question)
    return found


def _open(db: Database, suggestions: list[Suggestion]) -> Iterator[Question]:
    faces = db.people_list.faces(face for each in suggestions for face in (each.a, each.b))
    people = db.people_list.some(face.person for face in faces.values() if face.person is not None)
    for each in suggestions:
        if each.a in faces and each.b in faces:
            a, b = faces[each.a], faces[each.b]
            question = Question(each.kind, a, b, each.margin, people.get(a.person or 0), people.get(b.person or 0))
            if _is_open(db, question):
                yield question


def _is_open(db: Database, question: Question) -> bool:
    a, b = question.a, question.b
    if not (a.is_face and b.is_face) or any(_is_ignored(who) for who in (question.person_a, question.person_b)):
        return False
    if question.kind == "stray":
        return a.named_by == "auto" and a.person is not None and a.person == b.person
    if a.person is not None and a.person == b.person:
        return False
    return not _is_decided(db, a, b, question)


def _is_decided(db: Database, a: FaceOf, b: FaceOf, question: Question) -> bool:
    """Whether the user said that the two are not the same, or their names do."""
    if a.person is not None and b.person is not None:
        names = {who.name for who in (question.person_a, question.person_b) if who and who.name}
        if len(names) > 1 or db.decisions.are_strangers(a.person, b.person):
            return True
    return any(
        whose is not None and db.decisions.is_apart(face, whose)
        for face, whose in ((a.face_id, b.person), (b.face_id, a.person))
    )


def _about(question: Question) -> tuple[object, ...]:
    who = sorted(f"@{face.person}" if face.person else f"#{face.face_id}" for face in (question.a, question.b))
    return (question.kind, question.a.face_id) if question.kind == "stray" else ("same", *who)


def _is_ignored(person: PersonFacts | None) -> bool:
    return person is not None and (person.kind == STRANGER or person.hidden)
