"""Plots of figures: the ROC and the histograms of similarities of a benchmark, and the epochs of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.files import write_whole
from facesearch.libraries import settle
from facesearch.pictures import output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SAME, _STRANGERS = "#1b6ca8", "#d1662a"  # they differ in lightness too, for print without colour
_STYLES = ("-", "--", ":", "-.")
_MARKED = (1e-3, 1e-2)  # FARs whose TAR is written beside the curve
_BINS = 80
_DPI = 160


@dataclass(frozen=True, slots=True)
class Curve:
    """One list of pairs: FAR and TAR, each ascending; all similarities and whether each pair shows one person; the
    threshold to draw."""

    name: str
    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    similarities: NDArray[np.float64]
    same: NDArray[np.bool_]
    threshold: float


def check_plot_name(path: Path) -> None:
    """Raises UsageError when a plot cannot be written under that name, or must not: see `output.check_name`."""
    settle("matplotlib")
    from matplotlib.backend_bases import FigureCanvasBase

    is_drawable = path.suffix.lstrip(".").lower() in FigureCanvasBase.get_supported_filetypes()
    output.check_name(path, "--roc", is_drawable)


def draw_roc(title: str, curves: Sequence[Curve], path: Path) -> None:
    """Draws the ROC of each list of pairs on a logarithmic FAR axis, and beside it the histograms of the similarities
    of one person's and of two people's pairs. Raises FaceSearchError when the disk refuses the file."""
    settle("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 4.4), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    grid = figure.add_gridspec(len(curves), 2, width_ratios=(1, 1.05))
    _draw_curves(figure.add_subplot(grid[:, 0]), curves)
    for row, curve in enumerate(curves):
        axes = figure.add_subplot(grid[row, 1])
        _draw_histograms(axes, curve, is_last=row == len(curves) - 1, is_only=len(curves) == 1)
    output.write(path, _rendered(figure, path))


def _rendered(figure: "Figure", path: Path) -> bytes:
    """The picture in the format that the name ends with."""
    data = BytesIO()
    figure.savefig(data, format=path.suffix.lstrip(".").lower())
    return data.getvalue()


def _draw_curves(axes: "Axes", curves: Sequence[Curve]) -> None:
    strangers = max(int((~curve.same).sum()) for curve in curves)
    least = min(10.0 ** np.floor(np.log10(1 / strangers)), 0.1)
    at_first_mark = [curve.tar[np.searchsorted(curve.far, _MARKED[0], side="right") - 1] for curve in curves]
    bottom = max(0.0, np.floor((min(at_first_mark) - 0.1) * 10) / 10)
    for curve, style in zip(curves, _STYLES, strict=False):
        name = curve.name if len(curves) > 1 else None
        axes.step(np.maximum(curve.far, least), curve.tar, where="post", color=_SAME, linestyle=style, label=name)
        _mark(axes, curve)
    axes.set(xscale="log", xlim=(least, 1), ylim=(bottom, 1 + 0.02 * (1 - bottom)))
    axes.set_xlabel("FAR: share of pairs of two people accepted")
    axes.set_ylabel("TAR: share of pairs of one person accepted")
    axes.grid(which="major", color="0.85", linewidth=0.7)
    axes.set_axisbelow(True)
    if len(curves) > 1:
        axes.legend(loc="lower right", frameon=False)


def _mark(axes: "Axes", curve: Curve) -> None:
    """Dots with the TAR at round FARs, where there are pairs enough for them."""
    for far in _MARKED:
        if (~curve.same).sum() * far >= 1:
            tar = float(curve.tar[np.searchsorted(curve.far, far, side="right") - 1])
            axes.plot(far, tar, "o", color=_SAME, markersize=5)
            backing = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
            axes.annotate(f"{tar:.3f}", (far, tar), (7, -13), textcoords="offset points", fontsize=9, bbox=backing)


def _draw_histograms(axes: "Axes", curve: Curve, is_last: bool, is_only: bool) -> None:
    # What lies far out, as pairs counted as wrong do, is drawn at the edge.
    low, high = np.quantile(curve.similarities, [0.0005, 0.9995], method="closest_observation")
    bins = np.linspace(low, high, _BINS).tolist()
    kinds = ((curve.same, "one person", _SAME, "-"), (~curve.same, "two people", _STRANGERS, "--"))
    for chosen, name, colour, style in kinds:
        shown = np.clip(curve.similarities[chosen], low, high)
        axes.hist(shown, bins, density=True, color=colour, alpha=0.35)
        axes.hist(shown, bins, density=True, histtype="step", color=colour, linestyle=style, label=name)
    axes.axvline(curve.threshold, color="black", linewidth=1)
    at_top = axes.get_xaxis_transform()
    axes.annotate(
        f"threshold {curve.threshold:.3f}",
        (curve.threshold, 1),
        (4, -10),
        xycoords=at_top,
        textcoords="offset points",
        fontsize=9,
    )
    axes.set_ylim(top=1.15 * axes.get_ylim()[1])  # room for the threshold's number
    axes.set_yticks([])
    axes.set_ylabel("share of pairs" if is_only else curve.name.split(",")[0])
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if is_last:
        axes.set_xlabel("similarity")


@dataclass(frozen=True, slots=True)
class Series:
    """How one figure of a training changed: points (epoch, value), to be drawn on the panel of this name."""

    panel: str
    name: str
    points: Sequence[tuple[int, float]]


def draw_series(title: str, series: Sequence[Series], changes: Sequence[float], path: Path) -> None:
    """Draws figures by epoch, one panel below the other, with a vertical line at each epoch of `changes`. Raises
    OSError."""
    settle("matplotlib")
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(each.panel for each in series))
    figure = Figure(figsize=(7.5, 0.8 + 2.4 * len(panels)), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=11)
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        own = [each for each in series if each.panel == panel]
        for each, colour, style in zip(own, (_SAME, _STRANGERS), _STYLES, strict=False):
            epochs, values = zip(*each.points, strict=True)
            axes.plot(epochs, values, style, color=colour, marker=".", label=each.name)
        for change in changes:
            axes.axvline(change, color="0.6", linewidth=1)
        axes.legend(frameon=False, fontsize=9)
        axes.grid(color="0.9", linewidth=0.7)
        axes.set_ylabel(panel)
        axes.spines[["top", "right"]].set_visible(False)
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.get_major_locator().set_params(integer=True)
    write_whole(path, _rendered(figure, path))
