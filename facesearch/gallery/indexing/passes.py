"""A pass of indexing over a gallery: what `index` does once, and `watch` again and again."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from facesearch.faces.analyser import Analysed, Analyser
from facesearch.flow.pace import Pace
from facesearch.flow.stages import Flow
from facesearch.gallery.agreement import RequestedSettings, agreed_settings, detector_of
from facesearch.gallery.database import Database
from facesearch.gallery.grouping import as_they_are, group_all, keep_people, mode_of
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.people_from_folders import PeopleFromFolders
from facesearch.gallery.indexing.tally import Tally, recorded_run
from facesearch.gallery.indexing.updating import Part, flow_here, index_photos
from facesearch.gallery.migration.embedding import Effort
from facesearch.gallery.migration.migrate import bring_back
from facesearch.gallery.records.run import OtherFilesFound, Outcome, RootFailure, RunSummary
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.search.judging import keep_up
from facesearch.gallery.search.questions import read_dates
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.stores import follow
from facesearch.gallery.vectors.index import import_faiss
from facesearch.gallery.vectors.lagging import may_lag
from facesearch.interruption import at_once
from facesearch.models.advice import advice

if TYPE_CHECKING:
    from facesearch.gallery.indexing.on_cluster import Machines

_log = logging.getLogger(__name__)  # what --verbose shows

OnOutcome = Callable[[Outcome], None]

_SYNC_AFTER = 100_000  # new faces; a query compares with those that are not yet in the index one by one


@dataclass(frozen=True, slots=True)
class Passes:
    """Passes over one gallery, all with the same options. `load` gives the networks of its models for so many cores a
    call, always the same ones. With `machines` what is new is looked at there."""

    storage: Storage
    load: Callable[[GallerySettings, int], Analyser]
    requested: RequestedSettings
    options: IndexOptions
    pace: Pace
    machines: "Machines | None" = None

    def run(
        self, parts: Sequence[Part], on_outcome: OnOutcome, tally: Tally | None = None, is_one_of_many: bool = False
    ) -> RunSummary:
        """Brings the gallery up to date with these parts, under its lock. `on_outcome` hears of each photo once it
        is stored. With `is_one_of_many` the file of vectors may stay a little behind. Raises as Gallery.index."""
        tally = tally or Tally(self.storage.name)
        _log.info("Batches at once: %d, of up to %d photos.", self.pace.threads, self.pace.batch)
        note = self.storage.note
        settings = agreed_settings(self.storage.name, self.storage.settings(), self.requested)
        analyser = partial(self._load, settings, tally)
        roots = sorted({part.root for part in parts})
        with self.storage.writing() as db, recorded_run(db, settings, roots, tally, note):
            self._remember(db)
            before = db.faces.count()
            with self._flow(db, settings, tally) as flow:
                outcomes = index_photos(db, parts, flow, detector_of(settings), self.options, note)
                self._follow(db, settings, outcomes, tally, on_outcome)
            read_dates(db, note)
            level = self.options.name_level
            folders = None if level is None else PeopleFromFolders(db, parts, level)
            named = folders.name_alone() if folders else 0
            lags = may_lag(db, self.storage.vectors, is_one_of_many)
            if not lags:
                self.storage.sync(db, settings)
            effort = Effort(self.pace, settings.max_side, self.options.max_megapixels)
            if back := bring_back(db, lambda: analyser().embedder, effort, is_present=True):
                note(f"Searched again, of the faces that were set aside: {back:,}.")
                self.storage.sync(db, settings)
            with at_once():
                named += self._name_who_fits(db, settings, folders) if folders else 0
                self._group(db, settings, tally)
                self._group_by_names(db, settings, tally, named)
            if not (lags and is_one_of_many) or back:  # a store takes few faces at once
                with at_once():
                    follow(self.storage, db, settings)
            recommended = advice(settings.model, before, db.faces.count(), self.storage.name)
        if recommended:
            note(recommended)
        return tally.summary()

    def _flow(
        self, db: Database, settings: GallerySettings, tally: Tally
    ) -> AbstractContextManager[Flow[None, Analysed]]:
        """Who does the work: this process, or workers on a cluster."""
        if self.machines:
            return self.machines.flow(db, settings, self.options, tally)
        analyser = partial(self._load, settings, tally)
        return nullcontext(flow_here(analyser, detector_of(settings), self.pace, self.options))

    def _remember(self, db: Database) -> None:
        if db.exclusions.read() != self.options.exclusions:
            with db.transaction():
                db.exclusions.write(self.options.exclusions)

    def _follow(
        self,
        db: Database,
        settings: GallerySettings,
        outcomes: Iterator[Outcome | OtherFilesFound | RootFailure],
        tally: Tally,
        on_outcome: OnOutcome,
    ) -> None:
        """Counts what a run does, and brings the file of vectors up to date now and then."""
        synced = db.faces.count()
        for outcome in outcomes:
            if isinstance(outcome, RootFailure):
                tally.roots_failed.append(outcome)
                continue
            if isinstance(outcome, OtherFilesFound):
                tally.add_others(outcome)
                continue
            tally.add(outcome)
            on_outcome(outcome)
            if tally.unsynced > max(_SYNC_AFTER, synced // 3):
                self._catch_up(db, settings)
                synced += tally.unsynced
                tally.unsynced = 0

    def _catch_up(self, db: Database, settings: GallerySettings) -> None:
        """Brings what is computed from the embeddings up to date: the file of vectors, and own thresholds."""
        self.storage.sync(db, settings)
        with at_once():
            keep_up(db, settings, self.storage.note)

    def _group(self, db: Database, settings: GallerySettings, tally: Tally) -> None:
        """Finds out whose the new faces are, and measures their own thresholds."""
        found = keep_people(db, settings, self.storage.nearest(db, settings), self.storage.note)
        if found and not found.is_whole:
            found = replace(as_they_are(db), moved=found.moved, seconds=found.seconds)
        tally.grouped = found or tally.grouped

    def _name_who_fits(self, db: Database, settings: GallerySettings, folders: PeopleFromFolders) -> int:
        """Names faces after folders, with own thresholds as they are by now; how many changed."""
        if not folders.have_changed:
            return 0
        keep_up(db, settings, self.storage.note)
        return folders.name(settings)

    def _group_by_names(self, db: Database, settings: GallerySettings, tally: Tally, named: int) -> None:
        """Groups all again where folders have named faces that were grouped before: names say who is not the same."""
        if named and db.groupings.stamp() and not (tally.grouped and tally.grouped.is_whole):
            tally.grouped = group_all(db, settings, mode_of(db))

    def _load(self, settings: GallerySettings, tally: Tally) -> Analyser:
        """The networks for indexing, where each core takes whole batches, so that a call may use one core. FAISS must
        be there too: that it is not should be said before hours of work, and not after."""
        import_faiss()
        analyser = self.load(settings, 1)
        tally.engine = analyser.engine
        tally.begin_working()
        return analyser
