"""What the page keeps of the gallery: the version, which grows with every change, and the lists that were read."""

import time
from collections.abc import Sequence
from threading import Lock
from typing import Literal, TypeAlias

from facesearch.gallery.freshness import Stamp
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.people_records import FaceOf, PersonFacts

WhichPeople: TypeAlias = Literal["named", "groups", "strangers", "hidden"]
Lists: TypeAlias = dict[WhichPeople, list[PersonFacts]]


class State:
    """Of one gallery, as long as its page lives. May be asked from any thread."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, self._freshness = gallery, gallery.freshness()
        self._looking, self._reading = Lock(), Lock()
        self._stamp: Stamp | None = None
        self._version = 0
        self._people: tuple[int, Lists] = (0, {})

    def close(self) -> None:
        """Lets go of the database."""
        self._freshness.close()

    def version(self) -> int:
        """A number that grows with every change of the database, by whichever process, and from one start of the
        page to the next: it is the time of the change, in milliseconds, or follows it."""
        with self._looking:
            stamp = self._freshness.stamp()
            if stamp != self._stamp:
                self._stamp, self._version = stamp, max(self._version + 1, time.time_ns() // 1_000_000)
            return self._version

    def people(self, which: WhichPeople, first: int, n: int) -> tuple[int, int, Sequence[PersonFacts]]:
        """The version, how many people a list has, and n of them from the one with this number, counted from 0."""
        version, lists = self._lists()
        found = lists.get(which, [])
        return version, len(found), found[first : first + n]

    def _lists(self) -> tuple[int, Lists]:
        with self._reading:  # one thread reads them, and the others wait for what it finds
            version = self.version()  # before they are read: what changes meanwhile makes them old
            if version != self._people[0]:
                self._people = version, _lists_of(self._gallery.people())
            return self._people

    def faces_alone(self, first: int, n: int) -> tuple[int, int, Sequence[FaceOf]]:
        """The version, how many faces are nobody's, and n of them from the one with this number."""
        version = self.version()
        return version, *self._gallery.alone(first, n)


def _lists_of(people: Sequence[PersonFacts]) -> Lists:
    lists: Lists = {}
    for each in people:
        lists.setdefault(_list_of(each), []).append(each)
    return lists


def _list_of(person: PersonFacts) -> WhichPeople:
    if person.hidden:
        return "hidden"
    if person.kind == "stranger":
        return "strangers"
    return "named" if person.name else "groups"
