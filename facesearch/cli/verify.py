"""`facesearch verify`."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import json_forms, show
from facesearch.cli.options import Detector, Json, Model
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
            help="From this similarity on it is one person; without it, as the model's card says.", min=-1, max=1
        ),
    ] = None,
    json: Json = False,
) -> ExitCode:
    """Do two photos show the same person? Compares their largest faces.

    Exit code 0 for the same person, 1 for different people, 4 when there is no face in a photo, 6 when nobody knows
    from which similarity on faces are the same of this model."""
    from facesearch.verification import verify as compare

    verdict = compare(a, b, model=model, detector=detector, gallery=gallery, threshold=threshold, note=show.note)
    with suppress(show.ClosedPipeError):  # the code is an answer, too
        if json:
            show.as_json(json_forms.verdict(verdict))
        else:
            for sighting in (verdict.a, verdict.b):
                if sighting.faces > 1:
                    show.note(f"{sighting.photo} shows {sighting.faces} faces; the largest was taken.")
            _show_verdict(verdict)
    if verdict.same is None:
        show.note(
            f"From which similarity on two faces are one person is not known of '{verdict.model}'; say it with "
            f"--threshold X, or measure it with: facesearch bench lfw --protocol strangers --save --model "
            f"{verdict.model} --data LFW."
        )
        return ExitCode.MODEL
    return ExitCode.DONE if verdict.same else ExitCode.NO


def _show_verdict(verdict: "Verdict") -> None:
    from facesearch.files import printable

    out = show.console()
    if verdict.threshold is None:
        out.print(
            printable(f"not known: similarity {verdict.similarity:.3f}, no threshold of {verdict.model} is known")
        )
        return
    odds = f" ({show.odds(verdict.far, verdict.learned)})" if verdict.far else ""
    out.print(
        f"{'same person' if verdict.same else 'different people'}: similarity {verdict.similarity:.3f}, "
        f"threshold {verdict.threshold:.3f}{odds}"
    )
