"""A stranger's model is converted and tried in a process of its own (`facesearch.faces.trial` runs there): what that
is asked to do, and what its answers mean."""

import os
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import msgspec

from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.files import printable
from facesearch.models.cards import DetectorCard, EmbedderCard, ModelCard
from facesearch.models.sandbox import MOST_MEMORY, DiedError, TimedOutError, lines_of

SECONDS = 120  # for each of both steps: reading a model, and its trial on a face
_FAMILY: dict[int, type[FaceSearchError]] = {
    error.exit_code: error for error in (FaceSearchError, ModelError, UsageError)
}


class Order(msgspec.Struct, frozen=True):
    """A model to convert, and to try. Its weights are in `folder`, what is converted is written to the new folder
    `to`; `what` is how a sentence begins that is about it. Paths are bytes, as they may be no UTF-8.

    With a `kind` it is taken from a `file` first, and its weights are put into `folder`: an .onnx and a .dat lie
    there already. Without a card, that follows from what the file holds, and its name is `name`."""

    card: ModelCard | None
    folder: bytes
    to: bytes
    what: str
    file: bytes = b""
    kind: str = ""
    name: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of what the process says: a step is done, or a model is, or it cannot be."""

    card: DetectorCard | EmbedderCard | None = None
    doubt: str = ""
    error: str = ""
    code: int = ModelError.exit_code


@dataclass(frozen=True, slots=True)
class Converted:
    """A model that was converted and has run. `doubt` is a sentence where what it gives looks wrong."""

    card: ModelCard
    doubt: str


def order_of(card: ModelCard, folder: Path, to: Path) -> Order:
    """What is asked for a model whose weights are there."""
    return Order(card, os.fsencode(folder), os.fsencode(to), f"The model '{card.name}'")


def convert(order: Order) -> Converted:
    """Converts and tries a model, in a process with limits of memory and of time. Raises ModelError for one that
    cannot be used, in one sentence, and FaceSearchError where this machine is to blame."""
    request = msgspec.json.encode(order)
    try:
        with closing(lines_of("facesearch.faces.trial", request, repeat(SECONDS))) as lines:
            for line in lines:
                answer = msgspec.json.decode(line, type=Answer)
                if answer.error:
                    raise _FAMILY.get(answer.code, FaceSearchError)(printable(answer.error))
                if answer.card:
                    return Converted(answer.card, printable(answer.doubt))
        raise DiedError(0)
    except TimedOutError as error:
        raise _unusable(order, f"did not come to an end within {SECONDS:g} seconds") from error
    except DiedError as error:
        raise _unusable(order, f"ended the process that tried it ({error})") from error
    except msgspec.MsgspecError as error:
        raise _unusable(order, f"makes no sense ({printable(str(error))})") from error
    except OSError as error:
        raise FaceSearchError(f"No process that tries models can be started: {error.strerror}.") from error


def too_large(what: str) -> str:
    """The sentence for what asks for more memory than it may have."""
    return f"{what} asks for more memory than a model may take ({MOST_MEMORY >> 30} GB at most); it cannot be used."


def _unusable(order: Order, why: str) -> ModelError:
    return ModelError(f"{order.what} {why}; it cannot be used.")
