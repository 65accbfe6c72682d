"""`facesearch people`: who is in the photos, and all that a user decides about it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import completion, show
from facesearch.cli.options import GalleryName, Json, place
from facesearch.errors import ExitCode, UsageError
from facesearch.forms import people_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.people import Change, Done

Who = Annotated[
    str,
    typer.Argument(
        help="A name, an id such as @17, or a photo with one face; photo.jpg#2 is its second largest face.",
        metavar="WHO",
        autocompletion=completion.who,
    ),
]
Whos = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names, ids such as @17, or photos.", metavar="WHO", show_default=False, autocompletion=completion.who
    ),
]

HELP = (
    "Who is in the photos: list people and groups, name, join and part them, answer questions, undo. Without another "
    "command it lists them."
)
_DID = {  # before the words of a change, by its verb
    "name": "",
    "join": "Joined",
    "part": "Took",
    "ignore": "Ignored",
    "hide": "Hid",
    "show": "Showed",
    "not-a-face": "No face:",
    "collage": "Collage:",
    "cover": "Cover",
    "move": "Moved",
    "mark": "Marked",
    "answer": "Answered",
    "undo": "Undid change",
    "redo": "Did again change",
}


def group_people(
    again: Annotated[
        bool, typer.Option("--again", help="Group all faces anew; what you decided stays as it is.")
    ] = False,
    mode: Annotated[
        Literal["careful", "balanced", "eager"] | None,
        typer.Option(help="careful asks more, eager joins more; without it as the last time, at first careful."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Find out which faces are of one person. `index` does so for new photos by itself."""
    found = opened_gallery(gallery).group(mode, again=again, dry_run=dry_run)
    if json:
        show.as_json(people_forms.grouped(found))
        return ExitCode.DONE
    show.facts(
        [
            ("faces", f"{found.faces:,}"),
            ("people with a name or a decision", f"{found.people:,}"),
            ("groups without a name", f"{found.groups:,}"),
            ("faces that are alone", f"{found.alone:,}"),
            ("faces elsewhere than before", f"{found.moved:,}"),
            ("questions", f"{found.questions:,}"),
        ]
    )
    show.note(f"Grouped {'all' if found.is_whole else 'new'} faces ({found.mode}) in {found.seconds:.1f} s.")
    if found.is_dry:
        show.note("Nothing was written.")
    elif found.groups:
        show.note(f"Name the largest with: facesearch people name{gallery_words(gallery)}")
    return ExitCode.DONE


def join(
    whos: Whos = None,
    into: Annotated[
        str | None,
        typer.Option(
            help="Who they all are: needed where two have names.", metavar="WHO", autocompletion=completion.who
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Although you said before that they are not the same.")
    ] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Say that several are one person: from now on all their faces are."""
    if len(whos or ()) + (into is not None) < 2:
        command = f"facesearch people join @17 @23{gallery_words(gallery)}"
        raise UsageError(f"Name at least two who are one person, such as: {command}")
    return show_done(opened_gallery(gallery).join(whos or [], into=into, anyway=anyway), gallery, json)


def part(
    who: Who,
    faces: Annotated[
        str | None, typer.Option(help="Ids of faces, as a sheet shows them: 12,13", metavar="ID,ID")
    ] = None,
    photos: Annotated[
        list[Path] | None, typer.Option(help="Photos in which the person is not.", metavar="PHOTO")
    ] = None,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Take faces out of a person. They never come back to them, unless you say so."""
    if not faces and not photos:
        raise UsageError(
            "Name the faces, such as --faces 12,13, or a photo, such as --photos a.jpg; their ids are on: facesearch "
            f"people sheet WHO OUT.jpg{gallery_words(gallery)}"
        )
    done = opened_gallery(gallery).part(who, faces=face_ids(faces), photos=[str(photo) for photo in photos or ()])
    return show_done(done, gallery, json)


def ignore(
    whos: Whos = None,
    unnamed_below: Annotated[
        int | None,
        typer.Option(help="All groups without a name that have fewer faces than this.", min=2, max=limits.ROWS.most),
    ] = None,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Say that somebody is a stranger: kept and recognised, but neither listed nor asked about. A name ends it."""
    if bool(whos) == (unnamed_below is not None):
        raise UsageError("Name who is to be ignored, such as @31, or say --unnamed-below N.")
    return show_done(opened_gallery(gallery).ignore(whos or [], unnamed_below=unnamed_below), gallery, json)


def hide(
    whos: Annotated[
        list[str], typer.Argument(help="Names or ids such as @17.", metavar="WHO", autocompletion=completion.who)
    ],
    again: Annotated[bool, typer.Option("--show", help="List them again.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Leave people out of lists; queries answer with them as before."""
    return show_done(opened_gallery(gallery).hide(whos, not again), gallery, json)


def not_a_face(
    faces: Annotated[list[str], typer.Argument(help="Ids of faces, as a sheet shows them.", metavar="ID")],
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Say that what was found is no face: it takes part in nothing from now on."""
    return show_done(opened_gallery(gallery).not_a_face(face_ids(",".join(faces))), gallery, json)


def collage(
    photos: Annotated[list[str], typer.Argument(help="A photo.", metavar="PHOTO", parser=place)],
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Say that one person may be several times in a photo, as in a collage or before a mirror."""
    return show_done(opened_gallery(gallery).collage(photos), gallery, json)


def undo(
    change: Annotated[
        int | None,
        typer.Argument(
            help="A change's number, as people log shows it.",
            metavar="CHANGE",
            min=limits.CHANGE.least,
            max=limits.CHANGE.most,
        ),
    ] = None,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Take a change back: the last one, or one by its number. Undoing an undo does it again."""
    opened = opened_gallery(gallery)
    done = opened.undo(change)
    if json or done.change is None or not done.change.words.isdecimal():
        return show_done(done, gallery, json)
    (undone,) = opened.log(1, before=int(done.change.words) + 1)
    did = f"Undid {undone.id}" if done.change.verb == "undo" else f"Did {undone.id} again"
    show.say(f"{did}: {sentence_of(undone)}.")
    for text in done.notes:
        show.note(text)
    return ExitCode.DONE


def face_ids(text: str | None) -> list[int]:
    """Ids of faces, as they are typed: 12,13 or #12. Raises UsageError for what is none."""
    words = [word.removeprefix("#") for word in (text or "").replace(",", " ").split()]
    for word in words:
        if not (word.isascii() and word.isdecimal() and len(word) < 19):
            raise UsageError(f"'{word[:30]}' is no id of a face; they are numbers, such as 12,13.")
    return [int(word) for word in words]


def opened_gallery(name: str) -> "Gallery":
    from facesearch.gallery.gallery import Gallery

    return Gallery.open(name, "cpu", show.note)


def words_of(done: "Done") -> str:
    """A sentence on what a verb did."""
    return f"{sentence_of(done.change)}." if done.change else "All was so before."


def sentence_of(change: "Change") -> str:
    """What a change was, without a full stop."""
    return f"{_DID.get(change.verb, f'{change.verb}:')} {change.words}".strip()


def show_done(done: "Done", gallery: str, json: bool) -> ExitCode:
    """Shows what a verb did, and how to take it back."""
    if json:
        show.as_json(people_forms.done(done))
    else:
        show.say(words_of(done))
    for text in done.notes:
        show.note(text)
    if done.change and not json:
        show.detail(f"Take it back with: facesearch people undo {done.change.id}{gallery_words(gallery)}")
    return ExitCode.DONE
