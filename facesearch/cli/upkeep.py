"""`facesearch check` and `facesearch repair`."""

from typing import Annotated, Any

import typer

from facesearch.cli import json_forms, show
from facesearch.cli.index import show_summary
from facesearch.cli.options import GalleryName, Json
from facesearch.cli.progress import IndexingProgress
from facesearch.errors import ExitCode

_LISTED = 10  # photos of a kind


def check(
    gallery: GalleryName = "default",
    photos: Annotated[bool, typer.Option("--photos", help="Compare it with the photos on disk, too.")] = False,
    json: Json = False,
) -> ExitCode:
    """Check that a gallery is as it was stored: every row, every face, the file of vectors. Nothing is written.

    Exit code 0: it is sound. 1: it is, but photos on disk differ from it. 5: it is damaged."""
    from facesearch.errors import DamagedGalleryError
    from facesearch.gallery import upkeep
    from facesearch.gallery.gallery import Gallery

    found = upkeep.check(Gallery.open(gallery), photos)
    if json:
        show.as_json(json_forms.soundness(found))
    for name in found.other_files:
        show.note(f"{name} in {Gallery.open(gallery).directory} is not a part of the gallery; it is left alone.")
    if found.unfinished:
        show.note("Something that was interrupted left files or bytes; the next command that writes removes them.")
    for fault in found.faults:
        show.note(fault)
    if found.faults:
        which = "" if gallery == "default" else f" --gallery {gallery}"
        many = "1 fault" if len(found.faults) == 1 else f"{len(found.faults)} faults"
        raise DamagedGalleryError(f"The gallery '{gallery}' has {many}; try: facesearch repair{which}.")
    if not json:
        show.console().print(f"The gallery '{gallery}' is sound: {found.photos:,} photos, {found.faces:,} faces.")
        for word, paths in (("new", found.new), ("changed", found.changed), ("gone", found.gone)):
            for path in (paths or ())[:_LISTED]:
                show.note(f"{word}: {path}")
            if len(paths or ()) > _LISTED:
                show.note(f"... and {len(paths or ()) - _LISTED:,} more that are {word}.")
        _note_what_cannot_be_seen(found, gallery)
    return ExitCode.NO if found.differences else ExitCode.DONE


def _note_what_cannot_be_seen(found: Any, gallery: str) -> None:
    from facesearch.gallery.indexing import kept_while_away

    for away in found.away or ():
        show.note(kept_while_away(away))
    if found.roots_gone:
        for root in found.roots_gone:
            show.note(f"gone: the folder {root}")
        which = "" if gallery == "default" else f" --gallery {gallery}"
        show.note(
            f"Mount their disks, or let folders that are gone for good leave: facesearch forget --missing{which}"
        )


def repair(gallery: GalleryName = "default", json: Json = False) -> ExitCode:
    """Repair a damaged gallery: what it was is copied aside first, what can be read is kept, and the photos of the
    rest are looked at again."""
    from facesearch.gallery import upkeep
    from facesearch.gallery.gallery import Gallery

    with IndexingProgress() as progress:
        done = upkeep.repair(Gallery.open(gallery, note=progress.note), progress.add)
    if json:
        show.as_json(json_forms.repaired(done))
    elif not done.faults:
        show.console().print(f"The gallery '{gallery}' is sound; there is nothing to repair.")
    else:
        for fault in done.faults:
            show.note(fault)
        if done.backup:
            show.note(f"What was there is now in {done.backup}; delete it when you miss nothing.")
        show.console().print(f"Kept {done.photos:,} photos with {done.faces:,} faces.")
        for run in done.runs:
            show_summary(run)
        if done.backup and not done.runs:
            show.note("Which folders it was made from cannot be read any more; run: facesearch index PHOTOS.")
    return ExitCode.SOME_UNREAD if any(run.failing or run.roots_failed for run in done.runs) else ExitCode.DONE
