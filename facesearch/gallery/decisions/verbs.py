"""What naming, joining, parting and answering take to be carried out, one transaction each; `Deciding` opens it."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from facesearch.errors import UsageError
from facesearch.files import printable
from facesearch.gallery.database import Database
from facesearch.gallery.decisions.acts import STRANGER, Acts, NameTakenError, TwoNamesError
from facesearch.gallery.records.people import Change, Done, PersonFacts, Question, Reply
from facesearch.gallery.references import (
    AmbiguousNameError,
    References,
    Referent,
    WhichFace,
    several,
)
from facesearch.gallery.tables.changes import Recorder
from facesearch.gallery.tables.row_images import faces_of_people
from facesearch.people.decisions import PersonState

_WRITTEN_ID = re.compile(r"@(\d+)")
_LEAST_TO_JOIN = 2
_MOST_TWINS = 3  # names that differ in their case alone, in one note


@dataclass(frozen=True, slots=True)
class Decision:
    """A verb while it is carried out."""

    db: Database
    recorder: Recorder
    acts: Acts
    references: References

    def done(self, person: int | None = None, people: int = 0, notes: Sequence[str] = ()) -> Done:
        """What the verb did."""
        change = None if self.recorder.change is None else self.db.changes.get(self.recorder.change)
        readable_change = None if change is None else readable(self.db, [change])[0]
        return Done(readable_change, person, self.recorder.changed_faces, people, tuple(notes))

    def facts(self, people: Iterable[int]) -> list[PersonFacts]:
        """What is known of these people."""
        return list(self.db.people_list.some(people).values())


def name(decision: Decision, meant: Referent, wanted: str, same: bool, other: bool) -> Done:
    """As Deciding.name_person; `wanted` has been checked."""
    taken = [person for person in decision.db.people.called(wanted) if person != meant.person]
    if taken and not (same or other):
        raise NameTakenError(taken_sentence(wanted, taken), taken)
    if taken and same:
        if len(taken) > 1:
            raise AmbiguousNameError(several(wanted, taken), taken)
        return _named(decision, join(decision, [meant], Referent(taken[0])), wanted)
    person = decision.acts.as_person(meant)
    decision.acts.name(person, wanted)
    for namesake in taken:
        decision.acts.differ(Referent(person), Referent(namesake))
    return _named(decision, decision.done(person, 1), wanted)


def _named(decision: Decision, done: Done, wanted: str) -> Done:
    decision.recorder.say(f"@{done.person} named")
    twins = [
        f"{printable(other)} (@{person})"
        for person, other in decision.db.people.named()
        if other != wanted and other.casefold() == wanted.casefold()
    ]
    note = f"The gallery also has {', '.join(twins[:_MOST_TWINS])}; join them if they are the same person."
    return replace(decision.done(done.person, done.people), notes=(*done.notes, *[note] * bool(twins)))


def join(decision: Decision, meant: Sequence[Referent], into: Referent | None, anyway: bool = False) -> Done:
    """As Deciding.join; faces among those who are meant become faces of the person."""
    everybody = [*meant] if into is None else [*meant, into]
    people = {who.person for who in everybody if who.person is not None}
    faces = {who.face for who in everybody if who.person is None and who.face is not None}
    target = _target(decision, people, into)
    if target is None:
        target = decision.acts.as_person(into or meant[0]) if everybody else 0
    left = {person for person in people if person != target}
    if len(people) + len(faces) < _LEAST_TO_JOIN:
        raise UsageError("At least two different people are needed to be joined; these are one already.")
    parted = decision.acts.join(sorted(left), target, anyway) if left else []
    decision.acts.fix([target])
    decision.acts.adopt(faces, target, anyway)
    decision.recorder.say(_joined(sorted(left), len(faces), target))
    return decision.done(target, len(left), notes_of(decision, target, parted))


def _target(decision: Decision, people: set[int], into: Referent | None) -> int | None:
    """Who stays: the one who was said, or who has a name, or else most faces; None where all are faces that are
    nobody's."""
    if into is not None:
        return into.person
    facts = decision.facts(people)
    named = {each.name for each in facts if each.name}
    if len(named) > 1:
        who = " and ".join(f"{printable(each.label)} (@{each.id})" for each in facts if each.name)
        raise TwoNamesError(
            f"{who} have different names; say which one stays with --into.", [each.id for each in facts if each.name]
        )
    facts.sort(key=lambda each: (each.name is None, each.kind == STRANGER, -each.faces, each.id))
    return facts[0].id if facts else None


def _joined(people: Sequence[int], faces: int, target: int) -> str:
    parts = [_listed(people)] * bool(people) + [count(faces, "face")] * bool(faces)
    return f"{' and '.join(parts)} into @{target}"


def notes_of(decision: Decision, person: int, parted: Sequence[int] = ()) -> list[str]:
    """What is surprising about somebody to whom faces came."""
    notes = []
    if parted:
        stay = "stays" if len(parted) == 1 else "stay"
        notes.append(f"{count(len(parted), 'face')} {stay} out, which you have parted from one of them before.")
    twice = decision.db.people.photos_with_several(person)
    if twice:
        which = printable(os.path.basename(twice[0]))
        have = "has" if len(twice) == 1 else "have"
        notes.append(
            f"{count(len(twice), 'photo')} now {have} this person more than once, such as {which}: if that is no "
            "collage, undo it, or part one of the faces."
        )
    return notes


def of_person(decision: Decision, person: int, faces: Sequence[WhichFace], photos: Sequence[str]) -> list[int]:
    """The faces that are meant, all of this person. Raises UsageError for one that is not, and for none."""
    theirs = set(faces_of_people(decision.recorder.conn, [person]))
    wanted = [decision.references.face(face) for face in faces]
    for face in wanted:
        if face not in theirs:
            whose = decision.db.people.person_of(face)
            is_whose = "nobody's" if whose is None else f"one of {decision.acts.label(whose)}"
            raise UsageError(f"Face {face} is not {decision.acts.label(person)}'s; it is {is_whose}.")
    for photo in photos:
        there = [face for face, _ in decision.db.people.faces_in(decision.references.photo(photo)) if face in theirs]
        if not there:
            raise UsageError(f"{printable(photo)} does not show {decision.acts.label(person)}.")
        wanted += there
    if not wanted:
        raise UsageError("No face is named; say which, with --faces or --photos.")
    return list(dict.fromkeys(wanted))


def answer(decision: Decision, question: Question, reply: Reply, into: Referent | None) -> Done:
    """As Deciding.answer."""
    if reply not in get_args(Reply):
        raise UsageError(f"{printable(reply)} is no answer; those are: {', '.join(get_args(Reply))}.")
    a, b = (decision.references.of_face(face.face_id) for face in (question.a, question.b))
    if reply == "not_a_face":
        decision.acts.not_a_face([question.a.face_id])
        done = decision.done()
    elif reply == "stranger":
        done = _ignored(decision, a, b)
    elif question.kind == "stray":
        done = _stray(decision, question.a.face_id, b, reply == "yes")
    elif reply == "yes":
        done = join(decision, [a, b], into)
    else:
        _refuse_one(decision, a, b)
        decision.acts.differ(a, b)
        done = decision.done()
    decision.recorder.say(f"{reply.replace('_', ' ')}: {_label(a)}, {_label(b)}")
    return replace(decision.done(done.person, done.people), notes=done.notes)


def _stray(decision: Decision, face: int, b: Referent, is_theirs: bool) -> Done:
    """A face is this person's, or is not. Raises UsageError where it has become somebody else's meanwhile."""
    person = decision.acts.as_person(b)
    whose = decision.db.people.person_of(face)
    if whose not in (person, None):
        raise UsageError(f"Face {face} has become {decision.acts.label(whose or 0)}'s meanwhile; ask again.")
    if is_theirs:
        decision.acts.adopt([face], person)
    else:
        decision.acts.part(person, [face])
    return decision.done(person, 1)


def _ignored(decision: Decision, a: Referent, b: Referent) -> Done:
    """The one without a name is not to be asked about; of two, the first."""
    named = a.person is not None and decision.acts.state(a.person).name
    person = decision.acts.as_person(b if named else a, PersonState(kind=STRANGER))
    ignored = decision.acts.ignore([person])
    return decision.done(person, ignored)


def _refuse_one(decision: Decision, a: Referent, b: Referent) -> None:
    if a.person is not None and a.person == b.person:
        raise UsageError(f"Both faces have become {decision.acts.label(a.person)}'s meanwhile; ask again.")


def readable(db: Database, changes: Sequence[Change]) -> list[Change]:
    """Changes with names beside the @ids of their words, as the people are called now."""
    given = db.changes.names_given([change.id for change in changes if change.verb == "name"])
    ids = {int(found[1]) for change in changes for found in _WRITTEN_ID.finditer(change.words)}
    called = {person: state.name for person in ids if (state := db.people.state(person)) and state.name}

    def with_name(found: re.Match[str]) -> str:
        person = int(found[1])
        return f"{called[person]} (@{person})" if person in called else f"@{person}"

    def words_of(change: Change) -> str:
        if change.id in given:
            before, after = given[change.id]
            return f"{change.words} {after}" + (f", before {before}" if before else "")
        return _WRITTEN_ID.sub(with_name, change.words)

    return [replace(change, words=words_of(change)) for change in changes]


def named_or_counted(people: Iterable[int]) -> str:
    """People as they are listed in the log."""
    return _listed(sorted(people))


def _listed(people: Sequence[int], most: int = 5) -> str:
    if len(people) > most:
        return f"{len(people):,} people"
    return ", ".join(f"@{person}" for person in people)


def _label(who: Referent) -> str:
    return f"face {who.face}" if who.person is None else f"@{who.person}"


def taken_sentence(wanted: str, taken: Sequence[int]) -> str:
    """That somebody has a name already, and what to say then."""
    who = ", ".join(f"@{person}" for person in taken)
    is_one = "is" if len(taken) == 1 else "are"
    return (
        f"{printable(wanted)} {is_one} {who} already; say --same if this is the same person, or --other if this is "
        "somebody else of that name."
    )


def count(number: int, what: str) -> str:
    """Such as `1 face`, `1,200 faces`."""
    return f"{number:,} {what}{'s' * (number != 1)}"
