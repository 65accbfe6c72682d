"""Which questions tell most: whether two groups are one person, and how much it changes if they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Units = NDArray[np.float32]  # similarities in units of the model's card

# How likely a user says yes, as a logistic regression says it, fitted on the 6,400 questions about known people that
# LFW's faces lead to, half of its people with the default model, and looked at on the other half: of the first 200
# questions 106 are of one person, and 94 in the order of margins alone, with 1.33 times as much gained.
_MARGIN, _NEAREST, _SMALLER, _LARGER, _FROM = 2.76, 1.66, -2.29, 0.2, -1.55


@dataclass(frozen=True, slots=True)
class Asked:
    """Pairs of groups, q of them: how far each lies over its bar, how far its two most alike faces lie over the
    threshold, in units, and how many faces each group has, (q,) each."""

    margins: Units
    nearest: Units
    sizes: Units
    other_sizes: Units


def how_telling(asked: Asked) -> Units:
    """How much an answer is expected to change, (q,), as a logarithm, mostly below 0: the chance of a yes times the
    faces that find their person by it."""
    small, large = np.minimum(asked.sizes, asked.other_sizes), np.maximum(asked.sizes, asked.other_sizes)
    odds = _MARGIN * asked.margins + _NEAREST * asked.nearest + _SMALLER * np.log(small) + _LARGER * np.log(large)
    log_likely = -np.logaddexp(0, -(odds + _FROM))
    gain = np.log(2 * small * large / (small + large))  # of BCubed recall, if the two are all there is of a person
    return np.asarray(log_likely + gain, np.float32)


def nearest_of(low: Rows, high: Rows, links: tuple[Rows, Rows, Units], count: int) -> Units:
    """The greatest likeness of each pair of groups, (q,), low < high of `count`, by the links of their faces: groups,
    (m,) both, and likeness, (m,); 0 where no link connects them."""
    a, b, likeness = links
    keys = np.minimum(a, b) * count + np.maximum(a, b)
    wanted, back = np.unique(low * count + high, return_inverse=True)
    if not len(wanted):
        return np.empty(0, np.float32)
    places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    meant = wanted[places] == keys
    found = np.full(len(wanted), -np.inf, np.float32)
    np.maximum.at(found, places[meant], likeness[meant])
    return np.asarray(np.where(np.isfinite(found), found, 0)[back], np.float32)
