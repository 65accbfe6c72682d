"""Figures of verification: from the similarities of pairs and whether each pair shows one person.

FAR is the share of pairs of two people that a threshold accepts, TAR (facenet's VAL) that of one person's. A pair is
accepted when its similarity is at least the threshold."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_curve

Similarities: TypeAlias = NDArray[np.float64]  # (n,) cosines, -1..1
Same: TypeAlias = NDArray[np.bool_]  # (n,)
Folds: TypeAlias = NDArray[np.intp]  # (n,) the number of each pair's fold

FARS = (1e-2, 1e-3, 1e-4)
VAL_FAR = 1e-3

# The thresholds that facenet tries for VAL: squared distances of unit vectors, which are 2 - 2 * similarity.
_SQUARED_DISTANCES = np.arange(0, 4, 0.001)


@dataclass(frozen=True, slots=True)
class Roc:
    """FAR and TAR, each ascending, at falling thresholds; the first threshold accepts nothing."""

    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    thresholds: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Val:
    """VAL at a FAR as facenet's validate_on_lfw reports it: mean and standard deviation over the folds, and the mean
    FAR that the thresholds really had on the folds they were not chosen on."""

    mean: float
    std: float
    far: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What thresholds do that were each chosen on all other folds. `std` is the deviation of the folds' accuracies
    (divided by their count), `error` the standard error of their mean as the LFW report defines it; the counts are
    of all pairs, each with the threshold of its fold."""

    mean: float
    std: float
    error: float
    folds: tuple[float, ...]
    thresholds: tuple[float, ...]
    tp: int
    tn: int
    fp: int
    fn: int


@dataclass(frozen=True, slots=True)
class Verification:
    """All that is said of a list of pairs. `tar` is by FAR, None where there are fewer than 1 / FAR pairs of two
    people; `accuracy` and `val` are None where the pairs make no folds."""

    pairs: int
    same: int
    auc: float
    eer: float
    tar: dict[float, float | None]
    accuracy: Accuracy | None
    val: Val | None


def verification(similarities: Similarities, same: Same, folds: Folds | None) -> Verification:
    """All figures. Raises ValueError when there is no pair of one of the two kinds."""
    curve = roc(similarities, same)
    strangers = int((~same).sum())
    return Verification(
        pairs=len(same),
        same=int(same.sum()),
        auc=float(auc(curve.far, curve.tar)),
        eer=equal_error_rate(curve),
        tar={far: tar_at(curve, far) if strangers * far >= 1 else None for far in FARS},
        accuracy=None if folds is None else accuracy_by_folds(similarities, same, folds),
        val=None if folds is None else val_by_folds(similarities, same, folds, VAL_FAR),
    )


def roc(similarities: Similarities, same: Same) -> Roc:
    """The whole curve, a point for each different similarity. Raises ValueError when there is no pair of one of the
    two kinds."""
    if same.all() or not same.any():
        raise ValueError("a curve needs pairs of one person and pairs of two")
    return Roc(*roc_curve(same, similarities, drop_intermediate=False))


def tar_at(curve: Roc, far: float) -> float:
    """The greatest TAR of a threshold whose FAR is at most that."""
    return float(curve.tar[np.searchsorted(curve.far, far, side="right") - 1])


def equal_error_rate(curve: Roc) -> float:
    """Where the curve, straight between its points, has as many strangers accepted as true pairs rejected."""
    gap = curve.far - (1 - curve.tar)  # rises from -1 to 1
    above = int(np.argmax(gap >= 0))
    step = gap[above - 1] / (gap[above - 1] - gap[above])
    return float(curve.far[above - 1] + step * (curve.far[above] - curve.far[above - 1]))


def best_threshold(similarities: Similarities, same: Same) -> float:
    """The threshold with the most pairs right. It lies halfway between two neighbouring similarities; of several
    that are equally good it is the middle one."""
    order = np.argsort(similarities)
    values, starts = np.unique(similarities[order], return_index=True)
    rejected_same = np.concatenate([[0], np.cumsum(same[order])])[starts]
    rejected = starts
    right = (same.sum() - rejected_same) + (rejected - rejected_same)
    best = np.flatnonzero(right == right.max())
    i = int(best[len(best) // 2])
    return float(values[i] if i == 0 else (values[i - 1] + values[i]) / 2)


def accuracy_by_folds(similarities: Similarities, same: Same, folds: Folds) -> Accuracy:
    """View 2 of LFW (Huang et al. 2007): the threshold that is best on all other folds is applied to each."""
    accepted = np.zeros(len(same), bool)
    numbers = np.unique(folds)
    thresholds = []
    for fold in numbers:
        here = folds == fold
        thresholds.append(best_threshold(similarities[~here], same[~here]))
        accepted[here] = similarities[here] >= thresholds[-1]
    right = accepted == same
    of_folds = np.array([right[folds == fold].mean() for fold in numbers])
    return Accuracy(
        mean=float(of_folds.mean()),
        std=float(of_folds.std()),
        error=float(of_folds.std(ddof=1) / np.sqrt(len(of_folds))),
        folds=tuple(of_folds.tolist()),
        thresholds=tuple(thresholds),
        tp=int((accepted & same).sum()),
        tn=int((~accepted & ~same).sum()),
        fp=int((accepted & ~same).sum()),
        fn=int((~accepted & same).sum()),
    )


def val_by_folds(similarities: Similarities, same: Same, folds: Folds, far: float) -> Val:
    """VAL at a FAR as Schroff et al. 2015 define it and facenet's evaluate() computes it: on all other folds the
    squared distance with that FAR is read, straight between steps of 0.001, and applied to each fold."""
    vals, fars = [], []
    for fold in np.unique(folds):
        here = folds == fold
        limit = _distance_at(2 - 2 * similarities[~here & ~same], far)
        accepted = 2 - 2 * similarities[here] < limit
        vals.append(_share(accepted, same[here]))
        fars.append(_share(accepted, ~same[here]))
    return Val(float(np.mean(vals)), float(np.std(vals)), float(np.mean(fars)))


def _distance_at(strangers: NDArray[np.float64], far: float) -> float:
    """The squared distance below which that share of the strangers' distances lies; 0, which accepts nothing, when
    no step reaches it."""
    fars = np.searchsorted(np.sort(strangers), _SQUARED_DISTANCES, side="left") / len(strangers)
    above = int(np.searchsorted(fars, far, side="left"))
    if above in (0, len(fars)):
        return 0.0
    return float(np.interp(far, fars[above - 1 : above + 1], _SQUARED_DISTANCES[above - 1 : above + 1]))


def _share(accepted: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(accepted[among].mean()) if among.any() else 0.0


def far_and_tar(similarities: Similarities, same: Same, threshold: float) -> tuple[float, float]:
    """What a given threshold does."""
    accepted = similarities >= threshold
    return _share(accepted, ~same), _share(accepted, same)
