"""What `--json` prints: each record as the object that docs describe. The keys are promises; programs read them."""

import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias

from facesearch.forms import store_forms
from facesearch.packages import how_to_install

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facesearch.cluster.ray_records import Use
    from facesearch.evaluation.identification import Split
    from facesearch.evaluation.reports import PairReport, Report
    from facesearch.gallery.galleries import GalleryEntry
    from facesearch.gallery.records.answers import (
        Answer,
        PhotoOfPeople,
        PhotosOfPeople,
        Sighting,
        Unanswered,
        Verdict,
    )
    from facesearch.gallery.records.facts import Forgotten, GalleryFacts, Migrated, SetAside
    from facesearch.gallery.records.people import Grouped
    from facesearch.gallery.records.run import Outcome, Plan, RunSummary, Skipped
    from facesearch.gallery.upkeep.checking import Repaired, Soundness
    from facesearch.gallery.upkeep.forgetting import ToForget
    from facesearch.geometry.face import Box
    from facesearch.photos.whereabouts import Away

Json: TypeAlias = dict[str, Any]

_LISTED = 1000  # photos without a face, in a benchmark's report


def verdict(record: "Verdict") -> Json:
    """The answer of `verify`."""
    return {
        "same": record.same,
        "similarity": round(record.similarity, 4),
        "judged": round(record.judged, 4),
        "cohort": record.cohort,
        "threshold": record.threshold,
        "model": record.model,
        "pairs": record.pairs,
        "chance": None if record.chance is None else round(record.chance, 6),
        "a": _sighting(record.a) | {"face": record.a.number},
        "b": _sighting(record.b) | {"face": record.b.number},
    }


def answer(record: "Answer") -> Json:
    """The answer of `query` for one photo."""
    return {
        "query": _sighting(record.query) | {"faces": record.query.faces, "face": record.query.number},
        "also": [_sighting(each) for each in record.also],
        "person": record.person,
        "person_id": record.person_id,
        "model": record.model,
        "threshold": record.threshold,
        "cohort": record.cohort,
        "matches": [
            {
                "person": match.person,
                "person_id": match.person_id,
                "label": match.label,
                "stranger": match.is_stranger,
                "faces": match.faces,
                "similarity": round(match.similarity, 4),
                "judged": round(match.judged, 4),
                "same": match.same,
                "quality": match.quality and round(match.quality, 2),
                "photo_id": match.photo_id,
                "photo": match.photo,
                "taken": match.taken,
                "alike": list(match.alike),
                "box": _box(match.box),
                "face_id": match.face_id,
            }
            for match in record.matches
        ],
        "undated": record.undated,
        "store": record.store,
    }


def photos_of_people(record: "PhotosOfPeople") -> Json:
    """The answer of `find`."""
    return {"photos": [photo_of_people(each) for each in record.photos], "undated": record.undated}


def photo_of_people(record: "PhotoOfPeople") -> Json:
    """A photo that shows somebody."""
    return {
        "photo_id": record.photo_id,
        "photo": record.photo,
        "people": list(record.people),
        "taken": record.taken,
    }


def unanswered(record: "Unanswered") -> Json:
    """A photo of several that `query` cannot answer."""
    return {"query": {"photo": record.photo}, "status": record.status, "reason": record.reason}


def run_summary(record: "RunSummary") -> Json:
    """What one run of `index` did."""
    return {
        "photos": record.photos,
        "faces": record.faces,
        "seconds": round(record.seconds, 2),
        "photos_per_second": round(record.photos_per_second, 1),
        "gallery": record.gallery,
        "engine": record.engine and record.engine.name,
        "precision": record.engine and record.engine.precision,
        "cluster": record.cluster and _use(record.cluster),
        "failing": record.failing,
        "unsupported": record.unsupported,
        "skipped": [_skipped(each) for each in record.skipped],
        "failures": [failure(outcome) for outcome in record.failures],
        "first_frames": record.first_frames,
        "people": record.grouped and _grouped(record.grouped),
        "roots_failed": [{"root": each.root, "reason": each.reason} for each in record.roots_failed],
    }


def _use(record: "Use") -> Json:
    """What a run had of a cluster."""
    return {"workers": record.workers, "nodes": record.nodes, "refused": list(record.refused)}


def _grouped(record: "Grouped") -> Json:
    """Who there is in a gallery, in numbers."""
    return {
        "named": record.people,
        "groups": record.groups,
        "alone": record.alone,
        "questions": record.questions,
    }


def plan(record: "Plan") -> Json:
    """What a run of `index` would do."""
    return {
        "gallery": record.gallery,
        "photos": record.photos,
        "left_out": {"folders": record.folders_left_out, "files": record.files_left_out},
        "seconds": round(record.seconds, 1),
        "photos_per_second": round(record.photos_per_second, 1),
        "is_guess": record.is_guess,
        "roots_failed": [{"root": each.root, "reason": each.reason} for each in record.roots_failed],
    }


def _skipped(record: "Skipped") -> Json:
    """Files of a kind that were not looked at."""
    install = how_to_install(record.needs) if record.needs else None
    return {"kind": record.kind, "files": record.files, "install": install}


def failure(record: "Outcome") -> Json:
    """A photo that could not be read."""
    return {"photo": record.path, "status": record.status, "reason": record.reason, "cause": record.cause}


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
        "skipped": [_skipped(each) for each in record.skipped],
        "failures": [failure(outcome) for outcome in record.failures],
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
        "runs": [run_summary(run) for run in record.runs],
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


def benchmark(report: "Report") -> Json:
    """What `bench lfw`, `yaleb` or `pairs` measured."""
    setup = report.setup
    whole = {
        "protocol": report.protocol,
        "model": setup.model,
        "detector": setup.detector,
        "engine": setup.engine,
        "alignment": setup.alignment,
        "images": setup.images,
        "people": report.people,
        "people_trained_on": report.seen,
        "on_missing": setup.on_missing,
        "photos": report.photos,
        "computed": report.computed,
        "missing": len(report.missing),
        "missing_photos": list(report.missing[:_LISTED]),
        "seconds": {stage: round(spent, 3) for stage, spent in report.seconds.items()},
    }
    if list(report.pairs) == ["all"]:
        whole |= _pairs(report.pairs["all"])
    else:
        whole |= {name.replace(" ", "_"): _pairs(pairs) for name, pairs in report.pairs.items()}
    if report.closed and report.opened:
        whole |= {"closed_set": rounded(report.closed), "open_set": rounded(report.opened)}
    if report.splits:
        whole["splits"] = [_split(split) for split in report.splits]
    if report.strangers:
        whole["strangers"] = rounded(report.strangers)
    if report.lights:
        whole["lights"] = [rounded(light) for light in report.lights]
    return whole


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


def rounded(record: Any) -> Json:
    """The fields of a dataclass, numbers to six places."""
    fields = dataclasses.asdict(record).items()
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields}


def _split(split: "Split") -> Json:
    rates = {f"{far:g}": round(rate, 6) for far, rate in split.rates.items()}
    return rounded(split) | {"rates": rates}


def _pairs(report: "PairReport") -> Json:
    figures = report.figures
    return {
        "pairs": figures.pairs,
        "same": figures.same,
        "skipped": report.skipped,
        **_by_folds(report),
        "tar": {f"{far:g}": None if tar is None else round(tar, 6) for far, tar in figures.tar.items()},
        "auc": round(figures.auc, 6),
        "eer": round(figures.eer, 6),
        "card": report.at_card and rounded(report.at_card),
        **_groups(report),
    }


def _groups(report: "PairReport") -> Json:
    from facesearch.evaluation.reports import group_threshold, of_groups

    groups = of_groups(report)
    if not groups:
        return {}
    return {"groups_threshold": round(group_threshold(report), 6), "groups": [rounded(each) for each in groups]}


def _by_folds(report: "PairReport") -> Json:
    accuracy, val = report.figures.accuracy, report.figures.val
    if not accuracy or not val:
        return {}
    return {
        "accuracy": round(accuracy.mean, 6),
        "accuracy_std": round(accuracy.std, 6),
        "accuracy_error": round(accuracy.error, 6),
        "threshold": round(sum(accuracy.thresholds) / len(accuracy.thresholds), 6),
        "folds": [round(fold, 6) for fold in accuracy.folds],
        "tp": accuracy.tp,
        "tn": accuracy.tn,
        "fp": accuracy.fp,
        "fn": accuracy.fn,
        "val": round(val.mean, 6),
        "val_std": round(val.std, 6),
        "far": 0.001,
        "far_met": round(val.far, 6),
    }


def _sighting(record: "Sighting") -> Json:
    """A face that was asked about."""
    quality = record.quality and round(record.quality, 2)
    return {"photo": record.photo, "box": _box(record.box), "score": round(record.score, 4), "quality": quality}


def _box(box: "Box") -> list[float]:
    """Left, top, right, bottom in pixels, to a tenth."""
    return [round(edge, 1) for edge in box]


def _away(record: "Away") -> Json:
    """Photos that cannot be seen at the moment."""
    return {"folder": record.folder, "reason": record.reason, "photos": record.photos}
