"""`facesearch migrate`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesearch import limits
from facesearch.cli import completion, show
from facesearch.cli.options import Batch, Device, GalleryName, Json, Precision, Threads
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.forms import gallery_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.facts import Migrated

_LISTED = 10  # photos whose faces are set aside


def migrate(
    model: Annotated[
        str,
        typer.Option(
            help="The embedding model to change to (see: facesearch models list).",
            metavar="NAME",
            autocompletion=completion.embedders,
        ),
    ],
    gallery: GalleryName = "default",
    set_aside: Annotated[
        bool,
        typer.Option(
            "--set-aside",
            help="Go on without photos that may only be away, as on a disk that is not mounted: their faces are left "
            "out of searches until they are back.",
        ),
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    batch: Batch = None,
    max_megapixels: Annotated[
        float,
        typer.Option(
            help="A larger photo is not decoded, and its faces are set aside.",
            min=limits.MEGAPIXELS.least,
            max=limits.MEGAPIXELS.most,
        ),
    ] = 200,
    json: Json = False,
) -> ExitCode:
    """Change the model of a gallery: every face is embedded anew from its photo, without looking for faces again.

    Names, ids and everything that you said of faces stay. Until the end the gallery is the old one, and a run that
    was interrupted goes on where it was. Faces whose photo is gone, has changed or cannot be read are set aside:
    they are kept with their names, and searched again once index or migrate has met their photo.

    Exit code 7: done, but faces are set aside."""
    from facesearch.gallery.gallery import Gallery

    with Progress() as progress:
        opened = Gallery.open(gallery, device, progress.note, precision)
        done = opened.migrate(
            model,
            set_aside=set_aside,
            threads=threads,
            batch=batch,
            max_megapixels=max_megapixels,
            on_progress=_Bar(progress),
        )
    if json:
        show.as_json(gallery_forms.migrated(done, opened.faces_set_aside() if done.set_aside else ()))
    else:
        _show(opened, done)
    return ExitCode.SOME_UNREAD if done.set_aside else ExitCode.DONE


class _Bar:
    """Moves to and fro until the first faces are embedded; only from then on the time left is estimated."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._calls = progress, 0
        progress.begin("Preparing networks")

    def __call__(self, done: int, total: int) -> None:
        """Shows how many faces, of how many, are done; the first call says how many were when it began."""
        if self._calls == 1:
            self._progress.begin("Embedding", total, "faces")
        if self._calls:
            self._progress.update(done=done)
        self._calls += 1


def _show(gallery: "Gallery", done: "Migrated") -> None:
    from facesearch.models.cards import embedder_card

    which = f"The gallery '{done.gallery}'"
    if done.is_new:
        took = f"{done.seconds:.1f} s, {show.rate(done.photos_per_second)}"
        before = "an earlier one of that name" if done.model == done.model_before else done.model_before
        changed = f"{which} has the model {done.model} now, in place of {before}"
        show.say(f"{changed}: {show.count(done.faces, 'face')}, {took}.")
    else:
        show.say(
            f"{which} has the model {done.model} already; {'nothing was changed' if not done.back else 'it stays'}."
        )
    if done.back:
        show.note(f"{show.count(done.back, 'face')} that had been set aside: searched again.")
    command = f"facesearch calibrate{gallery_words(done.gallery)}"
    if done.is_new and embedder_card(done.model).threshold is None:
        show.note(
            f"No threshold of {done.model} is known: nobody counts as the same person, until you run: {command}"
        )
    elif done.lost_threshold:
        show.note(
            "The threshold that was learned from the old embeddings is gone: the card's counts again, until you run: "
            f"{command}"
        )
    if done.set_aside:
        _show_set_aside(gallery, done)


def _show_set_aside(gallery: "Gallery", done: "Migrated") -> None:
    faces, photos = show.count(done.set_aside, "face"), show.count(done.photos_set_aside, "photo")
    show.note(f"Set aside, until their photos can be read: {faces} in {photos}; index and migrate try them again.")
    for number, each in enumerate(gallery.faces_set_aside()):
        if number == _LISTED:
            command = f"facesearch info --failures{gallery_words(done.gallery)}"
            show.note(f"... and {done.photos_set_aside - _LISTED:,} more: {command} lists all.")
            return
        show.note(f"{printable(each.photo)}: {each.reason}")
