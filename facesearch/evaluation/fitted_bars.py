"""The bars of grouping for a model's card, fitted on the photos of LFW that View 2 does not show."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from facesearch.evaluation.album import Album
from facesearch.evaluation.clustering import GroupFigures
from facesearch.evaluation.grouping_methods import MODES, Model
from facesearch.people.grouping import Mode, group

_STEPS = (0.4, 0.2, 0.1)  # units: the search starts wide
_START = (1.5, 0.5)  # units over the threshold: between the bars of two models that were measured
# How much recall counts beside precision in BCubed's F (van Rijsbergen 1979): who is careful minds a stray more than
# a piece, by as much as who is eager does not.
_BETA: dict[Mode, float] = {"careful": 0.5, "balanced": 1.0, "eager": 2.0}

_Bars = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FittedBars:
    """The bars of a mode, for two single faces and for two large groups, in units over the threshold, and how good
    the groups are with them on the photos on which they were fitted."""

    mode: Mode
    bars: _Bars
    figures: GroupFigures

    @property
    def words(self) -> str:
        """The bars, for a table."""
        return f"chosen: {self.bars[0]:g}, {self.bars[1]:g}"


def fit(album: Album, model: Model, on_step: Callable[[str], None]) -> tuple[FittedBars, ...]:
    """The bars of each mode, from careful to eager: those with the best F by the mode's measure, by a search that
    walks to the best neighbour until there is none, with smaller and smaller steps."""
    known: dict[_Bars, GroupFigures] = {}

    def figures(bars: _Bars) -> GroupFigures:
        if bars not in known:
            on_step(f"bars {bars[0]:g}, {bars[1]:g}")
            facts = replace(model.facts, bars=dict.fromkeys(MODES, bars))
            known[bars] = album.figures(group(album.to_group(), facts, "balanced").labels)
        return known[bars]

    def best_of(mode: Mode) -> _Bars:
        return _walk(lambda bars: _score(figures(bars), mode))

    best = {mode: best_of(mode) for mode in MODES}
    return tuple(FittedBars(mode, best[mode], figures(best[mode])) for mode in MODES)


def _walk(score: Callable[[_Bars], float]) -> _Bars:
    best = _START
    for step in _STEPS:
        while True:
            found = max([best, *_around(best, step)], key=score)
            if found == best:
                break
            best = found
    return best


def _around(bars: _Bars, step: float) -> Iterator[_Bars]:
    """Large groups never need more than two faces."""
    for one, many in ((step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)):
        near = (round(bars[0] + one, 2), round(bars[1] + many, 2))
        if near[0] >= near[1]:
            yield near


def _score(figures: GroupFigures, mode: Mode) -> float:
    squared = _BETA[mode] ** 2
    precision, recall = figures.bcubed.precision, figures.bcubed.recall
    return (1 + squared) * precision * recall / (squared * precision + recall)
