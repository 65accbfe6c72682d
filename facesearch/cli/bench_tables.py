"""How a benchmark's report looks: tables for people, JSON for programs, pictures where people would rather look."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from facesearch.cli import show
from facesearch.errors import ExitCode
from facesearch.files import printable
from facesearch.forms import bench_forms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesearch.evaluation.identification import ClosedSet, OpenSet, Split
    from facesearch.evaluation.reports import PairReport, Report

_GROUP_NUMBERS = ("FAR", "of two people", "at most", "TAR", "of one person")
_WORST = 8  # errors of each kind that are drawn


def finish(report: "Report", roc: Path | None, errors: Path | None, json: bool) -> ExitCode:
    """Shows the report, draws what was asked for, and gives the exit code."""
    if json:
        show.as_json(bench_forms.benchmark(report))
    else:
        _show(report)
    if roc is not None:
        _draw_roc(report, roc)
    if errors is not None:
        _draw_errors(report, errors)
    return ExitCode.DONE


def _draw_roc(report: "Report", path: Path) -> None:
    from facesearch.evaluation.metrics import roc
    from facesearch.evaluation.reports import threshold_of
    from facesearch.pictures.plots import Curve, draw_roc

    curves = []
    for name, pairs in report.pairs.items():
        similarities, same = pairs.compared.similarities, pairs.compared.pairs.same
        curve = roc(similarities, same)
        accuracy = pairs.figures.accuracy
        label = f"{name}, {accuracy.mean:.4f} ± {accuracy.std:.4f}" if accuracy else name
        curves.append(Curve(label, curve.far, curve.tar, similarities, same, threshold_of(pairs)))
    draw_roc(_title(report), curves, path)
    show.note(f"The ROC curve is {printable(str(path))}.")


def _draw_errors(report: "Report", path: Path) -> None:
    from facesearch.evaluation.reports import threshold_of, worst_errors
    from facesearch.pictures.sheets import error_sheet, write_sheet

    pairs = list(report.pairs.values())[-1]
    accepts, rejects = worst_errors(pairs, _WORST)
    write_sheet(error_sheet(accepts, rejects, threshold_of(pairs)), path)
    show.note(f"The worst errors are {printable(str(path))}.")


def _title(report: "Report") -> str:
    title = f"{report.setup.model} on {report.setup.images}" + (" (train = test)" if report.seen else "")
    if list(report.pairs) != ["all"]:
        return title
    figures = report.pairs["all"].figures
    said = f": {figures.accuracy.mean:.4f} ± {figures.accuracy.std:.4f}" if figures.accuracy else ""
    return f"{title}, {figures.pairs:,} pairs{said}"


def _show(report: "Report") -> None:
    setup, spent = report.setup, report.seconds
    if report.seen:
        from facesearch.evaluation.leakage import warning

        show.say(warning(report.seen, report.people, setup.images))
    missing = len(report.missing)
    stages = ", ".join(f"{name} {spent[name]:.1f} s" for name in ("decode", "detect", "align", "embed"))
    known = report.photos - report.computed
    show.facts(
        [
            ("protocol", report.protocol),
            ("images", setup.images),
            ("model", setup.model),
            ("engine", setup.engine),
            ("detector", setup.detector),
            ("alignment", setup.alignment),
            ("photos", f"{report.photos:,}" + (f", {known:,} known from an earlier run" if known else "")),
            ("without a face", f"{missing:,}" + (f", {_ON_MISSING[setup.on_missing]}" if missing else "")),
            ("time", f"{spent['total']:.1f} s; work of all cores: {stages}; figures {spent['figures']:.2f} s"),
        ]
    )
    for name, pairs in report.pairs.items():
        show.console().print(_pair_table(name, pairs, " (train = test)" if report.seen else ""))
        if groups := _group_table(pairs):
            show.console().print(groups)
            show.say(
                "At most: with 95 % confidence, for all such people; few pairs promise little, even where none errs."
            )
    if report.closed and report.opened:
        _show_identification(report.closed, report.opened)
    if report.splits:
        _show_splits(report.splits)
    if report.strangers:
        strangers = report.strangers
        title = f"{strangers.pairs:,} pairs of strangers, {strangers.photos:,} photos of {strangers.people:,} people"
        rows = show.table(title, "value", right=["value"])
        for far, threshold in strangers.thresholds.items():
            rows.add_row(f"threshold for FAR {far:g}", "-" if threshold is None else f"{threshold:.4f}")
        show.console().print(rows)
    if report.lights:
        names = ("light from", "photos", "rank 1", "EER")
        rows = show.table(*names, right=names[1:])
        for light in report.lights:
            rows.add_row(
                f"{light.low} to {light.high} degrees",
                f"{light.photos:,}",
                _share(light.rank1),
                _share(light.eer),
            )
        show.console().print(rows)


def _show_identification(closed: "ClosedSet", opened: "OpenSet") -> None:
    rows = show.table("identification", "value", right=["value"])
    rows.add_row(
        f"rank 1 ({closed.probes:,} photos of {closed.people:,} people, {closed.enrolled:,} enrolled)",
        _share(closed.rank1),
    )
    rows.add_row("rank 5", _share(closed.rank5))
    rows.add_row("rank 1, each person counted the same", _share(closed.rank1_by_person))
    rows.add_row(
        f"open set, named at FAR {opened.far:g} ({opened.enrolled:,} enrolled, {opened.unknown:,} strangers)",
        _share(opened.rate),
    )
    rows.add_row("its threshold", f"{opened.threshold:.4f}")
    show.console().print(rows)


def _show_splits(splits: "Sequence[Split]") -> None:
    """Plain cosine beside judged values."""
    names = [f"own thresholds, by {split.cohort:,} strangers" if split.cohort else "cosine" for split in splits]
    rows = show.table("strangers in two halves, the mean", *names, right=names)
    rows.add_row("rank 1", *(_share(split.rank1) for split in splits))
    for far in splits[0].rates:
        rows.add_row(f"open set, named at FAR {far:g}", *(_share(split.rates[far]) for split in splits))
    rows.add_row(f"TAR at FAR {splits[0].tar_far:g}", *(_share(split.tar) for split in splits))
    show.console().print(rows)


def _pair_table(name: str, report: "PairReport", mark: str) -> Any:
    figures = report.figures
    title = f"{figures.pairs:,} pairs" + ("" if name == "all" else f" {name}") + mark
    rows = show.table(title, "value", "", right=["value"])
    if figures.accuracy and figures.val:
        accuracy, val = figures.accuracy, figures.val
        rows.add_row(
            "accuracy", f"{accuracy.mean:.4f}", f"± {accuracy.std:.4f} (standard error {accuracy.error:.4f})"
        )
        low, high = min(accuracy.thresholds), max(accuracy.thresholds)
        rows.add_row(
            "its threshold",
            f"{sum(accuracy.thresholds) / len(accuracy.thresholds):.4f}",
            f"{low:.4f} to {high:.4f}, each chosen on the other folds",
        )
        rows.add_row("TP, TN", f"{accuracy.tp:,}, {accuracy.tn:,}", "")
        rows.add_row("FP, FN", f"{accuracy.fp:,}, {accuracy.fn:,}", "")
        rows.add_row("VAL at FAR 0.001", f"{val.mean:.4f}", f"± {val.std:.4f}, FAR met {val.far:.5f}")
    for far, tar in figures.tar.items():
        too_few = f"needs {1 / far:,.0f} pairs of two people; there are {figures.pairs - figures.same:,}"
        rows.add_row(f"TAR at FAR {far:g}", "-" if tar is None else f"{tar:.4f}", too_few if tar is None else "")
    rows.add_row("AUC", f"{figures.auc:.5f}", "")
    rows.add_row("EER", f"{figures.eer:.4f}", "")
    card = report.at_card
    if card:
        rows.add_row("at the card's threshold", f"{card.threshold:.4f}", f"TAR {card.tar:.4f}, FAR {card.far:.5f}")
    if report.skipped:
        rows.add_row("skipped", f"{report.skipped:,}", "pairs with a photo without a face")
    return rows


def _group_table(report: "PairReport") -> Any:
    """A line a group, the worst first; None where the pairs have no groups."""
    from facesearch.evaluation.reports import group_threshold, of_groups

    groups = of_groups(report)
    if not groups:
        return None
    whose = "the card's threshold" if report.at_card else "the threshold that fits these pairs"
    title = f"group, at {group_threshold(report):.4f}, {whose}"
    rows = show.table(title, "FAR", "of two people", "at most", "TAR", "of one person", right=_GROUP_NUMBERS)
    for each in groups:
        rows.add_row(
            each.group or "(no group)",
            "-" if each.far is None else f"{each.far:.5f}",
            f"{each.accepted:,} of {each.strangers:,}",
            "-" if each.far_at_most is None else f"{each.far_at_most:.5f}",
            "-" if each.tar is None else _share(each.tar),
            f"{each.same:,}",
        )
    return rows


def _share(value: float) -> str:
    return f"{value:.4f}"


_ON_MISSING = {
    "centre": "embedded where the face usually is",
    "skip": "their pairs left out",
    "wrong": "their pairs counted as errors",
}
