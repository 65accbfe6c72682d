"""A gallery, as the commands and programs use it: what the command line can do is a method here."""

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch import limits
from facesearch.errors import Note, RootError, UsageError
from facesearch.files import printable
from facesearch.flow.pace import Pace
from facesearch.gallery.agreement import RequestedSettings, current_identity
from facesearch.gallery.browsing.browsing import Browsing
from facesearch.gallery.browsing.looking import Looking
from facesearch.gallery.browsing.showing import Showing
from facesearch.gallery.database import Database
from facesearch.gallery.decisions.placing import Placing
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.passes import Passes
from facesearch.gallery.indexing.tally import Tally, Unread
from facesearch.gallery.indexing.updating import outermost, usable_roots, whole
from facesearch.gallery.migration.embedding import Effort
from facesearch.gallery.names.exchanging import Exchanging
from facesearch.gallery.records.facts import Forgotten, GalleryFacts, Migrated, SetAside
from facesearch.gallery.records.people import Grouped
from facesearch.gallery.records.run import Outcome, Plan, RunSummary, skipped
from facesearch.gallery.records.settings import Calibration, GallerySettings
from facesearch.gallery.search.judging import Judge, keep_up
from facesearch.gallery.search.probing import Probing
from facesearch.gallery.store.storing import Storing
from facesearch.gallery.thumbnails import Thumbnails
from facesearch.gallery.vectors.index import import_faiss
from facesearch.models.cards import embedder_card
from facesearch.models.device import Device, Precision
from facesearch.packages import is_installed
from facesearch.people.folders import level_of
from facesearch.photos.addresses import absolute, is_remote
from facesearch.photos.exclusions import Exclusions
from facesearch.photos.file import MAX_MEGAPIXELS

if TYPE_CHECKING:  # what looks after a gallery is imported when it is asked for
    from facesearch.cluster.ray_cluster import Cluster
    from facesearch.gallery.indexing.on_cluster import Machines
    from facesearch.gallery.upkeep import checking, forgetting
    from facesearch.people.grouping import Mode

_MOST_FAR = 0.1


def _silent(_: str) -> None:
    """No note is shown."""


class Gallery(Probing, Looking, Browsing, Placing, Exchanging, Showing, Storing):
    """One gallery by its name. `Gallery.open` costs nothing; the first `index` makes the directory. What it can be
    asked is in `Questions` and `Probing`, what is seen of it in `Browsing`, `Looking` and `Showing`, what it can be
    told about people in `Deciding`, `Placing` and `Exchanging`, and about a store in `Storing`."""

    def __init__(
        self, name: str, device: Device = "auto", note: Note = _silent, precision: Precision = "auto"
    ) -> None:
        super().__init__(name, device, note, precision)
        self._precision = precision

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
        paths: Sequence[str | Path] = (),
        *,
        people_from: str = "none",
        model: str | None = None,
        detector: str | None = None,
        min_face_px: float | None = None,
        max_side: int | None = None,
        threads: int | None = None,
        batch: int | None = None,
        max_megapixels: float = MAX_MEGAPIXELS,
        retry_failed: bool = False,
        again_forgotten: bool = False,
        exclude: Sequence[str] = (),
        no_exclude: bool = False,
        default_excludes: bool | None = None,
        thumbnails: bool | None = None,
        cluster: "Cluster | None" = None,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        on_pass: Callable[[RunSummary], None] | None = None,
    ) -> RunSummary:
        """Brings the gallery up to date with the photos under these folders (or with these photos); where none is
        named, under all that it looks after.

        `people_from` names faces after folders (`folder`: the photo's own; `folder:1`: the first below the one that
        is indexed) or leaves them as they are (`none`). `model`, `detector`, `min_face_px` and `max_side` (a photo
        with a longer side is searched for faces in that size; 0: in its own) are fixed by the first run. `threads`
        work at once, each on `batch` photos; what is not given follows from the machine. A photo of more than
        `max_megapixels` is not decoded. A photo that could not be read is tried again when that may help, or with
        `retry_failed`; one that was forgotten is looked at again with `again_forgotten`. The patterns of `exclude`
        are left out from now on, beside those of before unless `no_exclude` forgets them, and what
        `default_excludes` says. `thumbnails` says whether small pictures of faces in large photos are made for the
        web page; None: where its packages are installed. With a `cluster` what is new is looked at there, and
        its `cores` count in place of `threads`. `on_outcome` hears of each photo once it is stored. A folder
        that is absent or holds no photo is named in what is returned, and the others are indexed.
        With `on_pass` this is the first of many passes, of each of which it hears: the folders are watched for what
        changes until that is interrupted, and all that was done is returned (see watching.watch).
        Raises GalleryLockedError while another process writes, ModelError or UsageError when the gallery was made
        with others of these or a number is out of range, FaceSearchError where no folder can be indexed."""
        requested = RequestedSettings(model, detector, min_face_px, max_side)
        exclusions = self.exclusions(exclude, no_exclude, default_excludes)
        options = IndexOptions(
            level_of(people_from),
            retry_failed,
            again_forgotten,
            max_megapixels,
            exclusions=exclusions,
            thumbnails=self._thumbnails_of_run(thumbnails),
        )
        passes = Passes(self, self._load, requested, options, Pace.of_machine(self._device, threads, batch))
        tally = Tally(self.name)
        looked_at = self.roots(paths, exclusions)
        if on_pass and cluster:
            raise UsageError("A cluster is not watched from; index again whenever something is new.")
        if on_pass:
            return self._watch(passes, looked_at, on_outcome, on_pass)
        with ExitStack() as stack:
            roots, failed = usable_roots(looked_at, exclusions, self._knows)
            tally.roots_failed += failed
            if roots and cluster:
                passes = replace(passes, machines=self._machines(stack, cluster, batch))
            if roots:
                passes.run(whole(roots), on_outcome, tally)
        if len(tally.roots_failed) >= len(looked_at):
            raise RootError(tally.roots_failed[0].reason)
        return tally.summary()

    def _machines(self, stack: ExitStack, cluster: "Cluster", batch: int | None) -> "Machines":
        from facesearch.cluster.ray_session import connected
        from facesearch.gallery.indexing.on_cluster import Machines

        session = stack.enter_context(connected(cluster.address, self.note))
        machines = Machines(session, cluster, self._precision, batch, self.note)
        machines.refuse_without_room()
        return machines

    def _thumbnails_of_run(self, are_wanted: bool | None) -> Thumbnails | None:
        """Where a run keeps pictures, if it does. Without them the page makes each when it is seen."""
        if are_wanted is None:
            are_wanted = is_installed("starlette")
        return self.thumbnails if are_wanted else None

    def _watch(
        self,
        passes: Passes,
        roots: Sequence[str],
        on_outcome: Callable[[Outcome], None],
        on_pass: Callable[[RunSummary], None],
    ) -> RunSummary:
        from facesearch.gallery.indexing.watching import Once, Watchers, watch

        for root in roots:
            if is_remote(root):
                raise UsageError(
                    f"Nothing tells what changes in {printable(root)}, so it cannot be watched; name the folders of "
                    "this machine that are to be, and run index without --watch for the others now and then."
                )
            if not os.path.exists(root) and not self._knows(root):
                raise RootError(f"{printable(root)} does not exist; name a folder that does.")
        total = Tally(self.name)

        def add(outcome: Outcome) -> None:
            if outcome.done != "unchanged":
                total.add(outcome)
            on_outcome(outcome)

        note = Once(self.note)
        quiet = copy.copy(self)
        quiet.note = note
        passes = replace(passes, storage=quiet)
        watch(passes, roots, self.exclusions, Watchers(add, on_pass, note))
        return total.summary()

    def exclusions(
        self, exclude: Sequence[str] = (), no_exclude: bool = False, default_excludes: bool | None = None
    ) -> Exclusions:
        """What the gallery leaves out of its folders, or would with these changes, which `index` takes. Nothing is
        written. Raises UsageError for a pattern that is none."""
        before = Exclusions()
        if self.database.exists():
            with Database.open(self.database) as db:
                before = db.exclusions.read()
        kept = () if no_exclude else before.patterns
        defaults = before.defaults if default_excludes is None else default_excludes
        return Exclusions(tuple(dict.fromkeys((*kept, *exclude))), defaults)

    def roots(self, paths: Sequence[str | Path] = (), exclusions: Exclusions | None = None) -> list[str]:
        """These folders and photos, absolute; where none is named, those that the gallery looks after; without those
        that lie in another one and are met there. Raises UsageError where there is none."""
        exclusions = exclusions or self.exclusions()
        if paths:
            return outermost(list(dict.fromkeys(map(absolute, paths))), exclusions)
        known: tuple[str, ...] = ()
        if self.database.exists():
            with Database.open(self.database) as db:
                known = db.roots.paths()
        if not known:
            raise UsageError(
                f"No folder and no photo is named, and the gallery '{self.name}' looks after none yet; name what is "
                "to be indexed."
            )
        return outermost(known, exclusions)

    def plan(
        self,
        paths: Sequence[str | Path] = (),
        *,
        max_megapixels: float = MAX_MEGAPIXELS,
        retry_failed: bool = False,
        again_forgotten: bool = False,
        exclude: Sequence[str] = (),
        no_exclude: bool = False,
        default_excludes: bool | None = None,
    ) -> Plan:
        """What `index` with these arguments would do, and about how long it would take; nothing is written. Raises
        UsageError as `index`, RootError where no folder can be read."""
        from facesearch.gallery.indexing.planning import plan

        exclusions = self.exclusions(exclude, no_exclude, default_excludes)
        options = IndexOptions(None, retry_failed, again_forgotten, max_megapixels, exclusions=exclusions)
        roots = self.roots(paths, exclusions)
        if not self.database.exists():
            planned = plan(self.name, None, roots, options, self.note)
        else:
            with Database.open(self.database) as db, db.snapshot():
                planned = plan(self.name, db, roots, options, self.note)
        if len(planned.roots_failed) == len(roots):
            raise RootError(planned.roots_failed[0].reason)
        return planned

    def _knows(self, root: str) -> bool:
        """Whether there are photos under a root, or was one, as far as is known."""
        if not self.database.exists():
            return False
        with Database.open(self.database) as db:
            return db.removal.is_known(root)

    def group(self, mode: "Mode | None" = None, *, again: bool = False, dry_run: bool = False) -> Grouped:
        """Finds out who is who: groups the faces that are new, as `index` does, or all of them `again`, which is also
        done for another `mode` than that of before: `careful` (the default), `balanced` or `eager` to take two groups
        for one person. What somebody said stays. With `dry_run` all are grouped and nothing is written. Raises
        GalleryError when there is no gallery, GalleryLockedError while another process writes, ModelError where the
        model's card does not say what its similarities mean."""
        from facesearch.gallery import grouping

        if dry_run:
            with self.reading() as (db, settings):
                return grouping.group_all(db, settings, mode or grouping.mode_of(db), is_dry=True)
        with self.reading() as (_, settings):
            grouping.grouping_facts(settings)
        with self.writing() as db:
            chosen = mode or grouping.mode_of(db)
            if again or chosen != grouping.mode_of(db):
                found = grouping.group_all(db, settings, chosen)
                keep_up(db, settings, self.note)
                return found
            news = grouping.keep_people(db, settings, self.nearest(db, settings), self.note)
            return news or grouping.as_they_are(db)

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
        from facesearch.gallery.migration.migrate import Means, migrate

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
        from facesearch.gallery.store.stores import known

        with self.reading() as (db, settings):
            run = db.runs.newest()
            unread = Unread()
            for outcome in db.photos.unread():
                unread.add(outcome)
            judge = Judge(db, settings)
            photos = db.photos.counts()
            return GalleryFacts(
                name=self.name,
                directory=self.directory,
                settings=settings,
                photos=photos,
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
                exclusions=db.exclusions.read(),
                skipped=skipped(db.other_files.counts(), photos),
                engines=db.runs.engines(),
                groups=db.people.groups(),
                unsure=db.people.unsure(),
                questions=db.decisions.questions_open(),
                store=known(self, db),
            )

    def unread(self) -> Iterator[Outcome]:
        """All photos that could not be read, by path, with the reason of each and its cause; also files of kinds that
        no package here reads. Raises GalleryError when there is no gallery."""
        with self.reading() as (db, _):
            yield from db.photos.unread()

    def check(self, photos: bool = False) -> "checking.Soundness":
        """Whether all that the gallery holds is as it was stored; with `photos`, how what is on disk differs from it.
        Nothing is written. Raises GalleryError when there is no gallery or a newer facesearch wrote it."""
        from facesearch.gallery.upkeep import checking

        return checking.check(self, photos)

    def repair(self, on_outcome: Callable[[Outcome], None] = lambda outcome: None) -> "checking.Repaired":
        """Makes a damaged gallery whole: what was there is copied aside, what can still be read becomes a new
        database, and the folders are indexed again for the rest; `on_outcome` hears of each photo. A gallery that is
        sound is left as it is. Raises as checking.repair."""

        def index_again(root: str, people_from: str) -> RunSummary:
            return self.index([root], people_from=people_from, on_outcome=on_outcome)

        from facesearch.gallery.upkeep import checking

        return checking.repair(self, index_again)

    def to_forget(self, what: str, kind: "forgetting.Kind | None" = None) -> "forgetting.ToForget":
        """What `forget` would delete; nothing is written. Raises as forgetting.to_forget."""
        from facesearch.gallery.upkeep import forgetting

        return forgetting.to_forget(self, what, kind)

    def forget(self, what: str, kind: "forgetting.Kind | None" = None) -> Forgotten:
        """Deletes all faces of a person, of a photo or of the photos under a folder, so that no byte of them stays in
        the gallery. Raises as forgetting.forget."""
        from facesearch.gallery.upkeep import forgetting

        return forgetting.forget(self, what, kind)

    def to_forget_missing(self) -> "forgetting.ToForget":
        """What `forget_missing` would delete, given all roots that are gone; nothing is written."""
        from facesearch.gallery.upkeep import forgetting

        return forgetting.to_forget_missing(self)

    def forget_missing(self, roots: Sequence[str] = ()) -> Forgotten:
        """As `forget`, for all photos that are no longer on disk, and for these roots, of those that have vanished,
        with all photos that were under them."""
        from facesearch.gallery.upkeep import forgetting

        return forgetting.forget_missing(self, roots)
