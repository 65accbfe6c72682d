"""What changes under folders while somebody watches, from watchfiles."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from facesearch.errors import Note
from facesearch.packages import required
from facesearch.photos.disks import is_on_network

SETTLED = (
    0.7  # seconds without a change after which a file counts as written; a camera's or browser's pauses are less
)
_GROUPED_MS = 200  # changes that come together are heard of together
_STEP_MS = 50
_WAKE_MS = 500  # how long the watcher sleeps at most, and so how long its start takes
_POLL_MS = 2_000  # between two looks at a disk of a network
_READY_SECONDS = 600  # a first look at a large disk of a network takes minutes


class Changes:
    """The paths that changed under these folders since the block was entered. A thread watches those on disks of
    this machine and one those on disks of a network, where changes are looked for every two seconds."""

    def __init__(self, folders: Iterable[str], note: Note) -> None:
        self._folders, self._note = list(folders), note
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._changed: dict[str, tuple[float, bool]] = {}  # when last, by time.monotonic, and whether it was added
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Self":
        """Returns once nothing that changes from now on is missed. Raises FaceSearchError without watchfiles."""
        required("watchfiles")
        far = [folder for folder in self._folders if is_on_network(folder)]
        near = [folder for folder in self._folders if folder not in far]
        starting = [self._start(near, None), self._start(far, True)]
        for ready in starting:
            ready.wait(_READY_SECONDS)
        return self

    def __exit__(self, *_: "type[BaseException] | BaseException | TracebackType | None") -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_WAKE_MS / 1000 + 1)

    def wait(self, seconds: float) -> None:
        """Returns when there is news, at the latest after so many seconds."""
        with self._news:
            self._news.wait(seconds)

    def take(self) -> list[tuple[str, bool]]:
        """The paths that have settled, each with whether it was added. They are not given again."""
        before = time.monotonic() - SETTLED
        with self._news:
            settled = {path: added for path, (when, added) in self._changed.items() if when <= before}
            for path in settled:
                del self._changed[path]
        return sorted(settled.items())

    def is_waiting(self) -> bool:
        """Whether there are paths that have not settled yet."""
        return bool(self._changed)

    def _start(self, folders: list[str], by_looking: bool | None) -> threading.Event:
        ready = threading.Event()
        if not folders:
            ready.set()
            return ready
        self._threads.append(threading.Thread(target=self._watch, args=(folders, by_looking, ready), daemon=True))
        self._threads[-1].start()
        return ready

    def _watch(self, folders: list[str], by_looking: bool | None, ready: threading.Event) -> None:
        """Listens until it is to stop, whatever happens on the way."""
        while not self._stop.is_set():
            try:
                self._listen(folders, by_looking, ready)
            except FileNotFoundError:  # whoever watches it sees that it has vanished
                break
            except Exception as error:
                if ready.is_set():  # watchfiles gives up at a name that is not UTF-8, with all that it had heard
                    self._add((folder, True) for folder in folders)
                    self._stop.wait(_GROUPED_MS / 1000)
                elif by_looking:
                    self._note(f"Changes cannot be looked for ({error}), so all is looked through every hour.")
                    break
                else:  # the system's limit of watched folders
                    self._note(f"Changes are not announced here ({error}), so they are looked for every two seconds.")
                    by_looking = True
        ready.set()

    def _listen(self, folders: list[str], by_looking: bool | None, ready: threading.Event) -> None:
        watchfiles = required("watchfiles")
        for changes in watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=_GROUPED_MS,
            step=_STEP_MS,
            stop_event=self._stop,
            rust_timeout=_WAKE_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=by_looking,
            poll_delay_ms=_POLL_MS,
            ignore_permission_denied=True,
        ):
            ready.set()
            if changes:
                self._add((path, kind == watchfiles.Change.added) for kind, path in changes)

    def _add(self, changes: Iterable[tuple[str, bool]]) -> None:
        with self._news:
            for path, added in changes:
                self._changed[path] = time.monotonic(), added or self._changed.get(path, (0.0, False))[1]
            self._news.notify()
