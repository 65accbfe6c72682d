"""How far a run of indexing is: what is done, of how much, at which rate, and how long the rest will take."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from facesearch.errors import FaceSearchError
from facesearch.flow.stream import chunks
from facesearch.gallery.records.run import Outcome
from facesearch.photos.exclusions import Exclusions, Rules
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.status import ABSENT
from facesearch.photos.walk import walk

if TYPE_CHECKING:
    from typing import Self

    from facesearch.gallery.indexing.known_before import KnownBefore

Stage = Literal["preparing", "checking", "indexing", "finishing"]

_COUNTED_AT_ONCE = 1_000  # files in one question to the database
_TELLING = 1.0  # seconds from which on a rate says something: the first batches may come together
_OF_ONE_BATCH = 0.05  # seconds in which the photos of one batch are stored, one after the other


class RunProgress:
    """Counts the photos of a run. The rate is that of photos that are looked at for faces, from the end of the first
    batch on: neither preparation nor photos that are unchanged count. Inside of the context a thread counts the files
    beside the work, and how many of them `known` knew. Until it is done, the total is not known; without roots to
    count in it never is."""

    def __init__(
        self, roots: Sequence[str] = (), exclusions: Exclusions | None = None, known: "KnownBefore | None" = None
    ) -> None:
        self._roots, self._exclusions, self._known = roots, exclusions, known
        self._work = WorkRate()
        self._new = 0  # of the total, photos that are not known yet
        self._is_over = threading.Event()
        self.done = self.faces = self.failed = 0
        self.total: int | None = None

    def __enter__(self) -> "Self":
        if self._roots:
            threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()

    def add(self, outcome: Outcome) -> None:
        """Counts one photo more."""
        is_there = outcome.status not in ABSENT
        self.done += is_there
        self.faces += outcome.faces * (outcome.done == "indexed")
        self.failed += outcome.is_failure
        if is_there and outcome.done == "indexed":
            self._work.add(time.perf_counter())

    @property
    def stage(self) -> Stage:
        """What is going on, once a photo was counted."""
        if self.total is not None and self.done >= self.total:
            return "finishing"
        if not self.done:
            return "preparing"
        return "indexing" if self._work.photos else "checking"

    @property
    def rate(self) -> float:
        """Photos a second, 0 where it is not known yet."""
        return self._work.rate

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take; None where that is not known yet."""
        rate = self.rate
        return max(0, self._new - self._work.photos) / rate if self.total is not None and rate > 0 else None

    def _count(self) -> None:
        total = new = 0
        try:
            for root in self._roots:
                walked = walk(root, rules=Rules(root, self._exclusions))
                for files in chunks((file for file in walked if looks_like_photo(file.path)), _COUNTED_AT_ONCE):
                    total += len(files)
                    new += len(files) - (self._known.count(files) if self._known else 0)
                    if self._is_over.is_set():
                        return
        except FaceSearchError:
            return  # the run itself says what is wrong
        self._new, self.total = new, max(total, self.done)


class WorkRate:
    """How many photos a second are worked on, once more than the first batch is done."""

    def __init__(self) -> None:
        self.photos = 0
        self._before = 0  # photos of the first batch
        self._first = self._last = 0.0  # seconds

    def add(self, now: float) -> None:
        """Counts a photo that was worked on until now."""
        self.photos += 1
        self._first, self._last = self._first or now, now
        if now - self._first < _OF_ONE_BATCH:
            self._before = self.photos

    @property
    def rate(self) -> float:
        """Photos a second, 0 where it is not known yet."""
        seconds = self._last - self._first
        return (self.photos - self._before) / seconds if seconds >= _TELLING else 0.0
