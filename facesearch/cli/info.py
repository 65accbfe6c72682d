"""`facesearch info` and `facesearch doctor`."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from facesearch.cli import show, store
from facesearch.cli.options import Device, GalleryName, Json, Precision
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.forms import gallery_forms, run_forms
from facesearch.home import gallery_words

if TYPE_CHECKING:
    from facesearch.gallery.gallery import Gallery
    from facesearch.gallery.records.facts import GalleryFacts
    from facesearch.gallery.records.settings import GallerySettings
    from facesearch.photos.exclusions import Exclusions


def info(
    gallery: GalleryName = "default",
    failures: Annotated[
        bool,
        typer.Option(
            "--failures",
            help="List all photos that could not be read, or whose faces are set aside, each with its reason.",
        ),
    ] = False,
    json: Json = False,
) -> ExitCode:
    """Show what a gallery holds."""
    from facesearch.files import printable
    from facesearch.gallery.gallery import Gallery
    from facesearch.photos.exclusions import Exclusions

    if failures:
        return _list_unread(Gallery.open(gallery), json)
    facts = Gallery.open(gallery).facts()
    if json:
        show.as_json(gallery_forms.gallery_facts(facts))
        return ExitCode.DONE
    index = facts.index
    recall = "exact" if index and index.recall is None else f"recall@1 {index.recall:.3f}" if index else ""
    photos = ", ".join(f"{count:,} {status}" for status, count in facts.photos.items())
    show.facts(
        [
            ("gallery", facts.name),
            ("directory", printable(str(facts.directory))),
            ("on disk", f"{facts.bytes_on_disk / 1e6:,.1f} MB"),
            ("photos", photos or "none"),
            ("faces", f"{facts.faces:,}"),
            *([("set aside", _set_aside_text(facts))] if facts.set_aside else []),
            ("people with a name", f"{facts.people:,}"),
            *([("without a name", _groups_text(facts))] if facts.groups else []),
            ("folders", ", ".join(map(printable, facts.roots))),
            *([("left out", _left_out_text(facts.exclusions))] if facts.exclusions != Exclusions() else []),
            ("model", f"{facts.settings.model} ({facts.settings.dim} numbers a face)"),
            ("detector", f"{facts.settings.detector}, {_faces_text(facts.settings)}"),
            (
                "index",
                f"{index.recipe}, {show.count(index.count, 'face')}, {recall}"
                if index
                else "built by the next query",
            ),
            *([("store", f"{facts.store.stamp.address}, {store.text(facts.store)}")] if facts.store else []),
            ("same person from", _threshold_text(facts)),
            ("own thresholds", _cohort_text(facts)),
            ("last run", facts.last_run or "none"),
            *([("embedded by", _engines_text(facts))] if facts.engines else []),
        ]
    )
    if facts.changing_to:
        command = f"facesearch migrate --model {facts.changing_to}{gallery_words(gallery)}"
        show.note(f"A change of the model to {facts.changing_to} is not finished; go on with: {command}")
    if facts.questions:
        asked = show.count(facts.questions, "question about people waits", "questions about people wait")
        show.note(f"{asked}: facesearch people ask{gallery_words(gallery)}")
    for sentence in show.skipped(facts.skipped):
        show.note(sentence)
    for sentence in show.unread(facts.failing, facts.unsupported):
        show.note(sentence)
    if facts.failing or facts.unsupported:
        show.note(f"facesearch info --failures{gallery_words(gallery)} lists them with their reasons.")
    return ExitCode.DONE


def _list_unread(gallery: "Gallery", json: bool) -> ExitCode:
    """Shows all photos that could not be read, one a line, and those whose faces `migrate` set aside."""
    if json:
        failures = [run_forms.failure(each) for each in gallery.unread()]
        set_aside = [dataclasses.asdict(each) for each in gallery.faces_set_aside()]
        show.as_json({"gallery": gallery.name, "failures": failures, "set_aside": set_aside})
        return ExitCode.DONE
    for each in gallery.unread():
        when = f" ({_TRIED_AGAIN[each.cause]})" if each.cause else ""
        show.say(f"{each.status}: {printable(each.path)}: {each.reason}{when}")
    for waiting in gallery.faces_set_aside():
        show.say(f"faces set aside: {printable(waiting.photo)}: {waiting.reason} (tried again in every run)")
    return ExitCode.DONE


_TRIED_AGAIN = {  # when such a photo is looked at again
    "file": "until the file changes",
    "machine": "tried again in every run",
    "option": "until --max-megapixels is raised",
    "package": "until the package is installed",
}


def _left_out_text(exclusions: "Exclusions") -> str:
    patterns = ", ".join(exclusions.patterns)
    if exclusions.defaults:
        return patterns
    return f"{patterns + ', and ' if patterns else ''}nothing by default (--default-excludes changes it)"


def _engines_text(facts: "GalleryFacts") -> str:
    return ", ".join(f"{each.name} in {each.precision}" for each in facts.engines)


def _groups_text(facts: "GalleryFacts") -> str:
    unsure = f", {show.count(facts.unsure, 'face')} in doubt" if facts.unsure else ""
    return f"{show.count(facts.groups, 'group')}{unsure}"


def _set_aside_text(facts: "GalleryFacts") -> str:
    faces = show.count(facts.set_aside, "face")
    return f"{faces} without an embedding of this model, left out of searches until their photos can be read"


def _faces_text(settings: "GallerySettings") -> str:
    smallest = f"faces from {settings.min_face_px:g} pixels"
    return f"{smallest} in photos of up to {settings.max_side:,} a side" if settings.max_side else smallest


def doctor(device: Device = "auto", precision: Precision = "auto", json: Json = False) -> ExitCode:
    """Check this machine: versions, models, the device that is really used, and a short test on a real face."""
    from facesearch.doctor import examine

    report = examine(device, precision, show.note)
    if json:
        show.as_json(report)
    else:
        show.facts((name.replace("_", " "), str(value)) for name, value in report.items())
    return ExitCode.DONE


def _threshold_text(facts: "GalleryFacts") -> str:
    threshold = facts.threshold
    if threshold is None:
        return f"not known of this model; facesearch calibrate{gallery_words(facts.name)} may learn it"
    return f"{threshold.similarity:.3f}, {'learned here' if threshold.learned else 'by the card'}"


def _cohort_text(facts: "GalleryFacts") -> str:
    which = gallery_words(facts.name)
    if facts.cohort:
        return f"by {show.count(facts.cohort, 'person', 'people')} of this gallery"
    if facts.threshold and not facts.threshold.judges:
        return f"none: the threshold was learned from similarities; facesearch calibrate{which} learns it anew"
    return f"none yet; facesearch index{which} measures them" if facts.threshold else "none"
