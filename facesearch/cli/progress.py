"""The progress bar of all commands: on stderr, and only where that is a terminal."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facesearch.cli import show

if TYPE_CHECKING:
    from typing import Self

    from facesearch.gallery.known_before import KnownBefore
    from facesearch.gallery.records import Outcome
    from facesearch.photos.exclusions import Exclusions

_COUNTED_AT_ONCE = 1_000  # files in one question to the database
_TELLING = 1.0  # seconds from which on a rate says something: the first batches may come together
_OF_ONE_BATCH = 0.05  # seconds in which the photos of one batch are stored, one after the other


class Progress:
    """One bar: what is done, how much of it, some words about it, and the time left where the total is known."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            Task,
            TaskID,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class TimeLeft(TimeRemainingColumn):
            """Rich's estimate, where nobody knows better."""

            def render(self, task: Task) -> Text:
                left = task.fields.get("left")
                return super().render(task) if left is None else Text(str(left), style="progress.remaining")

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeLeft(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=show.is_quiet() or not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "Self":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def stop(self) -> None:
        """Takes the bar away; notes are still shown."""
        self._bar.stop()

    def begin(self, what: str, total: int | None = None, detail: str = "") -> None:
        """Starts the bar of a piece of work, in place of the one before it. `detail` stands behind the numbers, and
        may be their unit."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total, detail=detail)

    def advance(self) -> None:
        """Counts one more."""
        if self._task is not None:
            self._bar.advance(self._task)

    def update(self, done: int | None = None, total: int | None = None, detail: str | None = None) -> None:
        """Sets what is given; None leaves the old value."""
        if self._task is not None:
            words: dict[str, Any] = {} if detail is None else {"detail": detail}
            self._bar.update(self._task, completed=done, total=total, **words)

    def show_time_left(self, text: str) -> None:
        """Shows this in place of an estimate by what was done until now."""
        if self._task is not None:
            self._bar.update(self._task, left=text)

    def note(self, text: str) -> None:
        """Shows a note to the user, above the bar."""
        from facesearch.files import printable

        if self._bar.disable:
            show.note(text)
        else:
            self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class IndexingProgress(Progress):
    """The bar of `index`: what is going on, photos, photos a second, faces, time left.

    The rate is that of photos that are looked at for faces, from the end of the first batch on: neither preparation
    nor photos that are unchanged count. A thread counts the files beside the work, and how many of them `known` knew.
    Until it is done, the time left is not known; without roots to count in it never is."""

    def __init__(
        self, roots: Sequence[str] = (), exclusions: "Exclusions | None" = None, known: "KnownBefore | None" = None
    ) -> None:
        super().__init__()
        self._roots, self._exclusions, self._known = roots, exclusions, known
        self._photos = self._faces = 0
        self._work = WorkRate()
        self._stage = ""
        self._total: int | None = None
        self._new = 0  # of the total, photos that are not known yet
        self._is_over = threading.Event()

    def __enter__(self) -> "Self":
        super().__enter__()
        self._show_stage("Preparing networks")
        if self._roots:
            threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        super().__exit__(*error)

    def add(self, outcome: "Outcome") -> None:
        """Counts one photo more."""
        from facesearch.photos.status import ABSENT

        if outcome.is_failure and show.is_verbose():
            self.note(f"{outcome.status}: {outcome.path}: {outcome.reason}")
        is_there = outcome.status not in ABSENT
        self._photos += is_there
        self._faces += outcome.faces
        if is_there and outcome.done == "indexed":
            self._work.add(time.perf_counter())
        self._show_stage("Indexing" if self._work.photos else "Checking")

    def _show_stage(self, stage: str) -> None:
        if self._total is not None and self._photos >= self._total:
            stage = "Finishing"
        if stage != self._stage:
            self._stage = stage
            self.begin(stage)
        rate = self._work.rate
        total = None if stage == "Finishing" else self._total
        self.update(self._photos, total, f"{f'{show.rate(rate)}, ' if rate else ''}{self._faces:,} faces")
        is_known = self._total is not None and rate > 0
        self.show_time_left(_duration(max(0, self._new - self._work.photos) / rate) if is_known else "-:--")

    def _count(self) -> None:
        from facesearch.errors import FaceSearchError
        from facesearch.flow.stream import chunks
        from facesearch.photos.exclusions import Rules
        from facesearch.photos.formats import looks_like_photo
        from facesearch.photos.walk import walk

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
        self._new, self._total = new, max(total, self._photos)


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


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
