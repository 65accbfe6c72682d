"""What the page keeps of the gallery: the version, which grows with every change, and the lists that were read."""

import time
from collections.abc import Sequence
from contextlib import closing
from threading import Lock, Thread

from facesearch.gallery.gallery import Gallery
from facesearch.gallery.records.people import FaceOf, PersonFacts
from facesearch.gallery.tables.freshness import Stamp
from facesearch.web.kept_people import KeptPeople
from facesearch.web.people_lists import WhichPeople

_PEOPLE_KEPT = 8  # people whose faces are kept: those that somebody scrolls through


class State:
    """Of one gallery, as long as its page lives. May be asked from any thread."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery, self._freshness, self._looking = gallery, gallery.freshness(), Lock()
        self._stamp: Stamp | None = None
        self._version = 0
        self._people = KeptPeople(gallery, self.version, self._grown)
        self.names = gallery.likely_names()
        self._alone: tuple[int, list[int]] = (0, [])
        self._faces: tuple[int, dict[int, list[FaceOf]]] = (0, {})

    def read_ahead(self) -> None:
        """Begins to read what the first page will show."""
        Thread(target=self._people.read_ahead, name="people-first", daemon=True).start()

    def close(self) -> None:
        """Lets go of the database."""
        with closing(self._freshness):
            self._people.close()

    def version(self) -> int:
        """A number that grows with every change of the database, by whichever process, and from one start of the
        page to the next: it is the time of the change, in milliseconds, or follows it."""
        with self._looking:
            stamp = self._freshness.stamp()
            if stamp != self._stamp:
                self._stamp, self._version = stamp, self._next()
            return self._version

    def _grown(self) -> int:
        """Another version of the same database: what was said of it so far was not all."""
        with self._looking:
            self._version = self._next()
            return self._version

    def _next(self) -> int:
        return max(self._version + 1, time.time_ns() // 1_000_000)

    def people(self, which: WhichPeople, first: int, n: int) -> tuple[int, int, Sequence[PersonFacts]]:
        """The version, how many people a list has, and n of them from the one with this number, counted from 0."""
        return self._people.part(which, first, n)

    def faces_alone(self, first: int, n: int) -> tuple[int, int, Sequence[FaceOf]]:
        """The version, how many faces are nobody's, and n of them from the one with this number; of the best quality
        first."""
        version = self.version()  # before they are read: what changes meanwhile makes them old
        if version != self._alone[0]:
            self._alone = version, self._gallery.faces_alone()
        ids = self._alone[1]
        return version, len(ids), self._gallery.faces_there(ids[first : first + n])

    def faces_of(self, person: int, first: int, n: int) -> tuple[int, int, Sequence[FaceOf]]:
        """The version, how many faces a person has, and n of them from the one with this number; the least sure
        last. Raises UnknownPersonError."""
        version = self.version()
        if version != self._faces[0]:
            self._faces = version, {}
        kept = self._faces[1]
        found = kept.get(person)
        if found is None:
            found = self._gallery.faces_of(person)
            if len(kept) >= _PEOPLE_KEPT:
                kept.clear()
            kept[person] = found
        return version, len(found), found[first : first + n]
