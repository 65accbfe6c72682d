"""`facesearch verify`."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import json_forms, show
from facesearch.cli.options import Detector, Json, Model, Precision
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.gallery.records import Verdict


def verify(
    a: Annotated[Path, typer.Argument(help="A photo.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="Another photo.", metavar="B")],
    model: Model = None,
    detector: Detector = None,
    gallery: Annotated[
        str | None,
        typer.Option("--gallery", "-g", help="Judge by this gallery's models and threshold.", metavar="NAME"),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The judged value from which two faces count as one person; by default that of the model's card.",
            min=-1,
            max=1,
        ),
    ] = None,
    precision: Precision = "auto",
    json: Json = False,
) -> ExitCode:
    """Do two photos show the same person? Compares their largest faces.

    Exit code 0: the same person. 1: different people. 4: a photo shows no face, or both faces are
    too small to tell. 6: no threshold is known for this
    model."""
    from facesearch.verification import verify as compare

    verdict = compare(
        a,
        b,
        model=model,
        detector=detector,
        gallery=gallery,
        threshold=threshold,
        note=show.note,
        precision=precision,
    )
    with suppress(show.ClosedPipeError):  # the code is an answer, too
        if json:
            show.as_json(json_forms.verdict(verdict))
        else:
            _show(verdict, gallery)
    if verdict.same is None and verdict.threshold is not None:
        show.note("Both faces are too small to tell; give larger photos, or decide by --threshold.")
        return ExitCode.NO_FACE
    if verdict.same is None:
        show.note(
            f"No threshold is known for '{verdict.model}'; give one with --threshold X, or measure one with: "
            f"facesearch bench lfw --protocol strangers --save --model {verdict.model} --data LFW."
        )
        return ExitCode.MODEL
    return ExitCode.DONE if verdict.same else ExitCode.NO


def _show(verdict: "Verdict", gallery: str | None) -> None:
    for sighting in (verdict.a, verdict.b):
        if sighting.faces > 1:
            show.note(f"{sighting.photo} shows {sighting.faces} faces; the largest was taken.")
    similarity = f"similarity {verdict.similarity:.3f}"
    if verdict.cohort:
        similarity += (
            f", judged {verdict.judged:.3f} by {show.count(verdict.cohort, 'person', 'people')} of the gallery"
        )
    if verdict.threshold is None:
        show.say(f"not known: {similarity}, no threshold of {verdict.model} is known")
        return
    if verdict.same is None:
        show.say(f"too small to tell: {similarity}, threshold {verdict.threshold:.3f}")
        return
    answer = "same person" if verdict.same else "different people"
    odds = f" ({show.odds(verdict.far, verdict.learned)})" if verdict.far else ""
    show.say(f"{answer}: {similarity}, threshold {verdict.threshold:.3f}{odds}")
    if verdict.cohort or verdict.far is None:
        return
    if gallery:
        show.note(f"No face was judged by the people of '{gallery}': it has none yet, or goes by similarities alone.")
    else:
        show.note("Some faces are like many: --gallery NAME judges these by the people of a gallery, too.")
