"""The order in which a photo becomes what is wanted of it: read, decoded, analysed. It is written here, once.

One stream runs through all stages, in the order of its source. Reading and decoding have threads of their own beside
the analysis, which takes whole batches, one for each core. What needs no work passes by in its place. Queues are
bounded by number and by weight, so memory does not grow with the collection."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from facesearch.errors import FaceSearchError, PhotoError
from facesearch.flow.pace import LOADED_AHEAD, Pace
from facesearch.flow.stream import ordered, threads
from facesearch.interruption import at_once, is_raised, orderly
from facesearch.photos.file import MAX_MEGAPIXELS, LoadedPhoto, PhotoFile, load_named_photo
from facesearch.photos.pool import SECONDS, Decoders
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import View

Key = TypeVar("Key")  # what the source knows a photo by
Passed = TypeVar("Passed")  # what the source gives in place of a photo that needs no work
Result = TypeVar("Result")  # what the analysis makes of a photo

_GRACE = 0.5  # seconds that what is being analysed has after an interruption: it is to be answered within one
_BATCH_ITEMS = 1024  # what passes by included
_OUT_OF_MEMORY = ("failed to allocate", "bad_alloc", "out of memory", "resource_exhausted", "resource exhausted")


@dataclass(frozen=True, slots=True)
class Job(Generic[Key]):
    """A photo to work on."""

    key: Key
    file: PhotoFile


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Key]):
    """A photo whose bytes are there."""

    key: Key
    photo: LoadedPhoto


@dataclass(frozen=True, slots=True)
class Decoded(Generic[Key]):
    """A photo that is ready to be analysed, its content's digest, and the seconds that decoding took."""

    key: Key
    file: PhotoFile
    digest: bytes
    view: View
    seconds: float

    @property
    def weight(self) -> int:
        """Pixels in memory; what is kept of the file counts as if it were some."""
        return (self.view.pixels.size + len(self.view.data)) // 3


@dataclass(frozen=True, slots=True)
class Found(Generic[Key, Result]):
    """A photo that was analysed: the digest of its content, its width and height, those of the version in which it
    was analysed, what is to be said of it (as of one that is cut off), the seconds that decoding took, the result,
    and when it was taken (empty where that is not known)."""

    key: Key
    file: PhotoFile
    digest: bytes
    size: tuple[int, int]
    seen_size: tuple[int, int]
    note: str
    seconds: float
    result: Result
    taken: str = ""


@dataclass(frozen=True, slots=True)
class Failed(Generic[Key]):
    """A photo that cannot be used, and its content's digest if its bytes could be read."""

    key: Key
    file: PhotoFile
    digest: bytes | None
    error: PhotoError


Row: TypeAlias = Found[Key, Result] | Failed[Key] | Passed
Analyse: TypeAlias = Callable[[Sequence[Decoded[Key]]], Sequence[Result]]
Read: TypeAlias = Callable[[PhotoFile], LoadedPhoto | None]
Leave: TypeAlias = Callable[[PhotoFile], None]
# Photos that turn out to be known once their bytes are there: takes the stream after reading, and gives it back with
# something that passes by in their place.
Recognise: TypeAlias = Callable[
    [Iterator[Loaded[Key] | Failed[Key] | Passed]], Iterator[Loaded[Key] | Failed[Key] | Passed]
]


@dataclass(frozen=True, slots=True)
class Work(Generic[Key, Result]):
    """What is done with the photos of a stream. `make_analysis` is called when the first photo is decoded; what it
    gives takes a batch and returns one result a photo, on several threads at once. Photos are decoded with a longest
    side of `max_side` pixels (0: whole), and one of more than `max_megapixels`, or that takes longer than `seconds`,
    fails. `read` gives a file's bytes, or None for a file that is not a photo and leaves the stream. An
    interruption is raised at once, or with `keeps_begun` when the batches that are being analysed have come out, or
    half a second later."""

    make_analysis: Callable[[], Analyse[Key, Result]]
    pace: Pace
    max_side: int = 0
    max_megapixels: float = MAX_MEGAPIXELS
    seconds: float = SECONDS
    read: Read = load_named_photo
    keeps_begun: bool = False


class Flow(Protocol[Key, Result]):
    """Who does the work of a run, here or elsewhere."""

    def run(
        self,
        source: Iterable[Job[Key] | Passed],
        recognise: Recognise[Key, Passed] | None = None,
        leave: Leave = lambda _: None,
    ) -> Iterator[list[Row[Key, Result, Passed]]]:
        """Yields a row for each item of a source, in batches. `recognise` makes something that passes by of photos
        whose content turns out to be known; `leave` hears, on any thread, of each file that is no photo and has no
        row. Raises FaceSearchError when the work cannot be done at all."""
        ...


@dataclass(frozen=True, slots=True)
class Here(Generic[Key, Result]):
    """A flow through this process: rows come in the order of their source."""

    work: Work[Key, Result]

    def run(
        self,
        source: Iterable[Job[Key] | Passed],
        recognise: Recognise[Key, Passed] | None = None,
        leave: Leave = lambda _: None,
    ) -> Iterator[list[Row[Key, Result, Passed]]]:
        """As `stages.run`."""

        def read(file: PhotoFile) -> LoadedPhoto | None:
            photo = self.work.read(file)
            if photo is None:
                leave(file)
            return photo

        yield from run(source, replace(self.work, read=read), recognise)


def run(
    source: Iterable[Job[Key] | Passed],
    work: Work[Key, Result],
    recognise: Recognise[Key, Passed] | None = None,
) -> Iterator[list[Row[Key, Result, Passed]]]:
    """Works on the photos of a source and yields a row for each item, in order, in batches. A photo that breaks its
    decoder or a stage fails alone. Raises FaceSearchError when the analysis cannot be made."""
    with Stages(work) as stages, orderly(stages.stop) if work.keeps_begun else nullcontext():
        yield from stages.run(source, recognise)


class Stages(Generic[Key, Result]):
    """The stages with their threads and decoders, which live as long as the block in which it is open. What goes
    through them may be several sources, one after the other or at the same time; what passes by is of any type."""

    def __init__(self, work: Work[Key, Result]) -> None:
        self._work, self._pace = work, work.pace
        self._analysis: Analyse[Key, Result] | None = None
        self._stopped: float | None = None
        self._open = ExitStack()
        self._decoders = Decoders(self._pace.threads + 1, work.max_megapixels, work.seconds)

    def __enter__(self) -> "Stages[Key, Result]":
        self._readers = self._open.enter_context(threads(self._pace.threads + 1))
        self._analysts = self._open.enter_context(threads(self._pace.threads))
        self._open.enter_context(self._decoders)
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def run(
        self, source: Iterable[Any], recognise: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    ) -> Iterator[list[Any]]:
        """As `stages.run`, but for interruptions: of these `stop` hears, if somebody calls it."""
        pace, readers = self._pace, self._readers
        # In the order of the stages; each takes from the one before as it is asked for more.
        ahead = 2 * pace.batch
        read = ordered(readers, self._load, self._until_stopped(source), ahead, LOADED_AHEAD, weigh=self._weigh)
        loaded = (item for item in read if item is not None)
        new = recognise(loaded) if recognise else loaded
        decoded = ordered(readers, self._decode, new, ahead, pace.bytes_decoded_ahead, weigh=self._weigh)
        yield from ordered(
            self._analysts,
            self._analyse,
            self._with_analysis(_batches(decoded, pace)),
            pace.threads + 1,
            pace.pixels_analysed_ahead,
            weigh=_weigh_batch,
            gives_up=self._gives_up,
        )

    def stop(self) -> None:
        """Nothing more is begun; what is being analysed still reaches the end of the stream, if it is soon done."""
        self._stopped = time.perf_counter()
        self._decoders.stop()

    def _until_stopped(self, source: Iterable[Any]) -> Iterator[Any]:
        for item in source:
            if self._stopped is not None:
                return
            yield item

    def _gives_up(self) -> bool:
        return is_raised() or (self._stopped is not None and time.perf_counter() - self._stopped > _GRACE)

    def _load(self, job: Job[Key] | Loaded[Key]) -> Loaded[Key] | Failed[Key] | None:
        if isinstance(job, Loaded):  # a source may have read it
            return job
        try:
            photo = self._work.read(job.file)
        except PhotoError as error:
            return Failed(job.key, job.file, None, error)
        return None if photo is None else Loaded(job.key, photo)

    def _decode(self, item: Loaded[Key]) -> Decoded[Key] | Failed[Key]:
        photo, started = item.photo, time.perf_counter()
        try:
            view = self._decoders.decode(photo.data, self._work.max_side, photo.size)
        except PhotoError as error:
            return Failed(item.key, photo.file, photo.digest, error)
        return Decoded(item.key, photo.file, photo.digest, view, time.perf_counter() - started)

    def _weigh(self, item: object) -> int | None:
        """The bytes that a call with this item holds in memory; None for what passes by."""
        match item:
            case Job():
                return item.file.size
            case Loaded():
                return item.photo.bytes_when_decoded(self._work.max_side)
        return None

    def _with_analysis(self, batches: Iterable[list[object]]) -> Iterator[list[object]]:
        """The batches, until the run is to stop; the analysis is made before the first one that needs it."""
        for batch in batches:
            if self._stopped is not None:  # its photos may have failed because of that alone
                return
            if self._analysis is None and any(isinstance(item, Decoded) for item in batch):
                with at_once():
                    self._analysis = self._work.make_analysis()
            yield batch

    def _analyse(self, batch: list[object]) -> list[object]:
        """A row for each item. Should a photo break a stage, it alone fails."""
        decoded = [item for item in batch if isinstance(item, Decoded)]
        if self._analysis is None or not decoded:
            return batch
        try:
            results = iter(self._analysis(decoded))
        except Exception as error:
            if isinstance(error, FaceSearchError) and not isinstance(error, PhotoError):
                raise
            if len(decoded) > 1:
                return [row for item in batch for row in self._analyse([item])]
            (photo,) = decoded
            failed = Failed(photo.key, photo.file, photo.digest, _as_photo_error(error))
            return [failed if isinstance(item, Decoded) else item for item in batch]
        return [_found(item, next(results)) if isinstance(item, Decoded) else item for item in batch]


def _found(item: Decoded[Key], result: Result) -> Found[Key, Result]:
    view = item.view
    height, width = view.pixels.shape[:2]
    seen = view.size, (width, height), view.note
    return Found(item.key, item.file, item.digest, *seen, item.seconds, result, view.taken)


def _batches(items: Iterable[object], pace: Pace) -> Iterator[list[object]]:
    """The items in batches of some photos to analyse, and what passes by between them."""
    batch: list[object] = []
    photos = pixels = 0
    for item in items:
        batch.append(item)
        if isinstance(item, Decoded):
            photos += 1
            pixels += item.weight
        if photos >= pace.batch or pixels >= pace.pixels or len(batch) >= _BATCH_ITEMS:
            yield batch
            batch, photos, pixels = [], 0, 0
    if batch:
        yield batch


def _weigh_batch(batch: list[object]) -> int:
    """Pixels."""
    return sum(item.weight for item in batch if isinstance(item, Decoded))


def _as_photo_error(error: Exception) -> PhotoError:
    """Why a photo broke a stage. Engines say only in words that memory ran out."""
    if isinstance(error, PhotoError):
        return error
    text = str(error).lower()
    is_memory = isinstance(error, MemoryError | OSError) or any(word in text for word in _OUT_OF_MEMORY)
    return PhotoError(Status.CRASHED, f"{type(error).__name__}: {error}", Cause.MACHINE if is_memory else Cause.FILE)
