"""The bars of grouping for a model's card, fitted on the photos of LFW that View 2 does not show."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from facesearch.evaluation.album import Album
from facesearch.evaluation.clustering import GroupFigures
from facesearch.evaluation.grouping_methods import MODES, Model
from facesearch.people.grouping import Mode, group

# Units over the threshold that are tried, for two single faces and for two large groups: the best bars of two models
# lie well within.
_ONES = tuple(tenth / 10 for tenth in range(5, 30, 2))
_MANYS = tuple(tenth / 10 for tenth in range(-4, 21, 2))
_MORE_WORK = 1 / 8  # than the least that there is, for which careful and eager may buy purity and recall

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
    """The bars of each mode, from careful to eager: balanced are those that leave least work; of those that leave an
    eighth more at most, careful are the ones with the purest groups, and eager those with most of BCubed's recall."""
    tried = [FittedBars("balanced", bars, _figures(album, model, bars, on_step)) for bars in _grid()]
    balanced = min(tried, key=lambda each: (each.figures.work, -each.figures.bcubed.f))
    near = [each for each in tried if each.figures.work <= balanced.figures.work * (1 + _MORE_WORK)]
    careful = max(near, key=lambda each: (each.figures.purity, -each.figures.work))
    eager = max(near, key=lambda each: (each.figures.bcubed.recall, -each.figures.work))
    return replace(careful, mode="careful"), balanced, replace(eager, mode="eager")


def _grid() -> Iterator[_Bars]:
    """Large groups never need more than two faces."""
    return ((one, many) for one in _ONES for many in _MANYS if many <= one)


def _figures(album: Album, model: Model, bars: _Bars, on_step: Callable[[str], None]) -> GroupFigures:
    on_step(f"bars {bars[0]:g}, {bars[1]:g}")
    facts = replace(model.facts, bars=dict.fromkeys(MODES, bars))
    return album.figures(group(album.to_group(), facts, "balanced").labels)
