"""What `facesearch index --watch` shows: the first pass as any run, and of each later one a line."""

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from facesearch.cli import show
from facesearch.files import printable
from facesearch.forms import run_forms

if TYPE_CHECKING:
    from facesearch.gallery.records.run import RunSummary

_LISTED = 10  # photos that could not be read, of one pass


class WatchShown:
    """Shows each pass, and at the end all that was done. `first` shows a first pass; `words` say what each status
    means."""

    def __init__(self, first: Callable[["RunSummary"], None], words: dict[str, str], json: bool) -> None:
        self._first, self._words, self._json = first, words, json
        self._started = time.monotonic()
        self._photos: Counter[str] = Counter()
        self._passes = self._faces = 0

    @property
    def has_begun(self) -> bool:
        """Whether a pass has come to its end."""
        return self._passes > 0

    def add(self, summary: "RunSummary") -> None:
        """Shows one pass, unless nothing was new in it."""
        changed = {what: count for what, count in summary.photos.items() if what != "unchanged"}
        self._passes += 1
        self._photos.update(changed)
        self._faces += summary.faces
        if self._json:
            if self._passes == 1 or changed:
                show.as_json(run_forms.run_summary(summary))
        elif self._passes == 1:
            if summary.photos:
                self._first(summary)
            show.note("Watching for changes; Ctrl-C ends it.")
        elif changed:
            took = f"{show.count(summary.faces, 'new face')}, {summary.seconds:.1f} s"
            show.say(f"{time.strftime('%H:%M:%S')}  {self._text(changed)}; {took}")
            new = [outcome for outcome in summary.failures if outcome.done != "unchanged"]
            for outcome in new[:_LISTED]:
                show.note(f"{outcome.status}: {printable(outcome.path)}: {outcome.reason}")
        show.flush()

    def end(self) -> None:
        """Says what was done in all passes."""
        if not self._json:
            took = show.duration(time.monotonic() - self._started)
            done = self._text(self._photos) or "nothing was new"
            show.say(f"Watched for {took}: {done}; {show.count(self._faces, 'new face')}.")

    def _text(self, photos: dict[str, int]) -> str:
        return ", ".join(f"{count:,} {self._words.get(what, what)}" for what, count in photos.items() if count)
