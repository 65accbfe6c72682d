"""The work of a run done by workers on a cluster: photos go out in batches, rows come back in any order.

This process reads the bytes of few photos: of those that it may know already, which it then need not send; and of
those that no node sees, which then travel. It never works on one."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from facesearch.cluster.ray_ledger import Ledger
from facesearch.cluster.ray_records import Crew, Done, Item, Lost
from facesearch.errors import Note, PhotoError
from facesearch.flow.pace import LOADED_AHEAD
from facesearch.flow.stages import Failed, Found, Job, Leave, Loaded, Read, Recognise
from facesearch.flow.stream import threads
from facesearch.interruption import orderly
from facesearch.photos.file import LoadedPhoto, PhotoFile
from facesearch.photos.status import Cause, Status

# That a file's content is known may be told by its size and times: `likely` where both are those of a known photo,
# `perhaps` where the size is.
Likeness: TypeAlias = Literal["no", "perhaps", "likely"]

GRACE = 5.0  # seconds in which rows still arrive after an interruption
_READERS = 4  # threads; they wait for disks and compute digests
_AT_ONCE = 64  # photos that are being read here, at most
_SLICE = 0.2  # seconds of looking for photos between two looks at what has come
_PASSING = 1024  # rows of photos that need no work, at most, before they are handed on
_PAUSE, _SHORT = 0.2, 0.01  # seconds
_SILENCE = 30.0  # seconds, after which somebody would like to know


@dataclass(frozen=True, slots=True)
class Means:
    """What a flow needs beside its crew: how photos are read here, how likely it is that one is known, and how many
    go out at once."""

    read: Read
    likeness: Callable[[PhotoFile], Likeness]
    batch: int
    note: Note


class OnRay:
    """A flow through the workers of a cluster. `assemble` is called when the first photo needs them; it hears which
    ones those are, and gives the same crew again and again."""

    def __init__(self, assemble: Callable[[list[PhotoFile]], Crew], means: Means) -> None:
        self._assemble, self._means = assemble, means

    def run(
        self,
        source: Iterable[Any],
        recognise: Recognise[Any, Any] | None = None,
        leave: Leave = lambda _: None,
    ) -> Iterator[list[Any]]:
        """As `Flow.run`; rows come in any order. What is interrupted stores what arrives within five seconds."""
        course = _Course(self._assemble, self._means, recognise, leave)
        with threads(_READERS) as readers, orderly(course.stop):
            yield from course.rows(iter(source), readers.submit)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A photo that is being read here: to be recognised, or because its bytes are to travel."""

    job: Job[Any]
    travels: bool
    result: "Future[LoadedPhoto | None]"
    blind: "_Blind | None" = None


@dataclass(frozen=True, slots=True)
class _Blind:
    """A node saw none of the photos of a batch, and why not."""

    batch: int
    node: str
    why: str


class _Course:
    """One source on its way through the workers."""

    def __init__(
        self,
        assemble: Callable[[list[PhotoFile]], Crew],
        means: Means,
        recognise: Recognise[Any, Any] | None,
        leave: Leave,
    ) -> None:
        self._assemble, self._means, self._recognise, self._leave = assemble, means, recognise, leave
        self._crew: Crew | None = None
        self._ledger = Ledger()
        self._jobs: list[Item] = []  # that make the next batch
        self._readings: deque[_Reading] = deque()
        self._unread: deque[tuple[Job[Any], _Blind | None]] = deque()  # that a node does not see, to be read here
        self._doubted: set[int] = set()  # batches of which a node saw nothing, and this machine something
        self._rows: list[Any] = []
        self._is_at_end = False
        self._stopped: float | None = None
        self._heard = time.monotonic()
        self._failure: Exception | None = None  # of the source

    def stop(self) -> None:
        """No batch goes out any more; what is out may come back for some seconds."""
        self._stopped = self._stopped or time.monotonic()

    def rows(self, source: Iterator[Any], submit: Callable[..., Any]) -> Iterator[list[Any]]:
        """Rows as they come, some at a time."""
        while not self._is_over():
            if self._stopped is None:
                self._take(source, submit)
                self._take_unread(submit)
                self._settle_read()
                self._hand_out()
            self._collect()
            if self._rows:
                rows, self._rows = self._rows, []
                yield rows
                self._heard = time.monotonic()  # whoever takes them takes the time that it takes
        if self._failure is not None:
            raise self._failure

    def _is_over(self) -> bool:
        busy = self._crew.busy if self._crew else 0
        if self._stopped is not None:
            return not busy or time.monotonic() - self._stopped > GRACE
        waits = self._jobs or self._readings or self._unread or len(self._ledger)
        return self._is_at_end and not busy and not waits

    def _take(self, source: Iterator[Any], submit: Callable[..., Any]) -> None:
        """Takes from the source until the workers have enough, or for a moment."""
        until = time.monotonic() + _SLICE
        while self._has_room() and time.monotonic() < until:
            try:
                item = next(source, None)
            except Exception as error:  # what is out would come back into the next source's rows
                self._failure = error
                item = None
            if item is None:
                self._is_at_end = True
                return
            if not isinstance(item, Job):
                self._rows.append(item)
            elif self._is_to_be_read(item.file):
                self._readings.append(_Reading(item, False, submit(self._means.read, item.file)))
            else:
                self._add(item)

    def _has_room(self) -> bool:
        if self._is_at_end or len(self._rows) >= _PASSING or len(self._readings) >= _AT_ONCE:
            return False
        if self._readings and self._held() >= LOADED_AHEAD:
            return False
        size = self._crew.size if self._crew else 1
        return len(self._ledger) < max(size, 1)

    def _is_to_be_read(self, file: PhotoFile) -> bool:
        """A file that is only perhaps known is read while all workers have work: in a large gallery these are most,
        and what a worker finds is recognised when it arrives."""
        likeness = self._means.likeness(file)
        return likeness == "likely" or (likeness == "perhaps" and len(self._ledger) > 0)

    def _held(self) -> int:
        """Bytes in memory of photos that are being read here, and of those that travel."""
        return sum(max(each.job.file.size, 1) for each in self._readings) + self._ledger.loaded

    def _take_unread(self, submit: Callable[..., Any]) -> None:
        """Reads what a node does not see, as much at once as the memory bears."""
        held = self._held()
        while self._unread and (not held or held + self._unread[0][0].file.size <= LOADED_AHEAD):
            job, blind = self._unread.popleft()
            held += max(job.file.size, 1)
            self._readings.append(_Reading(job, True, submit(self._means.read, job.file), blind))

    def _settle_read(self) -> None:
        """What was read here is known, or goes out."""
        ready = [each for each in self._readings if each.result.done()]
        if not ready:
            return
        self._readings = deque(each for each in self._readings if not each.result.done())
        read: list[tuple[_Reading, Loaded[Any]]] = []
        for each in ready:
            try:
                photo = each.result.result()
            except PhotoError as error:
                self._rows.append(Failed(each.job.key, each.job.file, None, error))
                continue
            if photo is None:
                self._leave(each.job.file)
            else:
                self._doubt(each)
                read.append((each, Loaded(each.job.key, photo)))
        for (reading, loaded), row in zip(read, self._recognised([each for _, each in read]), strict=True):
            if row is not loaded:
                self._rows.append(row)
            elif reading.travels:
                self._ledger.add([loaded])
            else:
                self._add(reading.job)

    def _doubt(self, read: _Reading) -> None:
        """A photo is good here that was in a batch of which a node saw nothing."""
        blind = read.blind
        if self._crew and blind and blind.batch not in self._doubted:
            self._doubted.add(blind.batch)
            self._crew.doubt(blind.node, read.job.file.path, blind.why)

    def _recognised(self, loaded: list[Loaded[Any]]) -> list[Any]:
        """What passes by in the place of each photo whose content is known; else the photo."""
        if self._recognise is None or not loaded:
            return list(loaded)
        return list(self._recognise(iter(loaded)))

    def _add(self, job: Job[Any]) -> None:
        self._jobs.append(job)
        if len(self._jobs) >= self._means.batch:
            self._close_batch()

    def _close_batch(self) -> None:
        self._ledger.add(self._jobs)
        self._jobs = []

    def _hand_out(self) -> None:
        if self._jobs and not len(self._ledger) and self._is_at_end and not self._readings:
            self._close_batch()
        if self._crew is None and len(self._ledger):
            self._crew = self._assemble(self._ledger.files())
            self._heard = time.monotonic()
        if self._crew:
            had_nothing = not self._crew.busy
            self._crew.hand_out(self._ledger.next)
            if had_nothing:
                self._heard = time.monotonic()

    def _collect(self) -> None:
        """What has come back."""
        if self._crew is None or not (self._crew.busy or len(self._ledger)):
            self._wait_for_readers()
            return
        waits = not self._rows and not (self._has_room() and self._stopped is None)
        came = self._crew.wait((_SHORT if self._readings else _PAUSE) if waits else 0)
        for each in came:
            if isinstance(each, Done):
                self._accept(each)
            else:
                self._bury(each)
        self._listen(bool(came))

    def _wait_for_readers(self) -> None:
        if self._readings and not self._rows and not self._has_room():
            time.sleep(_SHORT)

    def _listen(self, came: bool) -> None:
        """Says so where nothing is heard of the cluster for long."""
        if came:
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > _SILENCE and self._crew:
            self._means.note(
                f"Nothing has come from the cluster for {_SILENCE:.0f} seconds ({self._crew.sentence()}); to end it, "
                "press Ctrl-C: what came before is stored."
            )
            self._heard = time.monotonic()

    def _accept(self, done: Done) -> None:
        self._ledger.came_back(done.batch)
        items, answer = done.batch.items, done.answer
        rows = {row.key: row for row in answer.rows}
        for place in answer.others:
            self._leave(_file_of(items[place]))
        self._rows += self._known_or_found([_as_of(items[place], row) for place, row in rows.items()])
        told = rows.keys() | set(answer.others)
        self._hand_back([item for place, item in enumerate(items) if place not in told], done)

    def _known_or_found(self, rows: list[Any]) -> list[Any]:
        """The rows, with what passes by in place of those whose content has become known since they went out."""
        found = [row for row in rows if isinstance(row, Found | Failed) and row.digest is not None]
        seen = [Loaded(row.key, LoadedPhoto(row.file, b"", row.digest, (0, 0))) for row in found if row.digest]
        passed = {
            id(row): now
            for row, loaded, now in zip(found, seen, self._recognised(seen), strict=True)
            if now is not loaded
        }
        return [passed.get(id(row), row) for row in rows]

    def _hand_back(self, items: list[Item], done: Done) -> None:
        """Photos that a node does not see are read here, which also tells whether they can be at all."""
        unseen, blind = done.answer.unseen, None
        if unseen and len(unseen) == len(done.batch.items):
            blind = _Blind(done.batch.number, done.node, unseen[0][1])
        self._unread += [(Job(item.key, _file_of(item)), blind) for item in items]

    def _bury(self, lost: Lost) -> None:
        guilty = self._ledger.died(lost)
        if guilty is not None:
            digest = guilty.photo.digest if isinstance(guilty, Loaded) else None
            # A worker that ended says nothing of the photo's bytes: its memory may have been wanted for others.
            error = PhotoError(Status.CRASHED, "it ended its worker three times", Cause.MACHINE)
            self._rows.append(Failed(guilty.key, _file_of(guilty), digest, error))


def _file_of(item: Item) -> PhotoFile:
    return item.photo.file if isinstance(item, Loaded) else item.file


def _as_of(item: Item, row: Found[Any, Any] | Failed[Any]) -> Found[Any, Any] | Failed[Any]:
    """A worker's row with the key and the file that the source knows."""
    return replace(row, key=item.key, file=_file_of(item))
