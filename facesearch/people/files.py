"""What the files around a photo say of the people in it: its own XMP, its sidecars, and Picasa's list."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from facesearch.errors import PhotoError
from facesearch.people import picasa
from facesearch.people.packet import MOST_BYTES
from facesearch.people.parsing_process import Parsers
from facesearch.people.regions import LEAST_OVERLAP, Region, overlap
from facesearch.people.xmp import MOST, Described
from facesearch.photos import formats
from facesearch.photos.file import open_regular
from facesearch.photos.packets import noted_in
from facesearch.photos.places import examined, names_in

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
    """Reads what other programs wrote, each folder's list of files once. Of a photo and its sidecars the one that was
    written last counts first, and the others add who is elsewhere in the photo. Picasa's list counts where nobody
    else is named. `nameless` is how many of its faces have contacts whose names it keeps elsewhere."""

    parsers: Parsers
    nameless: int = 0
    _names: dict[str, dict[str, str]] = field(default_factory=dict)
    _picasa: dict[str, dict[str, tuple[Region, ...]]] = field(default_factory=dict)

    def read(self, photo: str) -> Source:
        """All of it for one photo. Raises OSError and PhotoError where the photo itself cannot be read."""
        noted = noted_in(photo)
        reasons: list[str] = []
        found = [(_written(path), self._described((data,), reasons)) for path, data in self._beside(photo)]
        found = [each for each in found if is_for_photo(each[1], photo)]
        found.append((_written(photo), self._described(noted.packets, reasons)))
        found.sort(key=lambda each: -each[0])
        chosen = combined([each for _, each in found])
        if not chosen.names_people and (listed := self._of_picasa(photo)):
            chosen = Described(listed)
        return Source(chosen, noted.orientation, tuple(reasons))

    def sidecars(self, photo: str) -> list[tuple[Path, bytes]]:
        """The sidecars that a photo of this machine may have, with their bytes: NAME.jpg.xmp first, then NAME.xmp.
        Raises OSError where its folder cannot be read."""
        return [(Path(path), data) for path, data in self._beside(photo)]

    def _beside(self, photo: str) -> list[tuple[str, bytes]]:
        folder, name = os.path.split(photo)
        there = self._files(folder)
        wanted = (name + _ENDING, os.path.splitext(name)[0] + _ENDING)
        paths = [os.path.join(folder, there[each.lower()]) for each in wanted if each.lower() in there]
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
            data = next((data for each in lists if (data := _bytes_of(os.path.join(folder, each)))), b"")
            self._picasa[folder], nameless = picasa.read(data)
            self.nameless += nameless
        regions = self._picasa[folder].get(name.lower(), ())
        if formats.is_named_raw(name):  # exiftool's picasa_faces.config: of these Picasa takes the upright picture
            return tuple(Region(region.name, region.box, is_upright=True) for region in regions)
        return regions

    def _files(self, folder: str) -> dict[str, str]:
        """The names of the files in a folder that may say something, by their small letters."""
        if folder not in self._names:
            names = [name for name in names_in(folder) if name.lower().endswith((_ENDING, "picasa.ini"))]
            self._names[folder] = {name.lower(): name for name in sorted(names)}
        return self._names[folder]


def combined(found: Sequence[Described]) -> Described:
    """Whom several packets name: of two regions in one place, or of one person, that of the earlier one."""
    regions: list[Region] = []
    free: dict[str, None] = {}
    for each in found:
        before = tuple(regions)
        taken = {region.name for region in before}
        for region in each.regions:
            if region.name in taken or any(overlap(region.box, other.box) >= LEAST_OVERLAP for other in before):
                taken.add(region.name)  # also where it has no place: it is the older name of somebody
            else:
                regions.append(region)
        free |= dict.fromkeys(name for name in each.names if name not in taken)
    placed = {region.name for region in regions}
    return Described(tuple(regions[:MOST]), tuple(name for name in free if name not in placed)[:MOST])


def _written(path: str) -> int:
    """When a file was written last, in nanoseconds."""
    with suppress(OSError):
        return examined(path).mtime_ns
    return 0


def is_for_photo(described: Described, photo: str) -> bool:
    """Whether a sidecar is a photo's: NAME.xmp may belong to the raw photo beside it, and says so then."""
    ending = os.path.splitext(photo)[1].lstrip(".").lower()
    return described.is_for.lower() in ("", ending)


def _bytes_of(path: str) -> bytes | None:
    """What a small file holds, with a byte more than is read where it is too large; None where it is not there."""
    try:
        with open_regular(path) as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, PhotoError):
        return None
