"""A raw photo beside a JPEG or HEIC of the same shot is one photo with it: the other file stands for both."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from facesearch.flow.stream import chunks
from facesearch.gallery.database import Database
from facesearch.gallery.records.run import Outcome
from facesearch.gallery.tables.photos import KnownPhoto, PhotoRow
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
        self._held: list[_Pair] = []
        self.left: list[PhotoFile] = []  # those that turned out to be photos of their own

    def others(self, files: Iterable[PhotoFile]) -> Iterator[PhotoFile]:
        """The files but for those held back. All of a folder must follow each other."""
        for _, group in groupby(files, key=lambda file: os.path.dirname(file.path)):
            listed = list(group)
            pairs = _pairs(listed)
            known = self._db.photos.known([file.path for pair in pairs for file in pair])
            self._held += [_Pair(raw, beside, _are_two(raw, beside, known)) for raw, beside in pairs]
            held = {raw.path for raw, _ in pairs}
            yield from (file for file in listed if file.path not in held)

    def settle(self) -> Iterator[Outcome]:
        """Stores which of those held back are one photo with the file beside them, an outcome each; the rest is
        `left`. For when what is beside them has been indexed."""
        for part in chunks(self._held, _AT_ONCE):
            known = self._db.photos.known([file.path for pair in part for file in (pair.raw, pair.beside)])
            with self._db.transaction():
                outcomes = [self._settled(pair, known) for pair in part]
            yield from (outcome for outcome in outcomes if outcome)

    def _settled(self, pair: "_Pair", known: dict[str, KnownPhoto]) -> Outcome | None:
        file, beside = pair.raw, pair.beside
        before, other = known.get(file.path), known.get(beside.path)
        reason = f"beside {os.path.basename(beside.path)}"
        if other is None or other.status not in _STANDS_FOR_BOTH or (before and before.status == Status.FORGOTTEN):
            self.left.append(file)
            return None
        if before and before.status == Status.PAIRED and before.agrees_with(file):
            self._db.photos.mark_seen([before])
            return Outcome(file.path, Status.PAIRED, 0, "unchanged", reason)
        if pair.are_two or not are_of_one_shot(file, beside):
            self.left.append(file)
            return None
        self._db.photos.save(PhotoRow(file, Status.PAIRED, reason=reason))
        return Outcome(file.path, Status.PAIRED, 0, reason=reason)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A raw photo and the one beside it. `are_two`: an earlier run has found that they are two photos."""

    raw: PhotoFile
    beside: PhotoFile
    are_two: bool


def _pairs(files: Sequence[PhotoFile]) -> list[tuple[PhotoFile, PhotoFile]]:
    """The raw photos of a folder that lie beside a finished one of the same name, each with it."""
    finished = {_stem(each.path): each for each in files if _extension(each.path) in _FINISHED}
    named_raw = (file for file in files if is_named_raw(file.path)) if finished else ()
    return [(file, finished[_stem(file.path)]) for file in named_raw if _stem(file.path) in finished]


def _are_two(raw: PhotoFile, beside: PhotoFile, known: dict[str, KnownPhoto]) -> bool:
    """Whether both were looked at for themselves, and neither file has changed: they need not be read again."""
    before, other = known.get(raw.path), known.get(beside.path)
    if before is None or other is None or not (before.agrees_with(raw) and other.agrees_with(beside)):
        return False
    return before.status in (Status.OK, Status.NO_FACE) and other.status in _STANDS_FOR_BOTH


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0].casefold()


def _extension(path: str) -> str:
    return os.path.splitext(path)[1].lower()
