"""The program of a decoder's process: it answers calls on its standard input until that is closed. Strangers' photos
are decoded here and nowhere else."""

import faulthandler
import math
import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.geometry.chips import Aligner
from facesearch.geometry.face import Box, Face
from facesearch.photos import raw
from facesearch.photos.colours import are_others
from facesearch.photos.dates import DATE, date_of
from facesearch.photos.encoding import LARGE_ENOUGH, face_pictures, photo_picture
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import View, decode_view

READY = b"ready\n"
LONGEST_LINE = 4096  # bytes of an answer, beside its array
_LONGEST_REASON = 400  # characters
_BYTES_A_PIXEL = 16  # four channels of 16 bits, twice
_BYTES_RESERVED = 3 << 30  # beside the pixels: libraries reserve more than they use
_GRACE = 10  # seconds beyond the photo's: the caller measures the time, but it may be gone
_ENDED_FIRST = b"900"  # of 1,000 (proc(5), oom_score_adj): where memory is short, a decoder ends and not its caller

Length = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Ratio = Annotated[float, msgspec.Meta(ge=1, le=1 << 31)]


class Reply(msgspec.Struct, frozen=True, tag="given"):
    """What comes before an array of uint8 of this shape. The other fields describe a view: `size` is the whole
    photo's width and height, `shrink` how many of its pixels, (x, y), one pixel of the array stands for, `more`
    whether the file has more detail than the array, `note` what the user should hear of it, and `knows_up` whether it
    tells which way is up; `taken` is when the photo was taken, empty where that is not known; `has_profile` says that
    its colours are not sRGB's, of a photo for which that counts."""

    shape: Annotated[tuple[Length, ...], msgspec.Meta(min_length=3, max_length=4)]
    size: tuple[Side, Side] | None = None
    shrink: tuple[Ratio, Ratio] = (1.0, 1.0)
    more: bool = False
    note: Annotated[str, msgspec.Meta(max_length=100)] = ""
    knows_up: bool = False
    taken: Annotated[str, msgspec.Meta(pattern=f"^({DATE})?$")] = ""
    has_profile: bool = False


class Refusal(msgspec.Struct, frozen=True, tag="refused"):
    """The reply where a photo cannot be used: the fields of a PhotoError."""

    status: Literal["unreadable", "unsupported", "raw", "skipped", "too_large", "crashed"]
    reason: Annotated[str, msgspec.Meta(max_length=2 * _LONGEST_REASON)]
    cause: Cause = Cause.FILE
    needs: Annotated[str, msgspec.Meta(max_length=100)] = ""


Call = Callable[..., tuple[Reply, NDArray[np.uint8]]]


def serve(calls: Sequence[Call] = ()) -> None:
    """Answers calls until standard input is closed. `calls` take the place of those of the same name."""
    Image.MAX_IMAGE_PIXELS = None  # `max_megapixels` is the limit
    max_megapixels, seconds = float(sys.argv[1]), float(sys.argv[2])
    _limit_memory(max_megapixels)
    known: dict[str, Call] = {
        "decode": answer_decode,
        "cut": answer_cut,
        "faces": answer_faces,
        "picture": answer_picture,
    }
    known |= {call.__name__: call for call in calls}
    requests, replies = sys.stdin.buffer, _own_output()
    replies.write(READY)
    replies.flush()
    while True:
        try:
            name, arguments = pickle.load(requests)
        except EOFError:
            return
        _end_after(seconds + _GRACE)
        reply, array = _reply_to(known[name], arguments)
        replies.write(msgspec.json.encode(reply) + b"\n")
        if array is not None:
            replies.write(np.ascontiguousarray(array).reshape(-1).data)
        replies.flush()
        _end_after(0)


def answer_decode(data: bytes, max_side: int, max_megapixels: float) -> tuple[Reply, Pixels]:
    """The call "decode": as `view.decode_view`."""
    view = decode_view(data, max_side, max_megapixels)
    has_profile = math.prod(view.size) >= LARGE_ENOUGH and are_others(raw.preview_of(data))
    facts = view.size, view.shrink, bool(view.data), view.note, view.knows_up, date_of(data), has_profile
    return Reply(view.pixels.shape, *facts), view.pixels


def answer_cut(view: View, faces: Sequence[Face], aligner: Aligner, shrink: float) -> tuple[Reply, Pixels]:
    """The call "cut": the faces' chips from a sharper version of a photo. Raises PhotoError where there is none."""
    sharper = view.sharper(shrink)
    if sharper is view:
        raise PhotoError(Status.UNREADABLE, "no sharper version can be decoded")
    chips = aligner.cut(sharper.pixels, faces, sharper.shrink)
    return Reply(chips.shape), chips


def answer_faces(
    data: bytes, boxes: Sequence[Box], side: int, max_megapixels: float
) -> tuple[Reply, NDArray[np.uint8]]:
    """The call "faces": as `encoding.face_pictures`, one after the other."""
    return as_array(b"".join(face_pictures(data, boxes, side, max_megapixels)))


def answer_picture(data: bytes, side: int, max_megapixels: float) -> tuple[Reply, NDArray[np.uint8]]:
    """The call "picture": as `encoding.photo_picture`."""
    return as_array(photo_picture(data, side, max_megapixels))


def as_array(text: bytes) -> tuple[Reply, NDArray[np.uint8]]:
    """The reply of a call that answers with a text: its bytes, and spaces, in the shape of a picture."""
    padded = text + b" " * (-len(text) % 3)
    array = np.frombuffer(padded, np.uint8).reshape(1, -1, 3)
    return Reply(array.shape, (1, 1)), array


def _reply_to(call: Call, arguments: tuple[Any, ...]) -> tuple[Reply | Refusal, NDArray[np.uint8] | None]:
    try:
        return call(*arguments)
    except PhotoError as error:
        return Refusal(error.status, error.reason[:_LONGEST_REASON], Cause(error.cause), error.needs), None  # type: ignore[arg-type]
    except MemoryError:
        return Refusal("too_large", "decoding it takes more memory than a photo may take"), None
    except Exception as error:
        return Refusal("crashed", f"{type(error).__name__}: {error}"[:_LONGEST_REASON]), None


def _own_output() -> IO[bytes]:
    """Where replies go. What a library prints is thrown away, so that it cannot come between them."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return replies


def _end_after(seconds: float) -> None:
    """Ends this process after that time, should nobody be left to do so; 0 cancels it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
    elif seconds:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        faulthandler.cancel_dump_traceback_later()


def _limit_memory(max_megapixels: float) -> None:
    """Where the system has such limits: a decoder that would take more memory than its largest photo needs fails, and
    not this machine. One that crashes leaves no image of its memory on the disk, as there is a face in it."""
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_bytes(_ENDED_FIRST)
    try:
        import resource
    except ImportError:  # Windows
        return
    most = math.ceil(max_megapixels * 1e6) * _BYTES_A_PIXEL + _BYTES_RESERVED
    for limit, value in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


if __name__ == "__main__":
    serve()
