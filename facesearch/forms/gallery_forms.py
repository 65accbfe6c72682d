"""What is said of whole galleries with `--json`. The keys are promises; programs read them."""

import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias

from facesearch.forms import run_forms, store_forms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facesearch.gallery.galleries import GalleryEntry
    from facesearch.gallery.records.facts import Forgotten, GalleryFacts, Migrated, SetAside
    from facesearch.gallery.upkeep.checking import Repaired, Soundness
    from facesearch.gallery.upkeep.forgetting import ToForget
    from facesearch.photos.whereabouts import Away

Json: TypeAlias = dict[str, Any]


def gallery_entry(record: "GalleryEntry") -> Json:
    """A gallery in `galleries list`."""
    return {
        "gallery": record.name,
        "directory": str(record.directory),
        "model": record.model or None,
        "photos": record.photos,
        "faces": record.faces,
        "people": record.people,
        "bytes_on_disk": record.bytes_on_disk,
        "folders": list(record.roots),
        "last_run": record.last_run,
        "fault": record.fault or None,
    }


def gallery_facts(record: "GalleryFacts") -> Json:
    """What a gallery holds, as `info` says it."""
    index, limit = record.index, record.threshold
    return {
        "gallery": record.name,
        "directory": str(record.directory),
        "bytes_on_disk": record.bytes_on_disk,
        "photos": record.photos,
        "faces": record.faces,
        "faces_set_aside": record.set_aside,
        "changing_to": record.changing_to,
        "people": record.people,
        "groups": record.groups,
        "unsure": record.unsure,
        "questions": record.questions,
        "folders": list(record.roots),
        "exclude": list(record.exclusions.patterns),
        "default_excludes": record.exclusions.defaults,
        "model": record.settings.model,
        "detector": record.settings.detector,
        "min_face": record.settings.min_face_px,
        "index": {"recipe": index.recipe, "count": index.count, "recall_at_1": index.recall} if index else None,
        "store": record.store and store_forms.known(record.store),
        "threshold": limit and {"similarity": limit.similarity, "far": limit.far, "learned": limit.learned},
        "cohort": record.cohort,
        "engines": [{"engine": each.name, "precision": each.precision} for each in record.engines],
        "last_run": record.last_run,
        "failing": record.failing,
        "unsupported": record.unsupported,
        "skipped": [run_forms.skipped(each) for each in record.skipped],
        "failures": [run_forms.failure(outcome) for outcome in record.failures],
    }


def soundness(record: "Soundness") -> Json:
    """What `check` found."""
    return {
        "gallery": record.gallery,
        "sound": not record.faults,
        "faults": record.faults,
        "photos": record.photos,
        "faces": record.faces,
        "new": record.new,
        "changed": record.changed,
        "gone": record.gone,
        "roots_gone": record.roots_gone,
        "away": None if record.away is None else [_away(each) for each in record.away],
        "other_files": record.other_files,
        "unfinished": record.unfinished,
        "store": record.store or None,
    }


def repaired(record: "Repaired") -> Json:
    """What `repair` did."""
    return {
        "faults": record.faults,
        "backup": str(record.backup) if record.backup else None,
        "photos": record.photos,
        "faces": record.faces,
        "runs": [run_forms.run_summary(run) for run in record.runs],
    }


def to_forget(record: "ToForget", gallery: str) -> Json:
    """What `forget` would delete."""
    return {
        "dry_run": True,
        "photos": record.photos,
        "faces": record.faces,
        "paths": record.paths,
        "roots": record.roots,
        "gone_roots": [{"root": each.path, "photos": each.photos, "faces": each.faces} for each in record.gone_roots],
        "away": [_away(each) for each in record.away],
        "gallery": gallery,
    }


def forgotten(record: "Forgotten", gallery: str) -> Json:
    """What `forget` deleted."""
    return {
        "photos": record.photos,
        "faces": record.faces,
        "roots": record.roots,
        "finished": record.finished,
        "gallery": gallery,
    }


def migrated(record: "Migrated", set_aside: "Iterable[SetAside]") -> Json:
    """What `migrate` did."""
    return {
        "gallery": record.gallery,
        "model_before": record.model_before,
        "model": record.model,
        "changed": record.is_new,
        "faces": record.faces,
        "faces_back": record.back,
        "faces_set_aside": record.set_aside,
        "set_aside": [dataclasses.asdict(each) for each in set_aside],
        "photos": record.photos,
        "seconds": round(record.seconds, 2),
        "photos_per_second": round(record.photos_per_second, 2),
        "lost_threshold": record.lost_threshold,
    }


def _away(record: "Away") -> Json:
    """Photos that cannot be seen at the moment."""
    return {"folder": record.folder, "reason": record.reason, "photos": record.photos}
