"""The whole arrow: photo, faces, chips, embeddings, database. The only module that knows the order.

Reading and decoding run on threads of their own beside detection and embedding, which take whole batches, one
for each core. One stream of items runs through all stages, in order; what is finished early passes the later
stages by. Queues are bounded, so memory does not grow with the collection."""

import math
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from facesearch.errors import FaceSearchError, Note, PhotoError, RootError
from facesearch.files import printable
from facesearch.flow.stream import batched, chunks, ordered, threads
from facesearch.gallery.records import Outcome, RootFailure
from facesearch.interruption import at_once, orderly
from facesearch.models.cards import DetectorCard
from facesearch.people import names
from facesearch.photos.file import MAX_MEGAPIXELS, LoadedPhoto, PhotoFile, load
from facesearch.photos.pool import SECONDS, Decoders
from facesearch.photos.remedies import Remedies
from facesearch.photos.status import FAILURES, Cause, Status
from facesearch.photos.view import View
from facesearch.photos.walk import may_be_photo, walk
from facesearch.photos.whereabouts import Away, is_gone, whereabouts, why_away

if TYPE_CHECKING:  # a question about two photos needs no database
    from facesearch.gallery.store import KnownPhoto, Store
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.flow.pace import BATCH, LOADED_AHEAD, Pace

PeopleFrom = Literal["none", "folder"]

_FILES_AT_ONCE = 256  # in one question to the database
_BATCH_ITEMS = 1024  # what is finished included
_OUT_OF_MEMORY = ("failed to allocate", "bad_alloc", "out of memory", "resource_exhausted", "resource exhausted")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to do with the photos that it meets. `retry` looks again at those that failed before,
    `again_forgotten` at those that were forgotten; `seconds` are how long the decoding of one may take."""

    names_people: bool = False
    retry: bool = False
    again_forgotten: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A photo that is ready to be analysed, and its content's digest."""

    file: PhotoFile
    digest: bytes
    view: View

    @property
    def weight(self) -> int:
        """Pixels in memory; what is kept of the file counts as if it were some."""
        return (self.view.pixels.size + len(self.view.data)) // 3


@dataclass(frozen=True, slots=True)
class _Failed:
    """A photo that cannot be used, and its content's digest if its bytes could be read."""

    file: PhotoFile
    digest: bytes | None
    error: PhotoError


_Item: TypeAlias = Outcome | PhotoFile | LoadedPhoto | _Decoded | _Failed


def index_photos(
    store: "Store",
    roots: Sequence[str],
    make_analyser: Callable[[], Analyser],
    detector: DetectorCard,
    wanted: Wanted | None = None,
    note: Note = lambda _: None,
    pace: Pace | None = None,
) -> Iterator[Outcome | RootFailure]:
    """Brings the database up to date with the photos under the roots, one transaction a batch, and yields an
    outcome for each photo once it is stored; a failure for each root that is absent, holds no photo or vanishes
    meanwhile: nothing under such a root is marked missing, and the others are indexed all the same."""
    run = _Run(store, make_analyser, detector, wanted or Wanted(), note, pace or Pace.of_machine("cpu"))
    failed = set()
    for root in roots:
        try:
            yield from run.index_root(root)
        except RootError as error:
            failed.add(root)
            yield RootFailure(root, str(error))
    with store.atomic():
        store.forget_displaced()
        for root in store.roots():
            if store.removal.is_found_elsewhere(root) and is_gone(root):
                store.removal.old_root(root)
        store.removal.roots([root for root in failed if not store.removal.under(root)])


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


class _Run:
    """What the stages of one run share."""

    def __init__(
        self,
        store: "Store",
        make_analyser: Callable[[], Analyser],
        detector: DetectorCard,
        wanted: Wanted,
        note: Note,
        pace: Pace,
    ) -> None:
        self._store, self._make_analyser, self._note = store, make_analyser, note
        self._detector, self._wanted = detector, wanted
        self._analyser: Analyser | None = None
        self._pace = pace
        self._remedies = Remedies(wanted.max_megapixels)
        self._again: frozenset[Status] = frozenset()  # photos of these are looked at again, whatever their cause
        self._noted: set[str] = set()  # folders that cannot be read
        self._is_stopped = False

    def index_root(self, root: str) -> Iterator[Outcome]:
        unseen: dict[str, str] = {}
        self._again = frozenset(FAILURES if self._wanted.retry else ())
        if self._wanted.again_forgotten or os.path.isfile(root):  # to name a photo itself is to want it back
            self._again |= {Status.FORGOTTEN}
        seen = forgotten = 0
        for outcome in self._index(walk(root, partial(self._cannot_see, unseen))):
            seen += 1
            forgotten += outcome.status == Status.FORGOTTEN
            yield outcome
        if not seen:
            raise _no_photo(root)
        if seen == forgotten:
            self._note(f"All photos in {printable(root)} were forgotten; --again-forgotten looks at them again.")
        yield from self._missing(root, unseen)

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
        candidates = self._store.unseen(os.path.abspath(root))
        if why_away(root) or is_gone(root):
            raise _vanished(root)
        found = whereabouts(candidates, os.path.abspath(root), unseen)
        for away in found.away:
            if away.folder not in self._noted:
                self._note(kept_while_away(away))
        gone = [*found.gone, *found.there]  # what is there and was not met is there under another name, too
        with self._store.atomic():
            self._store.mark_missing([candidates[path] for path in gone])
        yield from (Outcome(path, Status.MISSING, 0) for path in gone)

    def _index(self, files: Iterable[PhotoFile]) -> Iterator[Outcome]:
        ahead = 2 * self._pace.batch
        with ExitStack() as stack:
            readers = stack.enter_context(threads(self._pace.threads + 1))
            workers = stack.enter_context(threads(self._pace.threads))
            decoders = Decoders(self._pace.threads + 1, self._wanted.max_megapixels, self._wanted.seconds)
            look = partial(self._look, stack.enter_context(decoders))
            stack.enter_context(orderly(partial(self._stop, decoders)))
            on = partial(ordered, weigh=self._weight, is_finished=_is_finished)
            loaded = on(readers, self._load, self._pass_unchanged(files), ahead, LOADED_AHEAD)
            known = self._pass_known_contents(loaded)
            decoded = on(readers, look, known, ahead, LOADED_AHEAD + 6 * self._pace.pixels)
            batches = self._with_analyser(_batches(decoded, self._pace))
            for batch in on(workers, self._analyse, batches, self._pace.threads + 1, 4 * self._pace.pixels):
                yield from self._stored(batch)

    def _stop(self, decoders: Decoders) -> None:
        """Nothing more is begun; what is being analysed is still stored."""
        self._is_stopped = True
        decoders.stop()

    def _pass_unchanged(self, files: Iterable[PhotoFile]) -> Iterator[_Item]:
        """The files; an outcome in place of each whose path, size and times are known."""
        for part in chunks(files, _FILES_AT_ONCE):
            known = self._store.known([file.path for file in part])
            same = {file.path: known[file.path] for file in part if self._is_known(file, known.get(file.path))}
            if same:
                with self._store.atomic():
                    self._store.see(same.values())
                    self._store.fill_in((same[file.path], file) for file in part if file.path in same)
                    if self._wanted.names_people:
                        for path, photo in same.items():
                            self._store.name_faces(photo.id, names.of_folder(path))
            for file in part:
                if file.path in same:
                    yield _as_known(file, same[file.path], "unchanged")
                else:
                    yield file

    def _is_known(self, file: PhotoFile, known: "KnownPhoto | None") -> bool:
        if known is None or known.status == Status.MISSING or self._is_wanted_again(known):
            return False
        if known.status in FAILURES and self._remedies.may_help(known.cause, known.needs):
            return False
        return known.agrees_with(file)

    def _is_wanted_again(self, known: "KnownPhoto") -> bool:
        return known.status in self._again or (Status.FORGOTTEN in self._again and known.has_lost_a_face)

    def _pass_known_contents(self, items: Iterable[_Item | None]) -> Iterator[_Item]:
        """The photos; an outcome in place of each that was moved, copied or only touched."""
        for part in batched((item for item in items if item is not None), BATCH, LOADED_AHEAD, _bytes_held):
            with self._store.atomic():
                passed = [self._recognised(item) or item if isinstance(item, LoadedPhoto) else item for item in part]
            yield from passed

    def _recognised(self, photo: LoadedPhoto) -> Outcome | None:
        """What became of a photo whose content is known. It is looked up as late as this, because the photo before
        may have changed what is known."""
        known = self._store.known_content(photo.digest, photo.file.path)
        if known is None or self._is_wanted_again(known):
            return None
        file = photo.file
        person = names.of_folder(file.path) if self._wanted.names_people else None
        if known.path != file.path and known.status != Status.MISSING and os.path.exists(known.path):
            self._store.copy(known, file, person)
            return _as_known(file, known, "copied")
        self._store.move(known, file)
        if person is not None:
            self._store.name_faces(known.id, person)
        return _as_known(file, known, "unchanged" if known.path == file.path else "moved")

    def _load(self, item: _Item) -> _Item | None:
        """A file's bytes; None for a file that is no photo."""
        if not isinstance(item, PhotoFile):
            return item
        try:
            return load(item, self._wanted.max_megapixels)
        except PhotoError as error:
            return _Failed(item, None, error)

    def _look(self, decoders: Decoders, item: _Item) -> _Item:
        if not isinstance(item, LoadedPhoto):
            return item
        try:
            return _Decoded(item.file, item.digest, decoders.decode(item.data, self._detector.max_side, item.size))
        except PhotoError as error:
            return _Failed(item.file, item.digest, error)

    def _weight(self, item: object) -> int:
        """What a call with this item holds in memory: bytes of a file or of a photo, pixels of a batch of photos."""
        match item:
            case PhotoFile():
                return item.size
            case LoadedPhoto():
                return item.bytes_when_decoded(self._detector.max_side)
            case list():
                return sum(each.weight for each in item if isinstance(each, _Decoded))
        return 0

    def _with_analyser(self, batches: Iterable[list[_Item]]) -> Iterator[list[_Item]]:
        """The batches, until the run is to stop; the networks are loaded before the first one that needs them."""
        for batch in batches:
            if self._is_stopped:  # its photos may have failed because of that alone
                return
            if self._analyser is None and any(isinstance(item, _Decoded) for item in batch):
                with at_once():
                    self._analyser = self._make_analyser()
            yield batch

    def _analyse(self, batch: list[_Item]) -> list[tuple[_Item, Analysed | None]]:
        """Each item with what was found in it. Should a photo break a stage, it alone fails."""
        decoded = [item for item in batch if isinstance(item, _Decoded)]
        if self._analyser is None or not decoded:
            return [(item, None) for item in batch]
        try:
            results = iter(self._analyser.analyse([item.view for item in decoded]))
        except Exception as error:
            if isinstance(error, FaceSearchError) and not isinstance(error, PhotoError):
                raise
            if len(decoded) > 1:
                return [pair for item in batch for pair in self._analyse([item])]
            crash = PhotoError(Status.CRASHED, f"{type(error).__name__}: {error}", _cause_of(error))
            failed = _Failed(decoded[0].file, decoded[0].digest, error if isinstance(error, PhotoError) else crash)
            return [(failed if isinstance(item, _Decoded) else item, None) for item in batch]
        return [(item, next(results) if isinstance(item, _Decoded) else None) for item in batch]

    def _stored(self, batch: list[tuple[_Item, Analysed | None]]) -> list[Outcome]:
        """Stores what is new in a batch, in one transaction."""
        if all(isinstance(item, Outcome) for item, _ in batch):
            return [item for item, _ in batch if isinstance(item, Outcome)]
        with self._store.atomic():
            return [self._store_one(item, found) for item, found in batch]

    def _store_one(self, item: _Item, found: Analysed | None) -> Outcome:
        if isinstance(item, Outcome):
            return item
        if isinstance(item, _Decoded) and found is not None:
            return self._store_faces(item, found)
        if isinstance(item, _Failed):
            return self._store_failure(item)
        raise TypeError(f"{type(item).__name__} came through the stages unfinished")

    def _store_failure(self, item: _Failed) -> Outcome:
        """Stores why a photo cannot be used; `unchanged` if that was known. What is known of a file that cannot be
        read for now is kept: its content may well be as it was."""
        file, error = item.file, item.error
        status, cause = Status(error.status), Cause(error.cause)
        known = self._store.known([file.path]).get(file.path)
        if known and known.status not in FAILURES and cause == Cause.MACHINE and item.digest is None:
            self._store.see([known])
            if known.status == Status.FORGOTTEN:
                return _as_known(file, known, "unchanged")
            reason = f"{error.reason}; what is known of it is kept"
            return Outcome(file.path, status, known.faces, "unchanged", reason, cause)
        needs = error.needs
        if cause == Cause.OPTION and not needs:  # whatever it is, it is more than this
            needs = str(math.nextafter(self._wanted.max_megapixels, math.inf))
        self._store.save(file, status, digest=item.digest, reason=error.reason, cause=cause, needs=needs)
        is_as_before = known and (known.status, known.size, known.mtime_ns) == (status, file.size, file.mtime_ns)
        return Outcome(file.path, status, 0, "unchanged" if is_as_before else "indexed", error.reason, cause)

    def _store_faces(self, item: _Decoded, found: Analysed) -> Outcome:
        file = item.file
        status = Status.OK if found.faces else Status.NO_FACE
        reason = item.view.note or _why_none(item.view, self._detector)
        self._store.save(
            file,
            status,
            digest=item.digest,
            reason=reason,
            size=item.view.size,
            faces=found.faces,
            embeddings=found.embeddings,
            person=names.of_folder(file.path) if self._wanted.names_people else None,
        )
        return Outcome(file.path, status, len(found.faces), reason=reason)


def _no_photo(root: str) -> RootError:
    return RootError(
        f"There is no photo in {printable(root)}; nothing was marked missing: check the path, or mount its disk."
    )


def _as_known(file: PhotoFile, known: "KnownPhoto", done: str) -> Outcome:
    """The outcome of a photo whose content is known."""
    return Outcome(file.path, known.status_on_disk, known.faces, done, known.reason, known.cause)


def _cause_of(error: Exception) -> Cause:
    """Where the cause of a stage's error lies. Engines tell only in words that the memory does not suffice."""
    said = str(error).lower()
    is_memory = isinstance(error, MemoryError | OSError) or any(word in said for word in _OUT_OF_MEMORY)
    return Cause.MACHINE if is_memory else Cause.FILE


def _vanished(root: str) -> RootError:
    return RootError(
        f"{printable(root)} vanished while it was looked through; nothing was marked missing: mount its disk, and "
        "run it again."
    )


def kept_while_away(away: Away) -> str:
    """The sentence about photos that cannot be seen at the moment."""
    photos = "1 photo" if away.photos == 1 else f"{away.photos:,} photos"
    return (
        f"{printable(away.folder)} {away.reason}, so its {photos} may only be away, and stay known; if they are gone "
        f"for good: facesearch forget {shlex.quote(printable(away.folder))}"
    )


def _why_none(view: View, detector: DetectorCard) -> str | None:
    """Why no face can be found in a photo as small as this."""
    height, width = view.pixels.shape[:2]
    if min(height, width) >= detector.min_face_px:
        return None
    looked_at = "" if view.shrink == (1, 1) else f", looked at in {width} x {height}"
    return f"{view.size[0]} x {view.size[1]} pixels{looked_at}, smaller than the smallest face"


def _batches(items: Iterable[_Item], pace: Pace) -> Iterator[list[_Item]]:
    """The items in batches of some photos to analyse, and what is finished between them."""
    batch: list[_Item] = []
    photos = pixels = 0
    for item in items:
        batch.append(item)
        if isinstance(item, _Decoded):
            photos += 1
            pixels += item.weight
        if photos >= pace.batch or pixels >= pace.pixels or len(batch) >= _BATCH_ITEMS:
            yield batch
            batch, photos, pixels = [], 0, 0
    if batch:
        yield batch


def _is_finished(item: object) -> bool:
    """Whether the stages have nothing left to do for an item: it passes them by."""
    return isinstance(item, (Outcome, _Failed))


def _bytes_held(item: object) -> int:
    return len(item.data) if isinstance(item, LoadedPhoto) else 0
