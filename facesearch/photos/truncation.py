"""How much of a JPEG, a PNG or a WebP is there when its end is missing."""

import io
import os
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

END = b"\xff\xd9"
_ONES = b"\xff\0" * 16  # ones alone are never a code of a JPEG (ITU T.81, Annex C): what comes before them is read
_ZEROS = 16  # bytes at the end of a picture's data; an encoder does not write so many
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_AT_ONCE = 1 << 12  # bytes, so that little of what comes before the damage is lost
_LUMA = range(64)  # coefficients of a block of brightness, 8 x 8

_PNG_START = 8  # bytes before the first chunk
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by the type of colour
_MOST_ROWS = 1 << 20
_MOST_FILTER = 4  # the largest number of a row's filter (PNG specification, 9.2)


def completed_jpeg(data: bytes) -> bytes:
    """The file, with an end mark where it has none: decoders then take what is there."""
    scan = _scan(data)
    if not scan or _end(data, scan) >= 0:
        return data
    return _without_zeros(data, len(data)) + END


def share_of_rows(data: bytes, ends_flat: bool) -> float:
    """The share of a JPEG's rows that are there, 0 to 1. `ends_flat` says that its last pixels have the colour which
    decoders give to what is missing: without it, a JPEG with an end mark is taken as whole."""
    scan = _scan(data)
    if not scan:
        return 1.0
    end = _end(data, scan)
    stop = len(data) if end < 0 else end
    body = _without_zeros(data, stop)
    padded = stop - len(body) >= _ZEROS
    passes = list(_passes(data)) if _has_passes(data, scan) else []
    if passes:
        return 1.0 if end >= 0 and not padded and _are_all(passes) else _share_of_passes(passes)
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


def _are_all(passes: list[tuple[int, range, int]]) -> bool:
    """Whether every coefficient of the brightness was sent to its last bit: then, with an end, nothing is missing."""
    luma = passes[0][0]
    sent = {k for component, band, low in passes if component == luma and low == 0 for k in band}
    return sent >= set(_LUMA)


def _share_of_passes(passes: list[tuple[int, range, int]]) -> float:
    """1 when every coefficient of the brightness was sent at least roughly before the last pass began; else the share
    of coefficients that were, as what is missing of them is missing in all rows."""
    luma = passes[0][0]
    seen = {k for component, band, _ in passes[:-1] if component == luma for k in band}
    return len(seen & set(_LUMA)) / len(_LUMA)


def may_lack_detail(data: bytes) -> bool:
    """Whether a progressive JPEG has no end: all of it may have been sent once, and its last details not."""
    scan = _scan(data)
    return bool(scan) and _end(data, scan) < 0 and _has_passes(data, scan)


def completed_png(data: bytes) -> tuple[bytes, float]:
    """A PNG that was cut off, with rows of one colour in place of those that are missing, and which part of its rows
    is there, 0 to 1. Raises ValueError for one that cannot be completed, as where its rows come in several passes."""
    chunks = list(_png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise ValueError("it has no header")
    width, height, depth, colour, _, _, passes = struct.unpack(">IIBBBBB", chunks[0][1])
    if passes or colour not in _CHANNELS or height > _MOST_ROWS:
        raise ValueError("its rows cannot be counted")
    length = 1 + (width * _CHANNELS[colour] * depth + 7) // 8
    rows = _inflated((body for name, body in chunks if name == b"IDAT"), length * height)
    there = next((i for i in range(len(rows) // length) if rows[i * length] > _MOST_FILTER), len(rows) // length)
    packed = zlib.compress(rows[: there * length] + bytes((height - there) * length), 1)
    before = [chunk for chunk in chunks if chunk[0] in (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"cICP")]
    whole = (*before, (b"IDAT", packed), (b"IEND", b""))
    return data[:_PNG_START] + b"".join(_png_chunk(*chunk) for chunk in whole), there / height


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and body of each chunk that is whole, and what there is of the first that is not."""
    at = _PNG_START
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name, body, crc = (
            data[at + 4 : at + 8],
            data[at + 8 : at + 8 + length],
            data[at + 8 + length : at + 12 + length],
        )
        if crc != struct.pack(">I", zlib.crc32(name + body)):
            yield name, body.rstrip(b"\0")
            return
        yield name, body
        at += 12 + length


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _inflated(parts: Iterator[bytes], most: int) -> bytes:
    """What of packed data can be unpacked."""
    found = bytearray()
    unpacker = zlib.decompressobj()
    try:
        for part in parts:
            for at in range(0, len(part), _AT_ONCE):
                found += unpacker.decompress(part[at : at + _AT_ONCE], most - len(found) + 1)
                if len(found) >= most:
                    return bytes(found[:most])
    except zlib.error:  # what came before is sound: it is damaged from here on
        pass
    return bytes(found)


def ends_in_zeros(data: bytes) -> bool:
    """Whether the picture in a WebP ends in zeros, as where a file was made in its full length and never filled: an
    encoder's codes do not."""
    at, stop = 12, min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while at + 8 <= stop:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : min(at + 8 + length, stop)]
        if data[at : at + 4] in (b"VP8 ", b"VP8L") and body.endswith(bytes(_ZEROS)):
            return True
        at += 8 + length + length % 2
    return False
