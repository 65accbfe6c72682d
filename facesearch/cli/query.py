"""`facesearch query`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch import limits
from facesearch.cli import json_forms, show
from facesearch.cli.options import Device, GalleryName, Json, Precision
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.gallery.records import Answer, Unanswered


def query(
    photos: Annotated[list[Path], typer.Argument(help="A photo, several, or a folder.", metavar="PHOTO")],
    k: Annotated[
        int, typer.Option("--k", "-k", help="How many people.", min=limits.MATCHES.least, max=limits.MATCHES.most)
    ] = 5,
    gallery: GalleryName = "default",
    threshold: Annotated[
        float | None,
        typer.Option(help="Least judged value; without it the nearest are shown, however far.", min=-1, max=1),
    ] = None,
    face: Annotated[
        int | None,
        typer.Option(
            help="Which face of the photo: 1 is the largest (the default), 2 the next.",
            min=limits.FACE.least,
            max=limits.FACE.most,
        ),
    ] = None,
    min_quality: Annotated[
        float,
        typer.Option(help="Leave out faces that are small, blurred or turned away: least quality.", min=0, max=1),
    ] = 0.0,
    faces: Annotated[bool, typer.Option("--faces", help="Show faces; do not group them by person.")] = False,
    sheet: Annotated[Path | None, typer.Option(help="Draw a contact sheet of the faces.", metavar="FILE.jpg")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> ExitCode:
    """Who is this? Shows the nearest people in a gallery.

    Exit code 1: nobody reaches the threshold that was given. 4: the photo shows no face. 7: a photo of several could
    not be read."""
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records import Answer

    several = len(photos) > 1 or photos[0].is_dir()
    _check_options(photos, several, face, sheet)
    # One photo is embedded before a GPU would have started.
    chosen = "cpu" if device == "auto" and not several else device
    opened = Gallery.open(gallery, chosen, show.note, precision)
    least = -1.0 if threshold is None else threshold
    if several:
        found: Iterable[Answer | Unanswered] = opened.query_many(
            _photos(photos), k, threshold=least, group=not faces, min_quality=min_quality
        )
    else:
        found = [opened.query(photos[0], k, face=face, threshold=least, group=not faces, min_quality=min_quality)]
    answers, codes = [], set()
    for answer in found:
        codes.add(_show(answer, json, face, threshold))
        show.flush()  # who reads them need not wait for the last one
        answers.append(answer)
    if sheet is not None:
        _draw([answer for answer in answers if isinstance(answer, Answer)], sheet)
    # What could not be read comes first, then what has no face; a no counts when every answer is a no.
    first = (code for code in (ExitCode.SOME_UNREAD, ExitCode.NO_FACE) if code in codes)
    return next(first, min(codes, default=ExitCode.DONE))


def _check_options(photos: list[Path], several: bool, face: int | None, sheet: Path | None) -> None:
    from facesearch.errors import UsageError

    if sheet is not None:
        from facesearch.pictures.sheets import check_sheet_name

        check_sheet_name(sheet, asked=photos)
    if several and face is not None:
        raise UsageError("--face chooses a face of one photo, but several photos were given; leave it out.")


def _photos(paths: list[Path]) -> Iterable[str]:
    """The files that were named, and in each folder the files whose names are those of photos."""
    from facesearch.errors import FaceSearchError
    from facesearch.files import printable
    from facesearch.photos.formats import looks_like_photo
    from facesearch.photos.walk import walk

    for path in paths:
        if not path.is_dir():
            yield str(path)
            continue
        count = 0
        for file in walk(str(path)):
            if looks_like_photo(file.path):
                count += 1
                yield file.path
        if not count:
            raise FaceSearchError(f"There is no photo in the folder {printable(str(path))}; name a photo.")


def _show(answer: "Answer | Unanswered", json: bool, face: int | None, threshold: float | None) -> ExitCode:
    """Shows one answer and returns the exit code that it alone would have."""
    from facesearch.gallery.records import Unanswered
    from facesearch.photos.status import Status

    if isinstance(answer, Unanswered):
        if json:
            show.as_json(json_forms.unanswered(answer))
        else:
            show.note(f"{answer.photo}: {answer.reason}.")
        return ExitCode.NO_FACE if answer.status == Status.NO_FACE else ExitCode.SOME_UNREAD
    if json:
        show.as_json(json_forms.answer(answer))
    else:
        _show_table(answer, face)
    if not answer.matches and threshold is not None:
        show.note(f"Nobody in the gallery reaches {threshold:g}.")
        return ExitCode.NO
    return ExitCode.DONE


def _show_table(answer: "Answer", face: int | None) -> None:
    from facesearch.files import printable

    if answer.query.faces > 1 and face is None:
        show.note(
            f"{answer.query.photo} shows {answer.query.faces} faces; the largest was taken (--face 2 takes the next)."
        )
    numbers = ["judged", "similarity", "quality"]
    rows = show.table("person", "judged", "same", "similarity", "quality", "photo", "box", right=numbers)
    for match in answer.matches:
        rows.add_row(
            match.person or "-",
            f"{match.judged:.3f}",
            "-" if match.same is None else "yes" if match.same else "no",
            f"{match.similarity:.3f}",
            "-" if match.quality is None else f"{match.quality:.2f}",
            match.photo,
            show.box_text(match.box),
        )
    out = show.console()
    out.print(printable(answer.query.photo))
    out.print(rows)
    out.print(_meaning(answer))
    if answer.threshold is not None and any(match.same is None for match in answer.matches):
        show.note("same: - where both faces are too small to tell.")


def _meaning(answer: "Answer") -> str:
    """What the column `same` says."""
    if answer.threshold is None or answer.far is None:
        return f"same: not known of {answer.model}; facesearch calibrate may learn it from the gallery"
    by_chance = f"expect {answer.far * answer.compared:,.1f} among {show.count(answer.compared, 'face')}"
    by = f"; own thresholds by {show.count(answer.cohort, 'person', 'people')}" if answer.cohort else ""
    return f"same: judged from {answer.threshold:.3f} on ({show.odds(answer.far, answer.learned)}: {by_chance}){by}"


def _draw(answers: "list[Answer]", path: Path) -> None:
    from facesearch.pictures.sheets import contact_sheet, write_sheet

    if answers:
        sheet, shown, total = contact_sheet(answers)
        write_sheet(sheet, path)
        left_out = f" It shows {shown:,} of {total:,} faces." if shown < total else ""
        show.note(f"The contact sheet is {path}.{left_out}")
