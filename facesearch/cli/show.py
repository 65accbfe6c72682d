"""How results look: tables and sentences for people, JSON for programs, notes on stderr."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from facesearch.errors import FaceSearchError
from facesearch.files import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from facesearch.gallery.records import Answer, Outcome, RunSummary, Sighting, Unanswered, Verdict
    from facesearch.geometry.face import Box
    from facesearch.photos.whereabouts import Away


class ClosedPipeError(Exception):
    """Whoever read the answer has seen enough."""


def say(text: str, end: str = "\n") -> None:
    """A part of the answer, on stdout. All that is printed passes here or through a table of `table()`, `facts()` and
    `console()`: a terminal shows it and does not obey it. Raises ClosedPipeError, and FaceSearchError when what is
    behind stdout takes nothing more."""
    with _writing():
        print(_lines(text), end=end)


def note(text: str) -> None:
    """A note for the user, on stderr, where it does not disturb the answer; lost where nobody can hear it."""
    with suppress(OSError, ValueError):
        print(_lines(text), file=sys.stderr, flush=True)


def line(text: str) -> None:
    """A line on the terminal of stderr that the next one replaces."""
    with suppress(OSError, ValueError):
        print(f"\r{_lines(text)}\033[K", end="", file=sys.stderr, flush=True)


def flush() -> None:
    """Raises as `say` does when a part of the answer cannot be written."""
    with _writing():
        sys.stdout.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ClosedPipeError from error
    except OSError as error:
        raise FaceSearchError(f"The answer cannot be written to stdout: {error.strerror}.") from error


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def console() -> "Console":
    """For tables on stdout. Where no terminal says how wide it is, lines are not cut."""
    from rich.console import Console

    class Careful(Console):
        """Prints text that a terminal cannot be made to obey, and raises as `say` does."""

        def print(self, *objects: Any, **how: Any) -> None:
            with _writing():
                super().print(*(_lines(each) if isinstance(each, str) else each for each in objects), **how)

        def on_broken_pipe(self) -> None:
            raise ClosedPipeError

    out = Careful(highlight=False, markup=False, soft_wrap=False)
    return out if out.is_terminal else Careful(highlight=False, markup=False, width=160)


def table(*columns: str, right: Iterable[str] = ()) -> "Table":
    """An empty table; the columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    class Careful(Table):
        """Its cells are text that a terminal cannot be made to obey."""

        def add_row(self, *cells: Any, **how: Any) -> None:
            super().add_row(*(_lines(cell) if isinstance(cell, str) else cell for cell in cells), **how)

    made = Careful(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Name and value, a line each."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(_lines(name), _lines(value))
    console().print(grid)


def as_json(value: Any) -> None:
    """JSON on stdout, one line, in ASCII, so that any path survives any terminal. Raises as `say` does."""
    say(json.dumps(value))


def rate(photos_per_second: float) -> str:
    """Photos a second, with a decimal where it matters."""
    return f"{photos_per_second:.{1 if photos_per_second < 10 else 0}f} photos/s"


def odds(far: float, of: str = "") -> str:
    """What a threshold means: the share of strangers that reach it."""
    return f"1 in {round(1 / far):,} pairs of strangers {of}are this similar"


def box(of: "Box") -> list[float]:
    """Left, top, right, bottom in pixels, to a tenth."""
    return [round(edge, 1) for edge in of]


def box_text(of: "Box") -> str:
    """The same for a table: whole pixels."""
    return ", ".join(f"{edge:.0f}" for edge in of)


def sighting(of: "Sighting") -> dict[str, Any]:
    """A face that was asked about."""
    return {"photo": of.photo, "box": box(of.box), "score": round(of.score, 4)}


def verdict(of: "Verdict") -> dict[str, Any]:
    """The JSON of `verify`."""
    return {
        "same": of.same,
        "similarity": round(of.similarity, 4),
        "threshold": of.threshold,
        "model": of.model,
        "a": sighting(of.a),
        "b": sighting(of.b),
    }


def answer(of: "Answer") -> dict[str, Any]:
    """The JSON of `query`."""
    return {
        "query": sighting(of.query) | {"faces": of.query.faces},
        "model": of.model,
        "threshold": of.threshold,
        "matches": [
            {
                "person": match.person,
                "similarity": round(match.similarity, 4),
                "photo": match.photo,
                "box": box(match.box),
                "face_id": match.face_id,
            }
            for match in of.matches
        ],
    }


def unanswered(of: "Unanswered") -> dict[str, Any]:
    """The JSON of a photo of several that has no answer."""
    return {"query": {"photo": of.photo}, "status": of.status, "reason": of.reason}


def summary(of: "RunSummary") -> dict[str, Any]:
    """The JSON of `index`."""
    return {
        "photos": of.photos,
        "faces": of.faces,
        "seconds": round(of.seconds, 2),
        "photos_per_second": round(of.photos_per_second, 1),
        "gallery": of.gallery,
        "failing": of.failing,
        "unsupported": of.unsupported,
        "failures": [failure(outcome) for outcome in of.failures],
        "roots_failed": [{"root": each.root, "reason": each.reason} for each in of.roots_failed],
    }


def away(of: "Away") -> dict[str, Any]:
    """Photos that cannot be seen at the moment."""
    return {"folder": of.folder, "reason": of.reason, "photos": of.photos}


def failure(of: "Outcome") -> dict[str, Any]:
    """A photo that could not be read."""
    return {"photo": of.path, "status": of.status, "reason": of.reason, "cause": of.cause}


def unread(failing: dict[str, int], unsupported: dict[str, int]) -> Iterator[str]:
    """How many photos cannot be read, by status, and how many files are of kinds that nothing here reads, by
    reason."""
    if total := sum(failing.values()):
        parts = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in failing.items())
        yield f"{'1 photo' if total == 1 else f'{total:,} photos'} cannot be read: {parts}."
    if total := sum(unsupported.values()):
        kinds = "; ".join(f"{reason} ({count:,})" for reason, count in unsupported.items())
        what = "1 file is of a kind" if total == 1 else f"{total:,} files are of kinds"
        yield f"{what} that nothing here reads: {kinds}."
