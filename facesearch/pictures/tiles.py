"""Faces cut out of their photos as small square pictures, and text beside them: what every sheet is made of."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.geometry.face import Box
from facesearch.geometry.squares import Colour, cut_square, square_about
from facesearch.photos.encoding import enough_for
from facesearch.photos.file import PhotoFile, load_named_photo
from facesearch.photos.header import header_size
from facesearch.photos.pool import Decoders
from facesearch.photos.view import Decode

PAPER = (255, 255, 255)
INK = (34, 34, 34)
FAINT = (128, 128, 128)
SAME = (24, 128, 72)
UNSURE = (176, 84, 0)
EMPTY = (232, 232, 232)

AROUND = 0.35  # of the box's longer side is shown on each side of the box
_AT_ONCE = 2  # photos that are decoded at the same time


@dataclass(frozen=True, slots=True)
class FacePlace:
    """Where a face is: the path of its photo, and its box in pixels of the whole photo."""

    photo: str
    box: Box


class Cutter:
    """Cuts faces out of photos, which are decoded in processes of their own; for one caller at a time."""

    def __init__(self) -> None:
        self._decoders = Decoders(_AT_ONCE)
        self._threads = ThreadPoolExecutor(_AT_ONCE)

    def __enter__(self) -> "Cutter":
        return self

    def __exit__(self, *_: object) -> None:
        self._decoders.stop()
        self._threads.shutdown(cancel_futures=True)
        self._decoders.__exit__(None, None, None)

    def cut(self, faces: Sequence[FacePlace], side: int, around: float = AROUND) -> list[Pixels]:
        """Each face with a little around it, (side, side, 3), RGB, in order; an empty tile where the photo cannot be
        read any more. A photo is decoded once for all its faces, and no larger than they need. `around` is the share
        of the box's longer side that is shown on each side of it."""
        by_photo: dict[str, list[int]] = {}
        for i, face in enumerate(faces):
            by_photo.setdefault(face.photo, []).append(i)
        tiles: list[Pixels] = [empty_tile(side)] * len(faces)

        def cut(photo: str) -> None:
            wanted = by_photo[photo]
            squares = [square_about(faces[i].box, around) for i in wanted]
            for i, tile in zip(wanted, _cut(photo, squares, side, self._decoders.decode), strict=True):
                tiles[i] = tile

        for _ in self._threads.map(cut, by_photo):
            pass
        return tiles


def cut_face(face: FacePlace, side: int, decode: Decode) -> Pixels:
    """The tile of one face."""
    return _cut(face.photo, [square_about(face.box, AROUND)], side, decode)[0]


def empty_tile(side: int) -> Pixels:
    """A tile on which there is no face."""
    return np.full((side, side, 3), EMPTY, np.uint8)


def put_text(
    sheet: Pixels, text: str, at: tuple[int, int], ink: Colour, size: int, width: int, keeps_end: bool = False
) -> None:
    """Writes text in OpenCV's own font, which has Latin, Greek, Cyrillic and Chinese letters; cut to this width in
    pixels, at its end or else at its beginning."""
    font = cv2.FontFace("uni")
    shown = text
    while len(shown) > 1 and _text_width(shown, font, size) > width:
        text = text[1:] if keeps_end else text[:-1]
        shown = f"...{text.lstrip()}" if keeps_end else f"{text.rstrip()}..."
    cv2.putText(sheet, shown, at, ink, font, size)


def _text_width(text: str, font: cv2.FontFace, size: int) -> int:
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), font, size)
    return int(left + width)


def _cut(photo: str, squares: Sequence[Box], side: int, decode: Decode) -> list[Pixels]:
    """These squares of one photo."""
    try:
        data = load_named_photo(PhotoFile(photo, 0, 0)).data
        view = decode(data, enough_for(squares, side, header_size(data)))
    except PhotoError:
        return [empty_tile(side)] * len(squares)
    return [cut_square(view.pixels, view.shrink, square, side, EMPTY) for square in squares]
