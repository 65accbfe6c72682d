"""A camera's raw photo is seen by the largest JPEG that the camera put into it.

Makers lay out their files each in their own way, and all of them store such a JPEG in one piece, so it is found by
how a JPEG begins. Only its header is read here, and by Python alone."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

from facesearch.photos import formats, tiff
from facesearch.photos.orientation import stated_orientation

LARGE_ENOUGH = 1000  # pixels of a preview's longer side; a raw photo without one is developed
_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_CHUNK = 1 << 22  # bytes
_MOST_STARTS = 4096  # by chance there are three in 50 MB
_MOST_SEGMENTS = 64  # in the header of a JPEG
_FRAMES = (0xC0, 0xC1, 0xC2)  # those that are photos: sensors' data are stored in others (ITU T.81, table B.1)
_COLOURS = 3
_MORE_BYTES = 16_000_000  # of a preview, beside 4 a pixel
_CR3_NOTES, _CR3_NOTES_WITHIN = b"CMT1", 1 << 16  # the box in which a CR3 has what EXIF has in its first folder

Hear = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Preview:
    """A JPEG in a raw photo: its first byte, its first byte after the header, and its width and height."""

    start: int
    scan: int
    size: tuple[int, int]

    @property
    def is_large(self) -> bool:
        """Whether it serves in place of the photo."""
        return max(self.size) >= LARGE_ENOUGH


def largest_preview(file: BinaryIO, hear: Hear = lambda _: None) -> Preview | None:
    """The JPEG of most pixels in a raw photo; None where there is none. `hear` gets all of the file on the way, in
    order. Raises OSError."""
    starts = list(_starts(file, hear))
    of_sensor = _sensor_data(file)
    found = [preview for at in starts if at not in of_sensor and (preview := _preview_at(file, at))]
    return max(found, key=lambda preview: prod(preview.size), default=None)


def as_jpeg(file: BinaryIO, preview: Preview) -> bytes:
    """The preview as a file of its own, which tells how it is to be turned. Raises OSError."""
    data = _through_its_end(file, preview)
    if stated_orientation(data, "JPEG"):
        return data
    turned = _orientation(file)
    return data[:2] + _exif_with(turned) + data[2:] if turned else data


def preview_of(data: bytes) -> bytes:
    """The large preview of a raw photo, as a JPEG; the data themselves where they are no raw photo, or have none."""
    if not is_raw(data):
        return data
    file = io.BytesIO(data)
    preview = largest_preview(file)
    return as_jpeg(file, preview) if preview and preview.is_large else data


def is_raw(data: bytes) -> bool:
    """Whether these are the bytes of a raw photo, as they tell by themselves."""
    kind = formats.format_of(data[: formats.HEAD])
    return kind == "RAW" or (kind == "TIFF" and formats.is_raw(io.BytesIO(data)))


def _starts(file: BinaryIO, hear: Hear) -> Iterator[int]:
    """Where something begins as a JPEG does; of a file that is made of such beginnings, the first ones."""
    file.seek(0)
    at, kept, count = 0, b"", 0
    while chunk := file.read(_CHUNK):
        hear(chunk)
        seen = kept + chunk
        place = seen.find(_START)
        while place >= 0 and count < _MOST_STARTS:
            yield at - len(kept) + place
            count += 1
            place = seen.find(_START, place + 1)
        at, kept = at + len(chunk), seen[-(len(_START) - 1) :]


def _sensor_data(file: BinaryIO) -> frozenset[int]:
    """Where strips and tiles of what the sensor saw begin: a DNG may store these as JPEGs, too."""
    try:
        of_sensor = [folder for folder in tiff.folders(file) if folder.is_of_a_sensor]
    except (ValueError, OverflowError):
        return frozenset()
    return frozenset(
        at for each in of_sensor for tag in (tiff.STRIPS, tiff.TILES) for at in each.numbers.get(tag, ())
    )


def _preview_at(file: BinaryIO, start: int) -> Preview | None:
    """The JPEG of three colours that begins at this place, if one does."""
    at, size = start + 2, (0, 0)
    for _ in range(_MOST_SEGMENTS):
        file.seek(at)
        segment = file.read(10)
        if len(segment) < 10 or segment[0] != 0xFF:
            return None
        marker, length = segment[1], int.from_bytes(segment[2:4], "big")
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            return Preview(start, at + 2 + length, size) if all(size) else None
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if marker not in _FRAMES or segment[4] != 8 or segment[9] != _COLOURS:
                return None
            size = int.from_bytes(segment[7:9], "big"), int.from_bytes(segment[5:7], "big")
        elif marker < 0xC0 or length < 2:
            return None
        at += 2 + length
    return None


def _through_its_end(file: BinaryIO, preview: Preview) -> bytes:
    """A preview's bytes: to its mark of the end or, where the file is cut off, as far as they are there."""
    file.seek(preview.start)
    data = bytearray(file.read(preview.scan - preview.start))
    most = len(data) + 4 * prod(preview.size) + _MORE_BYTES
    after = len(data)
    while len(data) < most and (chunk := file.read(_CHUNK)):
        data += chunk
        end = data.find(_END, after)
        if end >= 0:
            return bytes(data[: end + len(_END)])
        after = len(data) - 1
    return bytes(data)


def _orientation(file: BinaryIO) -> int:
    """How the camera was held, 1 to 8; 0 where the file does not tell. A RAF tells it in its JPEG alone."""
    file.seek(0)
    head = file.read(_CR3_NOTES_WITHIN)
    notes = head.find(_CR3_NOTES)
    start = notes + len(_CR3_NOTES) if head[4:8] == b"ftyp" and notes >= 0 else 0
    try:
        folder = next(tiff.folders(file, start), None)
    except (ValueError, OverflowError):
        return 0
    orientation = folder.number(tiff.ORIENTATION) if folder else 0
    return orientation if 1 <= orientation <= 8 else 0


def _exif_with(orientation: int) -> bytes:
    """A block of EXIF, as a segment of a JPEG, that says this and nothing else."""
    entry = b"".join(number.to_bytes(2, "big") for number in (tiff.ORIENTATION, 3, 0, 1, orientation, 0))
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
