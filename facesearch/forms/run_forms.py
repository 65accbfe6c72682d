"""What `index` prints with `--json`. The keys are promises; programs read them."""

from typing import TYPE_CHECKING, Any, TypeAlias

from facesearch.packages import how_to_install

if TYPE_CHECKING:
    from facesearch.cluster.ray_records import Use
    from facesearch.gallery.records.people import Grouped
    from facesearch.gallery.records.run import Outcome, Plan, RunSummary, Skipped

Json: TypeAlias = dict[str, Any]


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
        "skipped": [skipped(each) for each in record.skipped],
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


def skipped(record: "Skipped") -> Json:
    """Files of a kind that were not looked at."""
    install = how_to_install(record.needs) if record.needs else None
    return {"kind": record.kind, "files": record.files, "install": install}


def failure(record: "Outcome") -> Json:
    """A photo that could not be read."""
    return {"photo": record.path, "status": record.status, "reason": record.reason, "cause": record.cause}
