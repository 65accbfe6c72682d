"""What a run of `index` has done so far: noted in the database, and counted for the user."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from facesearch.errors import FaceSearchError, Note
from facesearch.gallery.database import Database
from facesearch.gallery.records.people import Grouped
from facesearch.gallery.records.run import OtherFilesFound, Outcome, RootFailure, RunSummary, skipped
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.runs import Done
from facesearch.models.engines import Engine
from facesearch.photos.frames import FIRST_ALONE
from facesearch.photos.status import ABSENT, WAITING, Status

if TYPE_CHECKING:
    from facesearch.cluster.ray_records import Use

_MOST_FAILURES = 1000  # photos that a summary names: about 200 kB of paths and reasons


class Unread:
    """Counts the photos that cannot be read, and keeps the first of them; and files of kinds that nothing reads."""

    def __init__(self) -> None:
        self.first: list[Outcome] = []
        self.failing: Counter[str] = Counter()  # by status
        self.unsupported: Counter[str] = Counter()  # by reason

    def add(self, outcome: Outcome) -> None:
        """Counts one photo, if it cannot be read."""
        if outcome.is_of_another_kind:
            self.unsupported[outcome.reason or "of an unknown kind"] += 1
        elif outcome.is_failure:
            self.failing[outcome.status] += 1
            if len(self.first) < _MOST_FAILURES:
                self.first.append(outcome)


class Tally:
    """Counts the photos of a run, and the time that it takes."""

    def __init__(self, gallery: str) -> None:
        self._gallery = gallery
        self._started = time.perf_counter()
        self._unread = Unread()
        self._others: Counter[str] = Counter()  # files that are no photos, by kind
        self._waiting: Counter[str] = Counter()  # photos that wait for a package, by status
        self._first_frames = 0
        self.roots_failed: list[RootFailure] = []
        self.photos: Counter[str] = Counter()  # by status, or by what was done where nothing was computed
        self.faces = 0
        self.grouped: Grouped | None = None
        self.engine: Engine | None = None  # what embeds, once it is needed
        self.cluster: Use | None = None
        self.unsynced = 0  # new faces that are not in the file of vectors yet
        self._last = self._passed = self._started  # when a photo was worked on, and when one was met
        self._working: float | None = None  # since when photos are worked on

    def begin_working(self) -> None:
        """The networks are there: what came before does not count in photos a second."""
        self._working = self._working or time.perf_counter()

    def add(self, outcome: Outcome) -> None:
        """Counts one photo."""
        self._passed = time.perf_counter()
        if outcome.done == "indexed" and outcome.status != Status.MISSING:
            self._last = self._passed
        self.photos[outcome.status if outcome.done == "indexed" else outcome.done] += 1
        if outcome.done in ("indexed", "copied"):
            self.faces += outcome.faces
            self.unsynced += outcome.faces
        if outcome.status in WAITING:
            self._waiting[outcome.status] += 1
        self._first_frames += outcome.done == "indexed" and outcome.reason == FIRST_ALONE
        self._unread.add(outcome)

    def add_others(self, found: OtherFilesFound) -> None:
        """Counts what is no photo."""
        self._others.update(found.counts)

    def summary(self) -> RunSummary:
        """What was counted until now."""
        seconds = time.perf_counter() - self._started
        unread = self._unread
        return RunSummary(
            photos=dict(self.photos),
            faces=self.faces,
            seconds=seconds,
            photos_per_second=self._worked_on / self._working_seconds,
            gallery=self._gallery,
            failures=tuple(unread.first),
            failing=dict(unread.failing),
            unsupported=dict(unread.unsupported),
            roots_failed=tuple(self.roots_failed),
            skipped=skipped(self._others, self._waiting),
            first_frames=self._first_frames,
            engine=self.engine,
            cluster=self.cluster,
            grouped=self.grouped,
        )

    def done(self) -> Done:
        """What was counted until now, as a run is noted."""
        return Done(self.photos.total(), self.faces, self._worked_on, self._working_seconds, self.engine)

    @property
    def _working_seconds(self) -> float:
        """From when the networks were there, without the time in which what is unchanged passed by at the end."""
        began = self._working if self._working and self._working < self._last else self._started
        return time.perf_counter() - began - (self._passed - self._last)

    @property
    def _worked_on(self) -> int:
        return sum(self.photos[status] for status in Status if status not in (*ABSENT, Status.PAIRED))


@contextmanager
def recorded_run(
    db: Database, settings: GallerySettings, roots: Sequence[str], tally: Tally, note: Note
) -> Iterator[None]:
    """Notes in the database that a run begins, and how it ends, if that can still be written."""
    before = db.runs.newest()
    if before and before.ended_at is None:
        note(
            f"The run of process {before.pid}, which started at {before.started_at}, did not end properly; this one "
            "continues from what it stored."
        )
    with db.transaction():
        if db.settings.read() is None:
            db.settings.write(settings)
        db.settings.write_identity(settings.identity)
        db.roots.add(roots)
        run = db.runs.begin()
    try:
        yield
    except (KeyboardInterrupt, FaceSearchError):
        with suppress(FaceSearchError), db.transaction():
            db.runs.end(run, tally.done())
        raise
    with db.transaction():
        db.runs.end(run, tally.done())
