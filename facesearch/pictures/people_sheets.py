"""Contact sheets of people: all faces of one, a row of faces for each of several, and two rows of faces for each
question whether two are one person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np

from facesearch.arrays import Pixels
from facesearch.files import printable
from facesearch.geometry.squares import Colour
from facesearch.pictures.tiles import EMPTY, FAINT, INK, PAPER, Cutter, FacePlace, put_text

_TILE = 112  # pixels: the side of a face; twice as large one sees no more of most faces, and half as many at once
_GAP = 12
_LINE = 17  # pixels: from one line of text to the next
_HEADING = 150  # pixels: the width of what stands beside a row
_TITLE = 44  # pixels: the height of the line above all
_TALLEST = 65_000  # pixels: libjpeg writes at most 65,500 a side (JPEG_MAX_DIMENSION)
_TWO_COLUMNS = 10  # rows that fit on a screen: more stand in two columns


@dataclass(frozen=True, slots=True)
class ShownFace:
    """A face on a sheet, with a line of text below it, which is of that colour."""

    place: FacePlace
    text: str = ""
    colour: Colour = FAINT


@dataclass(frozen=True, slots=True)
class Row:
    """Faces side by side, with lines of text before them; the first line is large. Those in `others` stand behind a
    line, after `faces`."""

    heading: tuple[str, ...]
    faces: tuple[ShownFace, ...]
    others: tuple[ShownFace, ...] = ()


def grid_of(title: str, faces: Sequence[ShownFace], per_row: int = 10) -> tuple[Pixels, int]:
    """A picture of all these faces, row by row, below a title; and how many it shows: a picture is not made taller
    than a JPEG can be."""
    rows = [Row((), tuple(faces[i : i + per_row])) for i in range(0, len(faces), per_row)]
    sheet, shown = _drawn(title, rows, 0, 1)
    return sheet, sum(len(row.faces) for row in rows[:shown])


def rows_of(title: str, rows: Sequence[Row]) -> tuple[Pixels, int]:
    """A picture of these rows below a title, in two columns where they are many; and how many it shows."""
    return _drawn(title, rows, _HEADING, 1 if len(rows) <= _TWO_COLUMNS else 2)


def _drawn(title: str, rows: Sequence[Row], heading: int, columns: int) -> tuple[Pixels, int]:
    row_height = _TILE + _GAP + (_LINE + 4) * any(face.text for row in rows for face in (*row.faces, *row.others))
    per_column = min(-(-len(rows) // columns), (_TALLEST - _TITLE) // row_height)
    rows = rows[: per_column * columns]
    left, right = (max((len(getattr(row, side)) for row in rows), default=0) for side in ("faces", "others"))
    width = heading + (left + right) * (_TILE + _GAP) + (3 * _GAP if right else 0) + _GAP
    sheet = np.full((_TITLE + per_column * row_height, max(columns * width, 3 * _TILE), 3), PAPER, np.uint8)
    put_text(sheet, printable(title), (_GAP, 30), INK, 17, sheet.shape[1] - 2 * _GAP)
    places = [face.place for row in rows for face in chain(row.faces, row.others)]
    with Cutter() as cutter:
        tiles = iter(cutter.cut(places, _TILE))
    for i, row in enumerate(rows):
        part = sheet[_TITLE + (i % per_column) * row_height :, (i // per_column) * width :]
        _write_heading(part, row.heading)
        _place(part, heading + _GAP, row.faces, tiles)
        if row.others:
            middle = heading + left * (_TILE + _GAP) + 2 * _GAP
            cv2.line(part, (middle - _GAP // 2, 0), (middle - _GAP // 2, _TILE), EMPTY, 2)
            _place(part, middle + _GAP, row.others, tiles)
    return sheet, len(rows)


def _write_heading(part: Pixels, lines: Sequence[str]) -> None:
    for i, line in enumerate(lines):
        size, ink = (18, INK) if i == 0 else (14, FAINT)
        put_text(part, printable(line), (_GAP, 24 + i * (_LINE + 5)), ink, size, _HEADING - _GAP)


def _place(part: Pixels, left: int, faces: Sequence[ShownFace], tiles: Iterator[Pixels]) -> None:
    for i, face in enumerate(faces):
        at = left + i * (_TILE + _GAP)
        part[:_TILE, at : at + _TILE] = next(tiles)
        put_text(part, printable(face.text), (at, _TILE + _LINE - 2), face.colour, 14, _TILE)
