"""A process of its own for what strangers made, with limits of memory and of time: what happens in it costs this
process nothing."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress

MOST_MEMORY = 6 << 30  # bytes: the largest network here takes 2 GB to be converted
_LEAST_MEMORY = 3 << 30
_MOST_CPU_SECONDS = 7200  # should nobody be left to end it
_MOST_TOLD = 1 << 24  # bytes
_TO_END = 30  # seconds after the last answer
_DIE_WITH_PARENT = (1, signal.SIGKILL)  # prctl's PR_SET_PDEATHSIG


class TimedOutError(Exception):
    """It did not come to its next step in time, and was ended."""


class DiedError(Exception):
    """It ended without a last word. `code` is its exit code, negative where a signal ended it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def lines_of(module: str, request: bytes, limits: Iterator[float]) -> Generator[bytes]:
    """Runs a module, which reads the request on its standard input, and yields the lines that it answers. Each line
    may take as many seconds as the next of the `limits` says.

    Whatever ends this iterator ends the process and all that it has started, at once. Raises TimedOutError,
    DiedError, and OSError when it cannot be started."""
    # -P: what lies in the user's current folder is no part of facesearch, whatever its name.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what libraries say there is said better by the answer
        start_new_session=True,  # Ctrl-C is for us; and the whole session can be ended
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as given:  # a request is small: some cards
            given.write(request)
        yield from _answers(process, limits)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _answers(process: "subprocess.Popen[bytes]", limits: Iterator[float]) -> Iterator[bytes]:
    assert process.stdout is not None
    handle = process.stdout.fileno()
    pending = b""
    deadline = time.monotonic() + next(limits)
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while True:
            rest = deadline - time.monotonic()
            if rest <= 0 or not selector.select(rest):
                raise TimedOutError
            block = os.read(handle, 1 << 16)
            if not block:
                break
            *lines, pending = (pending + block).split(b"\n")
            if len(pending) > _MOST_TOLD:
                raise DiedError(1)
            for line in lines:
                yield line
                deadline = time.monotonic() + next(limits, _TO_END)
    try:
        code = process.wait(max(deadline - time.monotonic(), 1))
    except subprocess.TimeoutExpired as error:
        raise TimedOutError from error
    if code:
        raise DiedError(code)


def limit_this_process() -> None:
    """Sets the limits, from inside. What is limited is the memory that is written to, not the addresses that are
    reserved, as TensorFlow and allocators reserve many times what they use; where a system does not know the first
    limit it may know the second."""
    import resource

    most = max(_LEAST_MEMORY, min(MOST_MEMORY, _memory() * 3 // 4))
    if sys.platform == "linux":
        _limit(resource.RLIMIT_DATA, most)
        _die_with_parent()
    else:
        _limit(resource.RLIMIT_AS, 4 * most)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, _MOST_CPU_SECONDS)
    os.umask(0o077)


def _limit(what: int, most: int) -> None:
    import resource

    with suppress(OSError, ValueError):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _memory() -> int:
    """Bytes that this machine has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return MOST_MEMORY


def _die_with_parent() -> None:
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(*map(int, _DIE_WITH_PARENT))
