"""What `index` would do, without doing it."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from facesearch.errors import Note, PhotoError, RootError
from facesearch.flow.stream import chunks
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.selection import Selection
from facesearch.gallery.indexing.updating import kept_while_away
from facesearch.gallery.records.run import Plan, RootFailure
from facesearch.gallery.tables.photos import KnownPhoto
from facesearch.home import cores
from facesearch.photos import places
from facesearch.photos.exclusions import Rules
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.remedies import Remedies
from facesearch.photos.status import ABSENT, Status
from facesearch.photos.walk import may_be_photo, walk
from facesearch.photos.whereabouts import whereabouts, why_away

_AT_ONCE = 1000  # files in one question to the database
# A guess until a gallery has a run to go by: photos of 12 megapixels, a core (benchmarks/README.md).
_PHOTOS_A_SECOND = 3.0


def plan(name: str, db: Database | None, roots: Sequence[str], options: IndexOptions, note: Note) -> Plan:
    """What a run over these roots would do; nothing is written. Without a database all is new. A photo is opened
    where only its content tells whether it has moved."""
    planner = _Planner(db, options, note)
    failed = []
    for root in roots:
        try:
            planner.look(root)
        except RootError as error:
            failed.append(RootFailure(root, str(error)))
    rate = db.runs.rate() if db is not None else None
    per_second = rate or _PHOTOS_A_SECOND * cores()
    work = planner.photos["new"] + planner.photos["changed"]
    left_out = planner.folders_left_out, planner.files_left_out
    return Plan(name, dict(planner.photos), *left_out, work / per_second, per_second, rate is None, tuple(failed))


def _is_still_paired(known: KnownPhoto | None, file: PhotoFile) -> bool:
    """Whether it is a raw photo that one beside it stands for, as in the last run."""
    return known is not None and known.status == Status.PAIRED and known.agrees_with(file)


class _Planner:
    """Counts over several roots."""

    def __init__(self, db: Database | None, options: IndexOptions, note: Note) -> None:
        self._db, self._options, self._note = db, options, note
        self._remedies = Remedies(options.max_megapixels)
        self._sizes = db.photos.sizes() if db is not None else frozenset()
        self._met: set[str] = set()  # known paths whose photos are there, or at another path
        self.photos: Counter[str] = Counter(
            dict.fromkeys(("new", "changed", "moved", "copied", "gone", "excluded", "away", "unchanged"), 0)
        )
        self.folders_left_out = self.files_left_out = 0

    def look(self, root: str) -> None:
        """Counts what is under a root. Raises RootError where it cannot be read."""
        rules = Rules(root, self._options.exclusions, self._note)
        unseen: dict[str, str] = {}

        def cannot_see(path: str, error: OSError) -> None:
            unseen[path] = f"cannot be read ({error.strerror})"

        selection = Selection(self._db, root, self._options, self._remedies) if self._db else None
        for files in chunks(walk(root, cannot_see, rules), _AT_ONCE):
            known = self._db.photos.known([file.path for file in files]) if self._db else {}
            for file in files:
                has = known.get(file.path)
                self._met.add(file.path)
                if selection and (selection.is_known(file, has) or _is_still_paired(has, file)):
                    self.photos["unchanged"] += 1
                elif what := self._what(file, has):
                    self.photos[what] += 1
        self.folders_left_out += rules.folders
        self.files_left_out += rules.files
        if self._db is not None:
            self._count_unmet(self._db, root, rules, unseen)

    def _what(self, file: PhotoFile, has: KnownPhoto | None) -> str:
        """What a photo is that is not as it was; nothing for a file that is none."""
        if not may_be_photo(file.path):
            return ""
        if self._db is None:
            return "new"
        known = self._same_content(self._db, file) if file.size in self._sizes else None
        if known is None:
            return "new" if has is None or has.status in ABSENT else "changed"
        if known.path == file.path:
            return "unchanged" if known.status not in ABSENT else "moved"
        is_there = known.status != Status.MISSING and places.may_exist(known.path)
        self._met.add("" if is_there else known.path)
        return "copied" if is_there else "moved"

    def _same_content(self, db: Database, file: PhotoFile) -> KnownPhoto | None:
        with suppress(PhotoError):  # the run will say why
            photo = load(file, self._options.max_megapixels)
            return db.photos.known_content(photo.digest, file.path) if photo else None
        return None

    def _count_unmet(self, db: Database, root: str, rules: Rules, unseen: dict[str, str]) -> None:
        missing = [path for path in db.photos.present(root) if path not in self._met]
        if why_away(root):
            self.photos["away"] += len(missing)
            return
        found = whereabouts(missing, root, unseen)
        self.photos["gone"] += len(found.gone)
        self.photos["excluded"] += sum(rules.leave_out(path) for path in found.there)
        for away in found.away:
            self.photos["away"] += away.photos
            self._note(kept_while_away(away, db.gallery))
