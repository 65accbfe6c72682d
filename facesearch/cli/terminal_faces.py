"""Faces shown in the terminal itself, two pixels a character: also through SSH, where no other window opens."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from facesearch.arrays import Pixels
    from facesearch.pictures.tiles import FacePlace

_HALF = "▀"  # its colour is the upper pixel's, its background the lower one's
_LEAST, _MOST = 24, 40  # pixels a side: known people are recognised from about 24 on, and more need not be looked at
_AROUND = 0.18  # of the box: less than on a sheet, so that the few pixels are the face's
_BETWEEN = 2  # characters
_LINES_OF_TEXT = 5


@dataclass(frozen=True, slots=True)
class FaceStrip:
    """Faces that are shown side by side; those in `others` stand apart, after them."""

    faces: "tuple[FacePlace, ...]"
    others: "tuple[FacePlace, ...]" = ()


def can_show() -> bool:
    """Whether the terminal of stderr shows colours and this character."""
    console = _console()
    if console.color_system not in ("truecolor", "256", "windows"):
        return False
    try:
        _HALF.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class TerminalFaces:
    """Shows strips of faces; the next one is looked up, and cut out of its photos, while the user looks at one."""

    def __init__(self, count: int, strip_of: Callable[[int], FaceStrip], sides: int = 1) -> None:
        """There are so many strips, numbered from 0. `sides` is 2 where strips have others."""
        from facesearch.pictures.tiles import Cutter

        self._count, self._strip_of = count, strip_of
        self._console = _console()
        self.per_side, self._side = _layout(self._console.width, self._console.height, sides)
        self._cutter = Cutter()
        self._thread = ThreadPoolExecutor(1)
        self._drawn: dict[int, Future[Text]] = {}

    def __enter__(self) -> "TerminalFaces":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._cutter.__exit__(*error)

    def show(self, number: int) -> None:
        """Shows the strip of that number."""
        for i in (number, number + 1):
            if i < self._count and i not in self._drawn:
                self._drawn[i] = self._thread.submit(self._draw, i)
        self._console.print(self._drawn.pop(number).result(), soft_wrap=True)

    def _draw(self, number: int) -> "Text":
        strip = self._strip_of(number)
        faces, others = strip.faces[: self.per_side], strip.others[: self.per_side]
        tiles = self._cutter.cut([*faces, *others], self._side, _AROUND)
        return blocks(tiles[: len(faces)], tiles[len(faces) :])


def blocks(tiles: "Sequence[Pixels]", others: "Sequence[Pixels]" = ()) -> "Text":
    """Lines of coloured half blocks, for tiles side by side and, after a bar, others."""
    from rich.text import Text

    text = Text()
    height = len((*tiles, *others)[0])
    for y in range(0, height - 1, 2):
        for part in (tiles, others):
            if part is others and others:
                text.append("│ ")
            for tile in part:
                for upper, lower in zip(tile[y].tolist(), tile[y + 1].tolist(), strict=True):
                    text.append(_HALF, _style(tuple(upper), tuple(lower)))
                text.append(" " * _BETWEEN)
        text.append("\n")
    return text


def _style(upper: tuple[int, int, int], lower: tuple[int, int, int]) -> str:
    return f"#{bytes(upper).hex()} on #{bytes(lower).hex()}"


def _layout(width: int, height: int, sides: int) -> tuple[int, int]:
    """How many faces a side of the strip may have, and how many pixels, an even number, a face."""
    tallest = min(_MOST, max(_LEAST, 2 * (height - _LINES_OF_TEXT)))
    for per_side in (6, 5, 4, 3, 2):
        side = (width - _BETWEEN * (sides * per_side + sides)) // (sides * per_side)
        if side >= _LEAST:
            return per_side, min(side, tallest) // 2 * 2
    return 1, max(8, min((width - 3 * _BETWEEN) // sides - _BETWEEN, tallest)) // 2 * 2


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)
