"""`facesearch check` and `facesearch repair`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import show
from facesearch.cli.index import show_summary
from facesearch.cli.options import GalleryName, Json
from facesearch.cli.progress import IndexingProgress
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.forms import gallery_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.upkeep.checking import Repaired, Soundness

_LISTED = 10  # photos of a kind


def check(
    gallery: GalleryName = "default",
    photos: Annotated[bool, typer.Option("--photos", help="Compare it with the photos on disk, too.")] = False,
    json: Json = False,
) -> ExitCode:
    """Check that a gallery is as it was stored: every row, every face, the file of vectors. Nothing is written.

    Exit code 0: it is sound. 1: it is, but photos on disk differ from it. 5: it is damaged."""
    from facesearch.errors import DamagedGalleryError
    from facesearch.gallery.gallery import Gallery

    opened = Gallery.open(gallery)
    found = opened.check(photos)
    if json:
        show.as_json(gallery_forms.soundness(found))
    for name in found.other_files:
        show.note(f"{name} in {opened.directory} is not part of the gallery; it is left alone.")
    if found.store:
        show.note(found.store)
    if found.unfinished:
        show.note("An interrupted command left files or bytes behind; the next command that writes removes them.")
    for fault in found.faults:
        show.note(fault)
    if found.faults:
        faults = show.count(len(found.faults), "fault")
        raise DamagedGalleryError(
            f"The gallery '{gallery}' has {faults}; try: facesearch repair{gallery_words(gallery)}."
        )
    if not json:
        show.say(f"The gallery '{gallery}' is sound: {found.photos:,} photos, {found.faces:,} faces.")
        _note_differences(found)
    return ExitCode.NO if found.differences else ExitCode.DONE


def _note_differences(found: "Soundness") -> None:
    from facesearch.gallery.indexing.updating import kept_while_away

    for word, paths in (("new", found.new), ("changed", found.changed), ("gone", found.gone)):
        for path in (paths or ())[:_LISTED]:
            show.note(f"{word}: {printable(path)}")
        if len(paths or ()) > _LISTED:
            show.note(f"... and {len(paths or ()) - _LISTED:,} more that are {word}.")
    if found.gone:
        which = gallery_words(found.gallery)
        show.note(
            f"facesearch index{which} sees whether they have only moved; then facesearch forget --missing{which} "
            "deletes what is gone."
        )
    for away in found.away or ():
        show.note(kept_while_away(away, found.gallery))
    for root in found.roots_gone or ():
        show.note(f"gone: {printable(root)}")
    if found.roots_gone:
        command = f"facesearch forget --missing{gallery_words(found.gallery)}"
        show.note(f"Mount their disks; if the folders are gone for good, run: {command}")


def repair(gallery: GalleryName = "default", json: Json = False) -> ExitCode:
    """Repair a damaged gallery: a copy of it is kept, what can still be read becomes a new gallery, and the photos of
    the rest are indexed again."""
    from facesearch.gallery.gallery import Gallery

    with IndexingProgress() as progress:
        done = Gallery.open(gallery, note=progress.note).repair(progress.add)
    if json:
        show.as_json(gallery_forms.repaired(done))
    elif done.faults:
        _show_repaired(done, gallery)
    else:
        show.say(f"The gallery '{gallery}' is sound; there is nothing to repair.")
    return ExitCode.SOME_UNREAD if any(run.failing or run.roots_failed for run in done.runs) else ExitCode.DONE


def _show_repaired(done: "Repaired", gallery: str) -> None:
    for fault in done.faults:
        show.note(fault)
    if done.backup:
        show.note(f"The damaged gallery is now in {done.backup}; delete it when you miss nothing.")
    show.say(f"Kept {done.photos:,} photos with {done.faces:,} faces.")
    for run in done.runs:
        show_summary(run)
    if done.backup and not done.runs:
        show.note(
            "Which folders the damaged gallery was made from cannot be read any more; run: facesearch index "
            f"PHOTOS{gallery_words(gallery)}."
        )
