"""The program of a process that indexes for the page: it writes how far it is to its standard output, a line of JSON
each time, and stops well when its standard input is closed, as it is when the page's server ends, however."""

import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, cast

from facesearch import interruption
from facesearch.errors import FaceSearchError, GalleryLockedError
from facesearch.files import keep_private
from facesearch.forms import run_forms
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.indexing.known_before import KnownBefore
from facesearch.gallery.indexing.progress import RunProgress
from facesearch.gallery.records.run import RunSummary
from facesearch.libraries import settle_all
from facesearch.models.device import Device, Precision

_EVERY = 0.3  # seconds between two lines
_FOR_THE_LOCK = 3.0  # seconds to wait for it: a name that is written has it for some milliseconds
_BETWEEN_TRIES = 0.1  # seconds


def main() -> None:
    """Indexes a gallery. The arguments are its name, what computes, in which numbers; `retry_failed` may follow."""
    name, device, precision, *words = sys.argv[1:]
    said = _own_output()
    keep_private()
    settle_all()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    interruption.listen()
    threading.Thread(target=_stop_when_closed, daemon=True).start()
    gallery = Gallery.open(name, cast(Device, device), precision=cast(Precision, precision))
    say(said, {"ended": _ended(gallery, said, "retry_failed" in words)})


def say(said: IO[bytes], what: dict[str, Any]) -> None:
    """Writes a line, if anybody still reads."""
    with suppress(OSError, ValueError):
        said.write(json.dumps(what).encode() + b"\n")  # paths may hold what is no Unicode
        said.flush()


def _ended(gallery: Gallery, said: IO[bytes], retry_failed: bool) -> dict[str, Any]:
    """How the run came to its end: what it did, or why it could not; neither where it was stopped."""
    try:
        with RunProgress(gallery.roots(), gallery.exclusions(), KnownBefore(gallery.database)) as progress:
            over = threading.Event()
            threading.Thread(target=_tell, args=(progress, said, over), daemon=True).start()
            try:
                summary = _when_free(lambda: gallery.index(retry_failed=retry_failed, on_outcome=progress.add))
            finally:
                over.set()
                _say_how_far(progress, said)
        return {"summary": run_forms.run_summary(summary), "error": None}
    except FaceSearchError as error:
        return {"summary": None, "error": str(error)}
    except KeyboardInterrupt:
        return {"summary": None, "error": None}
    except Exception as error:  # libraries have errors of their own
        if interruption.is_raised():
            return {"summary": None, "error": None}
        what = f"Something unforeseen happened ({type(error).__name__}); run facesearch index to see more."
        return {"summary": None, "error": what}


def _when_free(index: Callable[[], RunSummary]) -> RunSummary:
    """Indexes once nobody else writes. Raises GalleryLockedError where that takes long."""
    since = time.monotonic()
    while True:
        try:
            return index()
        except GalleryLockedError:
            if time.monotonic() - since > _FOR_THE_LOCK:
                raise
            time.sleep(_BETWEEN_TRIES)


def _tell(progress: RunProgress, said: IO[bytes], over: threading.Event) -> None:
    while not over.wait(_EVERY):
        _say_how_far(progress, said)


def _say_how_far(progress: RunProgress, said: IO[bytes]) -> None:
    left = progress.seconds_left
    how_far = {
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "faces": progress.faces,
        "failed": progress.failed,
        "photos_per_second": round(progress.rate, 2) or None,
        "seconds_left": None if left is None else round(left, 1),
    }
    say(said, how_far)


def _stop_when_closed() -> None:
    """Interrupts the run once, in the way of Ctrl-C, which leaves the gallery whole."""
    with suppress(OSError, ValueError):
        while sys.stdin.buffer.read(1):
            pass
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def _own_output() -> IO[bytes]:
    """Standard output for our lines alone: what a library prints goes nowhere."""
    said = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    return said


if __name__ == "__main__":
    main()
