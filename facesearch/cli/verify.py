"""`facesearch verify`."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch import limits
from facesearch.cli import completion, show
from facesearch.cli.options import Detector, Json, Model, Precision, place
from facesearch.errors import ExitCode
from facesearch.forms import query_forms

if TYPE_CHECKING:
    from facesearch.gallery.records.answers import Verdict
    from facesearch.verification import FacesToCompare

_FACE = typer.Option(
    help="Which face of that photo: 1 is the largest, 2 the next.",
    min=limits.FACE.least,
    max=limits.FACE.most,
    metavar="N",
)
FaceA = Annotated[int | None, _FACE]
FaceB = Annotated[int | None, _FACE]


def verify(
    a: Annotated[str, typer.Argument(help="A photo.", metavar="A", parser=place)],
    b: Annotated[str, typer.Argument(help="Another photo.", metavar="B", parser=place)],
    model: Model = None,
    detector: Detector = None,
    gallery: Annotated[
        str | None,
        typer.Option(
            "--gallery",
            "-g",
            help="Judge by this gallery's models and threshold.",
            metavar="NAME",
            autocompletion=completion.galleries,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The judged value from which two faces count as one person; by default that of the model's card.",
            min=-1,
            max=1,
        ),
    ] = None,
    each: Annotated[
        bool, typer.Option("--any", help="Compare each face of A with each of B; the best pair decides.")
    ] = False,
    face_a: FaceA = None,
    face_b: FaceB = None,
    precision: Precision = "auto",
    json: Json = False,
) -> ExitCode:
    """Do two photos show the same person? Compares their largest faces, or those that are chosen.

    Exit code 0: the same person. 1: different people. 4: a photo shows no face, or both faces are too small to tell.
    6: no threshold is known for this model."""
    from facesearch.verification import FacesToCompare
    from facesearch.verification import verify as compare

    faces = FacesToCompare(face_a, face_b, each)
    verdict = compare(
        a,
        b,
        model=model,
        detector=detector,
        gallery=gallery,
        threshold=threshold,
        faces=faces,
        note=show.note,
        precision=precision,
    )
    with suppress(show.ClosedPipeError):  # the code is an answer, too
        if json:
            show.as_json(query_forms.verdict(verdict))
        else:
            _show(verdict, gallery, faces)
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


def _show(verdict: "Verdict", gallery: str | None, faces: "FacesToCompare") -> None:
    _say_which(verdict, faces)
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
    odds = f" ({show.odds(verdict.far, verdict.learned)}{_of_pairs(verdict)})" if verdict.far else ""
    show.say(f"{answer}: {similarity}, threshold {verdict.threshold:.3f}{odds}")
    if verdict.cohort or verdict.far is None:
        return
    if gallery:
        show.note(f"No face was judged by the people of '{gallery}': it has none yet, or goes by similarities alone.")
    else:
        show.note("Some faces are like many: --gallery NAME judges these by the people of a gallery, too.")


def _say_which(verdict: "Verdict", faces: "FacesToCompare") -> None:
    """Says which faces of several were compared, where the user has not said it."""
    if faces.each:
        if verdict.pairs > 1:
            best = f"face {verdict.a.number} of A and face {verdict.b.number} of B"
            show.note(f"Of {verdict.pairs:,} pairs of faces the most similar: {best}.")
        return
    for sighting, chosen, name in ((verdict.a, faces.a, "a"), (verdict.b, faces.b, "b")):
        if sighting.faces > 1 and chosen is None:
            show.note(
                f"{sighting.photo} shows {sighting.faces} faces; the largest was taken (--face-{name} 2 takes the "
                "next, --any compares all)."
            )


def _of_pairs(verdict: "Verdict") -> str:
    """How likely one of several pairs is that similar by chance."""
    if verdict.pairs == 1 or not verdict.chance:
        return ""
    return f"; of {verdict.pairs:,} pairs one is by chance in 1 of {max(1, round(1 / verdict.chance)):,} cases"
