"""How the photos of an answer reach the user: as a table, paths, CSV or JSON, and as files in a folder. For commands
that find photos."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from facesearch.cli import show
from facesearch.cli.options import place
from facesearch.errors import ExitCode, UsageError
from facesearch.files import printable
from facesearch.photos.addresses import is_under, name_of, parts_inside

Paths = Annotated[bool, typer.Option("--paths", help="Print the paths of the photos alone, one a line.")]
Nul = Annotated[bool, typer.Option("--print0", "-0", help="As --paths, each ended by a NUL, for xargs -0.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")]
CopyTo = Annotated[
    Path | None, typer.Option(help="Copy the photos into this folder; nothing there is replaced.", metavar="FOLDER")
]
LinkTo = Annotated[
    Path | None, typer.Option(help="Make links to the photos in this folder, in place of copies.", metavar="FOLDER")
]
Within = Annotated[
    str | None,
    typer.Option("--in", help="Only photos of the gallery below this folder.", metavar="FOLDER", parser=place),
]
Since = Annotated[
    str | None,
    typer.Option(help="Only photos taken then or later: 2024, 2024-07 or 2024-07-31.", metavar="DATE"),
]
Until = Annotated[
    str | None,
    typer.Option(help="Only photos taken then or earlier, that day, month or year included.", metavar="DATE"),
]

_LISTED = 10  # photos that could not be copied


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the user wants of an answer."""

    json: bool = False
    csv: bool = False
    paths: bool = False
    nul: bool = False
    copy_to: Path | None = None
    link_to: Path | None = None

    def check(self) -> None:
        """Raises UsageError for forms that exclude each other, and for folders that cannot be."""
        forms = [name for name in ("json", "csv") if getattr(self, name)] + ["paths"] * self.wants_paths
        if len(forms) > 1:
            raise UsageError(f"--{forms[0]} and --{forms[1]} are two forms of one answer; leave one out.")
        if self.copy_to or self.link_to:
            from facesearch.pictures.placing import check_folder

            for folder, option in ((self.copy_to, "--copy-to"), (self.link_to, "--link-to")):
                if folder:
                    check_folder(folder, option)

    @property
    def wants_paths(self) -> bool:
        """Whether the answer is paths alone."""
        return self.paths or self.nul

    @property
    def wants_table(self) -> bool:
        """Whether the answer is for people."""
        return not (self.json or self.csv or self.wants_paths)

    def place(self, photos: Sequence[str], roots: Sequence[str]) -> ExitCode:
        """Copies or links the photos, and says so."""
        code = ExitCode.DONE
        if self.copy_to:
            code = max(code, _place(photos, self.copy_to, "copy", roots))
        if self.link_to:
            code = max(code, _place(photos, self.link_to, "link", roots))
        return code


def show_paths(photos: Iterable[str], nul: bool) -> None:
    """Prints paths, as they are: a program may read them. On a terminal they are escaped where it would obey them."""
    for photo in photos:
        if nul:
            show.raw(os.fsencode(photo) + b"\0")
        elif sys.stdout.isatty():
            show.say(photo)
        else:
            show.raw(os.fsencode(photo) + b"\n")


def show_csv(rows: Iterable[Sequence[Any]]) -> None:
    """Prints rows of CSV (RFC 4180, but for the ends of lines), in UTF-8; paths that are not as they are."""
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(["" if cell is None else cell for cell in row])
        if sys.stdout.isatty():
            show.say(text.getvalue().removesuffix("\n"))
        else:
            show.raw(os.fsencode(text.getvalue()))


def in_its_folder(photo: str, roots: Sequence[str]) -> str:
    """The path of a photo from the gallery's folder on that it is in; with the name of that folder where the gallery
    has several."""
    above = [root for root in roots if photo != root and is_under(photo, root)]
    if not above and photo not in roots:
        return photo
    root = max(above, key=len, default="")
    named = parts_inside(photo, root) if root else [name_of(photo)]
    names = [name for name in named if name not in (".", "..")]  # which a key may hold, be it alone
    inside = os.path.join(*(names or ["photo"]))  # noqa: PTH118
    if not root:
        return inside
    return inside if len(roots) == 1 else str(Path(Path(root).name, inside))


def and_alike(alike: Sequence[str]) -> str:
    """Says how many other photos show the same."""
    return f" and {len(alike):,} alike" if alike else ""


def note_if_indexed(folder: Path, is_copied: bool, roots: Sequence[str]) -> None:
    """Says so where copies are put into a folder that the gallery looks after."""
    inside = f"{folder.absolute()}{os.sep}"
    if is_copied and any(inside.startswith(root.rstrip(os.sep) + os.sep) for root in roots):
        show.note("That folder is one of the gallery's, so the next index finds these copies, too.")


def open_picture(path: Path) -> None:
    """Shows a picture by the program that this system shows pictures with, or says where it is."""
    try:
        if sys.platform == "win32":
            os.startfile(path)
            return
        command = ["open" if sys.platform == "darwin" else "xdg-open", str(path)]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        show.note(f"No program was found that could show it; open {printable(str(path))} yourself.")


def _place(photos: Sequence[str], folder: Path, way: Any, roots: Sequence[str]) -> ExitCode:
    from facesearch.pictures.placing import place

    placed = place(photos, folder, way)
    done, into = ("Copied", "into") if way == "copy" else ("Made links to", "in")
    known = f"; {placed.known:,} {'was' if placed.known == 1 else 'were'} there already" if placed.known else ""
    show.note(f"{done} {show.count(placed.new, 'photo')} {into} {folder}{known}.")
    note_if_indexed(folder, way == "copy" and placed.new > 0, roots)
    for photo, reason in placed.failed[:_LISTED]:
        show.note(f"{printable(photo)}: {reason}.")
    if len(placed.failed) > _LISTED:
        show.note(f"... and {len(placed.failed) - _LISTED:,} more could not be read.")
    return ExitCode.SOME_UNREAD if placed.failed else ExitCode.DONE
