"""`facesearch calibrate`."""

import dataclasses
from typing import Annotated

import typer

from facesearch import limits
from facesearch.cli import show
from facesearch.cli.options import GalleryName, Json
from facesearch.errors import ExitCode


def calibrate(
    gallery: GalleryName = "default",
    far: Annotated[
        float,
        typer.Option(
            help="The share of strangers that may pass for one person.", min=limits.FAR.least, max=limits.FAR.most
        ),
    ] = 0.001,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the threshold of the model's card.")] = False,
    json: Json = False,
) -> ExitCode:
    """Learn from your own photos how similar two faces must be to count as one person.

    Faces in one photo are different people: their similarities show how alike strangers look here. Photos of a burst
    show one person twice. No names are needed; mirrors and collages mislead it."""
    from facesearch.gallery.gallery import Gallery

    opened = Gallery.open(gallery)
    if reset:
        opened.forget_calibration()
        show.note(f"The gallery '{gallery}' goes by the card's threshold again.")
        return ExitCode.DONE
    learned = opened.calibrate(far)
    if json:
        show.as_json(dataclasses.asdict(learned))
        return ExitCode.DONE
    of_card = f"1 in {1 / learned.card_far:,.0f}" if learned.card_far else "none"
    accepted = "" if learned.likely_accepted is None else f", of which {learned.likely_accepted:.1%} reach it"
    before = "not known"
    if learned.card_threshold is not None:
        before = (
            f"{learned.card_threshold:.4f} by the card of {learned.model}, which {of_card} of these strangers reach"
        )
    show.facts(
        [
            ("threshold", f"{learned.threshold:.4f} ({show.odds(learned.far)})"),
            ("", f"with 95 % confidence at most 1 in {1 / learned.far_at_most:,.0f} are"),
            ("strangers", f"{learned.strangers:,} pairs of faces, in {learned.photos:,} photos of several people"),
            ("likely the same", f"{learned.likely:,} pairs of faces, in photos that are near-duplicates{accepted}"),
            ("before", before),
        ]
    )
    return ExitCode.DONE
