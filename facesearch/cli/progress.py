"""The progress bar of all commands: on stderr, and only where that is a terminal."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from facesearch.cli import show

if TYPE_CHECKING:
    from typing import Self

    from facesearch.gallery.records import Outcome
    from facesearch.photos.exclusions import Exclusions


class Progress:
    """One bar: what is done, how much of it, some words about it, and the time left where the total is known."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
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

    def note(self, text: str) -> None:
        """Shows a note to the user, above the bar."""
        from facesearch.files import printable

        if self._bar.disable:
            show.note(text)
        else:
            self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class IndexingProgress(Progress):
    """The bar of `index`: photos, photos a second, faces, time left.

    A thread counts the files beside the work. Until it is done, the time left is not known; without roots to count
    in it never is."""

    def __init__(self, roots: Sequence[str] = (), exclusions: "Exclusions | None" = None) -> None:
        super().__init__()
        self._roots, self._exclusions = roots, exclusions
        self._photos = self._faces = 0
        self._is_over = threading.Event()

    def __enter__(self) -> "Self":
        super().__enter__()
        self._started = time.perf_counter()
        self.begin("Indexing", detail=self._detail())
        if self._roots:
            threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        super().__exit__(*error)

    def add(self, outcome: "Outcome") -> None:
        """Counts one photo more."""
        from facesearch.photos.status import ABSENT

        self._photos += outcome.status not in ABSENT
        self._faces += outcome.faces
        self.update(done=self._photos, detail=self._detail())

    def _detail(self) -> str:
        seconds = time.perf_counter() - self._started
        return f"{show.rate(self._photos / seconds if self._photos else 0)}, {self._faces:,} faces"

    def _count(self) -> None:
        from facesearch.errors import FaceSearchError
        from facesearch.photos.exclusions import Rules
        from facesearch.photos.formats import looks_like_photo
        from facesearch.photos.walk import walk

        total = 0
        try:
            for root in self._roots:
                for file in walk(root, rules=Rules(root, self._exclusions)):
                    total += looks_like_photo(file.path)
                    if self._is_over.is_set():
                        return
        except FaceSearchError:
            return  # the run itself says what is wrong
        self.update(total=max(total, self._photos))
