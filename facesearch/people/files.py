"""What the files around a photo say of the people in it: its own XMP, its sidecars, and Picasa's list."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from facesearch.errors import PhotoError
from facesearch.people import picasa
from facesearch.people.packet import MOST_BYTES
from facesearch.people.parsing_process import Parsers
from facesearch.people.regions import Region
from facesearch.people.xmp import Described
from facesearch.photos import formats
from facesearch.photos.file import open_regular
from facesearch.photos.packets import noted_in

_ENDING = ".xmp"
_WORTH_A_LOOK = (b"Region", b"People", b"PersonInImage", b"\0")  # the last: a packet that is not in UTF-8


@dataclass(frozen=True, slots=True)
class Source:
    """Whom a photo shows as its files say, and the EXIF orientation, 1 to 8, in which it is stored. `reasons` say
    which of the files could not be read, and why."""

    described: Described
    orientation: int = 1
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Folders:
    """Reads what other programs wrote, each folder's list of files once. A sidecar that names anybody counts for all:
    the program that keeps it may never touch the photo, whose own XMP is then an older one. Picasa's list counts
    where there is no other. `nameless` is how many of its faces have contacts whose names it keeps elsewhere."""

    parsers: Parsers
    nameless: int = 0
    _names: dict[str, dict[str, str]] = field(default_factory=dict)
    _picasa: dict[str, dict[str, tuple[Region, ...]]] = field(default_factory=dict)

    def read(self, photo: str) -> Source:
        """All of it for one photo. Raises OSError and PhotoError where the photo itself cannot be read."""
        noted = noted_in(photo)
        reasons: list[str] = []
        found = [self._described((data,), reasons) for _, data in self.sidecars(photo)]
        found = [each for each in found if is_for_photo(each, photo)]
        chosen = next((each for each in found if each.names_people), None)
        if chosen is None:
            chosen = self._described(noted.packets, reasons)
        if not chosen.names_people and (listed := self._of_picasa(photo)):
            chosen = Described(listed)
        return Source(chosen, noted.orientation, tuple(reasons))

    def sidecars(self, photo: str) -> list[tuple[Path, bytes]]:
        """The sidecars that a photo may have, with their bytes: NAME.jpg.xmp first, then NAME.xmp. Raises OSError
        where its folder cannot be read."""
        folder, name = os.path.split(photo)
        there = self._files(folder)
        wanted = (name + _ENDING, os.path.splitext(name)[0] + _ENDING)
        paths = [Path(folder, there[each.lower()]) for each in wanted if each.lower() in there]
        return [(path, data) for path in dict.fromkeys(paths) if (data := _bytes_of(path)) is not None]

    def _described(self, packets: tuple[bytes, ...], reasons: list[str]) -> Described:
        packets = tuple(packet for packet in packets if any(word in packet for word in _WORTH_A_LOOK))
        if not packets:
            return Described()
        try:
            return self.parsers.described(packets)
        except PhotoError as error:
            reasons.append(error.reason)
            return Described()

    def _of_picasa(self, photo: str) -> tuple[Region, ...]:
        folder, name = os.path.split(photo)
        if folder not in self._picasa:
            there = self._files(folder)
            lists = (there[each.lower()] for each in picasa.FILES if each.lower() in there)
            data = next((data for each in lists if (data := _bytes_of(Path(folder, each)))), b"")
            self._picasa[folder], nameless = picasa.read(data)
            self.nameless += nameless
        regions = self._picasa[folder].get(name.lower(), ())
        if formats.is_named_raw(name):  # exiftool's picasa_faces.config: of these Picasa takes the upright picture
            return tuple(Region(region.name, region.box, is_upright=True) for region in regions)
        return regions

    def _files(self, folder: str) -> dict[str, str]:
        """The names of the files in a folder that may say something, by their small letters."""
        if folder not in self._names:
            with os.scandir(folder) as entries:
                names = [each.name for each in entries if each.name.lower().endswith((_ENDING, "picasa.ini"))]
            self._names[folder] = {name.lower(): name for name in sorted(names)}
        return self._names[folder]


def is_for_photo(described: Described, photo: str) -> bool:
    """Whether a sidecar is a photo's: NAME.xmp may belong to the raw photo beside it, and says so then."""
    ending = os.path.splitext(photo)[1].lstrip(".").lower()
    return described.is_for.lower() in ("", ending)


def _bytes_of(path: Path) -> bytes | None:
    """What a small file holds, with a byte more than is read where it is too large; None where it is not there."""
    try:
        with open_regular(str(path)) as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, PhotoError):
        return None
