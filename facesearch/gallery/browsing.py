"""What somebody who looks through a gallery sees of it: single faces, those that are nobody's, and what waits."""

from collections.abc import Sequence

from facesearch.errors import UsageError
from facesearch.gallery import likely_names
from facesearch.gallery.freshness import Freshness
from facesearch.gallery.likely_names import LikelyName
from facesearch.gallery.people_records import FaceOf, Question, QuestionKind
from facesearch.gallery.references import UnknownFaceError
from facesearch.gallery.storage import Storage


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
        with self.reading() as (db, _), db.snapshot():
            found = db.people_list.faces(faces)
        for face in faces:
            if face not in found:
                raise UnknownFaceError(
                    f"The gallery '{self.name}' has no face {face}; it may have been deleted, or its photo has "
                    "changed."
                )
        return {face: found[face] for face in faces}

    def alone(self, first: int, n: int) -> tuple[int, list[FaceOf]]:
        """How many faces are nobody's, and n of them from the one with this number, counted from 0; of the best
        quality first."""
        with self.reading() as (db, _), db.snapshot():
            ids = db.people_list.alone()
            shown = ids[first : first + n]
            found = db.people_list.faces(shown)
            return len(ids), [found[face] for face in shown]

    def questions_waiting(self) -> int:
        """How many questions wait, those that have been answered since they were found too."""
        with self.reading() as (db, _):
            return db.decisions.questions_waiting()

    def question(self, kind: QuestionKind, a: int, b: int) -> Question:
        """The question of this kind about the faces with these ids, to be answered. Raises UnknownFaceError where one
        is not there, UsageError where both are one."""
        if a == b:
            raise UsageError(f"Face {a} cannot be compared with itself; name two faces.")
        found = self.faces([a, b])
        return Question(kind, found[a], found[b], 0.0)

    def likely_names(self, typed: str, most: int) -> list[LikelyName]:
        """At most so many people with a name in which what was typed occurs, whatever the case and the accents."""
        with self.reading() as (db, _), db.snapshot():
            return likely_names.names(db, typed, most)
