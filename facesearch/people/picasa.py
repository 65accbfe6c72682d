"""The faces that Picasa noted in a folder's .picasa.ini, and their names."""

import re
from collections.abc import Iterator

from facesearch.people.regions import Region
from facesearch.people.xmp import LONGEST_NAME, MOST, NOBODY, box_around

FILES = (".picasa.ini", "Picasa.ini", "picasa.ini")
MOST_BYTES = 10_000_000
_FACE = re.compile(r"rect64\(([0-9a-fA-F]{1,16})\),([0-9a-fA-F]{1,16})")
_WHOLE = 0xFFFF  # a side of the picture
_CONTACTS = "contacts2"  # contacts without the 2, of older versions, have no names


def read(data: bytes) -> tuple[dict[str, tuple[Region, ...]], int]:
    """The regions of each photo of the folder, by its name in small letters, and how many have no name here: Picasa
    keeps those of its contacts elsewhere. Never raises: lines that make no sense are passed over."""
    sections = _sections(data[:MOST_BYTES])
    people = dict(_contacts(sections.get(_CONTACTS, {})))
    regions: dict[str, tuple[Region, ...]] = {}
    nameless = 0
    for photo, entries in sections.items():
        faces = _FACE.findall(entries.get("faces", ""))[:MOST]
        named = [
            (people.get(contact.lower().lstrip("0"), ""), rect)
            for rect, contact in faces
            if contact.lower() != NOBODY
        ]
        nameless += sum(not name for name, _ in named)
        found = tuple(region for name, rect in named if name and (region := _region(name, rect)))
        if found:
            regions[photo] = found
    return regions, nameless


def _sections(data: bytes) -> dict[str, dict[str, str]]:
    """The lines of each [section], split at the first =."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1].lower(), {})
        elif "=" in line:
            key, _, value = line.partition("=")
            current[key.strip().lower()] = value.strip()
    return sections


def _contacts(entries: dict[str, str]) -> Iterator[tuple[str, str]]:
    for contact, value in entries.items():
        name = value.partition(";")[0].strip()
        if name and len(name) <= LONGEST_NAME:
            yield contact.lstrip("0"), name


def _region(name: str, digits: str) -> Region | None:
    """Four numbers of 16 bits: left, top, right and bottom; leading zeros are left out."""
    whole = digits.zfill(16)
    left, top, right, bottom = (int(whole[i : i + 4], 16) / _WHOLE for i in range(0, 16, 4))
    box = box_around((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    return Region(name, box) if box else None
