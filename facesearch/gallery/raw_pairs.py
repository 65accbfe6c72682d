"""A raw photo beside a JPEG or HEIC of the same shot is one photo with it: the other file stands for both."""

import os
from collections.abc import Iterable, Iterator
from itertools import groupby

from facesearch.flow.stream import chunks
from facesearch.gallery.database import Database
from facesearch.gallery.photos_table import KnownPhoto, PhotoRow
from facesearch.gallery.records import Outcome
from facesearch.photos.file import PhotoFile
from facesearch.photos.formats import is_named_raw
from facesearch.photos.shot import are_of_one_shot
from facesearch.photos.status import Status

_FINISHED = frozenset((".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".hif"))  # that cameras write beside a raw photo
_STANDS_FOR_BOTH = (Status.OK, Status.NO_FACE, Status.FORGOTTEN)  # one that cannot be read stands for nothing
_AT_ONCE = 256  # in one transaction


class RawPairs:
    """Holds back the raw photos of one root that lie beside a finished one, until it is known what that is."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._held: list[tuple[PhotoFile, PhotoFile]] = []  # each raw photo, and the one beside it
        self.left: list[PhotoFile] = []  # those that turned out to be photos of their own

    def others(self, files: Iterable[PhotoFile]) -> Iterator[PhotoFile]:
        """The files but for those held back. All of a folder must follow each other."""
        for _, group in groupby(files, key=lambda file: os.path.dirname(file.path)):
            listed = list(group)
            finished = {_stem(each.path): each for each in listed if _extension(each.path) in _FINISHED}
            for file in listed:
                beside = finished.get(_stem(file.path)) if is_named_raw(file.path) else None
                if beside:
                    self._held.append((file, beside))
                else:
                    yield file

    def settle(self) -> Iterator[Outcome]:
        """Stores which of those held back are one photo with the file beside them, an outcome each; the rest is
        `left`. For when what is beside them has been indexed."""
        for part in chunks(self._held, _AT_ONCE):
            known = self._db.photos.known([file.path for pair in part for file in pair])
            with self._db.transaction():
                outcomes = [self._settled(*pair, known) for pair in part]
            yield from (outcome for outcome in outcomes if outcome)

    def _settled(self, file: PhotoFile, beside: PhotoFile, known: dict[str, KnownPhoto]) -> Outcome | None:
        before, other = known.get(file.path), known.get(beside.path)
        reason = f"beside {os.path.basename(beside.path)}"
        if other is None or other.status not in _STANDS_FOR_BOTH or (before and before.status == Status.FORGOTTEN):
            self.left.append(file)
            return None
        if before and before.status == Status.PAIRED and before.agrees_with(file):
            self._db.photos.mark_seen([before])
            return Outcome(file.path, Status.PAIRED, 0, "unchanged", reason)
        if not are_of_one_shot(file, beside):
            self.left.append(file)
            return None
        self._db.photos.save(PhotoRow(file, Status.PAIRED, reason=reason))
        return Outcome(file.path, Status.PAIRED, 0, reason=reason)


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0].casefold()


def _extension(path: str) -> str:
    return os.path.splitext(path)[1].lower()
