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
    """A model to convert and to try. Its weights are in `folder`; its ONNX files are written to `to`, a new folder;
    `subject` names it in sentences. Paths are bytes, as they need not be UTF-8.

    With a `kind`, which is a format of weights, the model is read from `file` first and its weights are put into
    `folder` (an .onnx or .dat file lies there already). Without a card, one of that `name` is made from what the file
    holds."""

    card: ModelCard | None
    folder: bytes
    to: bytes
    subject: str
    file: bytes = b""
    kind: str = ""
    name: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line that the process writes: empty after a step, with the card when the model has run, or with an error."""

    card: DetectorCard | EmbedderCard | None = None
    warning: str = ""
    error: str = ""
    code: int = ModelError.exit_code


@dataclass(frozen=True, slots=True)
class Converted:
    """A model that was converted and has run. `warning` is a sentence where its embeddings look wrong."""

    card: ModelCard
    warning: str


def order_of(card: ModelCard, folder: Path, to: Path) -> Order:
    """The order for a model whose weights are there."""
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
                    return Converted(answer.card, printable(answer.warning))
        raise DiedError(0)
    except TimedOutError as error:
        raise _unusable(order, f"did not finish within {SECONDS:g} seconds") from error
    except DiedError as error:
        raise _unusable(order, f"ended the process that tried it ({error})") from error
    except msgspec.MsgspecError as error:
        raise _unusable(order, f"makes no sense ({printable(str(error))})") from error
    except OSError as error:
        raise FaceSearchError(f"The process that tries models cannot be started: {error.strerror}.") from error


def too_large(subject: str) -> str:
    """The message about a model that asks for more memory than it may have."""
    return (
        f"{subject} asks for more memory than a model may take ({MOST_MEMORY >> 30} GB at most); it cannot be used."
    )


def _unusable(order: Order, why: str) -> ModelError:
    return ModelError(f"{order.subject} {why}; it cannot be used.")
