"""`facesearch align`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch.cli import completion, show
from facesearch.cli.options import Device, Json, Precision
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode, Note

if TYPE_CHECKING:
    from facesearch.faces.detector import Detector as FaceDetector

_LISTED = 10  # photos without a crop


def align(
    source: Annotated[Path, typer.Argument(help="Folder with a folder for each person.", metavar="FOLDER")],
    target: Annotated[Path, typer.Argument(help="Where the crops go, in the same folders.", metavar="CROPS")],
    size: Annotated[int, typer.Option(help="Side of a crop.", metavar="PIXELS", min=16, max=1024)] = 160,
    margin: Annotated[
        float, typer.Option(help="By how much the face's box is widened.", metavar="PIXELS", min=0, max=10_000)
    ] = 32,
    warp: Annotated[bool, typer.Option("--warp", help="Turn and scale each face by its landmarks.")] = False,
    all_faces: Annotated[bool, typer.Option("--all-faces", help="Cut out every face, not one a photo.")] = False,
    form: Annotated[Literal["png", "jpg"], typer.Option("--format", help="png loses nothing.")] = "png",
    detector: Annotated[
        str, typer.Option(help="Face detector.", metavar="NAME", autocompletion=completion.detectors)
    ] = "mtcnn",
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> ExitCode:
    """Cut out faces for training, as the original FaceNet did.

    Run it again to go on: what was cut out already is passed over. Exit code 7 when photos could not be read."""
    from facesearch.files import printable
    from facesearch.models.cards import detector_card
    from facesearch.training.crops import CropOptions, align_people, by_box, by_landmarks

    cut = by_landmarks(size, detector) if warp else by_box(size, margin)
    counts: Counter[str] = Counter()
    failures = []
    with Progress() as progress:
        progress.begin("Aligning", detail="photos")
        done = align_people(
            str(source),
            target,
            lambda: _detector(detector, device, precision, progress.note),
            CropOptions(cut, all_faces, ".png" if form == "png" else ".jpg", detector_card(detector).max_side),
        )
        for photo in done:
            progress.advance()
            counts["known" if photo.known else "aligned" if photo.crops else "failed"] += 1
            counts["crops"] += 0 if photo.known else photo.crops
            if photo.reason:
                failures.append(photo)
    if json:
        reasons = [{"photo": failure.photo, "reason": failure.reason} for failure in failures]
        kinds = ("aligned", "known", "failed", "crops")
        show.as_json({kind: counts[kind] for kind in kinds} | {"failures": reasons})
    else:
        show.say(
            f"{counts['crops']:,} crops of {counts['aligned']:,} photos in {printable(str(target))}; "
            f"{counts['known']:,} photos were done already, {counts['failed']:,} gave none."
        )
        listed = len(failures) if show.is_verbose() else _LISTED
        for failure in failures[:listed]:
            show.note(f"{printable(failure.photo)}: {failure.reason}")
        if len(failures) > listed:
            show.note("... and more; --json lists them all.")
    return ExitCode.SOME_UNREAD if any(failure.is_unread for failure in failures) else ExitCode.DONE


def _detector(name: str, device: Device, precision: Precision, note: Note) -> "FaceDetector":
    from facesearch.faces.analyser import load_detector
    from facesearch.models.cards import detector_card

    card = detector_card(name)
    return load_detector(card, device, 1, note, precision)
