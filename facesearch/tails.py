"""How much of a JPEG is there when its end is missing."""

import io
import os
import re
from collections.abc import Iterator

from PIL import Image

END = b"\xff\xd9"
_ONES = b"\xff\0" * 16  # bits that no JPEG has as a code: the last codes before them are read all the same
_ZEROS = 16  # bytes at the end of a picture's data; an encoder does not write so many
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_LUMA = range(64)  # coefficients


def completed(data: bytes) -> bytes:
    """The file, with an end where it has none: decoders then take what is there."""
    scan = _scan(data)
    if not scan or _end(data, scan) >= 0:
        return data
    return _without_zeros(data, len(data)) + END


def share(data: bytes, ends_flat: bool) -> float:
    """Which part of a JPEG's rows is there, 0 to 1. `ends_flat` says that its last pixels are of one colour, as
    decoders leave what is missing: without it, and with an end, it is taken as whole."""
    scan = _scan(data)
    if not scan:
        return 1.0
    end = _end(data, scan)
    passes = list(_passes(data)) if _has_passes(data, scan) else []
    if passes:
        return _share_of_passes(passes)
    stop = len(data) if end < 0 else end
    body = _without_zeros(data, stop)
    padded = stop - len(body) >= _ZEROS
    if end >= 0 and not ends_flat and not padded:
        return 1.0
    there = _rows(body)
    # A flat picture may need its zeros: all of them, and no more.
    if padded and end >= 0 and there < 1 and _rows(data[: stop - 8]) < 1 == _rows(data[:stop]):
        return 1.0
    return there


def _scan(data: bytes) -> int:
    """Where the picture's data begin, after the headers; 0 where they do not."""
    at = 2
    while 0 <= at < len(data) - 4:
        at = data.find(b"\xff", at)
        if at < 0:
            return 0
        marker = data[at + 1] if at + 1 < len(data) else 0
        if marker in (0, 1, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        at += 2 + length
        if marker == 0xDA:
            return at
    return 0


def _end(data: bytes, scan: int) -> int:
    """Where the mark of the picture's end is, -1 where it is missing."""
    return len(data) - 2 if data.endswith(END) and len(data) > scan else data.find(END, scan)


def _without_zeros(data: bytes, stop: int) -> bytes:
    body = data[:stop].rstrip(b"\0")
    return body[:-1] if body.endswith(b"\xff") else body


def _rows(body: bytes) -> float:
    """The part of the rows that decode, with noise where they are missing: the decoder leaves that untouched."""
    image = Image.open(io.BytesIO(body + _ONES))
    image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
    image.load_prepare()
    tiles, image.tile = image.tile, []
    noise = Image.frombytes(image.mode, (image.width, 1), os.urandom(image.width * len(image.getbands())))
    image.paste(noise.resize(image.size, Image.Resampling.NEAREST))
    image.tile = tiles
    try:
        image.load()
    except OSError:
        image.tile = []
    missing = noise.tobytes()
    rows = range(image.height)
    there = sum(image.crop((0, y, image.width, y + 1)).tobytes() != missing for y in rows)
    return there / image.height


def _has_passes(data: bytes, scan: int) -> bool:
    """Whether all of the picture is gone over several times (progressive)."""
    return re.search(rb"\xff[\xc2\xca]\0.", data[:scan], re.DOTALL) is not None


def _passes(data: bytes) -> Iterator[tuple[int, range, int]]:
    """The first component, the coefficients and the lowest bit of each pass that has begun."""
    at = 2
    while found := _MARKER.search(data, at):
        at = found.start()
        marker = data[at + 1]
        if marker == 0xD9:
            return
        if marker == 0xD8 or marker == 0x01:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            head = data[at + 4 : at + 2 + length]
            if len(head) == length - 2 and len(head) > 5:
                yield head[1], range(head[-3], head[-2] + 1), head[-1] & 15
        at += 2 + length


def _share_of_passes(passes: list[tuple[int, range, int]]) -> float:
    """All rows when every coefficient of the brightness was sent at least roughly before the last pass began; else
    the coefficients that were, as what is missing of them is missing in all rows."""
    luma = passes[0][0]
    seen = {k for component, band, _ in passes[:-1] if component == luma for k in band}
    return len(seen & set(_LUMA)) / len(_LUMA)
