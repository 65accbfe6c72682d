"""A gallery: one directory with a database and the vectors made from it; what the commands and programs use."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import filelock
import msgspec
import numpy as np

from facesearch import limits
from facesearch.errors import (
    FaceSearchError,
    GalleryError,
    GalleryLockedError,
    ModelError,
    Note,
    RootError,
    UsageError,
)
from facesearch.faces.analyser import Analyser
from facesearch.flow.pace import Pace
from facesearch.gallery import answers, contents
from facesearch.gallery.calibration import calibrate, gather
from facesearch.gallery.database import Database
from facesearch.gallery.indexing import PeopleFrom, index_photos, usable_roots
from facesearch.gallery.options import IndexOptions
from facesearch.gallery.records import (
    Answer,
    Calibration,
    GalleryFacts,
    GallerySettings,
    Limit,
    Match,
    Outcome,
    RootFailure,
    RunSummary,
    Unanswered,
    Verdict,
)
from facesearch.gallery.vectors import Searchable, import_faiss
from facesearch.gallery.vectors_file import belongs, build_in_memory, open_index, sync
from facesearch.gallery.vectors_gpu import on_gpu
from facesearch.home import gallery_dir, home, narrow_home, private_folder, valid_name
from facesearch.interruption import at_once
from facesearch.models.cards import DetectorCard, default_embedder, detector_card, embedder_card, index_recipes
from facesearch.models.device import Device
from facesearch.models.identity import identity_of
from facesearch.photos.file import MAX_MEGAPIXELS
from facesearch.photos.pool import Decoders
from facesearch.photos.status import Status

_SYNC_AFTER = 100_000  # new faces; a query compares with those that are not yet in the index one by one
_MOST_FAR = 0.1
_MOST_FAILURES = 1000  # photos that are named in a summary
_LOOKS = 4  # for the file of vectors, while another process writes
_BETWEEN_LOOKS = 0.25  # seconds


def _silent(_: str) -> None:
    """No note is shown."""


class Gallery:
    """One gallery by its name. `Gallery.open` costs nothing; the first `index` makes the directory."""

    def __init__(self, name: str, device: Device = "auto", note: Note = _silent) -> None:
        valid_name(name, "gallery")
        self.name, self._device, self.note = name, device, note
        self.directory = gallery_dir(name)
        self._analysers: dict[int, Analyser] = {}

    @classmethod
    def open(cls, name: str = "default", device: Device = "auto", note: Note = _silent) -> "Gallery":
        """The gallery of that name, whether it exists yet or not. `note` hears what a user should know.
        Raises UsageError for a name that no directory can have."""
        return cls(name, device, note)

    def index(
        self,
        paths: Sequence[str | Path],
        *,
        people_from: PeopleFrom = "none",
        model: str | None = None,
        detector: str | None = None,
        min_face_px: float | None = None,
        max_side: int | None = None,
        threads: int | None = None,
        batch: int | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
        retry_failed: bool = False,
        again_forgotten: bool = False,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> RunSummary:
        """Brings the gallery up to date with the photos under these folders (or with these photos).

        `model`, `detector`, `min_face_px` and `max_side` (a photo with a longer side is searched for faces in that
        size; 0: in its own) are fixed by the first run. `threads` work at once, each on `batch` photos; what is
        not given follows from the machine. A photo of more than `max_megapixels` is not decoded. A photo that could
        not be read is tried again when that may help, or with `retry_failed`; one that was forgotten is looked at
        again with `again_forgotten`. `on_outcome` hears of each photo once it is stored. A folder that is absent or
        holds no photo is named in what is returned, and the others are indexed.
        Raises GalleryLockedError while another process writes, ModelError or UsageError when the gallery was made
        with others of these or a number is out of range, FaceSearchError where no folder can be indexed."""
        limits.check("min_face_px", min_face_px, limits.MIN_FACE_PX)
        limits.check("max_side", max_side, limits.MAX_SIDE_PX)
        limits.check("threads", threads, limits.THREADS)
        limits.check("batch", batch, limits.BATCH)
        limits.check("max_megapixels", max_megapixels, limits.MEGAPIXELS)
        asked = [os.path.abspath(path) for path in paths]
        roots, failed = usable_roots(asked)
        if not roots:
            raise RootError(failed[0].reason)
        settings = self._agreed(model, detector, min_face_px, max_side)
        tally = _Tally(self.name)
        tally.roots_failed += failed
        options = IndexOptions(people_from == "folder", retry_failed, again_forgotten, max_megapixels)
        pace = Pace.of_machine(self._device, threads, batch)
        analyser = partial(self._load_to_index, settings, tally)
        with self.writing() as db, self._run(db, settings, roots, tally):
            synced = db.faces.count()
            for outcome in index_photos(db, roots, analyser, _finder(settings), pace, options, self.note):
                if isinstance(outcome, RootFailure):
                    tally.roots_failed.append(outcome)
                    continue
                tally.add(outcome)
                on_outcome(outcome)
                if tally.unsynced > max(_SYNC_AFTER, synced // 3):
                    self.sync(db, settings)
                    synced += tally.unsynced
                    tally.unsynced = 0
            self.sync(db, settings)
        if len(tally.roots_failed) == len(asked):
            raise RootError(tally.roots_failed[0].reason)
        return tally.summary()

    @contextmanager
    def _run(self, db: Database, settings: GallerySettings, roots: Sequence[str], tally: "_Tally") -> Iterator[None]:
        """Notes in the database that a run begins, and how it ends, if it can still be said."""
        before = db.runs.newest()
        if before and before.ended_at is None:
            self.note(
                f"The run of process {before.pid}, which started at {before.started_at}, came to no end; "
                "this one goes on from what it stored."
            )
        with db.transaction():
            if db.settings.read() is None:
                db.settings.write(settings)
            db.settings.write_identity(settings.identity)
            db.roots.add(roots)
            run = db.runs.begin()
        try:
            yield
        except KeyboardInterrupt:
            with suppress(FaceSearchError), db.transaction():
                db.runs.end(run, tally.photos.total(), tally.faces)
            raise
        with db.transaction():
            db.runs.end(run, tally.photos.total(), tally.faces)

    def query(
        self, photo: str | Path, k: int = 5, *, face: int | None = None, threshold: float = -1.0, group: bool = True
    ) -> Answer:
        """The k nearest people to the largest face of a photo (or to its `face`-th largest) with at least that
        similarity; the k nearest faces with `group` off. Raises GalleryError when there is no gallery,
        FaceSearchError when the photo cannot be read, NoFaceError when it shows no face; UsageError for numbers that
        are out of range."""
        _check_question(k, threshold)
        limits.check("face", face, limits.FACE)
        with self.reading() as (db, settings), Decoders(1) as decoders:
            decoders.start_one()
            asked = answers.embed_one(self._load(settings), os.fspath(photo), decoders.decode, face)
            with self._searching(db, settings) as index:
                (matches,) = answers.identify(db.faces, index, asked.embedding[None], k, group, threshold)
                limit = _limit(db, settings)
        return _answer(asked, settings.model, limit, matches, len(index))

    def verify(self, a: str | Path, b: str | Path, *, threshold: float | None = None) -> Verdict:
        """Whether the largest faces of two photos show one person, by what this gallery goes by: its models, and the
        threshold that it has learned, or else the card's, unless one is given. Raises as `query`."""
        with self.reading() as (db, settings):
            limit = Limit(threshold, None) if threshold is not None else _limit(db, settings)
        return answers.compare(partial(self._load, settings), a, b, limit)

    def query_many(
        self, photos: Iterable[str | Path], k: int = 5, *, threshold: float = -1.0, group: bool = True
    ) -> Iterator[Answer | Unanswered]:
        """As `query`, for the largest face of each photo, in order and computed in batches; a photo that cannot
        be read or shows no face is said to be so in its place. Raises UsageError too for numbers that are out of
        range."""
        _check_question(k, threshold)
        with self.reading() as (db, settings), self._searching(db, settings) as index:
            limit = _limit(db, settings)
            searchable: Searchable = index
            load = partial(self._load, settings, 1)  # each core takes whole batches
            paths = (os.fspath(photo) for photo in photos)
            for number, asked in enumerate(answers.embed_asked(paths, load, _finder(settings).max_side)):
                if number == 1 and self._device != "cpu":  # many are asked about
                    searchable = on_gpu(db.faces, settings.dim, index_recipes("gpu"), behind=index)
                found = [item for item in asked if isinstance(item, answers.Asked)]
                queries = np.array([item.embedding for item in found]).reshape(-1, settings.dim)
                matches = iter(answers.identify(db.faces, searchable, queries, k, group, threshold))
                for item in asked:
                    if isinstance(item, answers.Asked):
                        yield _answer(item, settings.model, limit, next(matches), len(index))
                    else:
                        yield item

    def calibrate(self, far: float = 0.001) -> Calibration:
        """Learns from which similarity on two faces count as one person: the one that the share `far` of this
        gallery's own strangers reach, pairs of faces that share a photo. From then on `query` goes by it. Raises
        UsageError for a share that is none, FaceSearchError when there are too few such pairs."""
        if not 0 < far <= _MOST_FAR:
            raise UsageError(f"A FAR of {far:g} makes no threshold; take one from 0.0001 to {_MOST_FAR}.")
        with self.reading() as (db, settings):
            card = embedder_card(settings.model)
            identity = self.same_identity(settings)
            evidence = gather(db.faces.by_photo(settings.dim))
            learned = calibrate(evidence, far, card.name, card.threshold.similarity if card.threshold else None)
        with self.writing() as writable, writable.transaction():
            writable.calibration.write(learned)
            writable.settings.write_identity(identity)
        return learned

    def forget_calibration(self) -> None:
        """From now on `query` goes by the threshold of the model's card again."""
        with self.reading():
            pass
        with self.writing() as writable, writable.transaction():
            writable.calibration.delete()

    def facts(self) -> GalleryFacts:
        """What the gallery holds. Raises GalleryError when there is none."""
        with self.reading() as (db, settings):
            run = db.runs.newest()
            unread = _Unread()
            for outcome in db.photos.unread():
                unread.add(outcome)
            return GalleryFacts(
                name=self.name,
                directory=self.directory,
                settings=settings,
                photos=db.photos.counts(),
                faces=db.faces.count(),
                people=db.people.count(),
                roots=db.roots.paths(),
                index=db.stamp.read(),
                limit=_limit(db, settings),
                bytes_on_disk=_bytes_in(self.directory),
                last_run=run.started_at if run else None,
                failures=tuple(unread.first),
                failing=dict(unread.failing),
                unsupported=dict(unread.unsupported),
            )

    def unread(self) -> Iterator[Outcome]:
        """All photos that could not be read, by path, with the reason of each and its cause; also files of kinds that
        no package here reads. Raises GalleryError when there is no gallery."""
        with self.reading() as (db, _):
            yield from db.photos.unread()

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.directory / contents.DATABASE

    @property
    def vectors(self) -> Path:
        """The file of vectors."""
        return self.directory / contents.VECTORS

    def _agreed(
        self, model: str | None, detector: str | None, min_face_px: float | None, max_side: int | None
    ) -> GallerySettings:
        """The gallery's settings, or those of a new one. Raises ModelError or UsageError when it has others."""
        settings = self._settings()
        if settings is None:
            card = embedder_card(model or default_embedder())
            finder = detector_card(detector or card.detector)
            smallest = min_face_px or finder.min_face_px
            side = finder.max_side if max_side is None else max_side
            return GallerySettings(card.name, finder.name, card.dim, smallest, side, identity_of(card, finder))
        if model not in (None, settings.model):
            raise ModelError(
                f"The gallery '{self.name}' holds embeddings of {settings.model}, which {model} cannot be compared "
                "with; leave --model out, or choose another --gallery."
            )
        if detector not in (None, settings.detector):
            raise ModelError(
                f"The gallery '{self.name}' holds faces that {settings.detector} found; leave --detector out, or "
                "choose another --gallery."
            )
        if min_face_px not in (None, settings.min_face_px):
            raise UsageError(
                f"The gallery '{self.name}' was made with faces from {settings.min_face_px:g} pixels; leave "
                "--min-face out, or choose another --gallery."
            )
        if max_side not in (None, settings.max_side):
            how = f"in at most {settings.max_side} pixels a side" if settings.max_side else "in their own size"
            raise UsageError(
                f"The gallery '{self.name}' was made with photos looked at {how}; leave --max-side out, or choose "
                "another --gallery."
            )
        return replace(settings, identity=self.same_identity(settings))

    def same_identity(self, settings: GallerySettings) -> str:
        """Which networks have the names of the gallery's models now. Raises ModelError where its embeddings are of
        others: what those would find must not be compared with them."""
        card = embedder_card(settings.model)
        identity = identity_of(card, detector_card(settings.detector))
        self._refuse_other(settings, identity, card.dim)
        return identity

    def _refuse_other(self, settings: GallerySettings, identity: str, dim: int) -> None:
        if settings.identity not in ("", identity) or dim != settings.dim:
            raise ModelError(
                f"The gallery '{self.name}' holds embeddings of another network than the '{settings.model}' of now "
                f"(with '{settings.detector}'): weights or cards of these names have changed, and both cannot be "
                f"compared. Bring the earlier ones back to {home() / 'models'}, or index the photos into another "
                "--gallery."
            )

    def refuse_other_models(self) -> None:
        """Raises ModelError where the gallery's embeddings are of other networks than have these names now. Whatever
        cannot be told, as of a damaged gallery or an absent model, is left to who needs it."""
        try:
            settings = self._settings()
            if settings is None:
                return
            card = embedder_card(settings.model)
            identity = identity_of(card, detector_card(settings.detector))
        except FaceSearchError:
            return
        self._refuse_other(settings, identity, card.dim)

    def _settings(self) -> GallerySettings | None:
        if not self.database.exists():
            return None
        with Database.open(self.database) as db:
            return db.settings.read()

    @contextmanager
    def reading(self) -> Iterator[tuple[Database, GallerySettings]]:
        """The database for reading, and what was fixed when it was made."""
        if not self.database.exists():
            others = sorted(path.parent.name for path in self.directory.parent.glob("*/faces.db"))
            raise GalleryError(
                f"There is no gallery '{self.name}'"
                + (f" (there is {', '.join(others)})" if others else "")
                + "; make it with: facesearch index PHOTOS"
                + (f" --gallery {self.name}." if self.name != "default" else ".")
            )
        with Database.open(self.database) as db:
            settings = db.settings.read()
            if settings is None:
                raise GalleryError(f"The gallery '{self.name}' is still empty; run: facesearch index PHOTOS.")
            yield db, settings

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """The database for writing, while no other process writes. Raises GalleryLockedError when one does."""
        with self.locked(), Database.create(self.database) as db:
            if db.journal != "wal":
                self.note(
                    f"The disk of {self.directory} cannot keep a write-ahead log, so queries and indexing wait for "
                    "each other."
                )
            self._finish_forgetting(db)
            yield db

    def _finish_forgetting(self, db: Database) -> None:
        """What was deleted while somebody read the gallery, or by a process that was killed, leaves the files."""
        if not db.removal.is_unfinished():
            return
        try:
            db.removal.scrub(db.journal == "wal", wait_seconds=0)
        except FaceSearchError as error:
            self.note(f"Bytes of what was forgotten are still there: {error} The next command tries again.")
            return
        self.note("What was forgotten before has now left all files.")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The right to write, for this process alone; the system gives it back when the process ends, however. What
        a process left unfinished is removed."""
        lock = filelock.FileLock(self.directory / contents.LOCK, mode=0o600)
        try:
            private_folder(self.directory)
            narrow_home(self.note)
            lock.acquire(blocking=False)
        except filelock.Timeout as error:
            raise GalleryLockedError(self._who_writes()) from error
        except (OSError, RuntimeError) as error:  # filelock refuses links and kinds of files in words of its own
            said = getattr(error, "strerror", None) or str(error)
            where = getattr(error, "filename", None) or self.directory
            raise FaceSearchError(f"The gallery '{self.name}' cannot be written: {where}: {said}.") from error
        try:
            contents.remove_unfinished(self.directory)
            yield
        finally:
            lock.release()

    def _who_writes(self) -> str:
        """The sentence that names the process that holds the lock."""
        run = None
        with suppress(GalleryError), Database.open(self.database) as db:  # it may not be made yet, or be damaged
            run = db.runs.newest()
        by = (
            f"process {run.pid}, which started at {run.started_at}"
            if run and run.ended_at is None
            else "another process"
        )
        return f"The gallery '{self.name}' is being written by {by}; wait for it to end, or stop it."

    def _load(self, settings: GallerySettings, threads: int = 0) -> Analyser:
        """The networks of the gallery's models, loaded once; `threads` is how many cores a call may use, 0 for
        all."""
        self.same_identity(settings)
        if threads not in self._analysers:
            card = embedder_card(settings.model)
            self._analysers[threads] = Analyser.load(_finder(settings), card, self._device, threads, self.note)
        return self._analysers[threads]

    def _load_to_index(self, settings: GallerySettings, tally: "_Tally") -> Analyser:
        """The networks for indexing, where each core takes whole batches, so that a call may use one core. FAISS must
        be there too: that it is not should be said before hours of work, and not after."""
        started = time.perf_counter()
        import_faiss()
        analyser = self._load(settings, threads=1)
        tally.preparing = time.perf_counter() - started
        return analyser

    def sync(self, db: Database, settings: GallerySettings) -> None:
        """Brings the file of vectors up to date with the database that is being written. The old stamp goes before
        the new file comes: a file that is not the stamped one is then damaged, and never merely newer."""
        before = db.stamp.read()
        made = (settings.model, settings.dim, index_recipes(), self.note)
        try:
            with at_once():
                stamp = sync(self.vectors, before, db.faces, *made, partial(self._forget_stamp, db))
        except FaceSearchError:  # the disk refuses the new file: the old one may still be there
            if before and not db.stamp.read() and belongs(self.vectors, before):
                with suppress(FaceSearchError), db.transaction():
                    db.stamp.write(before)
            raise
        if stamp:
            with db.transaction():
                db.stamp.write(stamp)

    def _forget_stamp(self, db: Database) -> None:
        with db.transaction():
            db.stamp.delete()

    @contextmanager
    def _searching(self, db: Database, settings: GallerySettings) -> Iterator[Searchable]:
        """The index and, while it is searched, the database in the state that belongs to it. When the file is not
        the one that belongs to the database it is made again; while another process writes it may just have been
        replaced, and is looked at once more."""
        said: FaceSearchError | None = None
        for attempt in range(_LOOKS):
            with db.snapshot():
                index = self._opened(db, settings)
                if index is not None:
                    yield index
                    return
            try:
                with self.writing() as writable:
                    self.sync(writable, settings)
            except GalleryLockedError as error:
                said = error
                time.sleep(_BETWEEN_LOOKS * (attempt < _LOOKS - 1))
            except FaceSearchError as error:  # the disk is full or may not be written
                said = error
                break
        self.note(f"{said} The answer comes from the database.")  # an answer needs no file
        with db.snapshot():
            yield build_in_memory(db.faces, settings.dim, index_recipes())

    def _opened(self, db: Database, settings: GallerySettings) -> Searchable | None:
        stamp = db.stamp.read()
        return open_index(self.vectors, stamp, db.faces, settings.dim, index_recipes()) if stamp else None


class _Unread:
    """Counts the photos that cannot be read, and keeps the first of them; and files of kinds that nothing reads."""

    def __init__(self) -> None:
        self.first: list[Outcome] = []
        self.failing: Counter[str] = Counter()
        self.unsupported: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        if outcome.is_of_another_kind:
            self.unsupported[outcome.reason or "of an unknown kind"] += 1
        elif outcome.is_failure:
            self.failing[outcome.status] += 1
            if len(self.first) < _MOST_FAILURES:
                self.first.append(outcome)


class _Tally:
    """What a run has done so far."""

    def __init__(self, gallery: str) -> None:
        self._gallery = gallery
        self._started = time.perf_counter()
        self._unread = _Unread()
        self.roots_failed: list[RootFailure] = []
        self.photos: Counter[str] = Counter()
        self.faces = 0
        self.unsynced = 0  # new faces that are not in the index yet
        self.preparing = 0.0  # seconds until the networks ran, which do not count in photos a second

    def add(self, outcome: Outcome) -> None:
        self.photos[outcome.status if outcome.done == "indexed" else outcome.done] += 1
        if outcome.done in ("indexed", "copied"):
            self.faces += outcome.faces
            self.unsynced += outcome.faces
        self._unread.add(outcome)

    def summary(self) -> RunSummary:
        seconds = time.perf_counter() - self._started
        looked_at = sum(self.photos[status] for status in Status if status != Status.MISSING)
        rate = looked_at / (seconds - self.preparing)
        unread = self._unread
        return RunSummary(
            photos=dict(self.photos),
            faces=self.faces,
            seconds=seconds,
            photos_per_second=rate,
            gallery=self._gallery,
            failures=tuple(unread.first),
            failing=dict(unread.failing),
            unsupported=dict(unread.unsupported),
            roots_failed=tuple(self.roots_failed),
        )


def _check_question(k: int, threshold: float) -> None:
    limits.check("k", k, limits.MATCHES)
    limits.check("threshold", threshold, limits.SIMILARITY)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _finder(settings: GallerySettings) -> DetectorCard:
    """The detector's card with what the gallery fixed when it was made."""
    card = detector_card(settings.detector)
    return msgspec.structs.replace(card, min_face_px=settings.min_face_px, max_side=settings.max_side)


def _limit(db: Database, settings: GallerySettings) -> Limit | None:
    """From which similarity on two faces are one person: as learned from the gallery, or else as the card says."""
    card = embedder_card(settings.model).threshold
    return db.calibration.read() or (Limit(card.similarity, card.far) if card else None)


def _answer(
    asked: answers.Asked, model: str, limit: Limit | None, matches: tuple[Match, ...], compared: int
) -> Answer:
    if limit is None:
        return Answer(asked.sighting, model, None, None, False, compared, matches)
    return Answer(asked.sighting, model, limit.similarity, limit.far, limit.learned, compared, matches)
