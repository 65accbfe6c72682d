"""Pictures for a browser: a photo in a size that a screen shows, and squares about faces, made anew as WebP of its
pixels alone. Nothing of the photo's file is in them: no EXIF, no place, no profile, no other file behind it."""

import io
import math
from collections.abc import Sequence

from PIL import Image

from facesearch.arrays import Pixels
from facesearch.geometry.face import Box
from facesearch.geometry.scaling import shrunk
from facesearch.geometry.squares import cut_square, square_inside
from facesearch.photos import raw
from facesearch.photos.colours import to_srgb
from facesearch.photos.header import announced_size
from facesearch.photos.view import View, decode_view

FACE_SIDE = 112  # pixels: of the faces of a list
LEAST_SIDE, MOST_FACE_SIDE, MOST_PHOTO_SIDE = 16, 512, 2048  # pixels
AROUND = 0.3  # of a face's longer side is shown on each side of it
_QUALITY = 75  # of 100: a face of 112 pixels has 1.7 KB on average
_FASTEST = 0  # of WebP's methods; the most careful one takes five times as long for a fifth of the bytes
_SHARPER = 1.3  # times as many pixels as a square has are decoded: decoders round sizes, and it is then never soft
# Pixels of a photo whose pictures are made while it is indexed, and how many: of 12 megapixels they take 1.5 % of the
# run, and would take 7 % of one over LFW, whose photos are decoded again as fast as pictures are made.
LARGE_ENOUGH, _MOST_WHILE_INDEXING = 1_000_000, 10
_SHARP_ENOUGH = 0.9  # of a picture's pixels are those of the photo: less is seen to be soft
_EMPTY = (128, 128, 128)
_HEAD = 20  # bytes of a WebP before those of its picture


def face_pictures(data: bytes, boxes: Sequence[Box], side: int, max_megapixels: float) -> list[bytes]:
    """The faces with these boxes, in pixels of the whole photo, each as a square WebP of this side. The photo is
    decoded once, and no larger than they need. Raises PhotoError."""
    announced = announced_size(raw.preview_of(data))
    squares = [square_inside(box, AROUND, announced) for box in boxes] if all(announced) else []
    view = decode_view(data, enough_for(squares, side, announced), max_megapixels)
    convert = to_srgb(raw.preview_of(data))
    return [encode(convert(_face(view, square_inside(box, AROUND, view.size), side))) for box in boxes]


def pictures_of_view(view: View, boxes: Sequence[Box]) -> tuple[bytes, ...]:
    """The first faces with these boxes in a photo that is decoded already, each as a square WebP in the size of a
    list; none of a small photo, nor of one whose colours a profile changes, and an empty one of a face that would be
    sharper in a larger version."""
    if math.prod(view.size) < LARGE_ENOUGH or view.has_profile:
        return ()
    squares = [square_inside(box, AROUND, view.size) for box in boxes[:_MOST_WHILE_INDEXING]]
    least = _SHARP_ENOUGH * FACE_SIDE * max(view.shrink) if view.data else 0
    return tuple(encode(_face(view, each, FACE_SIDE)) if each.right - each.left >= least else b"" for each in squares)


def photo_picture(data: bytes, side: int, max_megapixels: float) -> bytes:
    """A photo as WebP whose longest side is at most `side`. Raises PhotoError."""
    pixels = fitted(decode_view(data, side, max_megapixels).pixels, side)
    return encode(to_srgb(raw.preview_of(data))(pixels))


def enough_for(squares: Sequence[Box], side: int, announced: tuple[int, int]) -> int:
    """How many pixels the longer side of a photo of this width and height must have when it is decoded for squares
    of it that are to have this side, 0 for all."""
    smallest = min((square.right - square.left for square in squares), default=0.0)
    share = _SHARPER * side / smallest if smallest else 1.0
    return 0 if share >= 1 else math.ceil(max(announced) * share)


def fitted(pixels: Pixels, side: int) -> Pixels:
    """A photo whose longest side is at most `side`."""
    height, width = pixels.shape[:2]
    share = side / max(width, height)
    if share >= 1:
        return pixels
    return shrunk(pixels, (max(1, round(width * share)), max(1, round(height * share))))


def encode(pixels: Pixels) -> bytes:
    """RGB pixels as WebP."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=_QUALITY, method=_FASTEST)
    return file.getvalue()


def pictures_in(data: bytes) -> list[bytes]:
    """The pictures that lie one after the other in a decoder's reply, and up to two bytes after them. Raises
    ValueError for what is not exactly that: each is WebP with one picture and nothing else, as `encode`
    writes it."""
    found = []
    at = 0
    while len(data) - at > 2:
        length = _length_of_picture(data[at : at + _HEAD])
        found.append(data[at : at + length])
        if len(found[-1]) < length:
            raise ValueError("a picture is cut off")
        at += length
    return found


def is_picture(data: object) -> bool:
    """Whether this is one picture, whole, as `encode` writes it."""
    try:
        return isinstance(data, bytes) and _length_of_picture(data[:_HEAD]) == len(data)
    except ValueError:
        return False


def _face(view: View, square: Box, side: int) -> Pixels:
    return cut_square(view.pixels, view.shrink, square, side, _EMPTY)


def _length_of_picture(head: bytes) -> int:
    """The bytes of a WebP by its first ones. Raises ValueError for any other file, and for one that holds more."""
    riff, length, webp, chunk = head[:4], head[4:8], head[8:16], head[16:20]
    whole = int.from_bytes(length, "little") + 8
    inner = int.from_bytes(chunk, "little")
    if (riff, webp) != (b"RIFF", b"WEBPVP8 ") or whole != _HEAD + inner + inner % 2:
        raise ValueError("it is not a picture of ours")
    return whole
