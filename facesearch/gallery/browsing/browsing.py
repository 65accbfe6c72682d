"""What somebody who looks through a gallery sees of it: single faces, those that are nobody's, and what waits."""

from collections.abc import Sequence

from facesearch.errors import UsageError
from facesearch.gallery.names.likely import LikelyNames
from facesearch.gallery.records.answers import PhotoOfPeople
from facesearch.gallery.records.people import FaceOf, PersonFacts, Question, QuestionKind
from facesearch.gallery.references import References, UnknownFaceError, Who
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.freshness import Freshness
from facesearch.gallery.tables.people_list import is_listed
from facesearch.gallery.tables.scope import WHOLE


class Browsing(Storage):
    """A gallery that is looked through. All raise GalleryError where there is no gallery."""

    def freshness(self) -> Freshness:
        """What tells whether the gallery's database has changed."""
        return Freshness(self.database)

    def face(self, face: int) -> FaceOf:
        """The face with this id. Raises UnknownFaceError where there is none that has an embedding."""
        return self.faces([face])[face]

    def faces(self, faces: Sequence[int]) -> dict[int, FaceOf]:
        """The faces with these ids. Raises UnknownFaceError where one is not there, or has no embedding."""
        found = {each.face_id: each for each in self.faces_there(faces)}
        for face in faces:
            if face not in found:
                raise UnknownFaceError(
                    f"The gallery '{self.name}' has no face {face}; it may have been deleted, or its photo has "
                    "changed."
                )
        return found

    def faces_there(self, faces: Sequence[int]) -> list[FaceOf]:
        """Those of the faces with these ids that are there, in their order."""
        with self.reading() as (db, _), db.snapshot():
            found = db.people_list.faces(faces)
        return [found[face] for face in faces if face in found]

    def people_and_row(self) -> tuple[list[PersonFacts], int]:
        """All people, as `people`, and the newest row of the log, for `people_since`."""
        with self.reading() as (db, _), db.snapshot():
            return db.people_list.all(), db.changes.newest_row()

    def people_since(self, row: int) -> tuple[dict[int, PersonFacts | None], int]:
        """The people of whom something was said after that row of the log, by id, as they are now: None for who is
        listed no longer; and the newest row. What was not said but found, as by a run of indexing, is not in it."""
        with self.reading() as (db, _), db.snapshot():
            newest = db.changes.newest_row()
            people = db.changes.people_since(row) if newest > row else set()
            found = {who: facts for who, facts in db.people_list.some(people).items() if is_listed(facts)}
            return {person: found.get(person) for person in people}, newest

    def faces_alone(self) -> list[int]:
        """The ids of the faces that are nobody's, of the best quality first."""
        with self.reading() as (db, _):
            return db.people_list.alone()

    def photos_of(self, who: Who, first: int, n: int) -> tuple[int, tuple[PhotoOfPeople, ...]]:
        """How many photos show a person, and n of them from the one with this number, counted from 0; the newest
        first. Raises the errors of `references`."""
        with self.reading() as (db, _), db.snapshot():
            return db.photos.with_people([References(db, self.name).person(who)], WHOLE, first, n)

    def questions_open(self) -> int:
        """How many questions `questions` has, all in all."""
        with self.reading() as (db, _):
            return db.decisions.questions_open()

    def question(self, kind: QuestionKind, a: int, b: int) -> Question:
        """The question of this kind about the faces with these ids, to be answered. Raises UnknownFaceError where one
        is not there, UsageError where both are one."""
        if a == b:
            raise UsageError(f"Face {a} cannot be compared with itself; name two faces.")
        found = self.faces([a, b])
        return Question(kind, found[a], found[b], 0.0)

    def likely_names(self) -> LikelyNames:
        """What proposes names to whoever types one, and keeps what it has read for the next time."""
        return LikelyNames(self)
