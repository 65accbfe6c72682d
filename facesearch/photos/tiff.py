"""The folders of tags in a TIFF: of a scan, of a block of EXIF, and of most cameras' raw photos."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

# Numbers of tags in TIFF 6.0, TIFF/EP, EXIF and DNG.
SUBFILE, PHOTOMETRIC, STRIPS, ORIENTATION, TILES, SUB_FOLDERS = 254, 262, 273, 274, 324, 330
EXIF, DNG_VERSION, TAKEN = 34665, 50706, 36867
SENSOR = (32803, 34892)  # photometric: a colour filter array, and linear raw

_MAGIC = (42, 0x55, 0x4F52, 0x5352)  # TIFF, Panasonic's, and both of Olympus
_WIDE = 43  # BigTIFF
_MOST_FOLDERS, _MOST_TAGS = 16, 512  # that are read, at most
_MOST_VALUES = {STRIPS: 4096, TILES: 4096}  # of a tag, 4 of any other
_SIZES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of an integer, by TIFF type
_SIGNED = (6, 8, 9, 17)
_TEXT, _LONGEST_TEXT = 2, 64

Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class Folder:
    """The first whole numbers under each tag, and the texts."""

    numbers: dict[int, list[int]]
    texts: dict[int, bytes]

    def number(self, tag: int, otherwise: int = 0) -> int:
        """The first number under a tag."""
        return self.numbers.get(tag, [otherwise])[0]

    @property
    def is_of_a_sensor(self) -> bool:
        """Whether its picture is what a camera's sensor saw."""
        return self.number(PHOTOMETRIC) in SENSOR


def folders(file: BinaryIO, start: int = 0) -> Iterator[Folder]:
    """The folders of a TIFF that begins at `start`, the first one first, each with those beneath it; none where no
    TIFF begins there. At most 16 are read, and 512 tags of each. Raises OSError, ValueError or OverflowError for a
    damaged one."""
    file.seek(start)
    head = file.read(16)
    order: Order = "little" if head[:2] == b"II" else "big"
    magic = int.from_bytes(head[2:4], order)
    if head[:2] not in (b"II", b"MM") or magic not in (*_MAGIC, _WIDE):
        return
    reader = _Reader(file, start, order, 8 if magic == _WIDE else 4)
    waiting = [int.from_bytes(head[reader.wide : 2 * reader.wide], order)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_FOLDERS:
        at = waiting.pop(0)
        if at and at not in seen:
            seen.add(at)
            folder, following = reader.folder(at)
            yield folder
            beneath = (number for tag in (SUB_FOLDERS, EXIF) for number in folder.numbers.get(tag, ()))
            waiting += [*beneath, following]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads folders of one TIFF, whose offsets count from `start` and take `wide` bytes."""

    file: BinaryIO
    start: int
    order: Order
    wide: int

    def folder(self, at: int) -> tuple[Folder, int]:
        """The folder at this place, and the place of the next (0 after the last)."""
        count_size, entry = (8, 20) if self.wide == 8 else (2, 12)
        self.file.seek(self.start + at)
        count = self._number(self.file.read(count_size))
        listed = self.file.read(entry * min(count, _MOST_TAGS))
        following = self._number(self.file.read(self.wide)) if count <= _MOST_TAGS else 0
        found = Folder({}, {})
        for place in range(0, len(listed) - entry + 1, entry):
            self._tag(listed[place : place + entry], found)
        return found, following

    def _tag(self, entry: bytes, into: Folder) -> None:
        tag, kind = self._number(entry[:2]), self._number(entry[2:4])
        values = self._number(entry[4 : 4 + self.wide])
        if kind == _TEXT:
            into.texts.setdefault(tag, self._data(entry, values, min(values, _LONGEST_TEXT)).rstrip(b"\0"))
        size = _SIZES.get(kind, 0)
        if not size or not values:
            return
        wanted = size * min(values, _MOST_VALUES.get(tag, 4))
        data = self._data(entry, size * values, wanted)[:wanted]
        numbers = [self._number(data[i : i + size], kind in _SIGNED) for i in range(0, len(data), size)]
        if numbers:
            into.numbers.setdefault(tag, numbers)

    def _data(self, entry: bytes, length: int, wanted: int) -> bytes:
        """The first bytes of a tag's data: they stand in its entry where they fit into it."""
        data = entry[4 + self.wide :]
        if length <= self.wide:
            return data[:length]
        self.file.seek(self.start + self._number(data))
        return self.file.read(wanted)

    def _number(self, data: bytes, signed: bool = False) -> int:
        return int.from_bytes(data, self.order, signed=signed)
