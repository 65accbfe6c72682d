"""`facesearch forget`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import completion, show
from facesearch.cli.options import GalleryName, Json, Yes
from facesearch.cli.whom import chosen_of
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.forms import gallery_forms

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.facts import Forgotten
    from facesearch.gallery.upkeep.forgetting import Kind, ToForget


def forget(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A person's name or id (@17), or the path of a photo or of a folder.",
            metavar="NAME|PHOTO|FOLDER",
            autocompletion=completion.who,
        ),
    ] = None,
    missing: Annotated[
        bool,
        typer.Option(
            "--missing", help="Forget all photos that the last index found gone, and folders that are gone."
        ),
    ] = False,
    person: Annotated[bool, typer.Option("--person", help="NAME|PHOTO|FOLDER is the name of a person.")] = False,
    photo: Annotated[
        bool, typer.Option("--photo", help="NAME|PHOTO|FOLDER is the path of a photo or folder.")
    ] = False,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be forgotten.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Delete the faces of a person, of a photo, of a folder or of all photos that are gone, so that no byte of them
    stays in the gallery. The photos themselves are not touched. You see what will go, and are asked first.

    A forgotten photo is not indexed again until you name that photo itself, or run: facesearch index
    --again-forgotten PATH.

    Exit code 0: done. 1: you answered no. 3: nothing finds it any more, but another process reads the gallery; the
    next command that writes removes the last bytes."""
    from facesearch.errors import UsageError
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.upkeep import forgetting

    if (not what) != missing or person + photo + missing > 1:
        raise UsageError("Name what to forget: one person, one photo or folder, or --missing.")
    opened = Gallery.open(gallery, note=show.note)
    if what is None or missing:
        return _forget_missing(opened, yes, dry_run, json)
    kind: Kind | None = "person" if person else "photo" if photo else None
    try:
        kind = kind or _ask_kind(opened, what, yes or dry_run)
        what = _ask_who(opened, what, kind, yes or dry_run)
        chosen = opened.to_forget(what, kind)
    except forgetting.UnknownError:
        if dry_run:
            raise  # else an earlier forgetting may have to be finished
    else:
        if dry_run:
            return _show_choice(opened, chosen, json)
        if not _is_confirmed(chosen, yes):
            return _show_nothing(opened, json)
    return _show_forgotten(opened, opened.forget(what, kind), json)


def _forget_missing(opened: "Gallery", yes: bool, dry_run: bool, json: bool) -> ExitCode:

    chosen = opened.to_forget_missing()
    if dry_run:
        return _show_choice(opened, chosen, json)
    _note_away(chosen, opened.name)
    if not (chosen.is_nothing or _is_confirmed(chosen, yes)):
        return _show_nothing(opened, json)
    done = opened.forget_missing([root.path for root in chosen.gone_roots])
    return _show_forgotten(opened, done, json)


def _ask_kind(opened: "Gallery", what: str, is_not_asked: bool) -> "Kind | None":
    """Asks what is meant by a name that is both a person's and a path. None where it is only one of them, or where
    the answer was neither; the gallery refuses that."""
    from facesearch.gallery.upkeep import forgetting

    try:
        forgetting.kind_of(opened, what)
    except forgetting.AmbiguousError:
        if is_not_asked or not _is_terminal():
            raise
        answer = typer.prompt("Forget the person (1) or the photo or folder (2)?", type=int, err=True)
        return "person" if answer == 1 else "photo" if answer == 2 else None
    return None


def _ask_who(opened: "Gallery", what: str, kind: "Kind | None", is_not_asked: bool) -> str:
    """Asks who is meant by a name that several people have; what was typed where nothing is to be asked."""
    from facesearch.gallery.references import AmbiguousNameError
    from facesearch.gallery.upkeep import forgetting

    try:
        forgetting.kind_of(opened, what, kind)
    except AmbiguousNameError as error:
        if is_not_asked:
            raise
        return f"@{chosen_of(opened, error)}"
    return what


def _is_confirmed(chosen: "ToForget", yes: bool) -> bool:
    """Whether the user agrees: by --yes, or by the answer to a question."""
    from facesearch.errors import UsageError

    if yes:
        return True
    if not _is_terminal():
        raise UsageError(
            f"This would forget {_count(chosen.photos, chosen.faces)} and cannot be undone; give --yes to do it, or "
            "--dry-run to see more."
        )
    for line in _choice_lines(chosen):
        show.warn(line)
    return typer.confirm("Forget them?", err=True)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _choice_lines(chosen: "ToForget") -> list[str]:
    lines = [f"{_count(chosen.photos, chosen.faces)}:"]
    lines += [f"  {printable(path)}" for path in chosen.paths]
    if chosen.photos > len(chosen.paths):
        lines.append(f"  ... and {chosen.photos - len(chosen.paths):,} more")
    if not chosen.gone_roots:
        lines += [_no_longer_indexed(root) for root in chosen.roots]
    lines += [
        f"{printable(root.path)} is gone, with {_count(root.photos, root.faces)}. (Is its disk mounted?)"
        for root in chosen.gone_roots
    ]
    return lines


def _no_longer_indexed(root: str) -> str:
    return f"The gallery no longer looks after {printable(root)}."


def _note_away(chosen: "ToForget", gallery: str) -> None:
    from facesearch.gallery.indexing.updating import kept_while_away

    for away in chosen.away:
        if away.photos:
            show.note(kept_while_away(away, gallery))


def _show_choice(opened: "Gallery", chosen: "ToForget", json: bool) -> ExitCode:
    if json:
        show.as_json(gallery_forms.to_forget(chosen, opened.name))
        return ExitCode.DONE
    for line in _choice_lines(chosen):
        show.say(printable(line))
    _note_away(chosen, opened.name)
    return ExitCode.DONE


def _show_nothing(opened: "Gallery", json: bool) -> ExitCode:
    from facesearch.gallery.records.facts import Forgotten

    if json:
        show.as_json(gallery_forms.forgotten(Forgotten(0, 0), opened.name))
    show.note("Nothing was forgotten.")
    return ExitCode.NO


def _show_forgotten(opened: "Gallery", done: "Forgotten", json: bool) -> ExitCode:
    if json:
        show.as_json(gallery_forms.forgotten(done, opened.name))
    elif done.finished:
        show.say("The bytes of what was forgotten earlier are now gone from all files.")
    else:
        show.say(f"Forgot {_count(done.photos, done.faces)}.")
        for root in done.roots:
            show.note(_no_longer_indexed(root))
    return ExitCode.DONE


def _count(photos: int, faces: int) -> str:
    return f"{show.count(faces, 'face')} in {show.count(photos, 'photo')}"
