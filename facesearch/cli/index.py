"""`facesearch index`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import json_forms, show
from facesearch.cli.options import Batch, Detector, Device, GalleryName, Json, Precision, Threads, gallery_words
from facesearch.cli.progress import IndexingProgress
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.gallery.records import RunSummary

_LISTED = 10  # photos that could not be read, of this run
_WORDS = {
    "ok": "with faces",
    "no_face": "without a face",
    "unreadable": "unreadable",
    "unsupported": "of other kinds",
    "raw": "RAW, not read yet",
    "too_large": "too large",
    "crashed": "crashed a decoder",
    "timeout": "took too long",
    "forgotten": "forgotten",
    "missing": "no longer there",
    "unchanged": "unchanged",
    "moved": "moved",
    "copied": "copies of known photos",
}


def index(
    paths: Annotated[list[Path], typer.Argument(help="Folders of photos, or photos.", metavar="PATH")],
    gallery: GalleryName = "default",
    people_from: Annotated[
        Literal["none", "folder"],
        typer.Option(help="Name each face after its photo's folder, or leave faces unnamed."),
    ] = "none",
    min_face: Annotated[
        float | None,
        typer.Option(
            help="Smallest face that is looked for, in pixels of what --max-side leaves; 20 in a new gallery.",
            min=limits.MIN_FACE_PX.least,
            max=limits.MIN_FACE_PX.most,
        ),
    ] = None,
    max_side: Annotated[
        int | None,
        typer.Option(
            help="Most pixels a side of a photo in which faces are looked for: a larger one is shrunk for it, unless "
            "this is 0. 1280 in a new gallery.",
            min=limits.MAX_SIDE_PX.least,
            max=limits.MAX_SIDE_PX.most,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Embedding model of a new gallery (see: facesearch models list).")
    ] = None,
    detector: Detector = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    batch: Batch = None,
    max_megapixels: Annotated[
        float,
        typer.Option(
            help="A larger photo is not decoded, and said to be too large.",
            min=limits.MEGAPIXELS.least,
            max=limits.MEGAPIXELS.most,
        ),
    ] = 200,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Look again at all photos that could not be read before, not only where that may help.",
        ),
    ] = False,
    again_forgotten: Annotated[
        bool, typer.Option("--again-forgotten", help="Look again at photos that were forgotten.")
    ] = False,
    json: Json = False,
) -> ExitCode:
    """Find all faces in folders of photos and remember them.

    Run it again at any time: only what is new or changed is looked at, a photo that moved is recognised by its
    content, and one that is gone is found no longer. A photo that could not be read is tried again when its file,
    an option or an installed package has changed, and in every run where the cause lies in the machine.

    Exit code 7: done, but some of these photos cannot be read, whether that was found in this run or before."""
    from facesearch.gallery.gallery import Gallery

    with IndexingProgress([str(path) for path in paths]) as progress:
        opened = Gallery.open(gallery, device, progress.note, precision)
        summary = opened.index(
            paths,
            people_from=people_from,
            model=model,
            detector=detector,
            min_face_px=min_face,
            max_side=max_side,
            threads=threads,
            batch=batch,
            max_megapixels=max_megapixels,
            retry_failed=retry_failed,
            again_forgotten=again_forgotten,
            on_outcome=progress.add,
        )
    if json:
        show.as_json(json_forms.run_summary(summary))
    else:
        show_summary(summary)
    return ExitCode.SOME_UNREAD if summary.failing or summary.roots_failed else ExitCode.DONE


def show_summary(summary: "RunSummary") -> None:
    """Shows what a run did."""
    rows = show.table("photos", "count", right=["count"])
    for status, count in summary.photos.items():
        rows.add_row(_WORDS.get(status, status), f"{count:,}")
    show.console().print(rows)
    where = f"gallery '{summary.gallery}'"
    if summary.photos_per_second:
        took = f"{summary.seconds:.1f} s, {show.rate(summary.photos_per_second)}"
        show.console().print(f"{show.count(summary.faces, 'new face')} in {where}: {took}.")
    else:
        show.console().print(f"Nothing is new in {where}: all photos were checked in {summary.seconds:.1f} s.")
    for sentence in show.unread(summary.failing, summary.unsupported):
        show.note(sentence)
    for outcome in summary.failures[:_LISTED]:
        show.note(f"{outcome.status}: {outcome.path}: {outcome.reason}")
    more = sum(summary.failing.values()) - _LISTED
    if more > 0 or summary.unsupported:
        command = f"facesearch info --failures{gallery_words(summary.gallery)}"
        show.note(f"{f'... and {more:,} more: ' if more > 0 else ''}{command} lists all.")
    for failed in summary.roots_failed:
        show.note(failed.reason)
