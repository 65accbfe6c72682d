"""The faces that questions are about, with their embeddings: computed, or known to the gallery already."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, NoFaceError, PhotoError, UsageError
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.faces.choosing import by_size
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.gallery.records.answers import Sighting, Unanswered
from facesearch.photos import places
from facesearch.photos.addresses import absolute, is_remote
from facesearch.photos.file import PhotoFile, digest_of
from facesearch.photos.given import GivenPhoto, given_view, name_of
from facesearch.photos.status import Status
from facesearch.photos.view import Decode, View, load_any

if TYPE_CHECKING:
    from facesearch.gallery.database import Database


@dataclass(frozen=True, slots=True)
class Probe:
    """The face of a photo that a question is about, and its embedding, (dim,). A question with several faces of one
    person has the others in `also`. `face_id` is that of a face of the gallery which is not to be found itself."""

    sighting: Sighting
    embedding: Embeddings
    also: tuple["Probe", ...] = ()
    face_id: int | None = None

    @property
    def faces(self) -> tuple["Probe", ...]:
        """All faces of the question."""
        return (self, *self.also)

    @property
    def not_found(self) -> frozenset[int]:
        """The ids of the gallery's faces that are no answer to this question."""
        return frozenset(face.face_id for face in self.faces if face.face_id is not None)

    def embeddings(self) -> Embeddings:
        """Those of all its faces, (n, dim)."""
        return np.stack([face.embedding for face in self.faces])


_Faces: TypeAlias = list[Probe]  # of one photo, the largest first
_Item: TypeAlias = stages.Loaded[str] | stages.Failed[str] | _Faces


class KnownProbes:
    """The faces of photos that the gallery has looked at, and that are on disk as they were then; without what the
    user said is no face, unless there is nothing else."""

    def __init__(self, db: "Database", dim: int) -> None:
        self._db, self._dim = db, dim

    def of_file(self, path: str) -> _Faces | None:
        """The faces of the photo at this path; None where they are not known, or it has changed,
        and for standard input."""
        if path == "-":
            return None
        try:
            there = absolute(path)
            file = places.examined(there)
        except (OSError, ValueError, UsageError):  # to read it will say why
            return None
        known = self._db.photos.known([there]).get(there)
        if known is None or not known.agrees_with(file) or known.status != Status.OK or known.has_lost_a_face:
            return None
        return self._of_photo(known.id, known.faces, path)

    def of_content(self, digest: bytes, path: str) -> _Faces | None:
        """The faces of a photo whose file has this digest, wherever the gallery has met it."""
        known = self._db.photos.known_content(digest)
        if known is None or not known.faces or known.status_on_disk != Status.OK or known.has_lost_a_face:
            return None
        return self._of_photo(known.id, known.faces, path)

    def _of_photo(self, photo: int, count: int, path: str) -> _Faces | None:
        stored = self._db.faces.of_photo(photo, self._dim)
        if len(stored.boxes) != count or not count:  # some have no embedding of this model
            return None
        real = [i for i in range(count) if stored.are_faces[i]] or range(count)
        order = sorted(real, key=lambda i: -stored.boxes[i].area)
        return [
            Probe(
                Sighting(path, stored.boxes[i], stored.scores[i], len(order), stored.qualities[i], number),
                stored.embeddings[i],
            )
            for number, i in enumerate(order, 1)
        ]


def embed_probes(
    paths: Iterable[str],
    load_analyser: Callable[[], Analyser],
    max_side: int,
    known: KnownProbes | None = None,
    every_face: bool = False,
) -> Iterator[list[Probe | Unanswered]]:
    """The largest face of each photo, or every one, in order, a batch at a time. A photo that cannot be read or shows
    no face is said to be so in its place. `max_side` is the detector's. What is `known` is not computed, and networks
    are loaded for the first photo that needs them."""

    def analysis() -> stages.Analyse[str, Analysed]:
        analyser = load_analyser()
        return lambda photos: analyser.analyse([photo.view for photo in photos])

    def source() -> Iterator[stages.Job[str] | _Faces]:
        for path in paths:
            yield (known and known.of_file(path)) or stages.Job(path, _file_of(path))

    def recognise(items: Iterator[_Item]) -> Iterator[_Item]:
        for item in items:
            if known is not None and isinstance(item, stages.Loaded):
                yield known.of_content(digest_of(item.photo.data), item.key) or item
            else:
                yield item

    work = stages.Work(analysis, Pace.of_machine("cpu"), max_side=max_side, read=load_any)
    rows: list[stages.Found[str, Analysed] | stages.Failed[str] | _Faces]
    for rows in stages.run(source(), work, recognise):
        yield [probe for row in rows for probe in _probes_or_reason(row, every_face)]


def _file_of(path: str) -> PhotoFile:
    """The file with its size, 0 where that is not known, as of a pipe."""
    try:
        return PhotoFile(path, 0 if is_remote(path) else os.stat(path).st_size, 0)
    except (OSError, ValueError):  # to read it will say why
        return PhotoFile(path, 0, 0)


def _probes_or_reason(
    row: stages.Found[str, Analysed] | stages.Failed[str] | _Faces, every_face: bool
) -> Sequence[Probe | Unanswered]:
    if isinstance(row, stages.Failed):
        return [Unanswered(row.key, Status(row.error.status), row.error.reason)]
    faces = row if isinstance(row, list) else _all_of(row.key, row.result)
    if not faces:
        assert isinstance(row, stages.Found)
        return [Unanswered(row.key, Status.NO_FACE, "no face was found")]
    return faces if every_face else faces[:1]


class Chosen(NamedTuple):
    """Which face of a photo is meant: the `number`-th largest, or with None every one; `option` is that of the
    command that says so."""

    number: int | None = 1
    option: str = "--face"

    def of(self, path: str, count: int) -> list[int]:
        """The numbers that are meant, in a photo with so many faces. Raises UsageError when it has fewer."""
        if self.number is None:
            return list(range(1, count + 1))
        if not 1 <= self.number <= count:
            shows = f"{printable(path)} shows {count} face{'s' if count > 1 else ''}"
            raise UsageError(f"{shows}; {self.option} takes a number up to {count}.")
        return [self.number]


def embed_faces(
    analyser: Analyser, photos: Sequence[GivenPhoto], decode: Decode, chosen: Sequence[Chosen]
) -> list[_Faces]:
    """The faces of each photo that are chosen, the largest first; no others are embedded. `decode` is the pool's.
    Raises FaceSearchError when a photo cannot be read, NoFaceError when it has no face, UsageError when it has too
    few."""
    paths = [name_of(photo) for photo in photos]
    views = [_view(photo, analyser.max_side, decode) for photo in photos]
    found = analyser.find(views)
    numbers, faces = [], []
    for path, which, there in zip(paths, chosen, found, strict=True):
        if not there:
            raise NoFaceError(f"There is no face in {printable(path)}; try a larger or clearer photo.")
        order = by_size(there)
        numbers.append(which.of(path, len(there)))
        faces.append([there[order[number - 1]] for number in numbers[-1]])
    return [
        [
            Probe(Sighting(path, face.box, face.score, len(there), face.quality, number), embedding)
            for face, embedding, number in zip(embedded.faces, embedded.embeddings, which, strict=True)
        ]
        for path, there, embedded, which in zip(paths, found, analyser.embed(views, faces), numbers, strict=True)
    ]


def embed_view(analyser: Analyser, view: View, path: str) -> _Faces:
    """All faces of a decoded photo, the largest first; none where it shows none."""
    (found,) = analyser.analyse([view])
    return _all_of(path, found)


def _view(photo: GivenPhoto, max_side: int, decode: Decode) -> View:
    try:
        return given_view(photo, max_side, decode)
    except PhotoError as error:
        raise FaceSearchError(f"{printable(name_of(photo))} cannot be used: {error.reason}.") from error


def together(probes: Sequence[Probe]) -> Probe:
    """One question with all these faces, of one person."""
    first, *others = probes
    return Probe(first.sighting, first.embedding, tuple(others))


def _all_of(path: str, found: Analysed) -> _Faces:
    count = len(found.faces)
    probes = []
    for number, i in enumerate(by_size(found.faces), 1):
        face = found.faces[i]
        probes.append(Probe(Sighting(path, face.box, face.score, count, face.quality, number), found.embeddings[i]))
    return probes
