"""Photos decoded in processes of their own, so that one that crashes its decoder, or never lets it end, costs itself
alone."""

import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips
from facesearch.errors import FaceSearchError, PhotoError
from facesearch.files import printable
from facesearch.geometry.chips import Aligner
from facesearch.geometry.face import Face
from facesearch.photos.decoder import GONE, LARGE, Decoder
from facesearch.photos.decoding_process import Given
from facesearch.photos.file import MAX_MEGAPIXELS
from facesearch.photos.header import decoding_cost, header_size
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import View

SECONDS = 60  # that a photo may take, at most
_PROGRAM = "facesearch.photos.decoding_process"
_TRIES = 3
_BETWEEN_LOOKS = 0.2  # seconds, at whether a decoder has had its time
_NOTHING = np.empty((0, 0, 3), np.uint8)


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
        self._idle: list[Decoder] = []
        self._all: set[Decoder] = set()
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
                if isinstance(error, GONE):
                    raise _DiedError(*decoder.autopsy(self._seconds)) from error
                decoder.bury()
                raise
            with self._change:
                self._idle.append(decoder)
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def _started(self) -> "Decoder":
        """A new decoder. Raises PhotoError when there is to be none any more, FaceSearchError when there is none."""
        try:
            decoder = Decoder(self._program, self._max_megapixels, self._seconds)
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


def _interrupted() -> PhotoError:
    return PhotoError(Status.CRASHED, "the run was interrupted", Cause.MACHINE)
