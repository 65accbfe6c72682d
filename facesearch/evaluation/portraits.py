"""Photos of a data set as embeddings: each photo shows one person, and is detected and embedded once.

The person is the face nearest the photo's centre, after whom the photo is named: the largest may be a bystander. What
was embedded is kept by model, alignment and content, so that a second run reads the photos and no more."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, Note
from facesearch.evaluation.cache import Cache, Entry, key_of
from facesearch.faces.analyser import Analyser, cut_out, find_faces
from facesearch.faces.choosing import most_central
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import DetectorCard, EmbedderCard
from facesearch.models.device import Device, Precision, device_of
from facesearch.models.serving import precision_on_cpu
from facesearch.photos.file import PhotoFile

_NAMED = 5  # photos that an error names
_SAVE_EVERY = 4096  # photos: what an interrupted run loses at most

Landmarks: TypeAlias = tuple[Point, Point, Point, Point, Point]


class ExpectedFace(NamedTuple):
    """Where the photos of a data set show the face, for a photo in which none is found: landmarks in shares of the
    photo's width and height. Where the data set `is_aligned` to it no face is searched for at all."""

    data_set: str
    landmarks: tuple[tuple[float, float], ...]
    is_aligned: bool = False

    def face(self, size: tuple[int, int]) -> Face:
        """That face, with a box around its landmarks, in a photo of this width and height."""
        width, height = size
        points = np.array(self.landmarks) * (width, height)
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        # The landmarks span 0.46 of a box's width and 0.38 of its height, and begin at 0.29 and 0.39 of them.
        box_width, box_height = (right - left) / 0.46, (bottom - top) / 0.38
        left, top = left - 0.29 * box_width, top - 0.39 * box_height
        box = np.clip([left, top, left + box_width, top + box_height], 0, [width, height, width, height])
        return Face(
            Box(*box.tolist()),
            0.0,
            _five(Point(*point) for point in points.tolist()),
        )


@dataclass(frozen=True, slots=True)
class Model:
    """What embeds: the two cards, the device that was chosen, and in which numbers the CPU may compute."""

    embedder: EmbedderCard
    detector: DetectorCard
    device: Device = "cpu"
    precision: Precision = "float32"

    @property
    def computes_in(self) -> str:
        """The numbers that the embedder computes in on a CPU."""
        return precision_on_cpu(self.embedder, self.precision)


@dataclass(slots=True)
class Seconds:
    """Time spent in each stage, summed over threads, and in all by the clock."""

    decode: float = 0.0
    detect: float = 0.0
    align: float = 0.0
    embed: float = 0.0
    total: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def add(self, stage: str, since: float) -> float:
        """Adds the time since then to a stage; the time now."""
        now = time.perf_counter()
        with self._lock:
            setattr(self, stage, getattr(self, stage) + now - since)
        return now

    def as_dict(self) -> dict[str, float]:
        """By stage."""
        return {stage: getattr(self, stage) for stage in ("decode", "detect", "align", "embed", "total")}


@dataclass(frozen=True, slots=True)
class Portraits:
    """One row a photo: the embedding, (n, dim), of its face, and whether one was found (else it is that of the
    place where the data set's photos show it); the faces' boxes, (n, 4)."""

    photos: tuple[str, ...]
    embeddings: Embeddings
    found: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    seconds: Seconds
    computed: int  # photos that were not in the cache


def embed_portraits(
    photos: Sequence[str],
    model: Model,
    expected: ExpectedFace,
    on_photo: Callable[[], None] = lambda: None,
    note: Note = lambda _: None,
) -> Portraits:
    """Embeds each photo. Raises FaceSearchError that names the first photos which cannot be read."""
    work = _Work(photos, model, expected, note)
    for _ in work.run():
        on_photo()
    return work.portraits()


class _Cached(NamedTuple):
    """A photo of which an earlier run, or this one, knows all: its place in the list, and that."""

    place: int
    entry: Entry


_Read: TypeAlias = stages.Loaded[int] | stages.Failed[int] | _Cached


class _Work:
    """What is known of the photos so far, and what is done with the others."""

    def __init__(self, photos: Sequence[str], model: Model, expected: ExpectedFace, note: Note) -> None:
        self._photos, self._model, self._expected, self._note = photos, model, expected, note
        self._started = time.perf_counter()
        self._seconds = Seconds()
        device = device_of(model.embedder, model.device)
        key = key_of(model.embedder, model.detector, expected)
        served = device if device == "gpu" or model.computes_in == "float32" else model.computes_in
        self._cache = Cache(f"{model.embedder.name}-{served}-{expected.data_set}", key, model.embedder.dim)
        self._entries: list[Entry | None] = [None] * len(photos)
        self._errors: list[tuple[str, str]] = []
        self._computed = 0

    def run(self) -> Iterator[None]:
        """Embeds what the cache does not hold; yields once a photo."""
        detector = self._model.detector
        work = stages.Work(self._analysis, Pace.of_machine("cpu"), max_side=detector.max_side)
        try:
            for rows in stages.run(self._jobs(), work, self._pass_cached):
                for row in rows:
                    self._take(row)
                    yield
        finally:
            self._cache.save()

    def portraits(self) -> Portraits:
        """All rows. Raises FaceSearchError that names the photos which cannot be read."""
        if self._errors:
            raise FaceSearchError(_cannot_read(self._errors))
        entries = [entry for entry in self._entries if entry is not None]
        self._seconds.add("total", self._started)
        return Portraits(
            photos=tuple(self._photos),
            embeddings=np.array([entry.embedding for entry in entries]).reshape(-1, self._model.embedder.dim),
            found=np.array([entry.found for entry in entries], bool),
            boxes=np.array([entry.box for entry in entries], np.float32).reshape(-1, 4),
            seconds=self._seconds,
            computed=self._computed,
        )

    def _jobs(self) -> Iterator[stages.Job[int]]:
        """Each photo with its place in the list."""
        for place, photo in enumerate(self._photos):
            size = 0
            with suppress(OSError):  # to read it will say why
                size = os.stat(photo).st_size  # noqa: PTH116 (a path may hold bytes that are not UTF-8)
            yield stages.Job(place, PhotoFile(photo, size, 0))

    def _pass_cached(self, items: Iterator[_Read]) -> Iterator[_Read]:
        for item in items:
            entry = self._cache.get(item.photo.digest) if isinstance(item, stages.Loaded) else None
            yield item if entry is None or not isinstance(item, stages.Loaded) else _Cached(item.key, entry)

    def _analysis(self) -> stages.Analyse[int, Entry]:
        """The networks, each call on one core, as each core takes whole batches."""
        analyser = Analyser.load(
            self._model.detector, self._model.embedder, self._model.device, 1, self._note, self._model.precision
        )
        return partial(self._embed, analyser)

    def _embed(self, analyser: Analyser, photos: Sequence[stages.Decoded[int]]) -> list[Entry]:
        now = time.perf_counter()
        views = [photo.view for photo in photos]
        found: list[list[Face]] = [[]] * len(views)
        if not self._expected.is_aligned:
            found = find_faces(analyser.detector, views)
            now = self._seconds.add("detect", now)
        chosen = [
            most_central(view.size, faces) if faces else self._expected.face(view.size)
            for view, faces in zip(views, found, strict=True)
        ]
        aligner = analyser.embedder.aligner
        chips = [cut_out(view, [face], aligner) for view, face in zip(views, chosen, strict=True)]
        now = self._seconds.add("align", now)
        rows = analyser.embedder.embed(np.concatenate(chips))
        self._seconds.add("embed", now)
        return [
            Entry(bool(faces) or self._expected.is_aligned, face.box, row)
            for faces, face, row in zip(found, chosen, rows, strict=True)
        ]

    def _take(self, row: stages.Found[int, Entry] | stages.Failed[int] | _Cached) -> None:
        if isinstance(row, stages.Failed):
            self._errors.append((row.file.path, row.error.reason))
        elif isinstance(row, _Cached):
            self._entries[row.place] = row.entry
        else:
            self._entries[row.key] = row.result
            self._seconds.decode += row.seconds
            if self._cache.put(row.digest, row.result):
                self._computed += 1
                if self._computed % _SAVE_EVERY == 0:
                    self._cache.save()


def name_some(paths: Sequence[str]) -> str:
    """The first of these paths, for a sentence."""
    named = ", ".join(printable(path) for path in paths[:_NAMED])
    return f"{named} and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else named


def _cannot_read(errors: Sequence[tuple[str, str]]) -> str:
    paths = [f"{path} ({reason})" for path, reason in errors]
    photos = "1 photo" if len(paths) == 1 else f"{len(paths):,} photos"
    return f"{photos} cannot be read: {name_some(paths)}; replace them, or leave their pairs out."


def _five(points: Iterable[Point]) -> Landmarks:
    a, b, c, d, e = points
    return a, b, c, d, e
