"""Photos decoded in processes of their own, so that one that crashes its decoder, or never lets it end, costs itself
alone.

A decoder takes calls on its standard input, pickled by us, and answers with a line of JSON and the bytes of an array:
what was in touch with a stranger's photo hands over numbers, and nothing that could be code."""

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facesearch import photos
from facesearch.chips import Aligner
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.photos import LARGE, MAX_MEGAPIXELS, View, look, printable
from facesearch.records import Chips, Face, Pixels, Status

SECONDS = 60  # that a photo may take, at most
_LONGEST_LINE = 4096  # bytes
_PIPE = 1 << 20  # bytes: a photo of a megapixel takes few turns then
_BYTES_A_PIXEL = 16  # four channels of 16 bits, twice
_BYTES_RESERVED = 3 << 30  # beside the pixels: libraries reserve more than they use
_READY = b"ready\n"
_NOTHING = np.empty((0, 0, 3), np.uint8)

_GONE = (OSError, EOFError, ValueError, LookupError, TypeError)  # it is not there, or what it says makes no sense

_Told = dict[str, Any]


class Decoders:
    """Some decoders, started when they are needed. Calls from several threads at once are allowed."""

    def __init__(
        self, count: int, max_megapixels: float = MAX_MEGAPIXELS, seconds: float = SECONDS, program: str = __name__
    ) -> None:
        """`count` is how many work at once, `seconds` how long a photo may take, `program` the module they run."""
        self._one_large = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the decoders): locked by one at a time
        self._max_megapixels, self._seconds, self._program = max_megapixels, ceil(seconds), program
        self._idle: queue.LifoQueue[_Decoder | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._all: set[_Decoder] = set()
        self._is_closed = False

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        with suppress(queue.Empty):
            while True:
                idle = self._idle.get_nowait()
                if idle is not None:
                    idle.autopsy(self._seconds)
        self._one_large.close()

    def end(self) -> None:
        """Ends all decoders, those that still work too: whoever waits for one hears that it is gone."""
        self._is_closed = True
        for decoder in tuple(self._all):
            decoder.kill()

    def look(self, data: bytes, max_side: int) -> View:
        """As `photos.look`. Raises PhotoError too when the photo crashed its decoder or took too long."""
        told, pixels = self._call(_look, data, max_side, self._max_megapixels)
        size, shrink = tuple(told["size"]), tuple(told["shrink"])
        return _DistantView(pixels, size, shrink, data, self) if told["more"] else View(pixels, size, shrink)

    def cut(self, view: View, faces: Sequence[Face], aligner: Aligner, shrink: float) -> Chips:
        """As `View.cut`. Raises PhotoError too when the file cannot give a sharper version."""
        return self._call(_cut, View(_NOTHING, view.size, view.shrink, view.data), list(faces), aligner, shrink)[1]

    def _call(self, function: Callable[..., Any], *words: object) -> tuple[_Told, NDArray[np.uint8]]:
        decoder = self._idle.get()
        try:
            decoder = decoder or self._started()
            return decoder.call(function.__name__, words, int(self._max_megapixels * 1e6))
        except _GONE as error:
            dead, decoder = decoder, None
            if dead is None:
                raise FaceSearchError(f"No process that decodes photos can be started ({error}).") from error
            self._all.discard(dead)
            raise PhotoError(*dead.autopsy(self._seconds)) from error
        finally:
            if self._is_closed and decoder is not None:
                decoder.autopsy(self._seconds)
                decoder = None
            self._idle.put(decoder)

    def _started(self) -> "_Decoder":
        if self._is_closed:
            raise PhotoError(Status.CRASHED, "the run was interrupted")
        decoder = _Decoder(self._program, self._one_large.fileno(), self._max_megapixels, self._seconds)
        self._all.add(decoder)
        return decoder


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
    """One process, from our side."""

    def __init__(self, program: str, lock: int, max_megapixels: float, seconds: int) -> None:
        """Raises FaceSearchError when it does not come to life."""
        # -P: what lies in the user's current folder is no part of facesearch, whatever its name.
        command = [sys.executable, "-P", "-m", program, str(lock), str(max_megapixels), str(seconds)]
        few = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        most = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(int(max_megapixels * 1e6))}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries complain there of what our own status says
            env=os.environ | few | most,
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C is for us, and must not look as if photos crashed
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        for pipe in (self._to, self._from):
            _widen(pipe)
        if self._from.readline(_LONGEST_LINE) != _READY:
            self.kill()
            raise FaceSearchError(
                f"The process that decodes photos ended at its start (exit code {self._process.wait()}); run "
                "facesearch doctor."
            )

    def call(self, name: str, words: tuple[object, ...], most_pixels: int) -> tuple[_Told, NDArray[np.uint8]]:
        """What it tells, and an array. Raises PhotoError as it says, one of _GONE when it is gone or its answer is
        none."""
        pickle.dump((name, words), self._to, protocol=5)
        self._to.flush()
        line = self._from.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        told = json.loads(line)
        if "status" in told:
            raise PhotoError(Status(told["status"]), printable(str(told["reason"])))
        if not all(side >= 0 for side in told["shape"]) or prod(told["shape"]) > 3 * max(most_pixels, LARGE):
            raise ValueError(told["shape"])
        array = np.empty(told["shape"], np.uint8)
        rest = memoryview(array.reshape(-1))  # type: ignore[arg-type]
        while rest:
            count = self._from.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            rest = rest[count:]
        return told, array

    def kill(self) -> None:
        self._process.kill()

    def autopsy(self, seconds: int) -> tuple[Status, str]:
        """What it died of."""
        with suppress(OSError):
            self._to.close()  # one that lives ends now
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self._from.close()
        if code == -signal.SIGALRM:
            return Status.TIMEOUT, f"it was not decoded within {seconds} seconds"
        if code < 0:
            return Status.CRASHED, f"its decoder was ended by signal {-code} ({signal.Signals(-code).name})"
        return Status.CRASHED, f"its decoder ended with exit code {code}"


def _widen(pipe: IO[bytes]) -> None:
    """Only Linux can, and only so far as it allows."""
    import fcntl

    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


# What runs in a decoder's process


def serve(functions: Sequence[Callable[..., tuple[_Told, Pixels]]] = ()) -> None:
    """Answers calls until nobody is there to make one. `functions` take the place of those of their name."""
    lock, max_megapixels, seconds = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    _limit_memory(max_megapixels)
    photos.one_large = _Turn(lock)
    calls: dict[str, Callable[..., tuple[_Told, Pixels]]] = {"_look": _look, "_cut": _cut}
    calls |= {function.__name__: function for function in functions}
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(_READY)
    answers.flush()
    while True:
        try:
            name, words = pickle.load(given)
        except EOFError:
            return
        told, array = _answer(calls[name], words, seconds)
        answers.write(json.dumps(told).encode() + b"\n")
        if array is not None:
            answers.write(array.reshape(-1).data)
        answers.flush()


def _answer(
    function: Callable[..., tuple[_Told, Pixels]], words: tuple[Any, ...], seconds: int
) -> tuple[_Told, Pixels | None]:
    try:
        signal.alarm(seconds)  # ends this process, whatever a library is busy with
        told, array = function(*words)
    except PhotoError as error:
        return {"status": error.status, "reason": error.reason}, None
    except Exception as error:
        return {"status": Status.CRASHED, "reason": f"{type(error).__name__}: {error}"[: _LONGEST_LINE // 8]}, None
    finally:
        signal.alarm(0)
    return told | {"shape": array.shape}, np.ascontiguousarray(array)


def _look(data: bytes, max_side: int, max_megapixels: float) -> tuple[_Told, Pixels]:
    view = look(data, max_side, max_megapixels)
    return {"size": view.size, "shrink": view.shrink, "more": bool(view.data)}, view.pixels


def _cut(view: View, faces: Sequence[Face], aligner: Aligner, shrink: float) -> tuple[_Told, Pixels]:
    sharper = view.sharper(shrink)
    if sharper is view:
        raise PhotoError(Status.UNREADABLE, "no sharper version can be decoded")
    return {}, aligner.cut(sharper.pixels, faces, sharper.shrink)


class _Turn:
    """Of all decoders one at a time decodes a large photo: the lock is a file's."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_UN)


def _limit_memory(max_megapixels: float) -> None:
    """A decoder that would take more than its largest photo needs fails, and not this machine."""
    import resource

    most = int(max_megapixels * 1e6) * _BYTES_A_PIXEL + _BYTES_RESERVED
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    serve()
