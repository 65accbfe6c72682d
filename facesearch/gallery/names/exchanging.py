"""Names from and for other programs, as methods of a gallery."""

from collections.abc import Sequence
from pathlib import Path

from facesearch.gallery.names import exporting, importing
from facesearch.gallery.names.exporting import NamedFace, Sidecars, Where
from facesearch.gallery.names.import_plan import Imported
from facesearch.gallery.names.importing import OnPhoto
from facesearch.gallery.storage import Storage


def _silent(_: int, __: int) -> None:
    """Nobody hears how many photos are done."""


class Exchanging(Storage):
    """A gallery that takes the names that other programs gave, and gives them its own. Photos are never written."""

    def import_names(
        self, paths: Sequence[str | Path] = (), *, dry_run: bool = False, on_photo: OnPhoto = _silent
    ) -> Imported:
        """Names faces as the XMP in and beside their photos says, or Picasa's lists: of the photos below these paths,
        of all where none is given. One change, which `undo` takes back; a second import changes nothing. What the
        user said stands. With `dry_run` nothing is written. `on_photo` hears how many, of how many, were read.
        Raises UsageError for a path below which the gallery knows no photo, GalleryError where there is no gallery,
        GalleryLockedError while another process writes it."""
        return importing.import_names(self, paths, dry_run, on_photo)

    def named_faces(self) -> list[NamedFace]:
        """All faces of people with a name, by photo. Raises GalleryError where there is no gallery."""
        with self.reading() as (db, _), db.snapshot():
            return exporting.named_faces(db)

    def write_sidecars(
        self, where: Where | None = None, *, keywords: bool = False, on_photo: OnPhoto = _silent
    ) -> Sidecars:
        """Writes the names of a photo's people into its sidecar, for each photo that has any: beside the photo, or
        at the path that `where` gives for it, to which .xmp is added. What else a sidecar holds is kept. With
        `keywords`, names become keywords, too. Raises GalleryError where there is no gallery."""
        return exporting.write_sidecars(self, where, keywords, on_photo)
