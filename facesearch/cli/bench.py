"""`facesearch bench`: the field's protocols, your own pairs, and the speed of search."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from facesearch.cli import show
from facesearch.cli.options import Device, Json

if TYPE_CHECKING:
    from facesearch.evaluation.benchmark import Benchmark, PairReport, Report

OnMissing = Annotated[
    Literal["centre", "skip", "wrong"],
    typer.Option(
        help="A photo without a face: take its centre, skip its pairs, or count them as wrong.", metavar="WHAT"
    ),
]
_WORST = 8  # errors of each kind that are drawn

Model = Annotated[str | None, typer.Option(help="Embedding model (see: facesearch models list).")]
Seed = Annotated[int, typer.Option(help="Draws the random pairs; the same seed draws the same.", min=0)]
Roc = Annotated[
    Path | None, typer.Option("--roc", help="Draw the ROC curve and both histograms.", metavar="FILE.png")
]
Errors = Annotated[
    Path | None, typer.Option("--errors", help="Draw the worst false accepts and rejects.", metavar="FILE.jpg")
]


def lfw(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of any LFW release; without it, scikit-learn's copy is downloaded.", metavar="DIR"),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="The pairs.txt, where it is not with the photos.", metavar="FILE")
    ] = None,
    protocol: Annotated[
        Literal["view2", "random", "identify", "strangers"],
        typer.Option(
            help="The official pairs; 10,000 random pairs; who is this, over everybody; or a card's threshold, from "
            "people outside the official pairs.",
            metavar="NAME",
        ),
    ] = "view2",
    on_missing: OnMissing = "centre",
    seed: Seed = 0,
    model: Model = None,
    device: Device = "auto",
    roc: Roc = None,
    errors: Errors = None,
    json: Json = False,
) -> int:
    """Measure a model on Labeled Faces in the Wild.

    Of several faces in a photo the most central one counts. Embeddings are kept: a second run takes seconds."""
    from facesearch.errors import UsageError
    from facesearch.evaluation import lfw as labeled_faces

    _check_pictures(roc, errors)
    if protocol in ("identify", "strangers") and (roc or errors):
        raise UsageError(f"--roc and --errors draw pairs, which --protocol {protocol} does not make; leave them out.")
    if protocol in ("random", "identify") and pairs is not None:
        raise UsageError(f"--pairs names the official pairs, which --protocol {protocol} does not use; leave it out.")
    with _progress() as progress:
        folder = data or labeled_faces.fetch(progress.downloaded)
        found = labeled_faces.find(folder)
        benchmark = progress.benchmark(model, device, on_missing)
        if protocol == "random":
            report = benchmark.lfw_random(found, seed)
        elif protocol == "identify":
            report = benchmark.lfw_identify(found)
        else:
            listed = labeled_faces.read_pairs(pairs or labeled_faces.find_pairs(folder, found.images), found.images)
            run = benchmark.lfw_view2 if protocol == "view2" else benchmark.lfw_strangers
            report = run(found, listed)
    return _finish(report, roc, errors, json)


def yaleb(
    data: Annotated[Path, typer.Option(help="Folder of the cropped Extended Yale B.", metavar="DIR")],
    seed: Seed = 0,
    model: Model = None,
    device: Device = "auto",
    roc: Roc = None,
    errors: Errors = None,
    json: Json = False,
) -> int:
    """Measure a model under extreme light, on the cropped Extended Yale B: pairs within and across lights, and who is
    recognised from one frontally lit photo, by the light's angle."""
    from facesearch.evaluation import yaleb as extended_yale_b

    _check_pictures(roc, errors)
    found = extended_yale_b.find(data)
    with _progress() as progress:
        report = progress.benchmark(model, device, "centre").yaleb(found, seed)
    return _finish(report, roc, errors, json)


def pairs(
    file: Annotated[Path, typer.Argument(help="CSV with the columns a,b,same.", metavar="FILE")],
    on_missing: OnMissing = "centre",
    model: Model = None,
    device: Device = "auto",
    roc: Roc = None,
    errors: Errors = None,
    json: Json = False,
) -> int:
    """Measure a model on your own pairs: a CSV file with two photos and 1 or 0 (one person or two) in each line."""
    from facesearch.evaluation import own_pairs
    from facesearch.photos import printable

    _check_pictures(roc, errors)
    listed = own_pairs.read_pairs(file)
    with _progress() as progress:
        report = progress.benchmark(model, device, on_missing).own_pairs(printable(file.name), listed)
    return _finish(report, roc, errors, json)


def search(
    n: Annotated[int, typer.Option("--n", help="How many identities.", min=100)] = 100_000,
    noise: Annotated[
        float, typer.Option(help="How far a face lies from its identity; 1 is as far as a stranger.", min=0, max=1)
    ] = 0.5,
    json: Json = False,
) -> int:
    """Measure every kind of index on made-up identities, beside exact search."""
    from facesearch.cards import index_recipes
    from facesearch.evaluation import synthetic

    measured = list(synthetic.measure(synthetic.Identities(n, noise), index_recipes(), show.note))
    if json:
        show.as_json({"identities": n, "noise": noise, "recipes": [_rounded(each) for each in measured]})
        return 0
    names = ("recipe", "built in", "size", "one query", "1,000 at once", "recall@1", "recall@10", "identified")
    rows = show.table(*names, right=names[1:])
    for each in measured:
        rows.add_row(
            each.recipe,
            f"{each.build_seconds:,.1f} s",
            f"{each.size / 1e6:,.0f} MB",
            f"{each.one_ms:.2f} ms",
            f"{each.per_second:,.0f}/s",
            f"{each.recall1:.3f}",
            f"{each.recall10:.3f}",
            f"{each.identified:.3f}",
        )
    out = show.console()
    out.print(
        f"{n:,} identities, a face each: {synthetic.DIM} numbers, {synthetic.INTRINSIC} of them independent; "
        f"noise {noise:g}, mean similarity of strangers {synthetic.STRANGERS}"
    )
    out.print(rows)
    out.print(
        "recall: the share of what exact search (the first line) finds; identified: whose own identity came first.\n"
        "Up to how many faces each recipe is used: "
        + ", ".join(f"{r.name} {r.up_to_faces:,}" if r.up_to_faces else f"{r.name} any" for r in index_recipes())
    )
    return 0


class _Progress:
    """A bar on stderr for downloading and for embedding."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._task = bar, None

    def benchmark(self, model: str | None, device: Device, on_missing: OnMissing) -> "Benchmark":
        """The benchmark, which moves the bar."""
        from facesearch.evaluation.benchmark import Benchmark

        return Benchmark(model, device, on_missing, on_start=self._start, on_photo=self._advance, note=self._note)

    def downloaded(self, size: int) -> None:
        """So many bytes of a file are there; how many there will be is not known."""
        if self._task is None:
            self._task = self._bar.add_task("Downloading LFW", total=None, unit="MB")
        self._bar.update(self._task, completed=size // 1_000_000)

    def _start(self, photos: int) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task("Embedding", total=photos, unit="photos")

    def _advance(self) -> None:
        self._bar.advance(self._task)

    def _note(self, text: str) -> None:
        from facesearch.photos import printable

        self._bar.console.print(printable(text), markup=False, highlight=False)


@contextmanager
def _progress() -> Iterator[_Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Progress(bar)


def _check_pictures(roc: Path | None, errors: Path | None) -> None:
    if roc is not None:
        from facesearch.plots import check_plot_name

        check_plot_name(roc)
    if errors is not None:
        from facesearch.report import check_sheet_name

        check_sheet_name(errors)


def _finish(report: "Report", roc: Path | None, errors: Path | None, json: bool) -> int:
    if json:
        show.as_json(_json(report))
    else:
        _show(report)
    if roc is not None:
        _draw_roc(report, roc)
    if errors is not None:
        _draw_errors(report, errors)
    return 0


def _draw_roc(report: "Report", path: Path) -> None:
    from facesearch.evaluation.benchmark import threshold_of
    from facesearch.evaluation.metrics import roc
    from facesearch.plots import Curve, draw_roc

    curves = []
    for name, pairs in report.pairs.items():
        similarities, same = pairs.compared.similarities, pairs.compared.pairs.same
        curve = roc(similarities, same)
        accuracy = pairs.figures.accuracy
        label = f"{name}, {accuracy.mean:.4f} ± {accuracy.std:.4f}" if accuracy else name
        curves.append(Curve(label, curve.far, curve.tar, similarities, same, threshold_of(pairs)))
    draw_roc(_title(report), curves, path)
    show.note(f"The ROC curve is {path}.")


def _draw_errors(report: "Report", path: Path) -> None:
    from facesearch.evaluation.benchmark import threshold_of, worst_errors
    from facesearch.report import error_sheet, write_sheet

    pairs = list(report.pairs.values())[-1]
    accepts, rejects = worst_errors(pairs, _WORST)
    write_sheet(error_sheet(accepts, rejects, threshold_of(pairs)), path)
    show.note(f"The worst errors are {path}.")


def _title(report: "Report") -> str:
    title = f"{report.setup.model} on {report.setup.images}"
    if list(report.pairs) != ["all"]:
        return title
    figures = report.pairs["all"].figures
    said = f": {figures.accuracy.mean:.4f} ± {figures.accuracy.std:.4f}" if figures.accuracy else ""
    return f"{title}, {figures.pairs:,} pairs{said}"


def _show(report: "Report") -> None:
    setup, spent = report.setup, report.seconds
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
        show.console().print(_pair_table(name, pairs))
    if report.closed and report.opened:
        closed, opened = report.closed, report.opened
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


def _pair_table(name: str, report: "PairReport") -> Any:
    figures = report.figures
    title = f"{figures.pairs:,} pairs" + ("" if name == "all" else f" {name}")
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
    rows.add_row("at the card's threshold", f"{card.threshold:.4f}", f"TAR {card.tar:.4f}, FAR {card.far:.5f}")
    if report.skipped:
        rows.add_row("skipped", f"{report.skipped:,}", "pairs with a photo without a face")
    return rows


def _share(value: float) -> str:
    return f"{value:.4f}"


_ON_MISSING = {
    "centre": "embedded where the face usually is",
    "skip": "their pairs left out",
    "wrong": "their pairs counted as errors",
}


def _json(report: "Report") -> dict[str, Any]:
    setup = report.setup
    whole = {
        "protocol": report.protocol,
        "model": setup.model,
        "detector": setup.detector,
        "engine": setup.engine,
        "alignment": setup.alignment,
        "images": setup.images,
        "on_missing": setup.on_missing,
        "photos": report.photos,
        "computed": report.computed,
        "missing": len(report.missing),
        "missing_photos": list(report.missing[:1000]),
        "seconds": {stage: round(spent, 3) for stage, spent in report.seconds.items()},
    }
    if list(report.pairs) == ["all"]:
        whole |= _pair_json(report.pairs["all"])
    else:
        whole |= {name.replace(" ", "_"): _pair_json(pairs) for name, pairs in report.pairs.items()}
    if report.closed and report.opened:
        whole |= {"closed_set": _rounded(report.closed), "open_set": _rounded(report.opened)}
    if report.strangers:
        whole["strangers"] = _rounded(report.strangers)
    if report.lights:
        whole["lights"] = [_rounded(light) for light in report.lights]
    return whole


def _pair_json(report: "PairReport") -> dict[str, Any]:
    figures, accuracy, val = report.figures, report.figures.accuracy, report.figures.val
    answer: dict[str, Any] = {"pairs": figures.pairs, "same": figures.same, "skipped": report.skipped}
    if accuracy and val:
        answer |= {
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
    return answer | {
        "tar": {f"{far:g}": None if tar is None else round(tar, 6) for far, tar in figures.tar.items()},
        "auc": round(figures.auc, 6),
        "eer": round(figures.eer, 6),
        "card": _rounded(report.at_card),
    }


def _rounded(record: Any) -> dict[str, Any]:
    """A record's fields, numbers to six places."""
    import dataclasses

    fields = dataclasses.asdict(record).items()
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields}
