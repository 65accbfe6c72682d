"""`facesearch people sheet`, and which faces stand for a person on sheets and in the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch import limits
from facesearch.cli import completion, delivery, show
from facesearch.cli.options import GalleryName
from facesearch.cli.people_list import unnamed_groups
from facesearch.errors import ExitCode, UsageError
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.arrays import Pixels
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.people import FaceOf, PersonFacts, Question
    from facesearch.pictures.people_sheets import Row, ShownFace
    from facesearch.pictures.tiles import FacePlace

_GROUPS, _FACES = 50, 500  # rows of a sheet of groups, faces on a sheet of one person
_OF_GROUP, _OF_QUESTION = 6, 3  # faces that stand for somebody
_FEW = 4  # faces: a sheet of no more is too narrow to say in which order they are


def sheet(
    who: Annotated[
        str | None,
        typer.Argument(
            help="A name, an id such as @17, or a photo; with --unnamed nobody.",
            metavar="WHO",
            show_default=False,
            autocompletion=completion.who,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Argument(help="The picture.", metavar="OUT.jpg", show_default=False)] = None,
    unnamed: Annotated[
        bool, typer.Option("--unnamed", help="A row of faces for each of the largest groups without a name.")
    ] = False,
    most: Annotated[
        int | None,
        typer.Option(
            "--n",
            "-n",
            help="How many faces (500, the least sure) or groups (50).",
            min=limits.ROWS.least,
            max=limits.ROWS.most,
        ),
    ] = None,
    open_sheet: Annotated[bool, typer.Option("--open", help="Draw the picture and show it.")] = False,
    gallery: GalleryName = "default",
) -> ExitCode:
    """Draw all faces of a person as a contact sheet, the least sure last, with the ids by which `part` takes them."""
    if unnamed:
        who, out = None, Path(who) if who else out
    elif not who:
        command = f"facesearch people sheet @17 --open{gallery_words(gallery)}"
        raise UsageError(f"Say whose faces are to be drawn, such as: {command}")
    if out is None and not open_sheet:
        raise UsageError("Say where the picture is to be, such as faces.jpg, or --open to see it.")
    from facesearch.gallery.gallery import Gallery

    opened = Gallery.open(gallery, "cpu", show.note)
    with opened.reading():
        target = prepared(out, opened, "the sheet")
    picture = _of_person(opened, who, most or _FACES) if who else _of_groups(opened, most or _GROUPS)
    if picture is None:
        show.note("No group is without a name.")
        return ExitCode.DONE
    write(picture, target, is_own=out is None)
    if open_sheet:
        delivery.open_picture(target)
    return ExitCode.DONE


def prepared(out: Path | None, opened: "Gallery", option: str) -> Path:
    """Where a sheet goes: to the name that was given, which is checked first, or else into the gallery's folder,
    where the next one takes its place."""
    if out is None:
        return opened.sheet
    from facesearch.pictures.sheets import check_sheet_name

    check_sheet_name(out, option)
    return out


def write(picture: "Pixels", target: Path, is_own: bool, comment: str = "") -> None:
    """Writes a sheet and says where it is; one of facesearch's own is its owner's alone."""
    from facesearch.pictures.sheets import write_sheet

    write_sheet(picture, target, comment)
    if is_own:
        target.chmod(0o600)
    show.note(f"The sheet is {target}.")


def _of_person(opened: "Gallery", who: str, most: int) -> "Pixels":
    from facesearch.pictures.people_sheets import grid_of

    faces = opened.faces_of(who)
    shown = faces[-most:]
    label = _called(opened, faces, who)
    photos = len({face.photo for face in faces})
    counts = f"{show.count(len(faces), 'face')} in {show.count(photos, 'photo')}"
    which = ""
    if len(shown) < len(faces):
        which = f"; the last {len(shown):,}"
    elif len(shown) > _FEW and any(face.margin is not None for face in faces):
        which = "; the least sure are last"
    picture, _ = grid_of(f"{label}: {counts}{which}", [_with_id(face) for face in shown])
    return picture


def _called(opened: "Gallery", faces: "Sequence[FaceOf]", who: str) -> str:
    if not faces or faces[0].person is None:
        return who
    person = opened.person(faces[0].person)
    return f"{person.name} (@{person.id})" if person.name else person.label


def _with_id(face: "FaceOf") -> "ShownFace":
    from facesearch.pictures.people_sheets import ShownFace
    from facesearch.pictures.tiles import FAINT, UNSURE

    if face.is_unsure:
        return ShownFace(place(face), f"{face.face_id} unsure", UNSURE)
    return ShownFace(place(face), str(face.face_id), FAINT)


def _of_groups(opened: "Gallery", most: int) -> "Pixels | None":
    found = unnamed_groups(opened)
    if not found:
        return None
    title = f"The {min(most, len(found)):,} largest of {show.count(len(found), 'group')} without a name"
    return picture_of_groups(opened, found[:most], title)


def picture_of_groups(opened: "Gallery", groups: "Sequence[PersonFacts]", title: str) -> "Pixels":
    """A row of faces for each group, from the surest to the least sure."""
    from facesearch.pictures.people_sheets import rows_of

    picture, _ = rows_of(title, [_row_of(opened, group) for group in groups])
    return picture


def _row_of(opened: "Gallery", group: "PersonFacts") -> "Row":
    from facesearch.pictures.people_sheets import Row, ShownFace

    faces = tuple(ShownFace(place(face)) for face in spread(opened.faces_of(group.id), _OF_GROUP))
    return Row((group.label, show.count(group.photos, "photo")), faces)


def picture_of_questions(opened: "Gallery", questions: "Sequence[Question]") -> "Pixels":
    """Two rows of faces for each question, numbered from 1."""
    from facesearch.pictures.people_sheets import Row, ShownFace, rows_of

    rows = []
    for number, question in enumerate(questions, 1):
        first, second = sides(opened, question, _OF_QUESTION)
        texts = label(question.person_a), label(question.person_b)
        left, right = (
            tuple(ShownFace(place(face), text if i == 0 else "") for i, face in enumerate(faces))
            for faces, text in ((first, texts[0]), (second, texts[1]))
        )
        rows.append(Row((str(number), _asked(question)), left, right))
    return rows_of("Is it the same person on both sides?", rows)[0]


def _asked(question: "Question") -> str:
    return "same person?" if question.kind == "same" else f"is this {label(question.person_b)}?"


def sides(opened: "Gallery", question: "Question", most: int) -> "tuple[list[FaceOf], list[FaceOf]]":
    """The faces that stand for the two sides of a question: the two that it is about, then others of their people."""
    strays = question.kind == "stray"
    left = [question.a] if strays else _with_others(opened, question.a, question.person_a, most)
    return left, _with_others(opened, question.b, question.person_b, most)


def _with_others(opened: "Gallery", face: "FaceOf", person: "PersonFacts | None", most: int) -> "list[FaceOf]":
    if person is None or most < 2:
        return [face]
    others = [each for each in opened.faces_of(person.id) if each.face_id != face.face_id]
    return [face, *spread(others, most - 1)]


def spread(faces: "Sequence[FaceOf]", most: int) -> "list[FaceOf]":
    """At most so many of these faces, evenly from the first to the last, of different photos if that goes."""
    by_photo = list({face.photo: face for face in reversed(faces)}.values())[::-1]
    chosen = by_photo if len(by_photo) >= most else list(faces)
    if len(chosen) <= most:
        return chosen
    return [chosen[round(i * (len(chosen) - 1) / max(most - 1, 1))] for i in range(most)]


def place(face: "FaceOf") -> "FacePlace":
    """Where a face is, for whoever draws it."""
    from facesearch.pictures.tiles import FacePlace

    return FacePlace(face.photo, face.box)


def label(person: "PersonFacts | None") -> str:
    """A name or an id with how many photos there are; a face that is nobody's yet is a single one."""
    return f"{person.label} ({show.count(person.photos, 'photo')})" if person else "one face"
