"""Output of all commands: the answer on stdout as text, tables or JSON, notes on stderr. All printing is here."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import printable
from facesearch.packages import how_to_install

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from facesearch.gallery.records.run import Skipped
    from facesearch.geometry.face import Box


_BETWEEN, _EDGES = 3, 2  # cells between two columns of a table, and at both sides of it
_LEAST_PATH = 8  # cells that a path has, however narrow the terminal is
_is_quiet = _is_verbose = False


class ClosedPipeError(Exception):
    """Whoever read the answer has seen enough."""


def be(quiet: bool, verbose: bool) -> None:
    """From now on notes and progress are left out, or more is said. Raises UsageError for both."""
    global _is_quiet, _is_verbose
    if quiet and verbose:
        raise UsageError("--quiet and --verbose cannot both be; leave one out.")
    _is_quiet, _is_verbose = quiet, verbose
    report = logging.getLogger("facesearch")
    report.handlers = [_Report()] if verbose else []
    report.propagate = not verbose
    if verbose:
        report.setLevel(logging.INFO)
        logging.disable(logging.NOTSET)


def is_quiet() -> bool:
    """Whether nothing but the answer is to be shown."""
    return _is_quiet


def is_verbose() -> bool:
    """Whether the user wants to know more."""
    return _is_verbose


def say(text: str, end: str = "\n") -> None:
    """Prints a part of the answer on stdout. All that is printed passes here or through `table()`, `facts()` and
    `console()`, which escape what a terminal would obey. Raises ClosedPipeError when the reader has gone, and
    FaceSearchError when stdout takes nothing more, as on a full disk."""
    with _writing():
        print(_lines(text), end=end)


def raw(data: bytes) -> None:
    """Prints bytes on stdout, as a program wants them and a terminal must not get them. Raises as `say` does."""
    with _writing():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def note(text: str) -> None:
    """Prints a note for the user on stderr, apart from the answer. It is dropped where stderr cannot be written, and
    with --quiet."""
    if not _is_quiet:
        warn(text)


def detail(text: str) -> None:
    """Prints a note that only --verbose shows."""
    if _is_verbose:
        warn(text)


def warn(text: str) -> None:
    """Prints on stderr what a user must see: an error, or what a question is about."""
    with suppress(OSError, ValueError):
        print(_lines(text), file=sys.stderr, flush=True)


class _Report(logging.Handler):
    """Shows what the core reports: which network runs on which engine, and the like."""

    def emit(self, record: logging.LogRecord) -> None:
        detail(record.getMessage())


def line(text: str) -> None:
    """Prints a line on the terminal of stderr that the next one replaces."""
    if _is_quiet:
        return
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


def console(width: int = 200) -> "Console":
    """A console for tables on stdout. Where no terminal sets the width, it is this many characters."""
    from rich.console import Console

    class Careful(Console):
        """Prints text that a terminal cannot be made to obey, and raises as `say` does."""

        def print(self, *objects: Any, **options: Any) -> None:
            with _writing():
                super().print(*(_lines(each) if isinstance(each, str) else each for each in objects), **options)

        def on_broken_pipe(self) -> None:
            raise ClosedPipeError

    out = Careful(highlight=False, markup=False, soft_wrap=False)
    return out if out.is_terminal else Careful(highlight=False, markup=False, width=width)


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


def add_rows(made: "Table", out: "Console", rows: Sequence[Sequence[str]], last: Sequence[str] = ()) -> None:
    """Adds rows whose lines are never broken: where the terminal is too narrow, the beginning of the last cell, a
    path, is left out, and the end of another cell that takes a third of it. `last` are the ends of the last cells,
    which always stay."""
    from rich.cells import cell_len, set_cell_size

    most = out.width // 3

    def cut(cell: str) -> str:
        return cell if cell_len(cell) <= most else f"{set_cell_size(cell, most - 1)}…"

    shown = [[*(cut(printable(cell)) for cell in row[:-1]), printable(row[-1])] for row in rows]
    room = out.width - _EDGES
    for i, column in enumerate(made.columns):
        column.no_wrap, column.overflow = True, "ellipsis"
        if i < len(made.columns) - 1:
            column.min_width = max(cell_len(row[i]) for row in [[str(each.header) for each in made.columns], *shown])
            room -= column.min_width + _BETWEEN
    for row, end in zip(shown, last or [""] * len(shown), strict=True):
        made.add_row(*row[:-1], _end_of(row[-1], max(room - cell_len(end), _LEAST_PATH)) + end)


def _end_of(text: str, room: int) -> str:
    """The text, or what of its end fits into so many cells of a terminal."""
    from rich.cells import cell_len

    if cell_len(text) <= room:
        return text
    while cell_len(text) > room - 1:
        text = text[1:]
    return f"…{text}"


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


def duration(seconds: float) -> str:
    """A time as one says it, such as 40 s, 12 min or 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


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
