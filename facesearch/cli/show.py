"""Output of all commands: the answer on stdout as text, tables or JSON, notes on stderr. All printing is here."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from facesearch.errors import FaceSearchError
from facesearch.files import printable
from facesearch.packages import how_to_install

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from facesearch.gallery.records import Skipped
    from facesearch.geometry.face import Box


class ClosedPipeError(Exception):
    """Whoever read the answer has seen enough."""


def say(text: str, end: str = "\n") -> None:
    """Prints a part of the answer on stdout. All that is printed passes here or through `table()`, `facts()` and
    `console()`, which escape what a terminal would obey. Raises ClosedPipeError when the reader has gone, and
    FaceSearchError when stdout takes nothing more, as on a full disk."""
    with _writing():
        print(_lines(text), end=end)


def note(text: str) -> None:
    """Prints a note for the user on stderr, apart from the answer. It is dropped where stderr cannot be written."""
    with suppress(OSError, ValueError):
        print(_lines(text), file=sys.stderr, flush=True)


def line(text: str) -> None:
    """Prints a line on the terminal of stderr that the next one replaces."""
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
    """A console for tables on stdout. Where no terminal sets the width, it is 200 characters."""
    from rich.console import Console

    class Careful(Console):
        """Prints text that a terminal cannot be made to obey, and raises as `say` does."""

        def print(self, *objects: Any, **options: Any) -> None:
            with _writing():
                super().print(*(_lines(each) if isinstance(each, str) else each for each in objects), **options)

        def on_broken_pipe(self) -> None:
            raise ClosedPipeError

    out = Careful(highlight=False, markup=False, soft_wrap=False)
    return out if out.is_terminal else Careful(highlight=False, markup=False, width=200)


def table(*columns: str, right: Iterable[str] = ()) -> "Table":
    """An empty table; the columns named in `right` hold numbers."""
    from rich import box
    from rich.table import Table

    class Careful(Table):
        """Its cells are text that a terminal cannot be made to obey."""

        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options)

    made = Careful(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Prints names and values, one pair a line."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(printable(name), printable(value))
    console().print(grid)


def as_json(value: Any) -> None:
    """Prints JSON on stdout: one line of ASCII, so that any path survives any terminal. Raises as `say` does."""
    say(json.dumps(value))


def count(number: int, noun: str, plural: str = "") -> str:
    """Such as 1 photo, or 1,200 photos."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def rate(photos_per_second: float) -> str:
    """Photos a second, with a decimal where it matters."""
    return f"{photos_per_second:.{1 if photos_per_second < 10 else 0}f} photos/s"


def odds(far: float, is_learned: bool = False) -> str:
    """What a threshold means: the share of strangers that reach it, those of the gallery where it was learned."""
    strangers = "strangers of this gallery" if is_learned else "strangers"
    return f"1 in {round(1 / far):,} pairs of {strangers} are this similar"


def box_text(box: "Box") -> str:
    """Left, top, right, bottom in whole pixels."""
    return ", ".join(f"{edge:.0f}" for edge in box)


def skipped(kinds: "Sequence[Skipped]") -> Iterator[str]:
    """A sentence on the files that were not looked at, by kind, with what to install for those that can be."""
    if kinds:
        yield f"Skipped: {', '.join(map(_skipped, kinds))}."


def _skipped(one: "Skipped") -> str:
    if one.needs:
        return f"{one.files:,} {one.kind} ({how_to_install(one.needs)})"
    return count(one.files, one.kind) if one.kind == "video" else f"{one.files:,} {one.kind}"


def unread(failing: dict[str, int], unsupported: dict[str, int]) -> Iterator[str]:
    """A sentence on the photos that cannot be read, counted by status, and one on the files of kinds that nothing
    here reads, counted by reason."""
    if total := sum(failing.values()):
        parts = ", ".join(f"{many:,} {status.replace('_', ' ')}" for status, many in failing.items())
        yield f"{count(total, 'photo')} cannot be read: {parts}."
    if total := sum(unsupported.values()):
        kinds = "; ".join(f"{reason} ({many:,})" for reason, many in unsupported.items())
        what = "1 file is of a kind" if total == 1 else f"{total:,} files are of kinds"
        yield f"{what} that nothing here reads: {kinds}."
