"""Brings a gallery's database up to date with photos on disk: what is new is analysed and written, what is gone is
marked missing, what is only away stays as it is."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Literal

from facesearch.errors import Note, RootError
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.gallery.database import Database
from facesearch.gallery.options import IndexOptions
from facesearch.gallery.raw_pairs import RawPairs
from facesearch.gallery.records import OtherFilesFound, Outcome, RootFailure
from facesearch.gallery.selection import Selection
from facesearch.gallery.writer import Writer
from facesearch.models.cards import DetectorCard
from facesearch.photos.file import LoadedPhoto, PhotoFile, load
from facesearch.photos.kinds import OtherFiles
from facesearch.photos.remedies import Remedies
from facesearch.photos.status import Status
from facesearch.photos.walk import may_be_photo, walk
from facesearch.photos.whereabouts import Away, is_gone, whereabouts, why_away

PeopleFrom = Literal["none", "folder"]


def index_photos(
    db: Database,
    roots: Sequence[str],
    load_analyser: Callable[[], Analyser],
    detector: DetectorCard,
    pace: Pace,
    options: IndexOptions | None = None,
    note: Note = lambda _: None,
) -> Iterator[Outcome | OtherFilesFound | RootFailure]:
    """Brings the database up to date with the photos under the roots, one transaction a batch, and yields an
    outcome for each photo once it is stored; of each root what is no photo there; a failure for each root that is
    absent, holds no photo or vanishes meanwhile: nothing under such a root is marked missing, and the others are
    indexed all the same."""
    run = _Run(db, load_analyser, detector, pace, options or IndexOptions(), note)
    failed = set()
    for root in roots:
        try:
            yield from run.index_root(root)
        except RootError as error:
            failed.add(root)
            yield RootFailure(root, str(error))
    with db.transaction():
        db.photos.delete_displaced()
        for root in db.roots.paths():
            if db.removal.is_found_elsewhere(root) and is_gone(root):
                db.removal.moved_root(root)
        db.removal.roots([root for root in failed if not db.removal.under(root)])


def usable_roots(roots: Sequence[str]) -> tuple[list[str], list[RootFailure]]:
    """The roots under which there is a photo, and why the others cannot be indexed."""
    usable, failed = [], []
    for root in roots:
        try:
            if not any(may_be_photo(file.path) for file in walk(root)):
                raise _no_photo(root)
            usable.append(root)
        except RootError as error:
            failed.append(RootFailure(root, str(error)))
    return usable, failed


def kept_while_away(away: Away) -> str:
    """The sentence about photos that cannot be seen at the moment."""
    photos = "1 photo" if away.photos == 1 else f"{away.photos:,} photos"
    return (
        f"{printable(away.folder)} {away.reason}, so its {photos} may only be away, and stay known; if they are gone "
        f"for good: facesearch forget {shlex.quote(printable(away.folder))}"
    )


class _Run:
    """One run over several roots. The networks are loaded once, for the first photo that needs them."""

    def __init__(
        self,
        db: Database,
        load_analyser: Callable[[], Analyser],
        detector: DetectorCard,
        pace: Pace,
        options: IndexOptions,
        note: Note,
    ) -> None:
        self._db, self._load_analyser, self._options, self._note = db, load_analyser, options, note
        self._analyser: Analyser | None = None
        self._remedies = Remedies(options.max_megapixels)
        self._writer = Writer(db, options, detector)
        self._work: stages.Work[None, Analysed] = stages.Work(
            self._analysis,
            pace,
            detector.max_side,
            options.max_megapixels,
            options.seconds,
            self._read,
            keeps_begun=True,
        )
        self._noted: set[str] = set()  # folders that cannot be read
        self._others = OtherFiles()

    def index_root(self, root: str) -> Iterator[Outcome | OtherFilesFound]:
        """Yields an outcome for each photo that is there, then for each that is gone. Raises RootError."""
        self._others = OtherFiles()
        unseen: dict[str, str] = {}
        seen = forgotten = 0
        for outcome in self._index(root, walk(root, partial(self._cannot_see, unseen))):
            seen += 1
            forgotten += outcome.status == Status.FORGOTTEN
            yield outcome
        if not seen:
            raise _no_photo(root)
        if seen == forgotten:
            self._note(f"All photos in {printable(root)} were forgotten; --again-forgotten looks at them again.")
        others = OtherFilesFound(root, self._others.counts())
        with self._db.transaction():
            self._db.other_files.replace(root, others.counts)
        yield others
        yield from self._missing(root, unseen)

    def _index(self, root: str, files: Iterable[PhotoFile]) -> Iterator[Outcome]:
        selection = Selection(self._db, root, self._options, self._remedies)
        pairs = RawPairs(self._db)
        yield from self._stream(selection, pairs.others(files))
        yield from pairs.settle()
        yield from self._stream(selection, pairs.left)

    def _stream(self, selection: Selection, files: Iterable[PhotoFile]) -> Iterator[Outcome]:
        for rows in stages.run(selection.new_files(files), self._work, selection.new_contents):
            yield from self._writer.write(rows)

    def _read(self, file: PhotoFile) -> LoadedPhoto | None:
        photo = load(file, self._options.max_megapixels)
        if photo is None:
            self._others.add(file.path)
        return photo

    def _analysis(self) -> stages.Analyse[None, Analysed]:
        if self._analyser is None:
            self._analyser = self._load_analyser()
        analyser = self._analyser
        return lambda photos: analyser.analyse([photo.view for photo in photos])

    def _cannot_see(self, unseen: dict[str, str], path: str, error: OSError) -> None:
        place = path if os.path.isdir(path) else os.path.dirname(path)
        if place not in self._noted:  # one note for all that it holds
            self._note(f"What is in {printable(place)} cannot be read ({error.strerror}); photos there stay known.")
        self._noted.add(place)
        unseen[path] = f"cannot be read ({error.strerror})"

    def _missing(self, root: str, unseen: dict[str, str]) -> Iterator[Outcome]:
        """Marks the photos that are gone from under a root; those that are only away stay as they were."""
        if not os.path.isdir(root):
            if not os.path.exists(root):
                raise _vanished(root)
            return
        candidates = self._db.photos.unseen(os.path.abspath(root))
        if why_away(root) or is_gone(root):
            raise _vanished(root)
        found = whereabouts(candidates, os.path.abspath(root), unseen)
        for away in found.away:
            if away.folder not in self._noted:
                self._note(kept_while_away(away))
        gone = [*found.gone, *found.there]  # what is there and was not met is there under another name, too
        with self._db.transaction():
            self._db.photos.mark_missing([candidates[path] for path in gone])
        yield from (Outcome(path, Status.MISSING, 0) for path in gone)


def _no_photo(root: str) -> RootError:
    return RootError(
        f"There is no photo in {printable(root)}; nothing was marked missing: check the path, or mount its disk."
    )


def _vanished(root: str) -> RootError:
    return RootError(
        f"{printable(root)} vanished while it was looked through; nothing was marked missing: mount its disk, and "
        "run it again."
    )
