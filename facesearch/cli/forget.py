"""`facesearch forget`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import json_forms, show
from facesearch.cli.options import GalleryName, Json
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.gallery.forgetting import Kind, ToForget
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records import Forgotten


def forget(
    what: Annotated[
        str | None,
        typer.Argument(help="A person's name, or the path of a photo or of a folder.", metavar="PERSON|PHOTO|FOLDER"),
    ] = None,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Forget all photos that are no longer on disk, and folders that are gone."),
    ] = False,
    person: Annotated[bool, typer.Option("--person", help="It is a person that is meant.")] = False,
    photo: Annotated[bool, typer.Option("--photo", help="It is a photo or a folder that is meant.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Forget without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be forgotten.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Delete the faces of a person, of a photo, of a folder or of all photos that are gone, so that no byte of them
    stays in the gallery. The photos themselves are not touched. What will go is shown first, and you are asked.

    A forgotten photo is not looked at again, until it is named itself, or: facesearch index --again-forgotten PATH.

    Exit code 0: done. 1: you said no. 3: it is found no longer, but somebody reads the gallery, and its bytes go
    with the next command."""
    from facesearch.errors import UsageError
    from facesearch.gallery import forgetting
    from facesearch.gallery.gallery import Gallery

    if (not what) != missing or person + photo + missing > 1:
        raise UsageError("Say what is to be forgotten: one person, one photo or folder, or --missing.")
    opened = Gallery.open(gallery, note=show.note)
    kind: Kind | None = "person" if person else "photo" if photo else None
    if what is None or missing:
        return _forget_missing(opened, yes, dry_run, json)
    try:
        kind = kind or _which(opened, what, yes or dry_run)
        chosen = forgetting.to_forget(opened, what, kind)
    except forgetting.UnknownError:
        if dry_run:
            raise
        return _show(opened, forgetting.forget(opened, what, kind), json)  # perhaps an earlier one is to be finished
    if dry_run or not _agreed(chosen, yes):
        return _show_choice(opened, chosen, json) if dry_run else _nothing(opened, json)
    return _show(opened, forgetting.forget(opened, what, kind), json)


def _forget_missing(opened: "Gallery", yes: bool, dry_run: bool, json: bool) -> ExitCode:
    from facesearch.gallery import forgetting

    chosen = forgetting.to_forget_missing(opened)
    if not dry_run:
        _note_away(chosen)
    if dry_run or not (chosen.is_nothing or _agreed(chosen, yes)):
        return _show_choice(opened, chosen, json) if dry_run else _nothing(opened, json)
    return _show(opened, forgetting.forget_missing(opened, [root.path for root in chosen.gone_roots]), json)


def _which(opened: "Gallery", what: str, is_not_asked: bool) -> "Kind | None":
    """What is meant by a name that is both; None where that is clear, or for the gallery to refuse."""
    from facesearch.gallery import forgetting

    try:
        forgetting.to_forget(opened, what)
    except forgetting.AmbiguousError:
        if is_not_asked or not _is_terminal():
            raise
        answer = typer.prompt("Forget the person (1) or the photo or folder (2)?", type=int, err=True)
        return "person" if answer == 1 else "photo" if answer == 2 else None
    return None


def _agreed(chosen: "ToForget", yes: bool) -> bool:
    """Whether the user wants it, as was said by --yes or is answered now."""
    from facesearch.errors import UsageError

    if yes:
        return True
    if not _is_terminal():
        raise UsageError(
            f"This would forget {_amount(chosen.photos, chosen.faces)} and cannot be undone; give --yes to do it, or "
            "--dry-run to see more."
        )
    for line in _described(chosen):
        show.note(line)
    return typer.confirm("Forget them?", err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _described(chosen: "ToForget") -> list[str]:
    lines = [f"{_amount(chosen.photos, chosen.faces)}:"]
    lines += [f"  {path}" for path in chosen.paths]
    if chosen.photos > len(chosen.paths):
        lines.append(f"  ... and {chosen.photos - len(chosen.paths):,} more")
    lines += [f"The folder {root} is not looked after any more." for root in chosen.roots if not chosen.gone_roots]
    lines += [
        f"The folder {root.path} is gone, with {_amount(root.photos, root.faces)}. (Is its disk mounted?)"
        for root in chosen.gone_roots
    ]
    return lines


def _note_away(chosen: "ToForget") -> None:
    from facesearch.gallery.indexing import kept_while_away

    for away in chosen.away:
        if away.photos:
            show.note(kept_while_away(away))


def _show_choice(opened: "Gallery", chosen: "ToForget", json: bool) -> ExitCode:
    if json:
        show.as_json(json_forms.to_forget(chosen, opened.name))
        return ExitCode.DONE
    for line in _described(chosen):
        show.console().print(_printable(line))
    _note_away(chosen)
    return ExitCode.DONE


def _nothing(opened: "Gallery", json: bool) -> ExitCode:
    from facesearch.gallery.records import Forgotten

    if json:
        show.as_json(json_forms.forgotten(Forgotten(0, 0), opened.name))
    show.note("Nothing was forgotten.")
    return ExitCode.NO


def _show(opened: "Gallery", done: "Forgotten", json: bool) -> ExitCode:
    if json:
        show.as_json(json_forms.forgotten(done, opened.name))
    elif done.finished:
        show.console().print("What was forgotten before has now left all files.")
    else:
        show.console().print(f"Forgot {_amount(done.photos, done.faces)}.")
        for root in done.roots:
            show.note(f"The folder {root} is not looked after any more.")
    return ExitCode.DONE


def _amount(photos: int, faces: int) -> str:
    in_photos = "1 photo" if photos == 1 else f"{photos:,} photos"
    return f"1 face in {in_photos}" if faces == 1 else f"{faces:,} faces in {in_photos}"


def _printable(text: str) -> str:
    from facesearch.files import printable

    return printable(text)
