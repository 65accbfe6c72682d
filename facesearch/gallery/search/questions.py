"""What a gallery can be asked: who is this, in which photos are these people, are two photos of one person."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial

from facesearch import limits
from facesearch.cluster.milvus import import_meanwhile
from facesearch.errors import FaceSearchError, NoFaceError, Note, UsageError
from facesearch.faces.analyser import Analyser
from facesearch.files import printable
from facesearch.flow import pace
from facesearch.flow.stream import chunks
from facesearch.gallery.agreement import detector_of, refuse_other_networks
from facesearch.gallery.database import Database
from facesearch.gallery.records.answers import Answer, Match, PhotosOfPeople, Sighting, Unanswered, Verdict
from facesearch.gallery.records.settings import ActiveThreshold, GallerySettings
from facesearch.gallery.references import References, Who
from facesearch.gallery.search import answers
from facesearch.gallery.search.analysers import Analysers
from facesearch.gallery.search.judging import Judge
from facesearch.gallery.search.probes import Chosen, KnownProbes, Probe, embed_faces, embed_probes, together
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.scope import WHOLE, Scope
from facesearch.gallery.vectors.gpu import on_gpu
from facesearch.gallery.vectors.index import Searchable, import_faiss_meanwhile
from facesearch.gallery.vectors.narrowed import Narrowed
from facesearch.gallery.vectors.store_index import answered_by
from facesearch.models.cards import index_recipes
from facesearch.models.device import Device, Precision
from facesearch.photos.dates import date_if_there
from facesearch.photos.given import GivenPhoto
from facesearch.photos.pool import Decoders

QueryOptions = answers.QueryOptions

_MOST_OF_PERSON = 200  # faces of somebody who is asked about by name, the largest
_LARGEST = Chosen()
_AT_ONCE = 8  # photos that are held decoded
_DATES_AT_ONCE = 500  # photos, a transaction each
_WORTH_A_NOTE = 200  # photos whose dates are to be read: a second


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is searched, how it is judged, and what of the gallery takes part."""

    db: Database
    settings: GallerySettings
    judge: Judge
    load_index: Callable[[], Searchable]  # once, and when it is needed: networks run while FAISS is imported
    options: QueryOptions
    roots: tuple[str, ...]
    undated: int

    @property
    def index(self) -> Searchable:
        """The faces that are compared with."""
        return self.load_index()

    def answers(self, probes: Sequence[Probe], index: Searchable | None = None) -> list[Answer]:
        """One for each probe."""
        found = answers.identify(self.db.faces, index or self.index, self.judge, probes, self.options)
        return [self._answer(*each) for each in zip(probes, found, strict=True)]

    def _answer(self, asked: Probe, matches: tuple[Match, ...]) -> Answer:
        threshold = self.judge.threshold or ActiveThreshold(0, None)
        return Answer(
            query=asked.sighting,
            model=self.settings.model,
            threshold=threshold.similarity if self.judge.threshold else None,
            far=threshold.far,
            learned=threshold.learned,
            compared=len(self.index),
            matches=matches,
            cohort=self.judge.cohort,
            also=tuple(face.sighting for face in asked.also),
            roots=self.roots,
            undated=self.undated,
            store=answered_by(self.index),
        )


class Questions(Storage):
    """A gallery that is asked, and not changed."""

    def __init__(self, name: str, device: Device, note: Note, precision: Precision) -> None:
        super().__init__(name, note)
        self._device = device
        self._analysers = Analysers(name, device, precision, note)

    def query(
        self,
        photo: GivenPhoto,
        k: int = 5,
        *,
        face: int | None = None,
        threshold: float | None = None,
        group: bool = True,
        min_quality: float = 0.0,
        options: QueryOptions | None = None,
    ) -> Answer:
        """The k nearest people to the largest face of a photo (or to its `face`-th largest) with at least that
        judged value; the k nearest faces with `group` off. The photo is a path, the bytes of a file, a picture of
        Pillow's or an array, uint8 RGB. `options` says all of this and more, in place of the other words. Raises
        GalleryError when there is no gallery, FaceSearchError when the photo cannot be read, NoFaceError when it
        shows no face; UsageError for numbers that are out of range."""
        options = options or QueryOptions(k, group, threshold, min_quality)
        limits.check("face", face, limits.FACE)
        with self._asking(options) as asked:
            return asked.answers(self._faces_of(asked, [photo], Chosen(face or 1)))[0]

    def query_many(
        self,
        photos: Iterable[str | os.PathLike[str]],
        k: int = 5,
        *,
        threshold: float | None = None,
        group: bool = True,
        min_quality: float = 0.0,
        every_face: bool = False,
        options: QueryOptions | None = None,
    ) -> Iterator[Answer | Unanswered]:
        """As `query`, for the largest face of each photo, or with `every_face` for all its faces, the largest first;
        in order and computed in batches. A photo that cannot be read or shows no face is said to be so in its place.
        What the gallery has looked at before is not looked at again."""
        options = options or QueryOptions(k, group, threshold, min_quality)
        with self._asking(options) as asked:
            settings = asked.settings
            load = partial(self._load, settings, 1)  # each core takes whole batches
            known = KnownProbes(asked.db, settings.dim)
            paths = (os.fspath(photo) for photo in photos)
            searchable, seen = asked.index, 0
            batches = embed_probes(paths, load, detector_of(settings).max_side, known, every_face)
            for batch in batches:
                was_many, seen = seen > pace.BATCH, seen + len(batch)
                is_file = options.scope.is_whole and answered_by(asked.index) is None
                if seen > pace.BATCH and not was_many and self._device != "cpu" and is_file:
                    searchable = on_gpu(asked.db.faces, settings.dim, index_recipes("gpu"), fallback=asked.index)
                found = [item for item in batch if isinstance(item, Probe)]
                replies = iter(asked.answers(found, searchable))
                for item in batch:
                    yield next(replies) if isinstance(item, Probe) else item

    def query_together(self, photos: Sequence[GivenPhoto], options: QueryOptions | None = None) -> Answer:
        """One answer to several photos of one person: each face of the gallery counts by the mean of its judged
        values over the largest faces of all photos. Raises as `query`, and UsageError where no photo is given."""
        if not photos:
            raise UsageError("No photo is named; name those of one person.")
        with self._asking(options or QueryOptions()) as asked:
            return asked.answers([together(self._faces_of(asked, photos))])[0]

    def query_person(self, who: Who, options: QueryOptions | None = None) -> Answer:
        """As `query_together`, for the faces of somebody of this gallery, the 200 largest. Raises the errors of
        `references` where it is not clear who is meant, NoFaceError where all of their faces are set aside."""
        with self._asking(options or QueryOptions()) as asked:
            person, label = self._people(asked.db, [who])[0]
            paths, faces = asked.db.faces.best_of_person(person, _MOST_OF_PERSON, asked.settings.dim)
            if not paths:
                raise NoFaceError(f"There is no face of {printable(label)} that can be compared.")
            probes = [
                Probe(Sighting(path, box, score, 1, quality), row)
                for path, box, score, quality, row in zip(
                    paths, faces.boxes, faces.scores, faces.qualities, faces.embeddings, strict=True
                )
            ]
            return replace(asked.answers([together(probes)])[0], person=label, person_id=person)

    def find(self, people: Sequence[Who], scope: Scope = WHOLE) -> PhotosOfPeople:
        """The photos that show all these people, newest first. Raises the errors of `references` where it is not
        clear who is meant, UsageError where nobody is named."""
        if not people:
            raise UsageError("Nobody is named; name the people who are to be in a photo.")
        with self._reading_within(scope) as (db, _, undated):
            _, found = db.photos.with_people([person for person, _ in self._people(db, people)], scope)
            return PhotosOfPeople(found, db.roots.paths(), undated)

    def verify(
        self,
        a: GivenPhoto,
        b: GivenPhoto,
        *,
        threshold: float | None = None,
        faces: answers.FacesToCompare = answers.LARGEST,
    ) -> Verdict:
        """Whether faces of two photos, by default the largest, show one person, by what this gallery goes by: its
        models, its people, and the threshold that it has learned, or else the card's, unless one is given. Raises as
        `query`."""
        with self.reading() as (db, settings):
            judge = Judge(db, settings)
            known = ActiveThreshold(threshold, None) if threshold is not None else judge.threshold
            return answers.compare(partial(self._load, settings), a, b, known, judge, faces)

    @contextmanager
    def judging(self) -> Iterator[tuple[Analyser, Judge]]:
        """The gallery's networks, and what its similarities mean, while its database is open for reading. Raises
        GalleryError when there is no gallery, ModelError when a model is missing."""
        with self.reading() as (db, settings):
            yield self._load(settings), Judge(db, settings)

    @contextmanager
    def _asking(self, options: QueryOptions) -> Iterator[_Asked]:
        """The gallery while it is asked, with the faces that the options leave."""
        with self._reading_within(options.scope) as (db, settings, undated):
            refuse_other_networks(self.name, settings)  # what is known may be asked about without loading them
            judge = Judge(db, settings)
            options.least(judge.threshold, judge.gallery)
            with ExitStack() as stack:
                is_here = options.here or not options.scope.is_whole
                import_faiss_meanwhile() if is_here or db.store.read() is None else import_meanwhile()

                @cache
                def load_index() -> Searchable:
                    whole = stack.enter_context(self.searching(db, settings, is_here))
                    if options.scope.is_whole:
                        return whole
                    return Narrowed(db.faces, db.faces.ids_within(options.scope), settings.dim)

                yield _Asked(db, settings, judge, load_index, options, db.roots.paths(), undated)

    @contextmanager
    def _reading_within(self, scope: Scope) -> Iterator[tuple[Database, GallerySettings, int]]:
        """The database for reading, its settings, and how many photos of the scope's folder have no known date, where
        one is asked for."""
        if scope.has_dates:
            self._look_for_dates()
        with self.reading() as (db, settings):
            self._refuse_unknown_folder(db, scope)
            yield db, settings, db.photos.undated(scope) if scope.has_dates else 0

    def _refuse_unknown_folder(self, db: Database, scope: Scope) -> None:
        if scope.folder is not None and not db.photos.has_any(Scope(scope.folder)):
            folders = ", ".join(printable(root) for root in db.roots.paths())
            raise UsageError(
                f"The gallery '{self.name}' has no photo with a face in {printable(scope.folder)}; its folders are: "
                f"{folders}."
            )

    def _look_for_dates(self) -> None:
        """Reads the dates of the photos that an earlier facesearch has indexed, once."""
        with self.reading() as (db, _):
            if not db.photos.not_looked_at_for_dates(1):
                return
        try:
            with self.writing() as db:
                read_dates(db, self.note)
        except FaceSearchError as error:  # another process writes, or nobody may
            self.note(f"{error} Until then not all dates are known.")

    def _people(self, db: Database, whos: Sequence[Who]) -> list[tuple[int, str]]:
        """The id of each who is meant, and how they are called."""
        references = References(db, self.name)
        people = dict.fromkeys(references.person(who) for who in whos)
        return [(person, db.people.label(person)) for person in people]

    def _faces_of(self, asked: _Asked, photos: Sequence[GivenPhoto], chosen: Chosen = _LARGEST) -> list[Probe]:
        """The face of each photo that is chosen: as the gallery knows it, or else computed."""
        known = KnownProbes(asked.db, asked.settings.dim)
        found = [known.of_file(os.fspath(p)) if isinstance(p, str | os.PathLike) else None for p in photos]
        new = [photo for photo, faces in zip(photos, found, strict=True) if not faces]
        computed = iter(self._computed(asked, new, chosen) if new else ())
        return [
            faces[chosen.of(faces[0].sighting.photo, len(faces))[0] - 1] if faces else next(computed)
            for faces in found
        ]

    def _computed(self, asked: _Asked, photos: Sequence[GivenPhoto], chosen: Chosen) -> list[Probe]:
        with Decoders(1) as decoders:
            decoders.start_one()
            analyser = self._load(asked.settings)
            return [
                face
                for part in chunks(photos, _AT_ONCE)
                for (face,) in embed_faces(analyser, part, decoders.decode, [chosen] * len(part))
            ]

    def _load(self, settings: GallerySettings, threads: int = 0) -> Analyser:
        """The networks of the gallery's models, loaded once; `threads` is how many cores a call may use, 0 for
        all."""
        return self._analysers.load(settings, threads)


def read_dates(db: Database, note: Callable[[str], None]) -> None:
    """Notes the dates of photos with faces of which nobody has looked whether they have one. Those that cannot be
    read now are looked at another time."""
    after = 0
    while photos := db.photos.not_looked_at_for_dates(_DATES_AT_ONCE, after):
        if after == 0 and len(photos) > _WORTH_A_NOTE:
            note("Reading when the photos were taken, once.")
        dates = [(photo, date_if_there(path)) for photo, path in photos]
        with db.transaction():
            db.photos.note_dates([(photo, taken) for photo, taken in dates if taken is not None])
        after = photos[-1][0]
