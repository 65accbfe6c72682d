"""How large weights may be: a file of some bytes can announce arrays of any size."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

from facesearch.errors import ModelError

MOST_BYTES = 1 << 30  # of all arrays, in float32: ten times what the largest network here has
_MOST_NUMBERS = 1 << 24  # in one array: four times the largest of these networks


class Sizes:
    """Adds up what a file announces, before any of it is read."""

    def __init__(self, path: Path) -> None:
        """`path` is for the sentence."""
        self._path, self._bytes = path, 0

    def add(self, name: str, shape: Sequence[int] | None) -> None:
        """Raises ModelError for an array that no network here has, and for more of them than any has."""
        numbers = prod(shape or ())
        self._bytes += 4 * numbers
        if numbers > _MOST_NUMBERS or min(shape or (0,), default=0) < 0:
            size = "x".join(map(str, shape or ()))
            raise ModelError(
                f"{self._path} announces an array of {size} numbers ({name}), which no network here has."
            )
        if self._bytes > MOST_BYTES:
            raise ModelError(
                f"{self._path} announces more than {MOST_BYTES >> 30} GB of numbers, more than any network here has."
            )
