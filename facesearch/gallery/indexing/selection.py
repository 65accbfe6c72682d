"""Which photos must be looked at: what the database knows of the others is enough."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from facesearch.flow.pace import BATCH, LOADED_AHEAD
from facesearch.flow.stages import Failed, Job, Loaded
from facesearch.flow.stream import batched, chunks
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.records.run import Outcome
from facesearch.gallery.tables.photos import KnownPhoto
from facesearch.photos import places
from facesearch.photos.file import PhotoFile
from facesearch.photos.remedies import Remedies
from facesearch.photos.status import ABSENT, FAILURES, WAITING, Cause, Status

_FILES_AT_ONCE = 256  # in one question to the database

_Read: TypeAlias = Loaded[None] | Failed[None] | Outcome


class Selection:
    """The photos of one root that are new, changed or to be tried again; an outcome in place of each other one."""

    def __init__(self, db: Database, root: str, options: IndexOptions, remedies: Remedies) -> None:
        self._db, self._options, self._remedies = db, options, remedies
        again = frozenset(FAILURES if options.retry_failed else ())
        if options.again_forgotten or places.is_file(root):  # to name a photo itself is to want it back
            again |= {Status.FORGOTTEN}
        self._again = again  # photos of these statuses are looked at again, whatever their cause

    def new_files(self, files: Iterable[PhotoFile]) -> Iterator[Job[None] | Outcome]:
        """The files; an outcome in place of each whose path, size and times are known."""
        for part in chunks(files, _FILES_AT_ONCE):
            known = self._db.photos.known([file.path for file in part])
            same = {file.path: known[file.path] for file in part if self.is_known(file, known.get(file.path))}
            if same:
                with self._db.transaction():
                    self._see(part, same)
            for file in part:
                if file.path in same:
                    yield outcome_of(file, same[file.path], "unchanged")
                else:
                    yield Job(None, file)

    def new_contents(self, items: Iterator[_Read]) -> Iterator[_Read]:
        """The photos whose bytes are there; an outcome in place of each that was moved, copied or only touched."""
        for part in batched(items, BATCH, LOADED_AHEAD, _bytes_held):
            with self._db.transaction():
                checked = [self._recognised(item) or item if isinstance(item, Loaded) else item for item in part]
            yield from checked

    def _see(self, files: Iterable[PhotoFile], same: dict[str, KnownPhoto]) -> None:
        self._db.photos.mark_seen(same.values())
        self._db.photos.note_ctimes((same[file.path], file) for file in files if file.path in same)

    def is_known(self, file: PhotoFile, known: KnownPhoto | None) -> bool:
        """Whether what is known of a file is enough."""
        if known is None or known.status in (*ABSENT, Status.PAIRED) or self._is_wanted_again(known):
            return False
        if known.status == Status.FORGOTTEN:
            return True  # a tag that is written into it does not bring its faces back
        if known.status in (*FAILURES, *WAITING) and self._may_help(known):
            return False
        return known.agrees_with(file)

    def _may_help(self, known: KnownPhoto) -> bool:
        """An earlier facesearch read no raw photo, and said that the cause lies in the file."""
        if known.status == Status.RAW and known.cause != Cause.PACKAGE:
            return True
        return self._remedies.may_help(known.cause, known.needs)

    def _is_wanted_again(self, known: KnownPhoto) -> bool:
        return known.status in self._again or (Status.FORGOTTEN in self._again and known.has_lost_a_face)

    def _recognised(self, item: Loaded[None]) -> Outcome | None:
        """What became of a photo whose content is known. It is looked up as late as this, because the photo before
        may have changed what is known."""
        file = item.photo.file
        known = self._db.photos.known_content(item.photo.digest, file.path)
        if known is None or self._is_wanted_again(known):
            return None
        if known.path != file.path and known.status != Status.MISSING and places.may_exist(known.path):
            self._db.photos.copy(known, file)
            return outcome_of(file, known, "copied")
        self._db.photos.move(known, file)
        return outcome_of(file, known, "unchanged" if known.path == file.path else "moved")


def outcome_of(file: PhotoFile, known: KnownPhoto, done: str) -> Outcome:
    """The outcome of a photo whose content is known."""
    return Outcome(file.path, known.status_on_disk, known.faces, done, known.reason, known.cause)


def _bytes_held(item: _Read) -> int:
    return len(item.photo.data) if isinstance(item, Loaded) else 0
