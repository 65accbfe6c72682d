"""All people of a gallery, kept in order and up to date while it changes.

To read them takes up to half a second with 30,000 of them, too long to wait after each name that is given. What users
say stands in the log: of whom it is is read at once, and their rows are put in place of those that were kept. What
else has changed, as by a run of indexing, is found by a thread that reads all people in a pause; if that
is other than what was kept, it is a version of its own."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Condition, Thread

from facesearch.errors import FaceSearchError
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.records.people import PersonFacts
from facesearch.web.people_lists import PeopleLists, WhichPeople

_AT_ONCE_SECONDS = 0.05  # a gallery whose people are read in less is read anew after each change
_PAUSE_SECONDS = 0.5  # without a change, before all people are read in the background
_PATIENCE_SECONDS = 2.0  # for a pause, while change follows change, as while photos are indexed;
_SHARE = 8  # and of a large gallery so many times as long as to read all takes


class KeptPeople:
    """May be asked from any thread. `version` tells the database's version, and `grown` makes another one."""

    def __init__(self, gallery: Gallery, version: Callable[[], int], grown: Callable[[], int]) -> None:
        self._gallery, self._version, self._grown = gallery, version, grown
        self._lists, self._of_version, self._row = PeopleLists(()), 0, 0  # the row of the log up to which they hold
        self._seconds = 0.0  # that it took to read all
        self._changed = Condition()
        self._since: float | None = None  # when it began that not all may be known
        self._latest = 0.0  # when there was a change
        self._is_closed = False
        self._checker = Thread(target=self._check, name="people", daemon=True)

    def read_ahead(self) -> None:
        """Reads all, so that who asks first need not wait for it."""
        with suppress(FaceSearchError), self._changed:  # what is wrong is said to whoever asks
            if not self._is_closed:
                self.part("named", 0, 0)

    def part(self, which: WhichPeople, first: int, n: int) -> tuple[int, int, Sequence[PersonFacts]]:
        """The version, how many people a list has, and n of them from the one with this number, counted from 0."""
        with self._changed:  # one thread reads them, and the others wait for what it finds
            version = self._version()  # before they are read: what changes meanwhile makes them old
            if version != self._of_version:
                self._keep_up()
                self._of_version = version
            return version, *self._lists.part(which, first, n)

    def _keep_up(self) -> None:
        if not self._of_version or self._seconds < _AT_ONCE_SECONDS:
            self._lists, self._row = self._read()
            return
        people, self._row = self._gallery.people_since(self._row)
        self._lists.update(people)
        self._latest = time.monotonic()
        self._since = self._since or self._latest
        if self._checker.ident is None:
            self._checker.start()
        self._changed.notify()

    def _read(self) -> tuple[PeopleLists, int]:
        began = time.perf_counter()
        people, row = self._gallery.people_and_row()
        self._seconds = time.perf_counter() - began
        return PeopleLists(people), row

    def close(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._checker.ident is not None:
            self._checker.join()

    def _check(self) -> None:
        while self._has_paused():
            version = self._of_version
            try:
                version = self._version()
                lists, row = self._read()
                with self._changed:
                    self._take(version, lists, row)
            except FaceSearchError:  # said to whoever asks; the gallery may be there again
                self._since = self._latest = time.monotonic()

    def _has_paused(self) -> bool:
        """Waits until all should be read; False where it ends."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                left = None
                if self._since is not None:
                    patience = max(_PATIENCE_SECONDS, _SHARE * self._seconds)
                    left = min(self._latest + _PAUSE_SECONDS, self._since + patience) - now
                    if left <= 0:
                        return True
                self._changed.wait(left)
            return False

    def _take(self, version: int, lists: PeopleLists, row: int) -> None:
        """These lists, which were read after this version came, in place of what was kept."""
        self._since = None
        if self._of_version > version:  # something was said meanwhile
            people, row = self._gallery.people_since(row)
            lists.update(people)
            self._since = time.monotonic()
        is_other = lists != self._lists
        self._lists, self._row = lists, row
        if version > self._of_version:
            self._of_version = version
        elif is_other:
            self._of_version = self._grown()
