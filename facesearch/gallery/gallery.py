"""A gallery, as the commands and programs use it: what the command line can do is a method here."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch import limits
from facesearch.errors import Note, RootError, UsageError
from facesearch.faces.analyser import Analyser
from facesearch.flow.pace import Pace
from facesearch.gallery import answers
from facesearch.gallery.agreement import RequestedSettings, agreed_settings, current_identity, detector_of
from facesearch.gallery.analysers import Analysers
from facesearch.gallery.database import Database
from facesearch.gallery.embedding import Effort
from facesearch.gallery.indexing import PeopleFrom, index_photos, usable_roots
from facesearch.gallery.judging import Judge, keep_up
from facesearch.gallery.migrate import bring_back
from facesearch.gallery.options import IndexOptions
from facesearch.gallery.records import (
    ActiveThreshold,
    Answer,
    Calibration,
    Forgotten,
    GalleryFacts,
    GallerySettings,
    Match,
    Migrated,
    Outcome,
    RootFailure,
    RunSummary,
    SetAside,
    Unanswered,
    Verdict,
)
from facesearch.gallery.storage import Storage
from facesearch.gallery.tally import Tally, Unread, recorded_run
from facesearch.gallery.vectors import Searchable, import_faiss, import_faiss_meanwhile
from facesearch.gallery.vectors_gpu import on_gpu
from facesearch.interruption import at_once
from facesearch.models.advice import advice
from facesearch.models.cards import embedder_card, index_recipes
from facesearch.models.device import Device, Precision
from facesearch.photos.file import MAX_MEGAPIXELS
from facesearch.photos.pool import Decoders

if TYPE_CHECKING:  # what looks after a gallery is imported when it is asked for
    from facesearch.gallery import forgetting, upkeep

_SYNC_AFTER = 100_000  # new faces; a query compares with those that are not yet in the index one by one
_MOST_FAR = 0.1


def _silent(_: str) -> None:
    """No note is shown."""


class Gallery(Storage):
    """One gallery by its name. `Gallery.open` costs nothing; the first `index` makes the directory."""

    def __init__(
        self, name: str, device: Device = "auto", note: Note = _silent, precision: Precision = "auto"
    ) -> None:
        super().__init__(name, note)
        self._device = device
        self._analysers = Analysers(name, device, precision, note)

    @classmethod
    def open(
        cls, name: str = "default", device: Device = "auto", note: Note = _silent, precision: Precision = "auto"
    ) -> "Gallery":
        """The gallery of that name, whether it exists yet or not. `note` hears what a user should know. `precision`
        says in which numbers networks may compute on a CPU: `auto` takes OpenVINO in bfloat16 where it is installed
        and the processor has that.
        Raises UsageError for a name that no directory can have."""
        return cls(name, device, note, precision)

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
        requested = RequestedSettings(model, detector, min_face_px, max_side)
        options = IndexOptions(people_from == "folder", retry_failed, again_forgotten, max_megapixels)
        pace = Pace.of_machine(self._device, threads, batch)
        tally = Tally(self.name)
        roots = self._usable(paths, tally)
        settings = agreed_settings(self.name, self.settings(), requested)
        analyser = partial(self._load_to_index, settings, tally)
        with self.writing() as db, recorded_run(db, settings, roots, tally, self.note):
            before = db.faces.count()
            outcomes = index_photos(db, roots, analyser, detector_of(settings), pace, options, self.note)
            self._follow(db, settings, outcomes, tally, on_outcome)
            effort = Effort(pace, settings.max_side, max_megapixels)
            if back := bring_back(db, lambda: analyser().embedder, effort, is_present=True):
                self.note(f"Searched again, of the faces that were set aside: {back:,}.")
                self._catch_up(db, settings)
            recommended = advice(settings.model, before, db.faces.count(), self.name)
        if recommended:
            self.note(recommended)
        if len(tally.roots_failed) == len(paths):
            raise RootError(tally.roots_failed[0].reason)
        return tally.summary()

    def _usable(self, paths: Sequence[str | Path], tally: Tally) -> list[str]:
        """The folders and photos that can be indexed, absolute; the tally names the others. Raises RootError where
        there is none, UsageError where none is named."""
        if not paths:
            raise UsageError("No folder and no photo is named; name what is to be indexed.")
        roots, failed = usable_roots([os.path.abspath(path) for path in paths])
        tally.roots_failed += failed
        if not roots:
            raise RootError(failed[0].reason)
        return roots

    def _follow(
        self,
        db: Database,
        settings: GallerySettings,
        outcomes: Iterator[Outcome | RootFailure],
        tally: Tally,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        """Counts what a run does, and brings the file of vectors up to date now and then and at the end."""
        synced = db.faces.count()
        for outcome in outcomes:
            if isinstance(outcome, RootFailure):
                tally.roots_failed.append(outcome)
                continue
            tally.add(outcome)
            on_outcome(outcome)
            if tally.unsynced > max(_SYNC_AFTER, synced // 3):
                self._catch_up(db, settings)
                synced += tally.unsynced
                tally.unsynced = 0
        self._catch_up(db, settings)

    def _catch_up(self, db: Database, settings: GallerySettings) -> None:
        """Brings what is computed from the embeddings up to date: the file of vectors, and own thresholds."""
        self.sync(db, settings)
        with at_once():
            keep_up(db, settings, self.note)

    def query(
        self,
        photo: str | Path,
        k: int = 5,
        *,
        face: int | None = None,
        threshold: float = -1.0,
        group: bool = True,
        min_quality: float = 0.0,
    ) -> Answer:
        """The k nearest people to the largest face of a photo (or to its `face`-th largest) with at least that
        similarity; the k nearest faces with `group` off. Raises GalleryError when there is no gallery,
        FaceSearchError when the photo cannot be read, NoFaceError when it shows no face; UsageError for numbers that
        are out of range."""
        options = answers.QueryOptions(k, group, threshold, min_quality)
        limits.check("face", face, limits.FACE)
        with self.reading() as (db, settings), Decoders(1) as decoders:
            decoders.start_one()
            judge = Judge(db, settings)
            import_faiss_meanwhile()
            asked = answers.embed_probe(self._load(settings), os.fspath(photo), decoders.decode, face)
            with self.searching(db, settings) as index:
                (matches,) = answers.identify(db.faces, index, judge, [asked], options)
        return _answer(asked, settings.model, judge, matches, len(index))

    def verify(self, a: str | Path, b: str | Path, *, threshold: float | None = None) -> Verdict:
        """Whether the largest faces of two photos show one person, by what this gallery goes by: its models, its
        people, and the threshold that it has learned, or else the card's, unless one is given. Raises as `query`."""
        with self.reading() as (db, settings):
            judge = Judge(db, settings)
            known = ActiveThreshold(threshold, None) if threshold is not None else judge.threshold
            return answers.compare(partial(self._load, settings), a, b, known, judge)

    def query_many(
        self,
        photos: Iterable[str | Path],
        k: int = 5,
        *,
        threshold: float = -1.0,
        group: bool = True,
        min_quality: float = 0.0,
    ) -> Iterator[Answer | Unanswered]:
        """As `query`, for the largest face of each photo, in order and computed in batches; a photo that cannot
        be read or shows no face is said to be so in its place. Raises UsageError too for numbers that are out of
        range."""
        options = answers.QueryOptions(k, group, threshold, min_quality)
        with self.reading() as (db, settings), self.searching(db, settings) as index:
            judge = Judge(db, settings)
            searchable: Searchable = index
            load = partial(self._load, settings, 1)  # each core takes whole batches
            paths = (os.fspath(photo) for photo in photos)
            for number, asked in enumerate(answers.embed_probes(paths, load, detector_of(settings).max_side)):
                if number == 1 and self._device != "cpu":  # many are asked about
                    searchable = on_gpu(db.faces, settings.dim, index_recipes("gpu"), fallback=index)
                found = [item for item in asked if isinstance(item, answers.Probe)]
                matches = iter(answers.identify(db.faces, searchable, judge, found, options))
                for item in asked:
                    if isinstance(item, answers.Probe):
                        yield _answer(item, settings.model, judge, next(matches), len(index))
                    else:
                        yield item

    def calibrate(self, far: float = 0.001) -> Calibration:
        """Learns from which similarity on two faces count as one person: the one that the share `far` of this
        gallery's own strangers reach, pairs of faces that share a photo. From then on `query` goes by it. Raises
        UsageError for a share that is none, FaceSearchError when there are too few such pairs."""
        from facesearch.gallery.calibration import calibrate, gather

        if not 0 < far <= _MOST_FAR:
            raise UsageError(f"A FAR of {far:g} makes no threshold; choose one from 0.0001 to {_MOST_FAR}.")
        with self.reading() as (_, settings), self.writing() as writable:
            keep_up(writable, settings)
        with self.reading() as (db, settings):
            card = embedder_card(settings.model)
            identity = current_identity(self.name, settings)
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

    def migrate(
        self,
        model: str,
        *,
        set_aside: bool = False,
        threads: int | None = None,
        batch: int | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Migrated:
        """Changes the gallery's model: embeds every face anew from its photo, without looking for it again. Ids,
        names and what was said of faces stay. Until the end the gallery is the old one, and what is interrupted goes
        on where it was. Faces whose photo is gone, has changed or cannot be read are set aside (see
        `faces_set_aside`): they take part in searches again when `index` or `migrate` meets their photo. With
        `set_aside`, so are those of folders that may only be away; without it they stop the change. `on_progress`
        hears how many faces, of how many, are done; the other options are those of `index`. Raises as
        migrate.migrate."""
        from facesearch.gallery.migrate import Means, migrate

        pace = Pace.of_machine(self._device, threads, batch)
        limits.check("max_megapixels", max_megapixels, limits.MEGAPIXELS)
        import_faiss()

        def effort(settings: GallerySettings) -> Effort:
            return Effort(pace, settings.max_side, max_megapixels)

        return migrate(self, model, Means(self._analysers.load_embedder, effort, on_progress, set_aside))

    def faces_set_aside(self) -> Iterator[SetAside]:
        """The photos, by path, that hold faces which take part in no search, because they have no embedding of the
        gallery's model; with the reason. Raises GalleryError when there is no gallery."""
        with self.reading() as (db, _):
            yield from db.set_aside.by_photo()

    def facts(self) -> GalleryFacts:
        """What the gallery holds. Raises GalleryError when there is none."""
        with self.reading() as (db, settings):
            run = db.runs.newest()
            unread = Unread()
            for outcome in db.photos.unread():
                unread.add(outcome)
            judge = Judge(db, settings)
            return GalleryFacts(
                name=self.name,
                directory=self.directory,
                settings=settings,
                photos=db.photos.counts(),
                faces=db.faces.count(),
                people=db.people.count(),
                roots=db.roots.paths(),
                index=db.stamp.read(),
                threshold=judge.threshold,
                cohort=judge.cohort,
                bytes_on_disk=self.bytes_on_disk(),
                last_run=run.started_at if run else None,
                failures=tuple(unread.first),
                failing=dict(unread.failing),
                unsupported=dict(unread.unsupported),
                set_aside=db.set_aside.count(),
                changing_to=db.migration.model(),
                engines=db.runs.engines(),
            )

    def unread(self) -> Iterator[Outcome]:
        """All photos that could not be read, by path, with the reason of each and its cause; also files of kinds that
        no package here reads. Raises GalleryError when there is no gallery."""
        with self.reading() as (db, _):
            yield from db.photos.unread()

    def check(self, photos: bool = False) -> "upkeep.Soundness":
        """Whether all that the gallery holds is as it was stored; with `photos`, how what is on disk differs from it.
        Nothing is written. Raises GalleryError when there is no gallery or a newer facesearch wrote it."""
        from facesearch.gallery import upkeep

        return upkeep.check(self, photos)

    def repair(self, on_outcome: Callable[[Outcome], None] = lambda outcome: None) -> "upkeep.Repaired":
        """Makes a damaged gallery whole: what was there is copied aside, what can still be read becomes a new
        database, and the folders are indexed again for the rest; `on_outcome` hears of each photo. A gallery that is
        sound is left as it is. Raises as upkeep.repair."""

        def index_again(root: str, people_from: PeopleFrom) -> RunSummary:
            return self.index([root], people_from=people_from, on_outcome=on_outcome)

        from facesearch.gallery import upkeep

        return upkeep.repair(self, index_again)

    def to_forget(self, what: str, kind: "forgetting.Kind | None" = None) -> "forgetting.ToForget":
        """What `forget` would delete; nothing is written. Raises as forgetting.to_forget."""
        from facesearch.gallery import forgetting

        return forgetting.to_forget(self, what, kind)

    def forget(self, what: str, kind: "forgetting.Kind | None" = None) -> Forgotten:
        """Deletes all faces of a person, of a photo or of the photos under a folder, so that no byte of them stays in
        the gallery. Raises as forgetting.forget."""
        from facesearch.gallery import forgetting

        return forgetting.forget(self, what, kind)

    def to_forget_missing(self) -> "forgetting.ToForget":
        """What `forget_missing` would delete, given all roots that are gone; nothing is written."""
        from facesearch.gallery import forgetting

        return forgetting.to_forget_missing(self)

    def forget_missing(self, roots: Sequence[str] = ()) -> Forgotten:
        """As `forget`, for all photos that are no longer on disk, and for these roots, of those that have vanished,
        with all photos that were under them."""
        from facesearch.gallery import forgetting

        return forgetting.forget_missing(self, roots)

    def _load(self, settings: GallerySettings, threads: int = 0) -> Analyser:
        """The networks of the gallery's models, loaded once; `threads` is how many cores a call may use, 0 for
        all."""
        return self._analysers.load(settings, threads)

    def _load_to_index(self, settings: GallerySettings, tally: Tally) -> Analyser:
        """The networks for indexing, where each core takes whole batches, so that a call may use one core. FAISS must
        be there too: that it is not should be said before hours of work, and not after."""
        started = time.perf_counter()
        import_faiss()
        analyser = self._load(settings, threads=1)
        tally.engine = analyser.engine
        tally.preparing = time.perf_counter() - started
        return analyser


def _answer(asked: answers.Probe, model: str, judge: Judge, matches: tuple[Match, ...], compared: int) -> Answer:
    threshold = judge.threshold
    if threshold is None:
        return Answer(asked.sighting, model, None, None, False, compared, matches)
    known = threshold.similarity, threshold.far, threshold.learned
    return Answer(asked.sighting, model, *known, compared, matches, judge.cohort)
