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
from facesearch.geometry.face import Box, Face
from facesearch.geometry.squares import square_inside
from facesearch.photos.decoder import LARGE, LOST, Decoder, Shape
from facesearch.photos.decoding_process import Reply
from facesearch.photos.encoding import AROUND, enough_for, pictures_in
from facesearch.photos.file import MAX_MEGAPIXELS
from facesearch.photos.header import decoding_cost, header_size
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import View

SECONDS = 60  # that a photo may take, at most
_PROGRAM = "facesearch.photos.decoding_process"
_TRIES, _TRIES_AT_FAULT = 4, 2  # of a photo whose decoder was ended from outside, and by itself
_BETWEEN_CHECKS = 0.2  # seconds between two checks whether a decoder is late
_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


class _LostError(Exception):
    """A decoder ended over a photo. `photo_error` is the error to report for the photo."""

    def __init__(self, photo_error: PhotoError) -> None:
        super().__init__(photo_error.reason)
        self.photo_error = photo_error


class Decoders:
    """A pool of decoders, each started when it is needed. Threads may call it at the same time, also while it is
    closed: they get the error that the run was interrupted."""

    def __init__(
        self, count: int, max_megapixels: float = MAX_MEGAPIXELS, seconds: float = SECONDS, program: str = _PROGRAM
    ) -> None:
        """`count` is how many work at once, `seconds` how long a photo may take, `program` the module they run."""
        self._max_megapixels, self._seconds, self._program = max_megapixels, seconds, program
        self._slots = threading.Semaphore(count)
        self._one_large = threading.Lock()
        self._change = threading.Lock()  # guards the three below
        self._idle: list[Decoder] = []
        self._all: set[Decoder] = set()
        self._timekeeper: threading.Thread | None = None
        self._closed = threading.Event()

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for decoder in tuple(self._all):
            decoder.close()

    def stop(self) -> None:
        """Ends all decoders, those that are at work too: whoever waits for one gets an error."""
        self._closed.set()
        with self._change:
            for decoder in self._all:
                decoder.kill()

    def start_one(self) -> None:
        """Starts a decoder now, so that it is ready when the first photo comes."""
        with suppress(FaceSearchError):  # the first call says what is wrong
            decoder = self._started()
            with self._change:
                self._idle.append(decoder)

    def decode(self, data: bytes, max_side: int, size: tuple[int, int] | None = None) -> View:
        """As `view.decode_view`; `size` is the width and height that the header announces, where it is known. Raises
        PhotoError too when the photo crashed its decoder or took too long, twice."""
        cost = decoding_cost(data, header_size(data) if size is None else size, max_side)
        reply, pixels = self._call(cost, None, "decode", data, max_side, self._max_megapixels)
        assert reply.size is not None
        note = printable(reply.note)
        facts = reply.knows_up, reply.taken, reply.has_profile
        if reply.more:
            return _RemoteView(pixels, reply.size, reply.shrink, data, note, *facts, self)
        return View(pixels, reply.size, reply.shrink, b"", note, *facts)

    def cut(self, view: View, faces: Sequence[Face], aligner: Aligner, shrink: float) -> Chips:
        """As `View.cut`. Raises PhotoError too when the file cannot give a sharper version."""
        file = View(_NO_PIXELS, view.size, view.shrink, view.data)
        cost = decoding_cost(view.data, view.size, ceil(max(view.size) / shrink))
        expected = (len(faces), aligner.chip_px, aligner.chip_px, 3)
        return self._call(cost, expected, "cut", file, list(faces), aligner, shrink)[1]

    def face_pictures(
        self, data: bytes, boxes: Sequence[Box], side: int, size: tuple[int, int] | None = None
    ) -> list[bytes]:
        """As `encoding.face_pictures`. `size` is that of `decode`."""
        size = header_size(data) if size is None else size
        squares = [square_inside(box, AROUND, size) for box in boxes] if all(size) else []
        cost = decoding_cost(data, size, enough_for(squares, side, size))
        return self._pictures(cost, len(boxes), "faces", data, list(boxes), side, self._max_megapixels)

    def photo_picture(self, data: bytes, side: int, size: tuple[int, int] | None = None) -> bytes:
        """As `encoding.photo_picture`. `size` is that of `decode`."""
        cost = decoding_cost(data, header_size(data) if size is None else size, side)
        return self._pictures(cost, 1, "picture", data, side, self._max_megapixels)[0]

    def _pictures(self, cost: int, count: int, name: str, *arguments: object) -> list[bytes]:
        """So many pictures, that are WebP and nothing else whatever the photo made of its decoder."""
        try:
            found = pictures_in(self._call(cost, None, name, *arguments)[1].tobytes())
        except ValueError as error:
            raise PhotoError(Status.CRASHED, f"its decoder gave an answer that makes no sense: {error}") from error
        if len(found) != count:
            raise PhotoError(Status.CRASHED, "its decoder gave an answer that makes no sense")
        return found

    def ask(self, name: str, *arguments: object) -> bytes:
        """What a call of the decoders' program answers with a text (see `decoding_process.as_array`), with spaces at
        its end. Raises PhotoError."""
        return self._call(0, None, name, *arguments)[1].tobytes()

    def _call(
        self, cost: int, expected: Shape | None, name: str, *arguments: object
    ) -> tuple[Reply, NDArray[np.uint8]]:
        # A photo whose decoder was lost may be innocent: the system ends a process for the memory that others take,
        # and anybody may stop or end one. It is tried again, now beside no other large photo; and twice more, where
        # it is still not at fault.
        lost: _LostError | None = None
        for attempt in range(_TRIES):
            if attempt >= _TRIES_AT_FAULT and lost and lost.photo_error.cause != Cause.MACHINE:
                break
            try:
                with self._one_large if attempt or cost > LARGE else nullcontext():
                    return self._try(expected, name, arguments)
            except _LostError as error:
                lost = error
            except MemoryError as error:
                raise PhotoError(Status.CRASHED, "there is not enough memory for it now", Cause.MACHINE) from error
            if self._closed.is_set():
                raise _interrupted() from lost
        assert lost is not None
        raise lost.photo_error from lost

    def _try(
        self, expected: Shape | None, name: str, arguments: tuple[object, ...]
    ) -> tuple[Reply, NDArray[np.uint8]]:
        """One call of one decoder. Raises _LostError when that was its last."""
        with self._slots:
            with self._change:
                decoder = self._idle.pop() if self._idle else None
            decoder = decoder or self._started()
            try:
                reply = decoder.call(expected, name, arguments)
            except BaseException as error:  # half of a reply may still be on its way
                with self._change:
                    self._all.discard(decoder)
                if isinstance(error, LOST):
                    raise _LostError(decoder.failure()) from error
                decoder.close()
                raise
            with self._change:
                self._idle.append(decoder)
        if isinstance(reply, PhotoError):
            raise reply
        return reply

    def _started(self) -> Decoder:
        """A new decoder. Raises PhotoError when the pool is closed, FaceSearchError when no process starts."""
        if self._closed.is_set():
            raise _interrupted()
        try:
            decoder = Decoder(self._program, self._max_megapixels, self._seconds)
        except OSError as error:
            raise FaceSearchError(
                f"The process that decodes photos cannot be started ({error.strerror}); close other programs."
            ) from error
        with self._change:
            if self._closed.is_set():
                decoder.close()
                raise _interrupted()
            self._all.add(decoder)
            if self._timekeeper is None:
                self._timekeeper = threading.Thread(target=self._keep_time, daemon=True)
                self._timekeeper.start()
        return decoder

    def _keep_time(self) -> None:
        while not self._closed.wait(_BETWEEN_CHECKS):
            for decoder in tuple(self._all):
                decoder.kill_if_late()


@dataclass(frozen=True, slots=True)
class _RemoteView(View):
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
