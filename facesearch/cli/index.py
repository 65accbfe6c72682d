"""`facesearch index`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import show
from facesearch.cli.options import Detector, Device, GalleryName, Json
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.gallery.records import Outcome, RunSummary

_LISTED = 10  # photos that could not be read, of this run


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
    threads: Annotated[
        int | None,
        typer.Option(
            help="Batches that are worked on at once, a core each; by default as many as there are cores.",
            min=limits.THREADS.least,
            max=limits.THREADS.most,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Photos in a batch: 32 on a CPU, 256 on a GPU; fewer take less memory.",
            min=limits.BATCH.least,
            max=limits.BATCH.most,
        ),
    ] = None,
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

    with Progress([str(path) for path in paths]) as progress:
        opened = Gallery.open(gallery, device, progress.note)
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
            on_outcome=progress.advance,
        )
    if json:
        show.as_json(show.summary(summary))
    else:
        show_summary(summary)
    return ExitCode.SOME_UNREAD if summary.failing or summary.roots_failed else ExitCode.DONE


class Progress:
    """A bar on stderr: photos, photos a second, faces, time left. The files are counted on a thread of their own,
    beside the work; until that is done (never, where no roots are given) the time left is not known."""

    def __init__(self, roots: list[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._roots = roots
        self._faces = self._photos = 0
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}, {task.fields[faces]:,} faces"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Progress":
        import threading

        self._task = self._bar.add_task("Indexing", total=None, rate=show.rate(0), faces=0)
        self._bar.start()
        self._stopped = threading.Event()
        if self._roots:
            threading.Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._bar.stop()

    def advance(self, outcome: "Outcome") -> None:
        """One photo more."""
        from facesearch.photos.status import Status

        self._photos += outcome.status != Status.MISSING
        self._faces += outcome.faces
        task = self._bar.tasks[0]
        rate = show.rate(self._photos / task.elapsed if task.elapsed else 0)
        self._bar.update(self._task, completed=self._photos, rate=rate, faces=self._faces)

    def note(self, text: str) -> None:
        """A note above the bar."""
        from facesearch.files import printable

        self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def _count(self) -> None:
        from facesearch.errors import FaceSearchError
        from facesearch.photos.formats import looks_like_photo
        from facesearch.photos.walk import walk

        total = 0
        try:
            for root in self._roots:
                for file in walk(root):
                    total += looks_like_photo(file.path)
                    if self._stopped.is_set():
                        return
        except FaceSearchError:
            return  # the run itself says what is wrong
        self._bar.update(self._task, total=max(total, self._photos))


def show_summary(summary: "RunSummary") -> None:
    """What a run did, for people."""
    rows = show.table("photos", "count", right=["count"])
    for status, count in summary.photos.items():
        rows.add_row(_WORDS.get(status, status), f"{count:,}")
    show.console().print(rows)
    where = f"gallery '{summary.gallery}'"
    if summary.photos_per_second:
        new = "1 new face" if summary.faces == 1 else f"{summary.faces:,} new faces"
        took = f"{summary.seconds:.1f} s, {show.rate(summary.photos_per_second)}"
        show.console().print(f"{new} in {where}: {took}.")
    else:
        show.console().print(f"Nothing is new in {where}: looked through in {summary.seconds:.1f} s.")
    for sentence in show.unread(summary.failing, summary.unsupported):
        show.note(sentence)
    for outcome in summary.failures[:_LISTED]:
        show.note(f"{outcome.status}: {outcome.path}: {outcome.reason}")
    more = sum(summary.failing.values()) - _LISTED
    if more > 0 or summary.unsupported:
        which = "" if summary.gallery == "default" else f" --gallery {summary.gallery}"
        show.note(f"{f'... and {more:,} more: ' if more > 0 else ''}facesearch info --failures{which} lists all.")
    for failed in summary.roots_failed:
        show.note(failed.reason)


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
