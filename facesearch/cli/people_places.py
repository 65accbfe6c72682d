"""`facesearch people move`, `mark` and `cover`: what is said of single faces and places."""

from typing import Annotated

import typer

from facesearch.cli import completion
from facesearch.cli.options import GalleryName, Json, place
from facesearch.cli.people import Who, face_ids, opened_gallery, show_done
from facesearch.errors import ExitCode, UsageError
from facesearch.home import gallery_words


def move(
    faces: Annotated[list[str], typer.Argument(help="Ids of faces, as a sheet shows them.", metavar="FACE")],
    to: Annotated[
        str,
        typer.Option(
            help="Whose they are: a name, or an id such as @17. A name that nobody has is somebody new.",
            metavar="WHO",
            autocompletion=completion.who,
        ),
    ],
    other: Annotated[bool, typer.Option("--other", help="It is another person of the same name.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Give faces to a person, out of whoever has them now. No computation takes them back."""
    return show_done(opened_gallery(gallery).move(face_ids(",".join(faces)), to, other=other), gallery, json)


def mark(
    photo: Annotated[str, typer.Argument(help="A photo of the gallery.", metavar="PHOTO", parser=place)],
    name: Annotated[str, typer.Argument(help="Who is there.", metavar="NAME", autocompletion=completion.people)],
    box: Annotated[
        str,
        typer.Option(help="Where: left, top, right and bottom in pixels of the photo, upright.", metavar="L,T,R,B"),
    ],
    same: Annotated[bool, typer.Option("--same", help="It is the person who has that name already.")] = False,
    other: Annotated[bool, typer.Option("--other", help="It is another person of the same name.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Say who is to be seen at a place in a photo. A face that was found there gets the name; elsewhere the place is
    kept, and `find` and `people export` know of it.

    Exit code 2: somebody has that name already, and neither --same nor --other says whether it is the same person."""
    if same and other:
        raise UsageError("--same and --other exclude each other; leave one out.")
    done = opened_gallery(gallery).mark(photo, _edges(box), name, same=same, other=other)
    return show_done(done, gallery, json)


def cover(
    who: Who,
    face: Annotated[str, typer.Argument(help="The id of a face, as a sheet shows it.", metavar="FACE")],
    gallery: GalleryName = "default",
    json: Json = False,
) -> ExitCode:
    """Choose the face that stands for a person."""
    found = face_ids(face)
    if len(found) != 1:
        command = f"facesearch people cover Ann 12{gallery_words(gallery)}"
        raise UsageError(f"One face stands for a person; name one, such as: {command}")
    return show_done(opened_gallery(gallery).cover(who, found[0]), gallery, json)


def _edges(text: str) -> tuple[float, float, float, float]:
    """A box as it is typed. Raises UsageError for what is none."""
    try:
        left, top, right, bottom = (float(edge) for edge in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"'{text[:60]}' is no box; give left, top, right and bottom, such as --box 410,120,530,260."
        ) from error
    return left, top, right, bottom
