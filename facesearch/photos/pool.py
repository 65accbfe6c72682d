"""Photos decoded in processes of their own, so that one that crashes its decoder, or never lets it end, costs itself
alone.

A decoder takes calls on its standard input, pickled by us, and answers with a line of JSON and the bytes of an array:
what was in touch with a stranger's photo hands over numbers, and nothing that could be code."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from math import ceil, prod
from typing import IO

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.files import printable
from facesearch.geometry.chips import Aligner
from facesearch.geometry.face import Face
from facesearch.photos.decoding_process import LONGEST_LINE, READY, Given, Refused
from facesearch.photos.file import MAX_MEGAPIXELS
from facesearch.photos.header import decoding_cost, header_size
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import View

SECONDS = 60  # that a photo may take, at most
LARGE = 60_000_000  # pixels held while decoding: such photos, which take hundreds of megabytes, wait for each other
_PROGRAM = "facesearch.photos.decoding_process"
_TRIES = 3
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TO_START = 30  # seconds, at most: a cold disk may need some
_TO_END = 0.3  # seconds: whoever closed its output is about to end
_PIPE = 1 << 20  # bytes: a photo of a megapixel takes few turns then
_BETWEEN_LOOKS = 0.2  # seconds, at whether a decoder has had its time
_NOTHING = np.empty((0, 0, 3), np.uint8)

# It is not there any more, or what it says makes no sense.
_GONE = (OSError, EOFError, ValueError, RecursionError, msgspec.MsgspecError)


class _DiedError(Exception):
    """A decoder ended over a photo; what the photo is then said to be."""

    def __init__(self, status: Status, reason: str, cause: Cause) -> None:
        super().__init__(reason)
        self.said = PhotoError(status, reason, cause)


class Decoders:
    """Some decoders, started when they are needed. Calls from several threads at once are allowed, also while it is
    closed: they hear that the run was interrupted."""

    def __init__(
        self, count: int, max_megapixels: float = MAX_MEGAPIXELS, seconds: float = SECONDS, program: str = _PROGRAM
    ) -> None:
        """`count` is how many work at once, `seconds` how long a photo may take, `program` the module they run."""
        self._max_megapixels, self._seconds, self._program = max_megapixels, seconds, program
        self._slots = threading.Semaphore(count)
        self._one_large = threading.Lock()
        self._change = threading.Lock()  # of what follows
        self._idle: list[_Decoder] = []
        self._all: set[_Decoder] = set()
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for decoder in tuple(self._all):
            decoder.bury()

    def stop(self) -> None:
        """Ends all decoders, those that still work too: whoever waits for one hears that it is gone."""
        self._closed.set()
        with self._change:
            for decoder in self._all:
                decoder.kill()

    def start_one(self) -> None:
        """Starts a decoder now, so that it comes to life beside other work."""
        with suppress(FaceSearchError):  # the first call says what is wrong
            decoder = self._started()
            with self._change:
                self._idle.append(decoder)

    def decode(self, data: bytes, max_side: int, size: tuple[int, int] | None = None) -> View:
        """As `view.decode_view`; `size` is the width and height that the header announces, where it is known. Raises
        PhotoError too when the photo crashed its decoder or took too long, twice."""
        cost = decoding_cost(data, header_size(data) if size is None else size, max_side)
        given, pixels = self._call(cost, None, "decode", data, max_side, self._max_megapixels)
        assert given.size is not None
        note = printable(given.note)
        if given.more:
            return _DistantView(pixels, given.size, given.shrink, data, note, self)
        return View(pixels, given.size, given.shrink, note=note)

    def cut(self, view: View, faces: Sequence[Face], aligner: Aligner, shrink: float) -> Chips:
        """As `View.cut`. Raises PhotoError too when the file cannot give a sharper version."""
        file = View(_NOTHING, view.size, view.shrink, view.data)
        cost = decoding_cost(view.data, view.size, ceil(max(view.size) / shrink))
        expected = (len(faces), aligner.chip_px, aligner.chip_px, 3)
        return self._call(cost, expected, "cut", file, list(faces), aligner, shrink)[1]

    def _call(
        self, cost: int, expected: tuple[int, ...] | None, name: str, *words: object
    ) -> tuple[Given, NDArray[np.uint8]]:
        # A photo whose decoder died may be innocent: the system ends a process for the memory that others take, and
        # anybody may stop or end one. It is tried again, now beside no other large photo; and once more, where it is
        # still not at fault.
        died: _DiedError | None = None
        for attempt in range(_TRIES):
            if attempt == _TRIES - 1 and died and died.said.cause != Cause.MACHINE:
                break
            try:
                with self._one_large if attempt or cost > LARGE else nullcontext():
                    return self._try(expected, name, words)
            except _DiedError as error:
                died = error
            except MemoryError as error:
                raise PhotoError(Status.CRASHED, "there is not enough memory for it now", Cause.MACHINE) from error
            if self._closed.is_set():
                raise _interrupted() from died
        assert died is not None
        raise died.said from died

    def _try(
        self, expected: tuple[int, ...] | None, name: str, words: tuple[object, ...]
    ) -> tuple[Given, NDArray[np.uint8]]:
        """One call of one decoder. Raises _DiedError when that was its last."""
        with self._slots:
            with self._change:
                decoder = self._idle.pop() if self._idle else None
            decoder = decoder or self._started()
            try:
                answer = decoder.call(expected, name, words, self._seconds)
            except BaseException as error:  # half of an answer may still be on its way
                with self._change:
                    self._all.discard(decoder)
                if isinstance(error, _GONE):
                    raise _DiedError(*decoder.autopsy(self._seconds)) from error
                decoder.bury()
                raise
            with self._change:
                self._idle.append(decoder)
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def _started(self) -> "_Decoder":
        """A new decoder. Raises PhotoError when there is to be none any more, FaceSearchError when there is none."""
        try:
            decoder = _Decoder(self._program, self._max_megapixels, self._seconds)
        except OSError as error:
            raise FaceSearchError(
                f"No process that decodes photos can be started ({error.strerror}); end what else runs here."
            ) from error
        with self._change:
            if self._closed.is_set():
                decoder.bury()
                raise _interrupted()
            self._all.add(decoder)
            if self._watch is None:
                self._watch = threading.Thread(target=self._keep_time, daemon=True)
                self._watch.start()
        return decoder

    def _keep_time(self) -> None:
        while not self._closed.wait(_BETWEEN_LOOKS):
            for decoder in tuple(self._all):
                decoder.end_if_late()


@dataclass(frozen=True, slots=True)
class _DistantView(View):
    """A view whose chips are cut where the photo is decoded."""

    decoders: Decoders | None = None

    def cut(self, faces: Sequence[Face], aligner: Aligner, shrink: float) -> Chips:
        assert self.decoders is not None
        try:
            return self.decoders.cut(self, faces, aligner, shrink)
        except PhotoError as error:
            if error.status != Status.UNREADABLE:
                raise
            return aligner.cut(self.pixels, faces, self.shrink)


class _Decoder:
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
        Raises FaceSearchError when it does not come to life, one of _GONE when it is gone or its answer makes no
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


def _interrupted() -> PhotoError:
    return PhotoError(Status.CRASHED, "the run was interrupted", Cause.MACHINE)


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
