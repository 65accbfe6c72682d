"""One decoder's process, seen from our side.

A decoder takes calls on its standard input, pickled by us, and answers with a line of JSON and the bytes of an array:
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
from facesearch.photos.decoding_process import LONGEST_LINE, READY, Given, Refused
from facesearch.photos.status import Cause, Status

LARGE = 60_000_000  # pixels held while decoding: such photos, which take hundreds of megabytes, wait for each other
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TO_START = 30  # seconds, at most: a cold disk may need some
_TO_END = 0.3  # seconds: whoever closed its output is about to end
_PIPE = 1 << 20  # bytes: a photo of a megapixel takes few turns then

# It is not there any more, or what it says makes no sense.
GONE = (OSError, EOFError, ValueError, RecursionError, msgspec.MsgspecError)


class Decoder:
    """One process, from our side. Time is measured here, where no photo can stop the clock."""

    def __init__(self, program: str, max_megapixels: float, seconds: float) -> None:
        """Raises OSError when the system starts no process."""
        # -P: what lies in the user's current folder is no part of facesearch, whatever its name.
        command = [sys.executable, "-P", "-m", program, str(max_megapixels), str(seconds)]
        few = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        most = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(int(max_megapixels * 1e6))}
        self._most_pixels = max(int(max_megapixels * 1e6), LARGE)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries complain there of what our own status says
            env=os.environ | few | most,
            start_new_session=True,  # Ctrl-C is for us, and must not look as if photos crashed
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        for pipe in (self._to, self._from):
            _widen(pipe)
        self._is_ready = self._is_late = False
        self._until: float | None = None

    def call(
        self, expected: tuple[int, ...] | None, name: str, words: tuple[object, ...], seconds: float
    ) -> tuple[Given, NDArray[np.uint8]] | PhotoError:
        """What it gives and an array, of the `expected` shape or that of an image; or why the photo cannot be used.
        Raises FaceSearchError when it does not come to life, one of GONE when it is gone or its answer makes no
        sense."""
        self._until = time.monotonic() + max(seconds, _TO_START)
        if not self._is_ready:
            self._wait_until_ready()
        self._until = time.monotonic() + seconds
        pickle.dump((name, words), self._to, protocol=5)
        self._to.flush()
        answer = self._answer(expected)
        self._until = None
        return answer

    def _wait_until_ready(self) -> None:
        if self._from.readline(LONGEST_LINE) != READY:
            code = self._process.poll()
            if code is not None and code >= 0:  # not ended from outside
                raise FaceSearchError(
                    f"The process that decodes photos ended at its start (exit code {code}); run facesearch doctor."
                )
            raise EOFError
        self._is_ready = True

    def _answer(self, expected: tuple[int, ...] | None) -> tuple[Given, NDArray[np.uint8]] | PhotoError:
        line = self._from.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        answer = msgspec.json.decode(line, type=Given | Refused)
        if isinstance(answer, Refused):
            return PhotoError(Status(answer.status), printable(answer.reason), answer.cause, printable(answer.needs))
        shape = answer.shape
        is_image = len(shape) == 3 and shape[2] == 3 and prod(shape[:2]) <= self._most_pixels
        if shape != expected and (expected is not None or not is_image or answer.size is None):
            raise ValueError(shape)
        array = np.empty(shape, np.uint8)
        rest = memoryview(array.reshape(-1))  # type: ignore[arg-type]
        while rest:
            count = self._from.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            rest = rest[count:]
        return answer, array

    def end_if_late(self) -> None:
        """Ends it when a photo has had its time."""
        until = self._until
        if until is not None and time.monotonic() > until:
            self._is_late = True
            self.kill()

    def kill(self) -> None:
        self._process.kill()

    def bury(self) -> int:
        """Ends it, and waits for that; its exit code."""
        self.kill()
        code = self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()
        return code

    def autopsy(self, seconds: float) -> tuple[Status, str, Cause]:
        """What it died of."""
        try:
            code: int | None = self._process.wait(timeout=_TO_END)
        except subprocess.TimeoutExpired:
            code = None
        self.bury()
        if self._is_late or code == -signal.SIGALRM:
            return Status.TIMEOUT, f"it was not decoded within {seconds:g} seconds", Cause.FILE
        if code is None:
            return Status.CRASHED, "its decoder gave an answer that makes no sense", Cause.FILE
        if code == -signal.SIGKILL:
            return Status.CRASHED, "its decoder was ended by the system, perhaps for want of memory", Cause.MACHINE
        if -code in _FROM_OUTSIDE:
            return Status.CRASHED, f"its decoder was ended from outside ({_name_of(-code)})", Cause.MACHINE
        if code < 0:
            return Status.CRASHED, f"its decoder was ended by signal {-code} ({_name_of(-code)})", Cause.FILE
        return Status.CRASHED, f"its decoder ended with exit code {code}", Cause.FILE


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # those of real time have none
        return "no name"


def _widen(pipe: IO[bytes]) -> None:
    """Only Linux can, and only so far as it allows."""
    import fcntl

    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
