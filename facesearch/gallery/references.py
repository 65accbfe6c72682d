"""How people and faces are typed: `@17`, a name, `photo.jpg` (its only face), `photo.jpg#2` (its second largest)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from facesearch.errors import UsageError
from facesearch.files import printable
from facesearch.gallery.database import Database
from facesearch.gallery.tables.row_images import face_states
from facesearch.gallery.tables.sqlite import GREATEST_ID
from facesearch.home import gallery_words
from facesearch.people import names
from facesearch.photos.addresses import absolute

Who: TypeAlias = str | int  # as it is typed, or the id of a person
WhichFace: TypeAlias = str | int  # as it is typed, or the id of a face
WhichPhoto: TypeAlias = str | int  # its path, or its id

_NEAR = 3  # names that are proposed, at most
_MOST_DIGITS = 19  # of an id
_NUMBERED = re.compile(r"(.+)#([1-9][0-9]{0,5})", re.DOTALL)


class AmbiguousNameError(UsageError):
    """Several people have the name that was typed. `people` are their ids."""

    def __init__(self, message: str, people: Sequence[int]) -> None:
        super().__init__(message)
        self.people = tuple(people)


class UnknownPersonError(UsageError):
    """Nobody in the gallery is called so, or has that id."""


class UnknownFaceError(UsageError):
    """The gallery has no such face."""


class UnknownPhotoError(UsageError):
    """The gallery has no such photo."""


@dataclass(frozen=True, slots=True)
class Referent:
    """Who was meant: a person, by id; or a face that is nobody's yet, which stands for itself. A face that was typed
    is there beside its person, too."""

    person: int | None
    face: int | None = None


class References:
    """Finds who or what is meant in one gallery, of that name, whose database is open."""

    def __init__(self, db: Database, gallery: str) -> None:
        self._db, self._gallery = db, gallery

    def who(self, typed: Who) -> Referent:
        """The person who is meant, or a face that stands for itself. Raises AmbiguousNameError where several have
        the name, UnknownPersonError or UnknownFaceError where there is no such person or face, UsageError where a
        photo shows several."""
        if isinstance(typed, int):
            return Referent(self._live(typed))
        if found := names.AN_ID.fullmatch(typed):
            return Referent(self._live(_number(found[1])))
        called = self.called(typed)
        if len(called) > 1:
            raise AmbiguousNameError(several(names.as_asked(typed), called), called)
        if called:
            return Referent(called[0])
        face = self._face_in_photo(typed)
        if face is None:
            raise UnknownPersonError(nobody(typed, (name for _, name in self._db.people.named()), self._gallery))
        return self.of_face(face)

    def of_face(self, face: int) -> Referent:
        """Whom a face stands for. Raises UnknownFaceError where it is gone, or is none as the user said."""
        state = face_states(self._db.connection, [face]).get(face)
        if state is None:
            raise UnknownFaceError(f"Face {face} is no longer in the gallery '{self._gallery}'.")
        if not state.is_face:
            change = self._db.changes.newest_of(face)
            raise UnknownFaceError(
                f"You said that face {face} is none; take that back with: facesearch people "
                f"undo {change}{gallery_words(self._gallery)}."
                if change
                else f"You said that face {face} is none."
            )
        return Referent(state.person, face)

    def person(self, typed: Who) -> int:
        """As `who`, for what needs a person. Raises UnknownPersonError for a face that is nobody's."""
        found = self.who(typed)
        if found.person is None:
            raise UnknownPersonError(
                f"The face {printable(str(typed))} is nobody's yet; name it with: "
                f"facesearch people name {printable(str(typed))} NAME{gallery_words(self._gallery)}."
            )
        return found.person

    def face(self, typed: WhichFace) -> int:
        """The id of a face that is meant. Raises UnknownFaceError where there is none, UsageError where a photo shows
        several."""
        if isinstance(typed, int) or (typed.isascii() and typed.isdigit()):
            face = typed if isinstance(typed, int) else _number(typed)
            if face > GREATEST_ID or not self._db.people.has_face(face):
                raise UnknownFaceError(
                    f"The gallery '{self._gallery}' has no face {face}; it may have been deleted, or its photo has "
                    "changed."
                )
            return face
        found = self._face_in_photo(typed)
        if found is None:
            raise UnknownFaceError(
                f"{printable(typed)} is no photo of the gallery '{self._gallery}'; type the number of a face, or "
                "PHOTO or PHOTO#2 for its only or its second largest one."
            )
        return found

    def photo(self, typed: WhichPhoto) -> int:
        """The id of a photo that is meant. Raises UnknownFaceError where the gallery has none of that path,
        UnknownPhotoError where it has none of that id."""
        if isinstance(typed, int):
            if typed > GREATEST_ID or not self._db.photos.has_id(typed):
                raise UnknownPhotoError(
                    f"The gallery '{self._gallery}' has no photo {typed}; it may have been deleted."
                )
            return typed
        found = self._photo(typed)
        if found is None:
            raise UnknownFaceError(f"{printable(typed)} is no photo of the gallery '{self._gallery}'.")
        return found

    def called(self, typed: str) -> list[int]:
        """The ids of all who are called so: who has the name now or else whoever had it and was joined into them."""
        name = names.as_asked(typed)
        return self._db.people.called(name) or self._db.people.formerly_called(name)

    def _photo(self, typed: str) -> int | None:
        try:
            return self._db.photos.id_of(absolute(typed))
        except UnicodeEncodeError:  # half a character: no path has one
            return None

    def _live(self, person: int) -> int:
        found = self._db.people.root(person) if person <= GREATEST_ID else None
        if found is None:
            raise UnknownPersonError(
                f"Nobody in the gallery '{self._gallery}' has the number @{person}; list all with: facesearch "
                f"people{gallery_words(self._gallery)}."
            )
        return found

    def _face_in_photo(self, typed: str) -> int | None:
        """The face that is meant by a photo's path; None where the gallery has no such photo."""
        photo, number = self._photo(typed), 0
        if photo is None and (found := _NUMBERED.fullmatch(typed)):
            photo, number = self._photo(found[1]), int(found[2])
        if photo is None:
            return None
        faces = self._db.people.faces_in(photo)
        if number and number <= len(faces):
            return faces[number - 1][0]
        real = [face for face, is_face in faces if is_face]
        if len(real) == 1 and not number:
            return real[0]
        raise UnknownFaceError(_not_one(typed, len(faces) if number else len(real), number))


def _number(digits: str) -> int:
    """Digits as a number; one that no id has for more than those of the greatest id."""
    return int(digits) if len(digits) <= _MOST_DIGITS else GREATEST_ID + 1


def several(name: str, people: Sequence[int]) -> str:
    """The sentence that says that people share a name."""
    ids = ", ".join(f"@{person}" for person in people)
    return f"{len(people)} people have the name {printable(name)}; say who is meant: {ids}."


def nobody(name: str, known: Iterable[str], gallery: str) -> str:
    """The sentence that says that nobody has a name, with those that are spelled nearly so."""
    advice = did_you_mean(name, known) or "check the spelling."
    return f"Nobody in the gallery '{gallery}' has the name {printable(name)}; {advice}"


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """A question with up to three names that are spelled nearly so, or hold what was typed; empty where none is."""
    from difflib import get_close_matches

    by_fold = {_folded(each): each for each in known}
    wanted = _folded(typed)
    near = get_close_matches(wanted, by_fold, _NEAR) or [each for each in by_fold if wanted and wanted in each]
    return f"did you mean {' or '.join(printable(by_fold[each]) for each in near[:_NEAR])}?" if near else ""


def _folded(name: str) -> str:
    return name.casefold().replace("_", " ")


def _not_one(typed: str, faces: int, number: int) -> str:
    shows = f"{printable(typed)} shows" if not number else f"{printable(typed.rpartition('#')[0])} shows"
    if not faces:
        return f"{shows} no face."
    if number:
        return f"{shows} {faces} face{'s' * (faces > 1)}, so there is no number {number}."
    return f"{shows} {faces} faces; say which, #1 is the largest: {printable(typed)}#1."
