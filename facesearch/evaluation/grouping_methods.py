"""What groups an album: facesearch in its modes, and the peers, each with the settings that are tried for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np

from facesearch.evaluation import peers
from facesearch.evaluation.album import Album
from facesearch.evaluation.clustering import Labels
from facesearch.models.cards import Threshold
from facesearch.people.grouping import Facts, Mode, group
from facesearch.people.linkage import Bar, Linkage
from facesearch.people.neighbours import neighbours

MODES: tuple[Mode, ...] = get_args(Mode)
# In units over the card's threshold.
_THRESHOLDS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)
_BARS = (-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
_MOVED = (-0.4, -0.2, 0.0, 0.2, 0.4)


@dataclass(frozen=True, slots=True)
class Model:
    """What a model's card says of similarities."""

    threshold: Threshold
    facts: Facts


@dataclass(frozen=True, slots=True)
class Method:
    """A way to group an album. `settings` are those that are tried, in units over the card's threshold (of HDBSCAN
    the least samples); `run` takes one and gives labels, (n,)."""

    name: str
    settings: tuple[float, ...]
    run: Callable[[Album, float], Labels]


def of_facesearch(model: Model, mode: Mode) -> Method:
    """facesearch as the card has it."""
    return Method(f"facesearch, {mode}", (0.0,), partial(_ours, model, mode))


def of_facesearch_moved(model: Model, mode: Mode) -> Method:
    """facesearch with both of its bars moved up or down."""
    return Method(f"facesearch, {mode}", _MOVED, partial(_ours, model, mode))


def of_others(model: Model) -> tuple[Method, ...]:
    """The peers."""
    threshold = model.threshold
    near = _Near()

    def at(setting: float) -> float:
        return threshold.similarity + setting * threshold.unit

    return (
        Method("average linkage", _BARS, partial(_average, model)),
        Method("Chinese whispers", _THRESHOLDS, lambda album, s: peers.chinese_whispers(near.of(album), at(s))),
        Method("Immich's rule", _THRESHOLDS, lambda album, s: peers.immich(near.of(album), at(s), 1)),
        Method("... with 3 faces", _THRESHOLDS, lambda album, s: peers.immich(near.of(album), at(s), 3)),
        Method("DBSCAN, 2 faces", _THRESHOLDS, lambda album, s: peers.dbscan(near.of(album), at(s), 2)),
        Method("HDBSCAN", (1.0, 2.0), lambda album, s: peers.hdbscan(album.embeddings, int(s))),
    )


class _Near:
    """The nearest faces of the last album."""

    def __init__(self) -> None:
        self._album: Album | None = None
        self._near: peers.Nearest | None = None

    def of(self, album: Album) -> peers.Nearest:
        if self._near is None or self._album is not album:
            self._album, self._near = album, peers.nearest(album.embeddings)
        return self._near


def _ours(model: Model, mode: Mode, album: Album, moved: float) -> Labels:
    bars = {each: (one + moved, many + moved) for each, (one, many) in model.facts.bars.items()}
    return group(album.to_group(), replace(model.facts, bars=bars), mode).labels


def _average(model: Model, album: Album, bar: float) -> Labels:
    """One bar for all sizes, and no own thresholds; no two faces of a photo, as in facesearch."""
    rows = np.arange(len(album))
    at = model.threshold.similarity + bar * model.threshold.unit
    linkage = Linkage(album.embeddings, np.zeros(len(album), np.float32), rows, Bar(at, at, 2 * model.threshold.unit))
    a, b, _ = neighbours(album.embeddings, least=at - 2 * model.threshold.unit)
    linkage.join(a, b, album.to_group().tokens(rows))
    return linkage.labels()
