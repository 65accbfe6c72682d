"""Brings a gallery's database up to date with photos on disk: what is new is analysed and written, what is gone is
marked missing, what is only away stays as it is."""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from facesearch.errors import Note, RootError
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.files import printable
from facesearch.flow import stages
from facesearch.flow.analysis import analysis
from facesearch.flow.pace import Pace
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.raw_pairs import RawPairs
from facesearch.gallery.indexing.selection import Selection
from facesearch.gallery.indexing.writer import Writer
from facesearch.gallery.records.run import OtherFilesFound, Outcome, RootFailure
from facesearch.home import gallery_words
from facesearch.models.cards import DetectorCard
from facesearch.photos import places
from facesearch.photos.addresses import is_remote, is_under
from facesearch.photos.exclusions import IGNORE_FILE, Exclusions, Rules
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.kinds import OtherFiles
from facesearch.photos.remedies import Remedies
from facesearch.photos.status import Status
from facesearch.photos.walk import may_be_photo, walk
from facesearch.photos.whereabouts import Away, is_gone, whereabouts, why_away


@dataclass(frozen=True, slots=True)
class Part:
    """What is brought up to date: a folder with all that is in it, at or below one of the gallery's roots, or
    without `is_deep` its own files alone. The root may be a photo, and is then the folder too."""

    root: str
    folder: str
    is_deep: bool = True


def whole(roots: Iterable[str]) -> list[Part]:
    """All that is under these roots."""
    return [Part(root, root) for root in roots]


def index_photos(
    db: Database,
    parts: Sequence[Part],
    flow: stages.Flow[None, Analysed],
    detector: DetectorCard,
    options: IndexOptions | None = None,
    note: Note = lambda _: None,
) -> Iterator[Outcome | OtherFilesFound | RootFailure]:
    """Brings the database up to date with the photos in these parts, one transaction a batch, and yields an outcome
    for each photo once it is stored; of each whole root what is no photo there; a failure for each root that is
    absent, holds no photo or vanishes meanwhile: nothing under such a root is marked missing, and the others are
    indexed all the same. The work on each photo is done by `flow`, with the networks of which `detector` is one."""
    run = _Run(db, flow, detector, options or IndexOptions(), note)
    failed: set[str] = set()
    for step in (run.meet, run.find_unmet):  # what has moved is met at its new place before it is missed at the old
        for part in parts:
            try:
                if part.root not in failed:
                    yield from step(part)
            except RootError as error:
                failed.add(part.root)
                yield RootFailure(part.root, str(error))
    with db.transaction():
        db.photos.delete_displaced()
        for root in db.roots.paths():
            if is_gone(root) and db.removal.is_found_elsewhere(root):
                db.removal.moved_root(root)
        db.removal.roots([root for root in failed if not db.removal.under(root)])


def flow_here(
    load_analyser: Callable[[], Analyser], detector: DetectorCard, pace: Pace, options: IndexOptions
) -> stages.Flow[None, Analysed]:
    """The work of a run in this process; the networks are loaded for the first photo that needs them."""
    return stages.Here(
        stages.Work(
            lambda: analysis(load_analyser(), options.thumbnails is not None),
            pace,
            detector.max_side,
            options.max_megapixels,
            options.seconds,
            lambda file: load(file, options.max_megapixels),
            keeps_begun=True,
        )
    )


def usable_roots(
    roots: Sequence[str], exclusions: Exclusions, is_known: Callable[[str], bool]
) -> tuple[list[str], list[RootFailure]]:
    """The roots under which there is a photo, and why the others cannot be indexed. A root that is known may have no
    photo because all are left out now."""
    usable, failed = [], []
    for root in roots:
        try:
            _refuse_without_photo(root, exclusions, is_known)
            usable.append(root)
        except RootError as error:
            failed.append(RootFailure(root, str(error)))
    return usable, failed


def _refuse_without_photo(root: str, exclusions: Exclusions, is_known: Callable[[str], bool]) -> None:
    unseen: list[OSError] = []
    rules = Rules(root, exclusions)
    if any(may_be_photo(file.path) for file in walk(root, lambda _, error: unseen.append(error), rules)):
        return
    if unseen:
        raise _unreadable(root, unseen[0])
    if not (rules.files or rules.folders):
        raise _no_photo(root)
    if not is_known(root):
        raise _all_left_out(root)


def outermost(roots: Sequence[str], exclusions: Exclusions) -> list[str]:
    """The roots without those that lie in another one and are met there."""
    rules = {root: Rules(root, exclusions) for root in roots}
    return [root for root in roots if not any(_is_met(root, rules[each]) for each in _above(root) if each in rules)]


def _is_met(root: str, outer: Rules) -> bool:
    try:
        return places.exists(root) and not outer.leave_out(root, places.is_folder(root))
    except OSError:  # of an ignore file
        return False


def _above(path: str) -> Iterator[str]:
    """The folders above a path, innermost first."""
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above


def kept_while_away(away: Away, gallery: str) -> str:
    """The sentence about photos that cannot be seen at the moment."""
    photos = "1 photo" if away.photos == 1 else f"{away.photos:,} photos"
    return (
        f"{printable(away.folder)} {away.reason}, so its {photos} may only be away, and stay known; if they are gone "
        f"for good: facesearch forget {shlex.quote(printable(away.folder))}{gallery_words(gallery)}"
    )


class _Run:
    """One run over several roots."""

    def __init__(
        self,
        db: Database,
        flow: stages.Flow[None, Analysed],
        detector: DetectorCard,
        options: IndexOptions,
        note: Note,
    ) -> None:
        self._db, self._flow, self._options, self._note = db, flow, options, note
        self._remedies = Remedies(options.max_megapixels)
        self._writer = Writer(db, options, detector)
        self._noted: set[str] = set()  # folders that cannot be read
        self._others = OtherFiles()
        self._rules: dict[str, Rules] = {}  # by root
        self._met: dict[Part, int] = {}  # photos
        self._unseen: dict[Part, dict[str, str]] = {}  # paths, each with the reason

    def meet(self, part: Part) -> Iterator[Outcome | OtherFilesFound]:
        """Yields an outcome for each photo that is there, and what else is, of a whole root. Raises RootError."""
        self._others = OtherFiles()
        forgotten = self._met[part] = 0
        self._unseen[part] = {}
        for outcome in self._index(part.root, self._files(part, self._unseen[part])):
            self._met[part] += 1
            forgotten += outcome.status == Status.FORGOTTEN
            yield outcome
        if forgotten and forgotten == self._met[part]:
            self._note(
                f"All photos in {printable(part.folder)} were forgotten; --again-forgotten looks at them again."
            )
        if part == Part(part.root, part.root):
            yield self._counted(part.root)

    def _counted(self, root: str) -> OtherFilesFound:
        others = OtherFilesFound(root, self._others.counts())
        with self._db.transaction():
            self._db.other_files.replace(root, others.counts)
        return others

    def _files(self, part: Part, unseen: dict[str, str]) -> Iterator[PhotoFile]:
        """The files of a part that are not left out. Raises RootError where its root cannot be read."""
        if part.root not in self._rules:
            self._rules[part.root] = Rules(part.root, self._options.exclusions, self._note)
        rules = self._rules[part.root]
        cannot_see = partial(self._cannot_see, unseen)
        try:
            if part.folder == part.root or not rules.leave_out(part.folder, is_folder=True):
                yield from walk(part.folder, cannot_see, rules, part.is_deep)
        except OSError as error:  # of an ignore file above it
            cannot_see(part.folder, error)
        except RootError:
            if part.folder == part.root:
                raise  # a folder below it may well have gone

    def _index(self, root: str, files: Iterable[PhotoFile]) -> Iterator[Outcome]:
        selection = Selection(self._db, root, self._options, self._remedies)
        pairs = RawPairs(self._db)
        yield from self._stream(selection, pairs.others(files))
        yield from pairs.settle()
        yield from self._stream(selection, pairs.left)

    def _stream(self, selection: Selection, files: Iterable[PhotoFile]) -> Iterator[Outcome]:
        for rows in self._flow.run(selection.new_files(files), selection.new_contents, self._leave):
            yield from self._writer.write(rows)

    def _leave(self, file: PhotoFile) -> None:
        self._others.add(file.path)

    def _cannot_see(self, unseen: dict[str, str], path: str, error: OSError) -> None:
        is_folder = is_remote(path) or path in self._rules or os.path.isdir(path)
        place = path if is_folder else os.path.dirname(path)
        if place not in self._noted:  # one note for all that it holds
            self._note(f"What is in {printable(place)} cannot be read ({error.strerror}); photos there stay known.")
        self._noted.add(place)
        unseen[path] = f"cannot be read ({error.strerror})"

    def find_unmet(self, part: Part) -> Iterator[Outcome]:
        """Yields an outcome for each photo that is gone from a part, or left out now; those that are only away stay
        as they were. Raises RootError."""
        root, seen = part.root, self._met[part]
        if is_remote(root) and root in self._unseen[part]:
            raise _broken_off(root, self._unseen[part][root])
        if not places.is_folder(root):
            if not places.exists(root):
                raise _vanished(root)
            if not seen:
                raise _no_photo(root)
            return
        known = self._db.photos.unseen(part.folder, part.is_deep)
        if why_away(root) or is_gone(root):
            raise _vanished(root)
        found = whereabouts(known, root, self._unseen[part])
        left_out, elsewhere = self._unmet(root, found.there)
        if part == Part(root, root) and not (seen or left_out):
            raise _no_photo(root)
        for away in found.away:
            if away.folder not in self._noted:
                self._note(kept_while_away(away, self._db.gallery))
        gone = [*found.gone, *elsewhere]
        new = [path for path in left_out if known[path][1] != Status.EXCLUDED]
        with self._db.transaction():
            self._db.photos.mark([known[path][0] for path in gone], Status.MISSING)
            self._db.photos.mark([known[path][0] for path in new], Status.EXCLUDED)
        if new:
            self._note(_now_left_out(root, len(new), self._db.gallery))
        yield from (Outcome(path, Status.MISSING, 0) for path in gone)
        yield from (Outcome(path, Status.EXCLUDED, 0) for path in new)

    def _unmet(self, root: str, there: Iterable[str]) -> tuple[list[str], list[str]]:
        """Of known photos that are there and were not met, those that are left out, and those that were met under
        another name. Photos of a root within this one are for that to find."""
        inner = {each for each in self._db.roots.paths() if each != root and is_under(each, root)}
        rules = self._rules[root]
        left_out: list[str] = []
        elsewhere: list[str] = []
        for path in there:
            if not (path in inner or inner.intersection(_above(path))):
                (left_out if rules.leave_out(path) else elsewhere).append(path)
        return left_out, elsewhere


def _now_left_out(root: str, photos: int, gallery: str) -> str:
    are, them = ("1 photo is", "it") if photos == 1 else (f"{photos:,} photos are", "them")
    return (
        f"In {printable(root)} {are} left out now, and found no longer; what is known of {them}, names too, is kept "
        f"until nothing leaves {them} out any more. To delete it: facesearch forget "
        f"PATH{gallery_words(gallery)}."
    )


def _all_left_out(root: str) -> RootError:
    return RootError(
        f"All that may be a photo in {printable(root)} is left out, by default, by --exclude or by a {IGNORE_FILE}; "
        "look with --dry-run, or name --no-exclude or --no-default-excludes."
    )


def _no_photo(root: str) -> RootError:
    advice = "check the bucket and the folder" if is_remote(root) else "check the path, or mount its disk"
    return RootError(f"There is no photo in {printable(root)}; nothing was marked missing: {advice}.")


def _unreadable(root: str, error: OSError) -> RootError:
    return RootError(
        f"No photo can be seen in {printable(root)} ({error.strerror}); nothing was marked missing: change that, and "
        "run it again."
    )


def _broken_off(root: str, reason: str) -> RootError:
    return RootError(
        f"The list of {printable(root)} broke off: it {reason}. What was listed until then is indexed, nothing was "
        "marked missing; run it again."
    )


def _vanished(root: str) -> RootError:
    if is_remote(root):
        return RootError(
            f"{printable(root)} cannot be reached any more; nothing was marked missing: run it again when it answers."
        )
    return RootError(
        f"{printable(root)} vanished while it was looked through; nothing was marked missing: mount its disk, and "
        "run it again."
    )
