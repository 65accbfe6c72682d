"""The progress bar of all commands: on stderr, and only where that is a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facesearch.cli import show

if TYPE_CHECKING:
    from typing import Self

    from facesearch.gallery.indexing.known_before import KnownBefore
    from facesearch.gallery.indexing.progress import Stage
    from facesearch.gallery.records.run import Outcome
    from facesearch.photos.exclusions import Exclusions

_STAGES: "dict[Stage, str]" = {
    "preparing": "Preparing networks",
    "checking": "Checking",
    "indexing": "Indexing",
    "finishing": "Finishing",
}


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
    """The bar of `index`: what is going on, photos, photos a second, faces, time left (see RunProgress)."""

    def __init__(
        self, roots: Sequence[str] = (), exclusions: "Exclusions | None" = None, known: "KnownBefore | None" = None
    ) -> None:
        from facesearch.gallery.indexing.progress import RunProgress

        super().__init__()
        self._run = RunProgress(roots, exclusions, known)
        self._stage = ""

    def __enter__(self) -> "Self":
        super().__enter__()
        self._show_stage()
        self._run.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._run.__exit__(*error)
        super().__exit__(*error)

    def add(self, outcome: "Outcome") -> None:
        """Counts one photo more."""
        if outcome.is_failure and show.is_verbose():
            self.note(f"{outcome.status}: {outcome.path}: {outcome.reason}")
        self._run.add(outcome)
        self._show_stage()

    def _show_stage(self) -> None:
        run, stage = self._run, self._run.stage
        if stage != self._stage:
            self._stage = stage
            self.begin(_STAGES[stage])
        total = None if stage == "finishing" else run.total
        self.update(run.done, total, f"{f'{show.rate(run.rate)}, ' if run.rate else ''}{run.faces:,} faces")
        self.show_time_left("-:--" if run.seconds_left is None else _duration(run.seconds_left))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
