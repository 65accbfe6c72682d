"""`facesearch galleries`."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import show
from facesearch.cli.options import GalleryArgument, GalleryName, Json, Yes
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.forms import gallery_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.galleries import GalleryEntry, ToDelete
    from facesearch.gallery.upkeep.backup import Manifest


def list_galleries(json: Json = False) -> ExitCode:
    """List the galleries: model, photos, faces, size on disk, last run, folders.

    Exit code 5: one of them cannot be read; the others are listed all the same."""
    from facesearch.gallery.galleries import galleries

    found = list(galleries())
    for each in found:
        if each.fault:
            show.warn(each.fault)
    if json:
        show.as_json([gallery_forms.gallery_entry(each) for each in found])
    elif found:
        _show_table(found)
    else:
        show.note("There is no gallery yet; make one with: facesearch index FOLDER")
    return ExitCode.GALLERY if any(each.fault for each in found) else ExitCode.DONE


def _show_table(found: "list[GalleryEntry]") -> None:
    from rich.text import Text

    rows = show.table(
        "gallery", "model", "photos", "faces", "MB", "last run", "folders", right=("photos", "faces", "MB")
    )
    for each in found:
        rows.add_row(
            each.name,
            "cannot be read" if each.fault else each.model or "-",
            "-" if each.fault else f"{each.photos:,}",
            "-" if each.fault else f"{each.faces:,}",
            f"{each.bytes_on_disk / 1e6:,.1f}",
            (each.last_run or "-")[:10],
            Text("\n".join(map(printable, each.roots)) or "-"),
        )
    show.console().print(rows)


def rename_gallery(
    name: GalleryArgument,
    new: Annotated[str, typer.Argument(help="Its new name.", metavar="NEW_NAME")],
) -> ExitCode:
    """Give a gallery another name."""
    from facesearch.gallery.galleries import rename

    rename(name, new, show.note)
    show.say(f"The gallery '{name}' is called '{new}' now.")
    return ExitCode.DONE


def delete_gallery(
    name: GalleryArgument,
    yes: Yes = False,
) -> ExitCode:
    """Delete a gallery: its faces, names and backups by repair. Photos are not touched. You see what will go, and are
    asked first.

    Exit code 1: you answered no."""
    from facesearch.errors import UsageError
    from facesearch.gallery.galleries import delete, to_delete

    doomed = to_delete(name, show.note)
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            store = f" and drop {doomed.store}" if doomed.store else ""
            raise UsageError(
                f"This would delete {_what_goes(doomed)}{store}, and cannot be undone; give --yes to do it."
            )
        show.warn(f"To delete: {_what_goes(doomed)}, in {doomed.gallery.directory}. No photo is touched.")
        if doomed.store:
            show.warn(f"Dropped too: {doomed.store}, also for copies of this gallery that ask it.")
        if not typer.confirm(f"Delete the gallery '{name}'?", err=True):
            show.note("Nothing was deleted.")
            return ExitCode.NO
    gone = delete(name, show.note)
    show.say(f"Deleted {_what_goes(gone)}. No photo was touched.")
    for strange in gone.strange:
        show.note(f"{gone.gallery.directory / strange} stays: facesearch did not make it.")
    return ExitCode.DONE


def _what_goes(doomed: "ToDelete") -> str:
    gallery = doomed.gallery
    if gallery.fault:
        return f"the damaged gallery '{gallery.name}'"
    parts = [
        show.count(gallery.faces, "face"),
        f"{show.count(gallery.people, 'name')} of people",
        f"what is known of {show.count(gallery.photos, 'photo')}",
    ]
    if doomed.backups:
        parts.append(show.count(len(doomed.backups), "backup"))
    return f"the gallery '{gallery.name}' ({', '.join(parts)})"


def move_library(
    old: Annotated[str, typer.Argument(help="Where the photos were.", metavar="FOLDER")],
    new: Annotated[str, typer.Argument(help="The folder in which they are now.", metavar="NEW_FOLDER")],
    gallery: GalleryName = "default",
    partly: Annotated[
        bool, typer.Option("--partly", help="Go on although some photos are not there, or have changed.")
    ] = False,
) -> ExitCode:
    """Tell a gallery that photos have moved, with their folder, to another place or disk. Nothing is embedded again,
    and names stay. All photos are compared by size, and some by content, before anything is changed."""
    from facesearch.gallery.storage import Storage
    from facesearch.gallery.upkeep.moving import move

    with Progress() as progress:
        progress.begin("Comparing", detail="photos")
        done = move(Storage(gallery, progress.note), old, new, partly, progress.update)
    show.say(f"{printable(done.old)} is {printable(done.new)} now: {show.count(done.photos, 'photo')}.")
    if differ := done.looked_for - done.same:
        are = "1 of them is" if differ == 1 else f"{differ:,} of them are"
        command = f"facesearch index {shlex.quote(printable(done.new))}{gallery_words(gallery)}"
        show.note(f"{are} not there or changed; look for what is new with: {command}")
    return ExitCode.DONE


def back_up_gallery(
    file: Annotated[Path, typer.Argument(help="The backup, a new file.", metavar="FILE")],
    gallery: GalleryName = "default",
) -> ExitCode:
    """Write a gallery into one file: faces, names, all that is known of photos. It may be read and written meanwhile.
    Photos are not in it, nor are models."""
    from facesearch.gallery.storage import Storage
    from facesearch.gallery.upkeep.backup import back_up

    with Progress() as progress:
        progress.begin("Copying", detail="pages")
        done = back_up(Storage(gallery, progress.note), file, progress.update)
    facts = done.manifest
    what = f"{_holds(facts)}, {facts.size / 1e6:,.1f} MB"
    show.say(f"The gallery '{gallery}' is in {printable(str(file))}: {what}.")
    _note_own_model(facts.model)
    return ExitCode.DONE


def _holds(facts: "Manifest") -> str:
    return f"{show.count(facts.photos, 'photo')}, {show.count(facts.faces, 'face')}"


def _note_own_model(model: str) -> None:
    """A model that does not come with facesearch cannot be had again from its card."""
    from facesearch.models.cards import shipped_cards

    if all(card.name != model for card in shipped_cards()):
        from facesearch.home import model_dir

        show.note(f"Its model '{model}' is not in it; keep {model_dir(model)} and its card too.")


def restore_gallery(
    file: Annotated[Path, typer.Argument(help="A file that galleries backup wrote.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option("--as", help="The gallery's name; else the one that it had.", metavar="NAME")
    ] = None,
) -> ExitCode:
    """Make a gallery of a backup. Nothing is overwritten: there must be no gallery of that name."""
    from facesearch.gallery.upkeep.backup import restore
    from facesearch.models.cards import model_cards

    done = restore(file, name, show.note)
    facts = done.manifest
    show.say(f"The gallery '{done.gallery}' is restored: {_holds(facts)}, as of {facts.made}.")
    if facts.model not in model_cards():
        show.note(
            f"Its model '{facts.model}' is not here; add it with: facesearch models add FILE --name {facts.model}"
        )
    return ExitCode.DONE
