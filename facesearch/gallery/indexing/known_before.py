"""How many of the photos that are met a gallery knew before, for who says how long the others will take."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from facesearch.errors import FaceSearchError
from facesearch.gallery.database import Database
from facesearch.photos.file import PhotoFile


class KnownBefore:
    """What a gallery knew at this moment: what is stored later does not count. It may be asked in another thread."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._newest = 0
        with suppress(FaceSearchError):
            if database.exists():
                with Database.open(database) as db:
                    self._newest = db.photos.newest()

    def count(self, files: Sequence[PhotoFile]) -> int:
        """How many of these were known, and are unchanged by size and times; 0 where that cannot be read."""
        if not self._newest:
            return 0
        try:
            with Database.open(self._database) as db:
                known = db.photos.known([file.path for file in files])
        except FaceSearchError:
            return 0
        pairs = ((known.get(file.path), file) for file in files)
        return sum(has is not None and has.id <= self._newest and has.agrees_with(file) for has, file in pairs)
