"""`facesearch bench`: the field's protocols, your own pairs, and the speed of search."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import show
from facesearch.cli.bench_people import finish_people
from facesearch.cli.bench_tables import finish
from facesearch.cli.options import Detector, Device, Json, Model, Precision
from facesearch.cli.progress import Progress
from facesearch.errors import ExitCode
from facesearch.forms import bench_forms

if TYPE_CHECKING:
    from facesearch.evaluation.benchmark import Benchmark

OnMissing = Annotated[
    Literal["centre", "skip", "wrong"],
    typer.Option(
        help="A photo without a face: take its centre, skip its pairs, or count them as wrong.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        help="Draws the random pairs; the same seed draws the same.", min=limits.SEED.least, max=limits.SEED.most
    ),
]
Roc = Annotated[
    Path | None, typer.Option("--roc", help="Draw the ROC curve and both histograms.", metavar="FILE.png")
]
Errors = Annotated[
    Path | None, typer.Option("--errors", help="Draw the worst false accepts and rejects.", metavar="FILE.jpg")
]


def lfw(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of any LFW release; without it, scikit-learn's copy is downloaded.", metavar="FOLDER"
        ),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="The pairs.txt, where it is not with the photos.", metavar="FILE")
    ] = None,
    protocol: Annotated[
        Literal["view2", "random", "identify", "strangers"],
        typer.Option(
            help="The official pairs; 10,000 random pairs; who is this, over everybody; or a card's threshold, from "
            "people outside the official pairs.",
        ),
    ] = "view2",
    on_missing: OnMissing = "centre",
    seed: Seed = 0,
    save: Annotated[
        bool, typer.Option("--save", help="With --protocol strangers: write the threshold into the model's card.")
    ] = False,
    model: Model = None,
    detector: Detector = None,
    device: Device = "auto",
    precision: Precision = "auto",
    roc: Roc = None,
    errors: Errors = None,
    json: Json = False,
) -> ExitCode:
    """Measure a model on Labeled Faces in the Wild.

    Of several faces in a photo the most central one counts. Embeddings are kept: a second run takes seconds."""
    from facesearch.errors import UsageError
    from facesearch.evaluation import lfw as labeled_faces

    _check_pictures(roc, errors)
    if protocol in ("identify", "strangers") and (roc or errors):
        raise UsageError(f"--roc and --errors draw pairs, which --protocol {protocol} does not make; leave them out.")
    if protocol in ("random", "identify") and pairs is not None:
        raise UsageError(f"--pairs names the official pairs, which --protocol {protocol} does not use; leave it out.")
    if save and protocol != "strangers":
        raise UsageError(f"--save keeps a threshold, which --protocol {protocol} does not measure; leave it out.")
    with Progress() as progress:
        if data is None:
            progress.begin("Downloading LFW", detail="MB")
        folder = data or labeled_faces.fetch(lambda size: progress.update(done=size // 1_000_000))
        found = labeled_faces.find(folder)
        benchmark = _benchmark(progress, model, detector, (device, precision), on_missing)
        if protocol == "random":
            report = benchmark.lfw_random(found, seed)
        elif protocol == "identify":
            report = benchmark.lfw_identify(found)
        else:
            listed = labeled_faces.read_pairs(pairs or labeled_faces.find_pairs(folder, found.images), found.images)
            run = benchmark.lfw_view2 if protocol == "view2" else benchmark.lfw_strangers
            report = run(found, listed)
    if save:
        show.note(f"The threshold is in {benchmark.keep_threshold(report)}.")
    return finish(report, roc, errors, json)


def yaleb(
    data: Annotated[Path, typer.Option(help="Folder of the cropped Extended Yale B.", metavar="FOLDER")],
    seed: Seed = 0,
    model: Model = None,
    device: Device = "auto",
    precision: Precision = "auto",
    roc: Roc = None,
    errors: Errors = None,
    json: Json = False,
) -> ExitCode:
    """Measure a model under extreme light, on the cropped Extended Yale B: pairs within and across lights, and who is
    recognised from one frontally lit photo, by the light's angle."""
    from facesearch.evaluation import yaleb as extended_yale_b

    _check_pictures(roc, errors)
    found = extended_yale_b.find(data)
    with Progress() as progress:
        report = _benchmark(progress, model, None, (device, precision), "centre").yaleb(found, seed)
    return finish(report, roc, errors, json)


def pairs(
    file: Annotated[
        Path, typer.Argument(help="CSV with the columns a,b,same and, if you like, group.", metavar="FILE")
    ],
    on_missing: OnMissing = "centre",
    model: Model = None,
    detector: Detector = None,
    device: Device = "auto",
    precision: Precision = "auto",
    roc: Roc = None,
    errors: Errors = None,
    json: Json = False,
) -> ExitCode:
    """Measure a model on your own pairs: a CSV file with two photos and 1 or 0 (one person or two) in each line.

    With a column `group` it also says, for each group of pairs, how often the threshold errs: for whom it holds."""
    from facesearch.evaluation import own_pairs
    from facesearch.files import printable

    _check_pictures(roc, errors)
    listed = own_pairs.read_pairs(file)
    with Progress() as progress:
        report = _benchmark(progress, model, detector, (device, precision), on_missing).own_pairs(
            printable(file.name), listed
        )
    return finish(report, roc, errors, json)


def people(
    data: Annotated[Path, typer.Option(help="Folder of any LFW release.", metavar="FOLDER")],
    protocol: Annotated[
        Literal["all", "often", "halves", "later", "answers", "bars"],
        typer.Option(
            help="Everybody; people with four photos or more alone; settings chosen on half of the people, for the "
            "other half; a tenth and half of the photos later; 200 and 400 questions answered; or a card's bars, "
            "from photos outside the official pairs.",
        ),
    ] = "all",
    mode: Annotated[
        Literal["careful", "balanced", "eager"] | None, typer.Option(help="One way of grouping; else all three.")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="With --protocol bars: write the bars into the model's card.")
    ] = False,
    model: Model = None,
    detector: Detector = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
) -> ExitCode:
    """Measure how well people are grouped on Labeled Faces in the Wild, beside other programs' rules.

    All faces take part; the most central one of each photo is known by name, and figures are of these."""
    from facesearch.errors import UsageError
    from facesearch.evaluation import lfw as labeled_faces
    from facesearch.evaluation.grouping_methods import MODES
    from facesearch.evaluation.people_benchmark import Reporter, fit_bars, keep_bars, measure_people

    if save and protocol != "bars":
        raise UsageError(f"--save keeps bars, which --protocol {protocol} does not measure; leave it out.")
    if mode and protocol == "bars":
        raise UsageError("--mode picks a way of grouping, and --protocol bars fits all three; leave it out.")
    found = labeled_faces.find(data)
    with Progress() as progress:
        reporter = Reporter(
            on_start=lambda photos: progress.begin("Embedding", photos, "photos"),
            on_photo=progress.advance,
            on_step=lambda step: progress.begin(f"Grouping: {step}"),
            note=progress.note,
        )
        used = (model, detector, device, precision)
        if protocol == "bars":
            listed = labeled_faces.read_pairs(labeled_faces.find_pairs(data, found.images), found.images)
            measured = fit_bars(found, listed, used, reporter)
        else:
            measured = measure_people(found, protocol, MODES if mode is None else (mode,), used, reporter)
    if save:
        show.note(f"The bars are in {keep_bars(measured)}.")
    return finish_people(measured, json)


def search(
    n: Annotated[int, typer.Option("--n", help="How many identities.", min=100, max=1_000_000_000)] = 100_000,
    noise: Annotated[
        float, typer.Option(help="How far a face lies from its identity; 1 is as far as a stranger.", min=0, max=1)
    ] = 0.5,
    json: Json = False,
) -> ExitCode:
    """Measure every kind of index on made-up identities, beside exact search."""
    from facesearch.evaluation import synthetic
    from facesearch.models.cards import index_recipes

    measured = list(synthetic.measure(synthetic.Identities(n, noise), index_recipes(), show.note))
    if json:
        show.as_json({"identities": n, "noise": noise, "recipes": [bench_forms.rounded(each) for each in measured]})
        return ExitCode.DONE
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
    return ExitCode.DONE


def _benchmark(
    progress: Progress,
    model: str | None,
    detector: str | None,
    processor: tuple[Device, Precision],
    on_missing: OnMissing,
) -> "Benchmark":
    """A benchmark that moves the bar."""
    from facesearch.evaluation.benchmark import Benchmark

    return Benchmark(
        model,
        detector,
        processor[0],
        on_missing,
        precision=processor[1],
        on_start=lambda photos: progress.begin("Embedding", photos, "photos"),
        on_photo=progress.advance,
        note=progress.note,
    )


def _check_pictures(roc: Path | None, errors: Path | None) -> None:
    from facesearch.errors import UsageError

    if roc is not None:
        from facesearch.pictures.plots import check_plot_name

        check_plot_name(roc)
    if errors is not None:
        from facesearch.pictures.sheets import check_sheet_name

        check_sheet_name(errors, "--errors")
    if roc is not None and errors is not None and roc.absolute() == errors.absolute():
        raise UsageError("--roc and --errors name one file; give each its own.")
