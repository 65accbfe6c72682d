"""Pictures of faces for people: the contact sheet of an answer, and the worst errors of a benchmark."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError
from facesearch.files import printable
from facesearch.gallery.records.answers import Answer, Match
from facesearch.geometry.face import Box
from facesearch.geometry.squares import Colour
from facesearch.photos.addresses import is_under, parts_inside
from facesearch.photos.pool import Decoders
from facesearch.photos.view import Decode
from facesearch.pictures import output
from facesearch.pictures.tiles import EMPTY, FAINT, INK, PAPER, SAME, FacePlace, cut_face, put_text

_TILE = 176  # pixels: the side of a face
_GAP = 20
_CAPTION = 50
_LINE = 18  # pixels: from one line of a caption to the next
_STRIP = _TILE + _CAPTION + 2 * _LINE  # the height of a row of faces
_PER_ROW = 6  # matches beside a query
_TALLEST = 65_000  # pixels: libjpeg writes at most 65,500 a side (JPEG_MAX_DIMENSION)


@dataclass(frozen=True, slots=True)
class FacePair:
    """Two faces that were compared."""

    a: str
    a_box: Box
    b: str
    b_box: Box
    similarity: float


def check_sheet_name(path: Path, option: str = "--sheet", asked: Iterable[str | Path] = ()) -> None:
    """Raises UsageError when a sheet cannot be written under that name, or must not: see `output.check_name`."""
    output.check_name(path, option, cv2.haveImageWriter(path.name), asked)


def contact_sheet(answers: Sequence[Answer]) -> tuple[Pixels, int, int]:
    """A picture with a line of faces for each answer: the face that was asked about, then its matches with name,
    judged value, which is green where it reaches the threshold, date, and folder. Returns the picture, how many
    matches it shows, and how many there are: a picture is not made taller than a JPEG can be."""
    drawn, height = [], 0
    for answer in answers:
        rows = min(_rows_of(answer), (_TALLEST - height - 2 * _GAP) // _STRIP)
        if rows < 1:
            break
        shown = replace(answer, matches=answer.matches[: rows * _PER_ROW])
        drawn.append(shown)
        height += rows * _STRIP + 2 * _GAP
    widest = max((min(len(answer.matches), _PER_ROW) for answer in drawn), default=0)
    width = (widest + 1) * (_TILE + _GAP) + 2 * _GAP
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    top = 0
    with Decoders(1) as decoders:
        for answer in drawn:
            strip = _strip(answer, width, decoders.decode)
            sheet[top : top + len(strip)] = strip
            top += len(strip)
    return sheet, sum(len(answer.matches) for answer in drawn), sum(len(answer.matches) for answer in answers)


def error_sheet(accepts: Sequence[FacePair], rejects: Sequence[FacePair], threshold: float) -> Pixels:
    """Pairs of two people that were accepted on the left, pairs of one person that were rejected on the right, each
    with the worst above."""
    with Decoders(1) as decoders:
        left = _column(accepts, f"two people, taken for one: similarity of {threshold:.3f} or more", decoders.decode)
        right = _column(rejects, f"one person, taken for two: similarity below {threshold:.3f}", decoders.decode)
    height = max(left.shape[0], right.shape[0])
    sheet = np.full((height, left.shape[1] + right.shape[1], 3), PAPER, np.uint8)
    sheet[: left.shape[0], : left.shape[1]] = left
    sheet[: right.shape[0], left.shape[1] :] = right
    cv2.line(sheet, (left.shape[1], _GAP), (left.shape[1], height - _GAP), EMPTY, 2)
    return sheet


def write_sheet(sheet: Pixels, path: Path, comment: str = "") -> None:
    """Writes the picture in the format that its name ends with, whole or not at all, with a comment (see
    `output.write`). Raises FaceSearchError when the
    disk refuses it, or that format cannot hold it."""
    try:
        is_drawn, data = cv2.imencode(path.suffix, sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    except cv2.error:
        is_drawn = False
    if not is_drawn:
        size = f"{sheet.shape[1]:,} x {sheet.shape[0]:,} pixels"
        raise FaceSearchError(f"No {path.suffix} can hold {size}; ask for fewer faces, or name the sheet .png.")
    output.write(path, data.tobytes(), comment)


def _column(pairs: Sequence[FacePair], title: str, decode: Decode) -> Pixels:
    """A title, and below it the two faces of each pair side by side."""
    width = 2 * (_TILE + _GAP) + 2 * _GAP
    strips = [np.full((_CAPTION, width, 3), PAPER, np.uint8)]
    cv2.putText(strips[0], title if pairs else f"{title}: none", (_GAP, 34), INK, cv2.FontFace("uni"), 15)
    for pair in pairs:
        strip = np.full((_TILE + _CAPTION + _GAP, width, 3), PAPER, np.uint8)
        sides = ((pair.a, pair.a_box, f"{pair.similarity:.3f}"), (pair.b, pair.b_box, ""))
        for column, (photo, box, below) in enumerate(sides):
            _place_tile(strip, 0, column, cut_face(FacePlace(photo, box), _TILE, decode))
            _write_caption(strip, 0, column, Path(photo).stem, below, FAINT)
        strips.append(strip)
    return np.concatenate(strips)


def _rows_of(answer: Answer) -> int:
    return max(1, -(-len(answer.matches) // _PER_ROW))


def _strip(answer: Answer, width: int, decode: Decode) -> Pixels:
    rows = _rows_of(answer)
    strip = np.full((rows * _STRIP + 2 * _GAP, width, 3), PAPER, np.uint8)
    cv2.line(strip, (_GAP, strip.shape[0] - 1), (width - _GAP, strip.shape[0] - 1), EMPTY, 1)
    _place_tile(strip, 0, 0, cut_face(FacePlace(answer.query.photo, answer.query.box), _TILE, decode))
    asked = answer.person or Path(answer.query.photo).name
    _write_caption(strip, 0, 0, asked, f"asked about{_others(len(answer.also), 'more')}", FAINT)
    divider = _GAP + _TILE + _GAP
    cv2.line(strip, (divider, _GAP), (divider, _GAP + _TILE), EMPTY, 2)
    for i, match in enumerate(answer.matches):
        row, column = i // _PER_ROW, i % _PER_ROW + 1
        _place_tile(strip, row, column, cut_face(FacePlace(match.photo, match.box), _TILE, decode))
        colour = SAME if match.same else FAINT
        name = match.label or Path(match.photo).name
        alike = _others(len(match.alike), "alike")
        taken = f"  {match.taken[:10]}" if match.taken else ""
        _write_caption(strip, row, column, name, f"{match.judged:.3f}{taken}{alike}", colour)
        _write_places(strip, row, column, match, answer.roots)
    return strip


def _others(count: int, word: str) -> str:
    return f" + {count:,} {word}" if count else ""


def _corner(row: int, column: int) -> tuple[int, int]:
    """Left and top of a tile; the matches stand a little apart from the query."""
    left = _GAP + column * (_TILE + _GAP) + (_GAP if column else 0)
    return left, _GAP + row * _STRIP


def _place_tile(strip: Pixels, row: int, column: int, tile: Pixels) -> None:
    left, top = _corner(row, column)
    strip[top : top + _TILE, left : left + _TILE] = tile


def _write_caption(strip: Pixels, row: int, column: int, name: str, below: str, colour: Colour) -> None:
    """Writes a name under a tile, and under the name something else in this colour."""
    left, top = _corner(row, column)
    put_text(strip, printable(name), (left, top + _TILE + 18), INK, 15, _TILE)
    put_text(strip, below, (left, top + _TILE + 36), colour, 14, _TILE)


def _write_places(strip: Pixels, row: int, column: int, match: Match, roots: Sequence[str]) -> None:
    """Writes below a caption the end of the folder that the photo is in, and where a name stands above, its file."""
    left, top = _corner(row, column)
    folder, name = os.path.split(match.photo)
    shown = name if match.label else ""
    root = max((r for r in roots if is_under(folder, r)), key=len, default="")
    inside = os.path.join(*parts_inside(folder, os.path.dirname(root))) if root else folder  # noqa: PTH118, PTH120
    lines = [line for line in (shown, inside) if line]
    for i, line in enumerate(lines, 2):
        at = left, top + _TILE + _LINE * (i + 1)
        put_text(strip, printable(line), at, FAINT, 13, _TILE, keeps_end=line == inside)
