"""What runs in a decoder's process: it answers calls on its standard input until nobody is there to make one. Here,
and nowhere else, are strangers' photos decoded."""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch.arrays import Pixels
from facesearch.errors import PhotoError
from facesearch.geometry.chips import Aligner
from facesearch.geometry.face import Face
from facesearch.photos.status import Cause, Status
from facesearch.photos.view import View, decode_view

READY = b"ready\n"
LONGEST_LINE = 4096  # bytes of an answer, beside its array
_LONGEST_REASON = 400  # characters
_BYTES_A_PIXEL = 16  # four channels of 16 bits, twice
_BYTES_RESERVED = 3 << 30  # beside the pixels: libraries reserve more than they use
_GRACE = 10  # seconds that the caller, who keeps the time, is waited for: it may be gone
_ENDED_FIRST = b"900"  # of 1,000: where memory is short, the system ends a decoder, not who calls it

Length = Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Ratio = Annotated[float, msgspec.Meta(ge=1, le=1 << 31)]


class Given(msgspec.Struct, frozen=True, tag="given"):
    """The answer before an array of uint8 of this shape. Of a look `size` is the whole photo's width and height,
    `shrink` how many of its pixels, (x, y), one of the array stands for, `more` whether the file has more, and `note`
    what is to be said of it."""

    shape: Annotated[tuple[Length, ...], msgspec.Meta(min_length=3, max_length=4)]
    size: tuple[Side, Side] | None = None
    shrink: tuple[Ratio, Ratio] = (1.0, 1.0)
    more: bool = False
    note: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The answer to a photo that cannot be used: the words of a PhotoError."""

    status: Literal["unreadable", "unsupported", "raw", "too_large", "crashed"]
    reason: Annotated[str, msgspec.Meta(max_length=2 * _LONGEST_REASON)]
    cause: Cause = Cause.FILE
    needs: Annotated[str, msgspec.Meta(max_length=100)] = ""


Call = Callable[..., tuple[Given, NDArray[np.uint8]]]


def serve(calls: Sequence[Call] = ()) -> None:
    """Answers calls until nobody is there to make one. `calls` take the place of those of their name."""
    Image.MAX_IMAGE_PIXELS = None  # our own limit holds
    max_megapixels, seconds = float(sys.argv[1]), float(sys.argv[2])
    _be_modest(max_megapixels)
    known: dict[str, Call] = {"decode": answer_decode, "cut": answer_cut}
    known |= {call.__name__: call for call in calls}
    given, answers = sys.stdin.buffer, _own_output()
    answers.write(READY)
    answers.flush()
    while True:
        try:
            name, words = pickle.load(given)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
        answer, array = _answered(known[name], words)
        answers.write(msgspec.json.encode(answer) + b"\n")
        if array is not None:
            answers.write(np.ascontiguousarray(array).reshape(-1).data)
        answers.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)


def answer_decode(data: bytes, max_side: int, max_megapixels: float) -> tuple[Given, Pixels]:
    """The call "decode": as `view.decode_view`."""
    view = decode_view(data, max_side, max_megapixels)
    return Given(view.pixels.shape, view.size, view.shrink, bool(view.data), view.note), view.pixels


def answer_cut(view: View, faces: Sequence[Face], aligner: Aligner, shrink: float) -> tuple[Given, Pixels]:
    """The call "cut": the faces' chips from a sharper version of a photo. Raises PhotoError where there is none."""
    sharper = view.sharper(shrink)
    if sharper is view:
        raise PhotoError(Status.UNREADABLE, "no sharper version can be decoded")
    chips = aligner.cut(sharper.pixels, faces, sharper.shrink)
    return Given(chips.shape), chips


def _answered(call: Call, words: tuple[Any, ...]) -> tuple[Given | Refused, NDArray[np.uint8] | None]:
    try:
        return call(*words)
    except PhotoError as error:
        return Refused(error.status, error.reason[:_LONGEST_REASON], Cause(error.cause), error.needs), None  # type: ignore[arg-type]
    except MemoryError:
        return Refused("too_large", "decoding it takes more memory than a photo may take"), None
    except Exception as error:
        return Refused("crashed", f"{type(error).__name__}: {error}"[:_LONGEST_REASON]), None


def _own_output() -> IO[bytes]:
    """Where answers go. What a library prints goes nowhere, and so does not come between them."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _be_modest(max_megapixels: float) -> None:
    """A decoder that would take more than its largest photo needs fails, and not this machine. One that crashes
    leaves no image of its memory on the disk: there is a face in it."""
    import resource

    most = ceil(max_megapixels * 1e6) * _BYTES_A_PIXEL + _BYTES_RESERVED
    for limit, value in ((resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_ENDED_FIRST)


if __name__ == "__main__":
    serve()
