"""`facesearch index`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict

from facesearch.cli import show
from facesearch.cli.index_options import (
    AgainForgotten,
    DefaultExcludes,
    DryRun,
    Exclude,
    MaxMegapixels,
    MaxSide,
    MinFace,
    Model,
    NoExclude,
    Paths,
    PeopleFrom,
    RetryFailed,
    Watch,
)
from facesearch.cli.on_cluster import GpuShare, Ray, Workers, cluster_of, show_use
from facesearch.cli.options import Batch, Detector, Device, GalleryName, Json, Precision, Threads
from facesearch.cli.progress import IndexingProgress
from facesearch.cli.watching import WatchShown
from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.files import printable
from facesearch.forms import run_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.records.people import Grouped
    from facesearch.gallery.records.run import Plan, RunSummary


class _LeftOut(TypedDict):
    """What is to be left out, as the methods of a gallery take it."""

    exclude: list[str]
    no_exclude: bool
    default_excludes: bool | None


class _LookedAt(TypedDict):
    """What is to be looked at, as the methods of a gallery take it."""

    max_megapixels: float
    retry_failed: bool
    again_forgotten: bool


_LISTED = 10  # photos that could not be read, of this run
_WORDS = {
    "ok": "with faces",
    "no_face": "without a face",
    "unreadable": "unreadable",
    "unsupported": "of other kinds",
    "raw": "RAW without a large preview",
    "skipped": "JPEG XL",
    "paired": "RAW beside its JPEG or HEIC",
    "too_large": "too large",
    "crashed": "crashed a decoder",
    "timeout": "took too long",
    "forgotten": "forgotten",
    "missing": "no longer there",
    "excluded": "left out from now on",
    "unchanged": "unchanged",
    "moved": "moved",
    "copied": "copies of known photos",
}


def index(
    paths: Paths = None,
    gallery: GalleryName = "default",
    people_from: PeopleFrom = "none",
    min_face: MinFace = None,
    max_side: MaxSide = None,
    model: Model = None,
    detector: Detector = None,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    batch: Batch = None,
    max_megapixels: MaxMegapixels = 200,
    retry_failed: RetryFailed = False,
    again_forgotten: AgainForgotten = False,
    exclude: Exclude = None,
    no_exclude: NoExclude = False,
    default_excludes: DefaultExcludes = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    ray: Ray = None,
    workers: Workers = None,
    gpu_share: GpuShare = None,
    json: Json = False,
) -> ExitCode:
    """Find all faces in folders of photos and remember them.

    Run it again at any time: only what is new or changed is looked at, a photo that moved is recognised by its
    content, and one that is gone is found no longer. A photo that could not be read is tried again when its file,
    an option or an installed package has changed, and in every run where the cause lies in the machine.

    A file named .facesearchignore, in any folder, says what to leave out there, as a .gitignore does.

    With --watch it goes on until Ctrl-C, which ends it with 0 between two passes and with 130 during one.

    Exit code 7: done, but some of these photos cannot be read, whether that was found in this run or before."""
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.indexing.known_before import KnownBefore

    if watch and dry_run:
        raise UsageError("--watch and --dry-run do not go together; name one of them.")
    cluster = cluster_of(ray, workers, gpu_share, threads, device)
    if watch and cluster:
        raise UsageError("--watch and --ray do not go together; run it with --ray whenever something is new.")
    left_out = _LeftOut(exclude=exclude or [], no_exclude=no_exclude, default_excludes=default_excludes)
    looked_at = _LookedAt(max_megapixels=max_megapixels, retry_failed=retry_failed, again_forgotten=again_forgotten)
    if dry_run:
        plan = Gallery.open(gallery, device, show.note).plan(paths or [], **looked_at, **left_out)
        show.as_json(run_forms.plan(plan)) if json else show_plan(plan)
        return ExitCode.SOME_UNREAD if plan.roots_failed else ExitCode.DONE
    known = Gallery.open(gallery)
    exclusions = known.exclusions(**left_out)
    shown = WatchShown(show_summary, _WORDS, json) if watch else None
    before = KnownBefore(known.database)
    with IndexingProgress(known.roots(paths or [], exclusions), exclusions, before) as progress, _ended(shown):

        def end_pass(summary: "RunSummary") -> None:
            progress.stop()
            if shown:
                shown.add(summary)

        opened = Gallery.open(gallery, device, progress.note, precision)
        summary = opened.index(
            paths or [],
            people_from=people_from,
            model=model,
            detector=detector,
            min_face_px=min_face,
            max_side=max_side,
            threads=threads,
            batch=batch,
            **looked_at,
            **left_out,
            cluster=cluster,
            on_outcome=progress.add,
            on_pass=end_pass if watch else None,
        )
    if watch:
        return ExitCode.DONE
    if json:
        show.as_json(run_forms.run_summary(summary))
    else:
        show_summary(summary)
    return ExitCode.SOME_UNREAD if summary.failing or summary.roots_failed else ExitCode.DONE


@contextmanager
def _ended(shown: WatchShown | None) -> Iterator[None]:
    """Says at the end, whatever it is, what watching has done; nothing where it could not begin."""
    is_refused = False
    try:
        yield
    except FaceSearchError:
        is_refused = shown is not None and not shown.has_begun
        raise
    finally:
        if shown and not is_refused:
            shown.end()


def show_summary(summary: "RunSummary") -> None:
    """Shows what a run did."""
    rows = show.table("photos", "count", right=["count"])
    for status, count in summary.photos.items():
        rows.add_row(_WORDS.get(status, status), f"{count:,}")
    show.console().print(rows)
    where = f"gallery '{summary.gallery}'"
    if summary.photos_per_second:
        took = f"{summary.seconds:.1f} s, {show.rate(summary.photos_per_second)} once the networks were loaded"
        show.console().print(f"{show.count(summary.faces, 'new face')} in {where}: {took}.")
    else:
        show.console().print(f"Nothing is new in {where}: all photos were checked in {summary.seconds:.1f} s.")
    show_use(summary.cluster)
    if summary.grouped and (summary.grouped.people or summary.grouped.groups):
        show.console().print(_people_text(summary.grouped, gallery_words(summary.gallery)))
    for sentence in show.skipped(summary.skipped):
        show.note(sentence)
    if summary.first_frames:
        what = show.count(summary.first_frames, "animation or file of pages", "animations or files of pages")
        show.note(f"Of {what} the first picture alone was looked at.")
    for sentence in show.unread(summary.failing, summary.unsupported):
        show.note(sentence)
    if not show.is_verbose():  # which names each when it is met
        _list_failures(summary)
    for failed in summary.roots_failed:
        show.note(failed.reason)


def _people_text(grouped: "Grouped", words: str) -> str:
    """Who there is, and what comes next."""
    named = f"{grouped.people:,} with a name or a decision, " if grouped.people else ""
    waits = show.count(grouped.questions, "question waits", "questions wait")
    ask = f"; {waits}: facesearch people ask{words}" if grouped.questions else "."
    return f"People: {named}{show.count(grouped.groups, 'group')} without a name{ask}"


def _list_failures(summary: "RunSummary") -> None:
    for outcome in summary.failures[:_LISTED]:
        show.note(f"{outcome.status}: {printable(outcome.path)}: {outcome.reason}")
    more = sum(summary.failing.values()) - _LISTED
    if more > 0 or summary.unsupported:
        command = f"facesearch info --failures{gallery_words(summary.gallery)}"
        show.note(f"{f'... and {more:,} more: ' if more > 0 else ''}{command} lists all.")


_PLANNED = {  # in the words of a plan
    "new": "new",
    "changed": "changed, or tried again",
    "moved": "moved, or there again",
    "copied": "copies of known photos",
    "gone": "no longer there",
    "excluded": "left out from now on",
    "away": "away at the moment, and kept",
    "unchanged": "unchanged",
}


def show_plan(plan: "Plan") -> None:
    """Shows what a run would do."""
    rows = show.table("photos", "count", right=["count"])
    for what, count in plan.photos.items():
        if count or what == "new":
            rows.add_row(_PLANNED[what], f"{count:,}")
    show.console().print(rows)
    if plan.folders_left_out or plan.files_left_out:
        folders = show.count(plan.folders_left_out, "folder")
        show.say(f"Left out altogether: {folders} and {show.count(plan.files_left_out, 'file')}.")
    work = plan.photos["new"] + plan.photos["changed"]
    source = "which is a guess" if plan.is_guess else "as in the last run"
    if work:
        took = f"about {show.duration(plan.seconds)} at {show.rate(plan.photos_per_second)}, {source}"
        show.say(f"Nothing was done. {show.count(work, 'photo')} would take {took}.")
    else:
        show.say("Nothing was done, and there is nothing to look at.")
    for failed in plan.roots_failed:
        show.note(failed.reason)
