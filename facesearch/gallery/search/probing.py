"""Questions about faces whose embeddings are there: of the gallery's own faces, and of photos that were looked at
once and may be asked about many times."""

from dataclasses import dataclass

from facesearch.errors import ModelError, NoFaceError
from facesearch.gallery.agreement import detector_of
from facesearch.gallery.database import Database
from facesearch.gallery.records.answers import Answer, Sighting, Verdict
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.references import References
from facesearch.gallery.search import answers
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.search.probes import Chosen, KnownProbes, Probe, embed_view
from facesearch.gallery.search.questions import QueryOptions, Questions
from facesearch.gallery.vectors.index import import_faiss
from facesearch.photos.file import digest_of
from facesearch.photos.given import GivenPhoto, given_view, name_of
from facesearch.photos.pool import Decoders


@dataclass(frozen=True, slots=True)
class Seen:
    """A photo that was looked at: its width and height in pixels, upright, and its faces with their embeddings, the
    largest first. `model` and `identity` say whose embeddings they are."""

    size: tuple[int, int]
    faces: tuple[Probe, ...]
    model: str
    identity: str

    def face(self, number: int) -> Probe:
        """One of its faces, 1 for the largest. Raises UsageError where it has fewer, NoFaceError where none."""
        if not self.faces:
            raise NoFaceError("There is no face in the photo; try a larger or clearer one.")
        return self.faces[Chosen(number, "face").of("The photo", len(self.faces))[0] - 1]


class Probing(Questions):
    """A gallery that is asked about faces whose embeddings are known."""

    def look_at(self, photo: GivenPhoto, decoders: Decoders) -> Seen:
        """All faces of a photo, as the gallery knows them, or else as its networks see them; what is no photo costs
        no network. Raises PhotoError when it cannot be read, ModelError when a model is missing."""
        with self.reading() as (db, settings):
            view = given_view(photo, detector_of(settings).max_side, decoders.decode)
            known = KnownProbes(db, settings.dim)
            found = known.of_content(digest_of(photo), name_of(photo)) if isinstance(photo, bytes) else None
            faces = found or embed_view(self._load(settings), view, name_of(photo))
            return Seen(view.size, tuple(faces), settings.model, settings.identity)

    def load_networks(self) -> None:
        """Loads what `look_at` and searches need, so that the first photo need not wait for it. Raises ModelError
        when a model is missing."""
        import_faiss()
        with self.reading() as (_, settings):
            self._load(settings)

    def query_seen(self, seen: Seen, face: int = 1, options: QueryOptions | None = None) -> Answer:
        """As `query`, for a face of a photo that was looked at. Raises UsageError where it has fewer, NoFaceError
        where none, ModelError where the gallery's model is another one since."""
        with self._asking(options or QueryOptions()) as asked:
            _refuse_earlier(seen, asked.settings)
            return asked.answers([seen.face(face)])[0]

    def query_face(self, face: int, options: QueryOptions | None = None) -> Answer:
        """As `query`, for a face of the gallery by its id; the others are found, itself is not. Raises
        UnknownFaceError where there is none, NoFaceError where it takes part in no search."""
        with self._asking(options or QueryOptions()) as asked:
            return asked.answers([self._probe_of(asked.db, asked.settings, face)])[0]

    def compare_faces(self, a: int | tuple[Seen, int], b: int | tuple[Seen, int]) -> Verdict:
        """As `verify`, for faces of the gallery, by their ids, or of photos that were looked at, with which of their
        faces is meant, 1 for the largest. Raises as `query_face` and `query_seen`."""
        with self.reading() as (db, settings):
            judge = Judge(db, settings)
            first, second = (self._probe_of_either(db, settings, each) for each in (a, b))
            return answers.compare_probes([first], [second], settings.model, judge.threshold, judge)

    def _probe_of_either(self, db: Database, settings: GallerySettings, which: int | tuple[Seen, int]) -> Probe:
        if isinstance(which, int):
            return self._probe_of(db, settings, which)
        seen, number = which
        _refuse_earlier(seen, settings)
        return seen.face(number)

    def _probe_of(self, db: Database, settings: GallerySettings, face: int) -> Probe:
        found = db.faces.one(References(db, self.name).face(face), settings.dim)
        if found is None:
            raise NoFaceError(f"Face {face} has no embedding of the gallery's model, so it cannot be compared.")
        photo, path, stored = found
        ids = [each for each, _ in db.people.faces_in(photo)]
        sighting = Sighting(
            path, stored.boxes[0], stored.scores[0], len(ids), stored.qualities[0], ids.index(face) + 1
        )
        return Probe(sighting, stored.embeddings[0], face_id=face)


def _refuse_earlier(seen: Seen, settings: GallerySettings) -> None:
    identities = {seen.identity, settings.identity} - {""}  # an earlier facesearch noted none
    if seen.model != settings.model or len(identities) > 1:
        raise ModelError("The gallery's model was changed since that photo was looked at; choose the photo again.")
