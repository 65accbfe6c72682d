"""Photos of a data set as embeddings: each photo shows one person, and is detected and embedded once.

The person is the face nearest the photo's centre, after whom the photo is named: the largest may be a bystander. What
was embedded is kept by model, alignment and content, so that a second run reads the photos and no more."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, Note, PhotoError
from facesearch.evaluation.cache import Cache, Entry, key_of
from facesearch.faces.analyser import Analyser, cut_out, find_faces
from facesearch.files import printable
from facesearch.flow.pace import ANALYSED_AHEAD, BATCH, BATCH_PIXELS, DECODED_AHEAD, LOADED_AHEAD, MOST_WORKERS
from facesearch.flow.stream import batched, ordered, threads
from facesearch.geometry.face import Box, Face, Point
from facesearch.home import cores
from facesearch.models.cards import DetectorCard, EmbedderCard
from facesearch.models.device import Device, device_of
from facesearch.photos.file import LoadedPhoto, PhotoFile, load
from facesearch.photos.pool import Decoders
from facesearch.photos.view import View

_NAMED = 5  # photos that an error names
_SAVE_EVERY = 4096  # photos: what an interrupted run loses at most

Landmarks: TypeAlias = tuple[Point, Point, Point, Point, Point]


class Usual(NamedTuple):
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
    """What embeds: the two cards, and the device that was chosen."""

    embedder: EmbedderCard
    detector: DetectorCard
    device: Device = "cpu"


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
    usual: Usual,
    on_photo: Callable[[], None] = lambda: None,
    note: Note = lambda _: None,
) -> Portraits:
    """Embeds each photo. Raises FaceSearchError that names the first photos which cannot be read."""
    work = _Work(photos, model, usual, note)
    for _ in work.run():
        on_photo()
    return work.portraits()


class _Item(NamedTuple):
    """A photo on its way: `row` is its place in the list; what is known of it grows."""

    row: int
    file: PhotoFile
    digest: bytes = b""
    loaded: LoadedPhoto | None = None
    view: View | None = None
    entry: Entry | None = None
    error: str | None = None


class _Work:
    """What the stages share."""

    def __init__(self, photos: Sequence[str], model: Model, usual: Usual, note: Note) -> None:
        self._photos, self._model, self._usual, self._note = photos, model, usual, note
        self._started = time.perf_counter()
        self._seconds = Seconds()
        self._device = device_of(model.embedder, model.device)
        key = key_of(model.embedder, model.detector, usual)
        self._cache = Cache(f"{model.embedder.name}-{self._device}-{usual.data_set}", key, model.embedder.dim)
        self._entries: list[Entry | None] = [None] * len(photos)
        self._errors: list[tuple[str, str]] = []
        self._computed = 0
        self._analyser: Analyser | None = None

    def run(self) -> Iterator[None]:
        """Embeds what the cache does not hold; yields once a photo."""
        try:
            yield from self._stages()
        finally:
            self._cache.save()

    def portraits(self) -> Portraits:
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

    def _stages(self) -> Iterator[None]:
        workers = min(cores(), MOST_WORKERS)
        with ExitStack() as stack:
            readers = stack.enter_context(threads(workers + 1))
            analysts = stack.enter_context(threads(workers))
            on = partial(ordered, weigh=self._weight, is_finished=_is_finished)
            loaded = on(readers, self._load, self._items(), 2 * BATCH, LOADED_AHEAD)
            decode = partial(self._decode, stack.enter_context(Decoders(workers + 1)))
            decoded = on(readers, decode, loaded, 2 * BATCH, DECODED_AHEAD)
            for batch in on(analysts, self._analyse, self._batches(decoded), workers + 1, ANALYSED_AHEAD):
                for item in batch:
                    self._take(item)
                    yield

    def _items(self) -> Iterator[_Item]:
        for row, photo in enumerate(self._photos):
            try:
                size = os.stat(photo).st_size  # noqa: PTH116 (a path may hold bytes that are no UTF-8)
            except OSError as error:
                yield _Item(row, PhotoFile(photo, 0, 0), error=f"cannot be opened: {error.strerror}")
            else:
                yield _Item(row, PhotoFile(photo, size, 0))

    def _load(self, item: _Item) -> _Item:
        try:
            loaded = load(item.file)
        except PhotoError as error:
            return item._replace(error=error.reason)
        if loaded is None:
            return item._replace(error="its content is not an image of a known format")
        entry = self._cache.get(loaded.digest)
        return item._replace(digest=loaded.digest, loaded=None if entry else loaded, entry=entry)

    def _decode(self, decoders: Decoders, item: _Item) -> _Item:
        assert item.loaded is not None
        started = time.perf_counter()
        try:
            view = decoders.decode(item.loaded.data, self._model.detector.max_side, item.loaded.size)
        except PhotoError as error:
            return item._replace(loaded=None, error=error.reason)
        self._seconds.add("decode", started)
        return item._replace(loaded=None, view=view)

    def _batches(self, items: Iterable[_Item]) -> Iterator[list[_Item]]:
        """Batches of photos to analyse; the networks are loaded before the first one that needs them."""
        for batch in batched(items, BATCH, BATCH_PIXELS, _pixels):
            if self._analyser is None and any(map(_pixels, batch)):
                self._analyser = self._loaded()
            yield batch

    def _loaded(self) -> Analyser:
        """The networks, each call on one core, as each core takes whole batches."""
        return Analyser.load(self._model.detector, self._model.embedder, self._model.device, 1, self._note)

    def _analyse(self, batch: list[_Item]) -> list[_Item]:
        views = [item.view for item in batch if item.view is not None]
        if not views or self._analyser is None:
            return batch
        entries = iter(self._embedded(self._analyser, views))
        return [item if item.view is None else item._replace(view=None, entry=next(entries)) for item in batch]

    def _embedded(self, analyser: Analyser, views: list[View]) -> Iterator[Entry]:
        now = time.perf_counter()
        found: list[list[Face]] = [[]] * len(views)
        if not self._usual.is_aligned:
            found = find_faces(analyser.detector, views)
            now = self._seconds.add("detect", now)
        chosen = [
            most_central(view.size, faces) if faces else self._usual.face(view.size)
            for view, faces in zip(views, found, strict=True)
        ]
        aligner = analyser.embedder.aligner
        chips = [cut_out(view, [face], aligner) for view, face in zip(views, chosen, strict=True)]
        now = self._seconds.add("align", now)
        rows = analyser.embedder.embed(np.concatenate(chips))
        self._seconds.add("embed", now)
        for faces, face, row in zip(found, chosen, rows, strict=True):
            yield Entry(bool(faces) or self._usual.is_aligned, face.box, row)

    def _weight(self, item: object) -> int:
        """What a call with this item holds in memory: bytes of a file, or pixels."""
        if isinstance(item, list):
            return sum(map(_pixels, item))
        assert isinstance(item, _Item)
        loaded = item.loaded
        return item.file.size if loaded is None else loaded.bytes_when_decoded(self._model.detector.max_side)

    def _take(self, item: _Item) -> None:
        if item.error is not None:
            self._errors.append((item.file.path, item.error))
            return
        assert item.entry is not None
        self._entries[item.row] = item.entry
        if self._cache.put(item.digest, item.entry):
            self._computed += 1
            if self._computed % _SAVE_EVERY == 0:
                self._cache.save()


def most_central(size: tuple[int, int], faces: Sequence[Face]) -> Face:
    """The face whose box's centre is nearest to that of the photo, whose width and height are given."""
    width, height = size

    def distance(face: Face) -> float:
        box = face.box
        return float(np.hypot(box.left + box.right - width, box.top + box.bottom - height))

    return min(faces, key=distance)


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


def _pixels(item: _Item) -> int:
    return 0 if item.view is None else item.view.pixels.size // 3


def _is_finished(item: object) -> bool:
    return isinstance(item, _Item) and (item.entry is not None or item.error is not None)
