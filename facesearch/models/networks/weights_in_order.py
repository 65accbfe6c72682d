"""Weights without names: arrays by their place, "0", "1", ..., in the order in which a chip meets them, which is the
order in which Keras lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError

if TYPE_CHECKING:
    import keras

Arrays = Mapping[str, NDArray[np.float32]]


class InOrder:
    """Gives the arrays one after the other, and checks the shape of each."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays, self._place = arrays, 0

    def take(self, *shape: int) -> NDArray[np.float32]:
        """The next array. Raises ModelError when it is missing or has another shape."""
        array = _checked(self._arrays, self._place, shape)
        self._place += 1
        return array


def get_in_order(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """A Keras network's weights by their place."""
    from keras import ops

    return {str(i): np.asarray(ops.convert_to_numpy(weight), np.float32) for i, weight in enumerate(model.weights)}


def set_in_order(model: keras.Model, arrays: Arrays) -> None:
    """Gives a Keras network what get_in_order gave. Raises ModelError when an array is missing or has another
    shape."""
    for place, weight in enumerate(model.weights):
        weight.assign(_checked(arrays, place, tuple(weight.shape)))


def _checked(arrays: Arrays, place: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = arrays.get(str(place))
    if array is None or array.shape != shape:
        raise ModelError(f"The weights are not those of this network: number {place} is missing or of another shape.")
    return array
