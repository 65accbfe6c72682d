"""One decoder's process, seen from our side.

A decoder takes calls on its standard input, pickled by us, and replies with a line of JSON and the bytes of an array:
what was in touch with a stranger's photo hands over numbers, and nothing that could be code."""

import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from math import prod
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError, PhotoError
from facesearch.files import printable
from facesearch.interruption import out_of_its_reach
from facesearch.photos.decoding_process import LONGEST_LINE, READY, Refusal, Reply
from facesearch.photos.status import Cause, Status

LARGE = 60_000_000  # pixels held while decoding: such photos, which take hundreds of megabytes, wait for each other
_FROM_OUTSIDE = [getattr(signal, name, None) for name in ("SIGTERM", "SIGINT", "SIGHUP")]
_OUT_OF_MEMORY = getattr(signal, "SIGKILL", None)
_OUT_OF_TIME = getattr(signal, "SIGALRM", None)
_TO_START = 30  # seconds, at most: a cold disk may need some
_TO_END = 0.3  # seconds: a process that has closed its output is about to end
_PIPE = 1 << 20  # bytes: a photo of a megapixel then passes in few steps

# The process is gone, or its reply makes no sense.
LOST = (OSError, EOFError, ValueError, RecursionError, msgspec.MsgspecError)

Shape = tuple[int, ...]


class Decoder:
    """One process. Time is measured here, where no photo can stop the clock."""

    def __init__(self, program: str, max_megapixels: float, seconds: float) -> None:
        """Starts it: a module, which takes `seconds` at most for a photo. Raises OSError when the system starts no
        process."""
        # -P: what lies in the user's current folder is not a part of facesearch, whatever its name.
        command = [sys.executable, "-P", "-m", program, str(max_megapixels), str(seconds)]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        most = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(int(max_megapixels * 1e6))}
        self._most_pixels = max(int(max_megapixels * 1e6), LARGE)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries complain there of what our own status says
            env=os.environ | one_thread | most,
            **out_of_its_reach(),  # or an interruption would look as if photos crashed
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        for pipe in (self._to, self._from):
            _widen(pipe)
        self._is_ready = self._is_late = self._is_killed = False
        self._deadline: float | None = None
        self._seconds = seconds

    def call(
        self, expected: Shape | None, name: str, arguments: tuple[object, ...]
    ) -> tuple[Reply, NDArray[np.uint8]] | PhotoError:
        """The reply and its array, of the `expected` shape or else that of an image; or why the photo cannot be used.
        Raises FaceSearchError when the process ends at its start, one of LOST when it is gone or its reply makes no
        sense."""
        self._deadline = time.monotonic() + max(self._seconds, _TO_START)
        if not self._is_ready:
            self._wait_until_ready()
        self._deadline = time.monotonic() + self._seconds
        pickle.dump((name, arguments), self._to, protocol=5)
        self._to.flush()
        reply = self._reply(expected)
        self._deadline = None
        return reply

    def kill_if_late(self) -> None:
        """Ends it when a photo has had its time."""
        deadline = self._deadline
        if deadline is not None and time.monotonic() > deadline:
            self._is_late = True
            self.kill()

    def kill(self) -> None:
        """Ends it, and does not wait for that."""
        self._is_killed = True
        self._process.kill()

    def close(self) -> int:
        """Ends it, and waits for that. Returns its exit code."""
        self.kill()
        code = self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()
        return code

    def failure(self) -> PhotoError:
        """Closes a process that is lost. Returns the error to report for the photo that it was busy with."""
        try:
            code: int | None = self._process.wait(timeout=_TO_END)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        if self._is_late or _is_signal(code, _OUT_OF_TIME):
            return PhotoError(Status.TIMEOUT, f"it was not decoded within {self._seconds:g} seconds")
        if code is None:
            return PhotoError(Status.CRASHED, "its decoder gave an answer that makes no sense")
        if _is_signal(code, _OUT_OF_MEMORY):
            reason = "its decoder was ended by the system, perhaps for want of memory"
            return PhotoError(Status.CRASHED, reason, Cause.MACHINE)
        if any(_is_signal(code, each) for each in _FROM_OUTSIDE):
            reason = f"its decoder was ended from outside ({_name_of(-code)})"
            return PhotoError(Status.CRASHED, reason, Cause.MACHINE)
        if code < 0:
            return PhotoError(Status.CRASHED, f"its decoder was ended by signal {-code} ({_name_of(-code)})")
        return PhotoError(Status.CRASHED, f"its decoder ended with exit code {code}")

    def _wait_until_ready(self) -> None:
        if self._from.readline(LONGEST_LINE) != READY:
            code = self._process.poll()
            if code is not None and code >= 0 and not self._is_killed:
                raise FaceSearchError(
                    f"The process that decodes photos ended at its start (exit code {code}); run facesearch doctor."
                )
            raise EOFError
        self._is_ready = True

    def _reply(self, expected: Shape | None) -> tuple[Reply, NDArray[np.uint8]] | PhotoError:
        line = self._from.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        reply = msgspec.json.decode(line, type=Reply | Refusal)
        if isinstance(reply, Refusal):
            return PhotoError(Status(reply.status), printable(reply.reason), reply.cause, printable(reply.needs))
        self._check_shape(reply, expected)
        return reply, self._array(reply.shape)

    def _check_shape(self, reply: Reply, expected: Shape | None) -> None:
        """Raises ValueError for an array of another shape than `expected`, or than an image of allowed size has."""
        shape = reply.shape
        is_image = len(shape) == 3 and shape[2] == 3 and prod(shape[:2]) <= self._most_pixels
        if shape != expected and (expected is not None or not is_image or reply.size is None):
            raise ValueError(shape)

    def _array(self, shape: Shape) -> NDArray[np.uint8]:
        array = np.empty(shape, np.uint8)
        rest = memoryview(array.reshape(-1))  # type: ignore[arg-type]
        while rest:
            count = self._from.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            rest = rest[count:]
        return array


def _is_signal(code: int | None, number: int | None) -> bool:
    """Whether an exit code says that this signal ended the process; a system may not know the signal."""
    return code is not None and number is not None and code == -number


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # signals of real time have none
        return "no name"


def _widen(pipe: IO[bytes]) -> None:
    """Only Linux can, and only so far as it allows."""
    with suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
