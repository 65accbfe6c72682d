"""`facesearch check`, `facesearch repair` and `facesearch forget`."""

from typing import Annotated, Any

import typer

from facesearch.cli import show
from facesearch.cli.index import SOME_UNREAD, Progress, show_summary
from facesearch.cli.options import GalleryName, Json

_DIFFERS = 1
_LISTED = 10  # photos of a kind


def check(
    gallery: GalleryName = "default",
    photos: Annotated[bool, typer.Option("--photos", help="Compare it with the photos on disk, too.")] = False,
    json: Json = False,
) -> int:
    """Check that a gallery is as it was stored: every row, every face, the file of vectors. Nothing is written.

    Exit code 0: it is sound. 1: it is, but photos on disk differ from it. 5: it is damaged."""
    from facesearch import upkeep
    from facesearch.errors import DamagedGalleryError
    from facesearch.gallery import Gallery

    found = upkeep.check(Gallery.open(gallery), photos)
    if json:
        show.as_json({"gallery": found.gallery, "sound": not found.faults, "faults": found.faults} | _counts(found))
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
    return _DIFFERS if found.differences else 0


def _counts(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in ("photos", "faces", "new", "changed", "gone")}


def repair(gallery: GalleryName = "default", json: Json = False) -> int:
    """Repair a damaged gallery: what it was is copied aside first, what can be read is kept, and the photos of the
    rest are looked at again."""
    from facesearch import upkeep
    from facesearch.gallery import Gallery

    with Progress([]) as progress:
        done = upkeep.repair(Gallery.open(gallery, note=progress.note), progress.advance)
    if json:
        show.as_json(
            {
                "faults": done.faults,
                "backup": str(done.backup) if done.backup else None,
                "photos": done.photos,
                "faces": done.faces,
                "runs": [show.summary(run) for run in done.runs],
            }
        )
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
    return SOME_UNREAD if any(run.failing for run in done.runs) else 0


def forget(
    what: Annotated[
        str | None, typer.Argument(help="A person's name, or a photo's path.", metavar="PERSON|PHOTO")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Forget all photos that are no longer on disk.")] = False,
    gallery: GalleryName = "default",
    json: Json = False,
) -> int:
    """Delete the faces of a person, of a photo or of all photos that are gone, so that no byte of them stays in the
    gallery. The photos themselves are not touched.

    A forgotten photo is not looked at again, until it is named itself: facesearch index PHOTO."""
    from facesearch import upkeep
    from facesearch.errors import UsageError
    from facesearch.gallery import Gallery

    if (what is None) != missing:
        raise UsageError("Say what is to be forgotten: a person, a photo, or --missing.")
    opened = Gallery.open(gallery, note=show.note)
    done = upkeep.forget(opened, what) if what is not None else upkeep.forget_missing(opened)
    if json:
        show.as_json({"photos": done.photos, "faces": done.faces, "gallery": gallery})
    else:
        faces = "1 face" if done.faces == 1 else f"{done.faces:,} faces"
        photos = "1 photo" if done.photos == 1 else f"{done.photos:,} photos"
        show.console().print(f"Forgot {faces} in {photos}.")
    return 0
