"""What `bench` prints with `--json`. The keys are promises; programs read them."""

import dataclasses
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from facesearch.evaluation.identification import Split
    from facesearch.evaluation.reports import PairReport, Report

Json: TypeAlias = dict[str, Any]

_LISTED = 1000  # photos without a face, in a report


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
