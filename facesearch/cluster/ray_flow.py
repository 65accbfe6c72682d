"""The work of a run done by workers on a cluster: photos go out in batches, rows come back in any order.

This process reads the bytes of few photos: of those that it may know already, which it then need not send; and of
those that no node sees, which then travel. It never works on one."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

from facesearch.cluster.ray_ledger import Ledger
from facesearch.cluster.ray_records import Batch, Done, Item, Lost
from facesearch.errors import Note, PhotoError
from facesearch.flow.pace import LOADED_AHEAD
from facesearch.flow.stages import Failed, Found, Job, Leave, Loaded, Read, Recognise
from facesearch.flow.stream import threads
from facesearch.interruption import orderly
from facesearch.photos.file import LoadedPhoto, PhotoFile
from facesearch.photos.places import exists
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


class Crew(Protocol):
    """The workers of a run. All may raise FaceSearchError: where no node can work, or the cluster is gone."""

    @property
    def size(self) -> int:
        """How many workers there are, or are wanted."""
        ...

    @property
    def busy(self) -> int:
        """How many batches are with workers."""
        ...

    def hand_out(self, next_batch: Callable[[bool], Batch | None]) -> None:
        """Gives every worker that has room what `next_batch` gives for it, which is asked whether it is idle."""
        ...

    def wait(self, seconds: float) -> list[Done | Lost]:
        """What has come until now, or, where that is nothing, within so many seconds."""
        ...

    def doubt(self, node: str, path: str, why: str) -> None:
        """A node saw none of a batch's photos, of which this is one that this machine sees, and why not."""
        ...

    def sentence(self) -> str:
        """How many workers there are, and what they do."""
        ...


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
        self._unread: deque[Job[Any]] = deque()  # that no node sees, to be read here
        self._rows: list[Any] = []
        self._is_at_end = False
        self._stopped: float | None = None
        self._heard = time.monotonic()

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
            item = next(source, None)
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
        size = self._crew.size if self._crew else 1
        return len(self._ledger) < max(size, 1)

    def _is_to_be_read(self, file: PhotoFile) -> bool:
        """A file that is only perhaps known is read while all workers have work: in a large gallery these are most,
        and what a worker finds is recognised when it arrives."""
        likeness = self._means.likeness(file)
        return likeness == "likely" or (likeness == "perhaps" and len(self._ledger) > 0)

    def _take_unread(self, submit: Callable[..., Any]) -> None:
        """Reads what no node sees, as much at once as the memory bears."""
        held = sum(each.job.file.size for each in self._readings if each.travels)
        while self._unread and (not held or held + self._unread[0].file.size <= LOADED_AHEAD):
            job = self._unread.popleft()
            held += max(job.file.size, 1)
            self._readings.append(_Reading(job, True, submit(self._means.read, job.file)))

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
                read.append((each, Loaded(each.job.key, photo)))
        for (reading, loaded), row in zip(read, self._recognised([each for _, each in read]), strict=True):
            if row is not loaded:
                self._rows.append(row)
            elif reading.travels:
                self._ledger.add([loaded])
            else:
                self._add(reading.job)

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
            self._crew.hand_out(self._ledger.next)

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
        self._ledger.came_back()
        items, answer = done.batch.items, done.answer
        unseen = {place for place, _ in answer.unseen}
        rows = {row.key: row for row in answer.rows}
        for place, item in enumerate(items):
            if place not in rows and place not in unseen:
                self._leave(_file_of(item))
        self._rows += self._known_or_found([_as_of(items[place], row) for place, row in rows.items()])
        self._hand_back([items[place] for place in sorted(unseen)], done)

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
        """Photos that a node does not see are read here, which also tells whether they are there at all."""
        self._unread += [Job(item.key, _file_of(item)) for item in items]
        if self._crew and items and len(items) == len(done.batch.items):
            path = _file_of(items[0]).path
            if exists(path):
                self._crew.doubt(done.node, path, done.answer.unseen[0][1])

    def _bury(self, lost: Lost) -> None:
        guilty = self._ledger.died(lost.batch, lost.is_of_node)
        if guilty is not None:
            digest = guilty.photo.digest if isinstance(guilty, Loaded) else None
            error = PhotoError(Status.CRASHED, "it ended its worker twice", Cause.FILE)
            self._rows.append(Failed(guilty.key, _file_of(guilty), digest, error))


def _file_of(item: Item) -> PhotoFile:
    return item.photo.file if isinstance(item, Loaded) else item.file


def _as_of(item: Item, row: Found[Any, Any] | Failed[Any]) -> Found[Any, Any] | Failed[Any]:
    """A worker's row with the key and the file that the source knows."""
    return replace(row, key=item.key, file=_file_of(item))
