"""All faces of a data set's photos, as a gallery would hold them, with the one after whom each photo is named.

What was found is kept by model and content, as `portraits` keeps it, so that a second run reads the photos and no
more."""

import contextlib
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, Note
from facesearch.evaluation.cache import key_of
from facesearch.evaluation.portraits import ExpectedFace, Model, name_some
from facesearch.faces.analyser import Analyser
from facesearch.faces.choosing import most_central
from facesearch.files import printable, whole_file
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.home import home, private_folder
from facesearch.models.device import device_of
from facesearch.photos.file import PhotoFile

_SAVE_EVERY = 4096  # photos: what an interrupted run loses at most
_DIGEST = 16  # bytes


class _Photo(NamedTuple):
    """The faces of one photo, the central one first: boxes, (f, 4), scores, (f,), and embeddings, (f, dim). Where
    none was found it is the place where the data set's photos show it, with a score of 0."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    embeddings: Embeddings


class _Known(NamedTuple):
    """A photo of which an earlier run, or this one, knows all."""

    place: int
    photo: _Photo


@dataclass(frozen=True, slots=True)
class AllFaces:
    """The n faces of some photos, photo by photo: the place of each one's photo in the list, (n,), boxes, (n, 4), in
    pixels, scores, (n,), 0..1, embeddings, (n, dim), and whether its photo is named after it, (n,). `computed` photos
    were not known; `seconds` went by."""

    photos: NDArray[np.int64]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    embeddings: Embeddings
    is_named: NDArray[np.bool_]
    computed: int
    seconds: float

    def __len__(self) -> int:
        return len(self.photos)


def embed_all_faces(
    photos: Sequence[str],
    model: Model,
    expected: ExpectedFace,
    on_photo: Callable[[], None] = lambda: None,
    note: Note = lambda _: None,
) -> AllFaces:
    """Finds and embeds all faces. Raises FaceSearchError that names the first photos which cannot be read."""
    work = _Work(photos, model, expected, note)
    for _ in work.run():
        on_photo()
    return work.faces()


_Row: TypeAlias = stages.Found[int, _Photo] | stages.Failed[int] | _Known


class _Work:
    """What is known of the photos so far, and what is done with the others."""

    def __init__(self, photos: Sequence[str], model: Model, expected: ExpectedFace, note: Note) -> None:
        self._photos, self._model, self._expected, self._note = photos, model, expected, note
        self._started = time.perf_counter()
        device = device_of(model.embedder, model.device)
        served = device if device == "gpu" or model.computes_in == "float32" else model.computes_in
        key = key_of(model.embedder, model.detector, expected)
        self._cache = _Cache(f"{model.embedder.name}-{served}-{expected.data_set}-all", key, model.embedder.dim)
        self._found: list[_Photo | None] = [None] * len(photos)
        self._errors: list[str] = []
        self._computed = 0

    def run(self) -> Iterator[None]:
        """Analyses what the cache does not hold; yields once a photo."""
        work = stages.Work(self._analysis, Pace.of_machine("cpu"), max_side=self._model.detector.max_side)
        try:
            for rows in stages.run(self._jobs(), work, self._pass_known):
                for row in rows:
                    self._take(row)
                    yield
        finally:
            self._cache.save()

    def faces(self) -> AllFaces:
        """All faces. Raises FaceSearchError that names the photos which cannot be read."""
        if self._errors:
            photos = "1 photo" if len(self._errors) == 1 else f"{len(self._errors):,} photos"
            raise FaceSearchError(f"{photos} cannot be read: {name_some(self._errors)}; replace them.")
        found = [photo for photo in self._found if photo is not None]
        counts = [len(photo.scores) for photo in found]
        is_named = np.zeros(sum(counts), bool)
        is_named[np.cumsum([0, *counts[:-1]])] = True
        return AllFaces(
            photos=np.repeat(np.arange(len(found)), counts),
            boxes=np.concatenate([photo.boxes for photo in found]),
            scores=np.concatenate([photo.scores for photo in found]),
            embeddings=np.concatenate([photo.embeddings for photo in found]),
            is_named=is_named,
            computed=self._computed,
            seconds=time.perf_counter() - self._started,
        )

    def _jobs(self) -> Iterator[stages.Job[int]]:
        for place, photo in enumerate(self._photos):
            size = 0
            with suppress(OSError):  # to read it will say why
                size = os.stat(photo).st_size  # noqa: PTH116 (a path may hold bytes that are not UTF-8)
            yield stages.Job(place, PhotoFile(photo, size, 0))

    def _pass_known(
        self, items: Iterator[stages.Loaded[int] | stages.Failed[int] | _Known]
    ) -> Iterator[stages.Loaded[int] | stages.Failed[int] | _Known]:
        for item in items:
            known = self._cache.photos.get(item.photo.digest) if isinstance(item, stages.Loaded) else None
            yield item if known is None or not isinstance(item, stages.Loaded) else _Known(item.key, known)

    def _analysis(self) -> stages.Analyse[int, _Photo]:
        analyser = Analyser.load(
            self._model.detector, self._model.embedder, self._model.device, 1, self._note, self._model.precision
        )
        return partial(self._analyse, analyser)

    def _analyse(self, analyser: Analyser, photos: Sequence[stages.Decoded[int]]) -> list[_Photo]:
        views = [photo.view for photo in photos]
        faces = []
        for view, found in zip(views, analyser.find(views), strict=True):
            named = most_central(view.size, found) if found else self._expected.face(view.size)
            faces.append([named, *(face for face in found if face is not named)])
        return [
            _Photo(
                np.array([face.box for face in each.faces], np.float32),
                np.array([face.score for face in each.faces], np.float32),
                each.embeddings,
            )
            for each in analyser.embed(views, faces)
        ]

    def _take(self, row: _Row) -> None:
        if isinstance(row, stages.Failed):
            self._errors.append(f"{printable(row.file.path)} ({row.error.reason})")
        elif isinstance(row, _Known):
            self._found[row.place] = row.photo
        else:
            self._found[row.key] = row.result
            self._computed += row.digest not in self._cache.photos
            self._cache.put(row.digest, row.result)
            if self._computed and self._computed % _SAVE_EVERY == 0:
                self._cache.save()


class _Cache:
    """The faces of photos by the digest of their bytes, in one file of a model. A file that is damaged, or of another
    key, counts as none, and `save` replaces it."""

    def __init__(self, name: str, key: str, dim: int) -> None:
        self._name, self._path, self._dim = name, home() / "cache" / f"{name}-{key}.npz", dim
        self.photos: dict[bytes, _Photo] = {}
        self._changed = False
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self._read()

    def put(self, digest: bytes, photo: _Photo) -> None:
        """Remembers a photo."""
        self.photos[digest] = photo
        self._changed = True

    def save(self) -> None:
        """Writes what is new, whole or not at all, in place of what other versions of the model left. Raises
        FaceSearchError when the disk refuses it."""
        if not self._changed:
            return
        try:
            self._write()
        except OSError as error:
            raise FaceSearchError(f"{self._path} cannot be written ({error.strerror}); free some space.") from error
        self._changed = False

    def _write(self) -> None:
        private_folder(self._path.parent)
        photos = self.photos.values()
        with whole_file(self._path) as file:
            np.savez(
                file,
                digests=np.frombuffer(b"".join(self.photos), np.uint8).reshape(-1, _DIGEST),
                counts=np.array([len(photo.scores) for photo in photos]),
                boxes=np.concatenate([photo.boxes for photo in photos]),
                scores=np.concatenate([photo.scores for photo in photos]),
                embeddings=np.concatenate([photo.embeddings for photo in photos]),
            )
        for path in self._others():
            path.unlink(missing_ok=True)

    def _others(self) -> list[Path]:
        return [path for path in self._path.parent.glob(f"{self._name}-????????????????.npz") if path != self._path]

    def _read(self) -> None:
        names = ("digests", "counts", "boxes", "scores", "embeddings")
        with np.load(self._path, allow_pickle=False) as file:
            digests, counts, *columns = (file[name] for name in names)
        if len(counts) != len(digests) or any(len(column) != counts.sum() for column in columns):
            raise ValueError("the arrays do not fit together")
        if columns[2].shape[1:] != (self._dim,):
            raise ValueError("the embeddings are another model's")
        borders = np.cumsum(counts)[:-1]
        split = (np.split(column, borders) for column in columns)
        for digest, *photo in zip(digests, *split, strict=True):
            self.photos[digest.tobytes()] = _Photo(*photo)
