"""Ctrl-C, and the system's wish that this process ends: long work hears of it where it can end well, and a second one
ends everything at once, which no file minds."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from facesearch.errors import ExitCode

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it

_is_asked = False
_stops: list[Callable[[], None] | None] = []


def listen() -> None:
    """From now on the signals are handled here; for the main thread of a command."""
    global _is_asked
    _is_asked = False
    for each in _SIGNALS:
        signal.signal(each, _handle)


@contextmanager
def orderly(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, an interruption calls `stop`, from between two steps of the main thread, in place of raising
    KeyboardInterrupt. It is raised at the end, when what `stop` could not spare is done."""
    with _inside(stop):
        yield
    if _is_asked:
        raise KeyboardInterrupt


@contextmanager
def at_once() -> Iterator[None]:
    """Inside, an interruption raises KeyboardInterrupt, also inside of `orderly`: for a long step that stores nothing
    until its end."""
    with _inside(None):
        if _is_asked:
            raise KeyboardInterrupt
        yield


@contextmanager
def _inside(stop: Callable[[], None] | None) -> Iterator[None]:
    _stops.append(stop)
    try:
        yield
    finally:
        _stops.pop()


def _handle(*_: object) -> None:
    global _is_asked
    for each in _SIGNALS:
        signal.signal(each, _end)
    _is_asked = True
    stop = _stops[-1] if _stops else None
    if stop is None:
        raise KeyboardInterrupt
    stop()


def _end(*_: object) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(ExitCode.INTERRUPTED)
