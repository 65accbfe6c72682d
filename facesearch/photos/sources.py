"""What can be asked of a place that is read over a network, and what it answers."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A photo's object: its address, size in bytes, when it was written, in nanoseconds and whole seconds, and a
    number that another content would change, 0 where there is none."""

    path: str
    size: int
    mtime_ns: int
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """Some bytes of an object, the size of all of it, and the number that another content would change."""

    data: bytes
    size: int
    tag: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the place at which it goes on; None at its end."""

    entries: list[Entry]
    place: object = None


class Source(Protocol):
    """What lies behind addresses of one scheme. `inside` is an address without it. All raise OSError."""

    def holds(self, inside: str) -> bool:
        """Whether anything lies in a folder or below it; what only stands for a folder is nothing."""

    def file(self, inside: str) -> Entry | None:
        """What lies at this very address; None where nothing does, or a folder."""

    def page(self, inside: str, is_deep: bool, place: object = None) -> Page:
        """A part of what lies in a folder and below it, or without `is_deep` in the folder itself: the first one, or
        the one at the place that the page before gave. All together are in the order of their names."""

    def read(self, inside: str, start: int, end: int) -> Read:
        """The bytes from `start` up to `end`, fewer where it is shorter."""


def holds_something(source: Source, inside: str) -> bool:
    """Whether the pages of a folder have an entry: they are looked through until one has. Raises OSError."""
    place: object = None
    while True:
        page = source.page(inside, True, place)
        if page.entries or page.place is None or page.place == place:
            return bool(page.entries)
        place = page.place
