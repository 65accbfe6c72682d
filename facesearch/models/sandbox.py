"""A process of its own for models that strangers made, with limits of memory and of time: whatever it does, this
process goes on."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import IO

from facesearch.home import memory
from facesearch.interruption import out_of_its_reach

MOST_MEMORY = 6 << 30  # bytes: the largest network here takes 2 GB to be converted
_LEAST_MEMORY = 3 << 30
_MOST_CPU_SECONDS = 7200  # should nobody be left to end it
_LONGEST_LINE = 1 << 24  # bytes
_WAITING = 64  # blocks that are read ahead
_TO_TAKE = 600  # seconds, at most, until a block that was read ahead is taken: else nobody wants it any more
_TO_END = 30  # seconds after the last answer
_PR_SET_PDEATHSIG = 1  # of prctl(2)


class TimedOutError(Exception):
    """The process did not reach its next step in time, and was ended."""


class DiedError(Exception):
    """The process ended before its work was done. `code` is its exit code, negative where a signal ended it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def lines_of(module: str, request: bytes, limits: Iterator[float]) -> Generator[bytes]:
    """Runs a module, which reads the request on its standard input, and yields the lines that it answers. Each line
    may take as many seconds as the next of the `limits` says.

    Whatever ends this iterator ends the process and all that it has started, at once. Raises TimedOutError,
    DiedError, and OSError when it cannot be started."""
    # -P: what lies in the user's current folder is not a part of facesearch, whatever its name.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # libraries complain there of what the answer says better
        **out_of_its_reach(),
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError), process.stdin as given:  # a request is small: some cards
            given.write(request)
        yield from _answers(process, limits)
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process, with all that it has started where the system knows groups of processes."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _answers(process: "subprocess.Popen[bytes]", limits: Iterator[float]) -> Iterator[bytes]:
    assert process.stdout is not None
    # A thread reads, as Windows cannot wait for a pipe with a limit of time. It ends with the process.
    blocks: queue.Queue[bytes] = queue.Queue(_WAITING)
    threading.Thread(target=_read, args=(process.stdout, blocks), daemon=True).start()
    pending = b""
    deadline = time.monotonic() + next(limits)
    while True:
        try:
            block = blocks.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise TimedOutError from None
        if not block:
            break
        *lines, pending = (pending + block).split(b"\n")
        if len(pending) > _LONGEST_LINE:
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


def _read(pipe: IO[bytes], blocks: "queue.Queue[bytes]") -> None:
    """Hands over what comes through the pipe, block by block, an empty one at its end."""
    with pipe, suppress(queue.Full):
        while block := os.read(pipe.fileno(), 1 << 16):
            blocks.put(block, timeout=_TO_TAKE)
        blocks.put(b"", timeout=_TO_TAKE)


def limit_this_process() -> None:
    """Sets the limits, from inside, where the system has them. What is limited is the memory that is written to, not
    the addresses that are reserved, as TensorFlow and allocators reserve many times what they use; a system that does
    not know the first limit may know the second."""
    os.umask(0o077)
    try:
        import resource
    except ImportError:  # Windows
        return
    most = max(_LEAST_MEMORY, min(MOST_MEMORY, (memory() or MOST_MEMORY) * 3 // 4))
    if sys.platform == "linux":
        _limit(resource.RLIMIT_DATA, most)
        _die_with_parent()
    else:
        _limit(resource.RLIMIT_AS, 4 * most)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, _MOST_CPU_SECONDS)


def _limit(what: int, most: int) -> None:
    import resource

    with suppress(OSError, ValueError):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _die_with_parent() -> None:
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
