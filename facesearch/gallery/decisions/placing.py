"""What a user says of single faces and places: whose these faces are, and who is to be seen here."""

import math
from collections.abc import Mapping, Sequence

from facesearch.errors import UsageError
from facesearch.gallery.browsing.looking import photo_row
from facesearch.gallery.decisions.acts import NameTakenError
from facesearch.gallery.decisions.deciding import Deciding
from facesearch.gallery.decisions.verbs import Decision, count, name, notes_of, taken_sentence
from facesearch.gallery.records.people import Done
from facesearch.gallery.references import (
    AmbiguousNameError,
    Referent,
    UnknownPhotoError,
    WhichFace,
    WhichPhoto,
    Who,
    several,
)
from facesearch.gallery.tables.row_images import APART, MARKS, face_states
from facesearch.people import names
from facesearch.people.decisions import FaceState, PersonState
from facesearch.people.regions import Box, match, middle_inside, overlap

_SAME_MARK = 0.5  # overlap of two boxes that mark one place


class Placing(Deciding):
    """A gallery in which faces are given to people, and people are added to photos."""

    def move(self, faces: Sequence[WhichFace], to: Who, *, other: bool = False) -> Done:
        """Gives faces to a person, or to somebody of that name, who is added where nobody has it, or with `other`
        even where somebody has it, as another person who shares the name: out of whoever had them. From somebody with
        a name, or of whom the user said that a face is theirs, they are parted for good. What was said before against
        these faces being that person's is taken back. Raises UnknownFaceError, AmbiguousNameError where several have
        the name, UsageError for a name that is none, or an id with `other`."""
        if not faces:
            raise UsageError("No face is named; say which faces are to be moved.")
        with self._deciding("move") as decision:
            wanted = [decision.references.of_face(decision.references.face(face)).face or 0 for face in faces]
            target = _target(decision, to, other)
            _give(decision, wanted, target)
            if other:
                _tell_apart(decision, target)
            decision.recorder.say(f"{count(len(set(wanted)), 'face')} to @{target}")
            return decision.done(target, 1, notes_of(decision, target))

    def mark(self, photo: WhichPhoto, box: Box, person: str, *, same: bool = False, other: bool = False) -> Done:
        """Says who is to be seen in a photo, by id or path, at a place: left, top, right, bottom in pixels of the
        photo as it is shown. The face that lies there, by an overlap of 0.3 or as the only one by its middle, gets
        the name, as by `name_person`; one that is another one's with a name is moved. Where no face was found the
        place is kept as a mark, which counts for nothing in searches. Raises UnknownPhotoError, UsageError for a box
        outside of the photo or with several faces in it, and as `name_person`."""
        person = names.checked(person)
        with self._deciding("mark") as decision:
            photo_id = decision.references.photo(photo)
            place = self._place(decision, photo_id, box)
            face = _face_at(decision, photo_id, place)
            if face is None:
                found = _mark(decision, photo_id, place, _called(decision, person, same, other))
            else:
                found = _name_face(decision, face, person, same, other)
            decision.recorder.say(f"@{found} in photo {photo_id}")
            return decision.done(found, 1, notes_of(decision, found))

    def _place(self, decision: Decision, photo: int, box: Box) -> Box:
        """The part of a box that lies in the photo."""
        row = photo_row(decision.db, self.name, photo)
        if not row["width"] or not row["height"]:
            raise UnknownPhotoError(f"The size of photo {photo} is not known, so nobody can be added to it.")
        if len(box) != 4 or not all(math.isfinite(edge) for edge in box):
            raise UsageError("A box has four numbers: left, top, right, bottom, in pixels.")
        left, right = (min(max(edge, 0.0), float(row["width"])) for edge in box[0::2])
        top, bottom = (min(max(edge, 0.0), float(row["height"])) for edge in box[1::2])
        if right - left < 1 or bottom - top < 1:
            shown = ",".join(f"{edge:g}" for edge in box)
            raise UsageError(
                f"The box {shown} has no pixel of the photo, which has {row['width']} x {row['height']}; give left, "
                "top, right, bottom."
            )
        return left, top, right, bottom


def _target(decision: Decision, to: Who, other: bool) -> int:
    """Who is meant, or somebody new of that name; with `other` somebody new, whoever has it."""
    if isinstance(to, int) or names.AN_ID.fullmatch(to):
        if other:
            raise UsageError(
                f"{to} is one person, not another of a name; give a name for somebody else of that name."
            )
        return decision.references.person(to)
    wanted = names.checked(to)
    return _called(decision, wanted, same=not other, other=other)


def _called(decision: Decision, wanted: str, same: bool, other: bool) -> int:
    """The one who has that name, or with `other` somebody else of that name, or somebody new. Raises NameTakenError
    where somebody has it and nothing is said, AmbiguousNameError where several have it and `same` is."""
    taken = decision.references.called(wanted)
    if taken and not (same or other):
        raise NameTakenError(taken_sentence(wanted, taken), taken)
    if taken and same:
        if len(taken) > 1:
            raise AmbiguousNameError(several(wanted, taken), taken)
        return taken[0]
    return decision.recorder.add_person(PersonState(name=wanted))


def _give(decision: Decision, faces: Sequence[int], target: int) -> None:
    """Makes faces this person's, whoever's they are."""
    states = face_states(decision.recorder.conn, faces)
    for person, theirs in _by_person(states, target).items():
        is_known = decision.acts.state(person).name is not None
        apart = [face for face in theirs if is_known or states[face].named_by == "user"]
        decision.acts.keep_anchors([person], theirs)
        if apart:
            decision.acts.anchor([person], but=theirs)
        for face in apart:
            decision.recorder.put(APART, (face, person))
    decision.acts.adopt(sorted(states), target, anyway=True)
    decision.acts.anchor([target], min(states))


def _by_person(states: Mapping[int, FaceState], target: int) -> dict[int, list[int]]:
    """The faces that are another one's than the target's, by person."""
    found: dict[int, list[int]] = {}
    for face, state in sorted(states.items()):
        if state.person not in (None, target):
            found.setdefault(state.person or 0, []).append(face)
    return found


def _name_face(decision: Decision, face: int, wanted: str, same: bool, other: bool) -> int:
    """Names whoever's a face is; takes it from somebody of another name."""
    whose = decision.references.of_face(face)
    known = None if whose.person is None else decision.acts.state(whose.person).name
    if known is None or known == wanted:
        return name(decision, whose, wanted, same, other).person or 0
    target = _called(decision, wanted, same, other)
    _give(decision, [face], target)
    if other:
        _tell_apart(decision, target)
    return target


def _tell_apart(decision: Decision, person: int) -> None:
    """Keeps that a person is none of those who have the same name."""
    for namesake in decision.db.people.called(decision.acts.state(person).name or ""):
        if namesake != person:
            decision.acts.differ(Referent(person), Referent(namesake))


def _face_at(decision: Decision, photo: int, place: Box) -> int | None:
    """The face that a place means. Raises UsageError where that may be several."""
    ids = [face for face, is_face in decision.db.people.faces_in(photo) if is_face]
    boxes = decision.db.people.boxes_of(ids)
    there: list[Box] = [boxes[face] for face in ids]
    found = match([place], there)
    if found:
        return ids[found[0]]
    inside = sum(middle_inside(place, box) for box in there)
    if inside > 1:
        raise UsageError(f"{inside} faces lie in that box; draw it around one of them.")
    return None


def _mark(decision: Decision, photo: int, place: Box, person: int) -> int:
    """Keeps a place for a person; one that was there for another person is this one's."""
    for mark, there in decision.db.decisions.marks_in(photo):
        if overlap(there, place) > _SAME_MARK:
            decision.recorder.put(MARKS, (mark, photo, *there, person))
            return person
    decision.recorder.put(MARKS, (decision.db.decisions.next_mark(), photo, *place, person))
    return person
