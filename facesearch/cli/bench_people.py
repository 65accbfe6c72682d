"""How a report on groups of people looks: a table for people, JSON for programs."""

from typing import TYPE_CHECKING, Any

from facesearch.cli import show
from facesearch.errors import ExitCode

if TYPE_CHECKING:
    from facesearch.evaluation.people import Grouping
    from facesearch.evaluation.people_benchmark import PeopleBenchmark

_COLUMNS = ("pairs F", "BCubed F", "purity", "work", "s")


def finish_people(measured: "PeopleBenchmark", json: bool) -> ExitCode:
    """Shows the report, and gives the exit code."""
    if json:
        show.as_json(_as_json(measured))
    else:
        _show(measured)
    return ExitCode.DONE


def _show(measured: "PeopleBenchmark") -> None:
    report = measured.report
    known = measured.photos - measured.computed
    show.facts(
        [
            ("protocol", report.protocol),
            ("images", measured.images),
            ("model", measured.model),
            ("engine", measured.engine),
            ("detector", measured.detector),
            ("photos", f"{measured.photos:,}" + (f", {known:,} known from an earlier run" if known else "")),
            ("faces", f"{report.faces:,}, of which {report.bystanders:,} are bystanders whom nobody named"),
            ("time", f"{measured.seconds:.1f} s"),
        ]
    )
    for what in dict.fromkeys(_heading(line) for line in report.groupings):
        lines = [line for line in report.groupings if _heading(line) == what]
        figures = lines[0].figures
        title = what or f"{figures.faces:,} photos, {figures.people:,} people"
        rows = show.table(title, *_COLUMNS, right=_COLUMNS)
        for line in lines:
            rows.add_row(_name(line), *_figures(line))
        show.console().print(rows)
    show.say(_EXPLAINED)
    if any(line.setting is not None for line in report.groupings):
        show.say(
            "In brackets: the setting, which is the best of several on these very faces; ours come with the card."
        )
    if report.is_same_in_any_order is not None:
        same = "the same groups" if report.is_same_in_any_order else "OTHER GROUPS"
        show.say(f"Faces in another order, and a second run, gave {same}.")


_EXPLAINED = (
    "F: the harmonic mean of precision and recall.\n"
    "work: strays to take out and pieces to join, what is left to a user."
)


def _heading(line: "Grouping") -> str:
    """Settings that were chosen elsewhere are a column of their own."""
    return line.method if line.what and not line.what.startswith(("chosen", "card")) else ""


def _name(line: "Grouping") -> str:
    if _heading(line):
        return line.what
    if line.what:
        return f"{line.method} ({line.what.removeprefix('chosen: ')})"
    return line.method if line.setting is None else f"{line.method} ({line.setting:g})"


def _figures(line: "Grouping") -> tuple[str, ...]:
    figures = line.figures
    return (
        f"{figures.pairs.f:.4f}",
        f"{figures.bcubed.f:.4f}",
        f"{figures.purity:.4f}",
        f"{figures.work:,}",
        f"{line.seconds:.1f}" if line.seconds else "-",
    )


def _as_json(measured: "PeopleBenchmark") -> dict[str, Any]:
    report = measured.report
    return {
        "protocol": report.protocol,
        "model": measured.model,
        "engine": measured.engine,
        "detector": measured.detector,
        "images": measured.images,
        "photos": measured.photos,
        "people": measured.people,
        "computed": measured.computed,
        "faces": report.faces,
        "bystanders": report.bystanders,
        "same_in_any_order": report.is_same_in_any_order,
        "seconds": round(measured.seconds, 3),
        "bars": {each.mode: list(each.bars) for each in measured.fitted} or None,
        "groupings": [_line(line) for line in report.groupings],
    }


def _line(line: "Grouping") -> dict[str, Any]:
    figures = line.figures
    shares = {
        f"{kind}_{name}": round(value, 6)
        for kind, agreement in (("pairs", figures.pairs), ("bcubed", figures.bcubed))
        for name, value in (("precision", agreement.precision), ("recall", agreement.recall), ("f", agreement.f))
    }
    counts = {name: getattr(figures, name) for name in ("faces", "people", "groups", "mixed", "strays", "pieces")}
    return {
        "method": line.method,
        "setting": line.setting,
        "what": line.what,
        **shares,
        "purity": round(figures.purity, 6),
        **counts,
        "work": figures.work,
        "seconds": round(line.seconds, 3),
    }
