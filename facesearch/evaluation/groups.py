"""For whom a threshold holds: what it does on the pairs of each group of people, such as children or one family."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facesearch.evaluation.metrics import Same, Similarities

_SURE = 0.95  # one-sided confidence of the bound on the FAR, as of a learned threshold's


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """What a threshold does on the pairs of a group; None is the group of the pairs that name none. `far` is the
    share of its `strangers`, pairs of two people, that reach the threshold (`accepted` do), and with 95 % confidence
    no more than `far_at_most` of all such pairs do; `tar` is the share of its `same`, pairs of one person. A share is
    None where there is no such pair."""

    group: str | None
    strangers: int
    accepted: int
    far: float | None
    far_at_most: float | None
    same: int
    tar: float | None


def by_group(
    similarities: Similarities, same: Same, groups: Sequence[str | None], threshold: float
) -> tuple[GroupFigures, ...]:
    """The figures of each group that a pair names (None: it names none), the highest FAR first; of two alike, the one
    that fewer pairs vouch for."""
    named = np.array(["" if group is None else group for group in groups], object)
    figures = [
        _figures(name or None, similarities[named == name], same[named == name], threshold) for name in set(named)
    ]
    return tuple(sorted(figures, key=_from_worst))


def _figures(group: str | None, similarities: Similarities, same: Same, threshold: float) -> GroupFigures:
    reached = similarities >= threshold
    strangers, accepted, of_one = int((~same).sum()), int(reached[~same].sum()), int(same.sum())
    return GroupFigures(
        group,
        strangers,
        accepted,
        accepted / strangers if strangers else None,
        _at_most(accepted, strangers),
        of_one,
        float(reached[same].mean()) if of_one else None,
    )


def _at_most(accepted: int, strangers: int) -> float | None:
    """The upper bound of a share of which `accepted` of `strangers` were seen (Clopper and Pearson 1934)."""
    from scipy.stats import beta  # half a second, which other benchmarks shall not wait for

    if not strangers:
        return None
    return 1.0 if accepted == strangers else float(beta.ppf(_SURE, accepted + 1, strangers - accepted))


def _from_worst(figures: GroupFigures) -> tuple[float, float, str]:
    if figures.far is None or figures.far_at_most is None:  # nothing is known of its strangers
        return 1, 0, figures.group or ""
    return -figures.far, -figures.far_at_most, figures.group or ""
