"""Interruptions: Ctrl-C, and the system's request that this process ends. Long work is stopped where it can end well;
a second interruption ends the process at once, which does no harm to any file."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from facesearch.errors import ExitCode

STUCK = "stuck"  # the name of a thread that may never come back from a library

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it

_SOON = 0.7  # seconds in which an interruption usually ends a command
_STOPPING = "Stopping as soon as what has begun can be left; Ctrl-C again ends it at once, and no file is harmed."

_is_asked = _is_raised = False
_stops: list[list[Callable[[], None] | None]] = []  # innermost last


def listen() -> None:
    """Handles the signals from now on. For the main thread of a process that belongs to facesearch alone."""
    global _is_asked, _is_raised
    _is_asked = _is_raised = False
    for each in _SIGNALS:
        signal.signal(each, _handle)


def watch(say: Callable[[str], None]) -> None:
    """Where an interruption does not end the process in a moment, `say` hears that it was noticed. Python handles a
    signal only when the main thread is back from a library, which may take long; a thread hears of it at once, and a
    second one ends the process even then. To be called once, by a process that ends with its first interruption."""
    heard, told = os.pipe()
    if hasattr(os, "set_blocking"):  # Windows, before Python 3.12, neither has it nor asks for it
        os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard, say), daemon=True).start()


def _watch(heard: int, say: Callable[[str], None]) -> None:
    _wait_for_a_signal(heard)
    slow = threading.Timer(_SOON, say, [_STOPPING])
    slow.daemon = True
    slow.start()
    _wait_for_a_signal(heard)
    _end()


def _wait_for_a_signal(heard: int) -> None:
    while os.read(heard, 1)[0] not in _SIGNALS:
        pass


def is_stuck() -> bool:
    """Whether a thread is in a library that does not answer: the process is to end without waiting for it."""
    return any(thread.name == STUCK for thread in threading.enumerate())


def is_raised() -> bool:
    """Whether KeyboardInterrupt was raised. Libraries that are being imported make another error of it, and where it
    comes in a callback Python drops it."""
    return _is_raised


def is_asked() -> bool:
    """Whether this process was interrupted, also where its work is still being ended in order: whoever waits for
    something far away need not wait any longer."""
    return _is_asked


@contextmanager
def orderly(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, an interruption calls `stop`, between two steps of the main thread, and does not raise
    KeyboardInterrupt. That is raised at the end of the block, when the work that cannot be broken off is done."""
    with _inside(stop):
        yield
    if _is_asked:
        raise KeyboardInterrupt


@contextmanager
def at_once() -> Iterator[None]:
    """Inside, an interruption raises KeyboardInterrupt, even within `orderly`: for a long step that stores nothing
    until its end. Python drops it where it comes in a callback, as of the import system; then it is raised at the
    end."""
    with _inside(None):
        if _is_asked:
            raise KeyboardInterrupt
        yield
        if _is_asked:
            raise KeyboardInterrupt


def out_of_its_reach() -> dict[str, Any]:
    """The options with which `subprocess.Popen` starts a process that Ctrl-C in a terminal does not interrupt."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


@contextmanager
def _inside(stop: Callable[[], None] | None) -> Iterator[None]:
    entry = [stop]
    _stops.append(entry)
    try:
        yield
    finally:  # another may lie above it: generators end in any order
        _stops[:] = [each for each in _stops if each is not entry]


def _handle(*_: object) -> None:
    global _is_asked, _is_raised
    for each in _SIGNALS:
        signal.signal(each, _end)
    _is_asked = True
    stop = _stops[-1][0] if _stops else None
    if stop is None:
        _is_raised = True
        raise KeyboardInterrupt
    stop()


def _end(*_: object) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(ExitCode.INTERRUPTED)
