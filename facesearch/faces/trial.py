"""What runs in the process in which a stranger's model is opened, converted and tried once on a real face (see
`facesearch.models.conversion`)."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Chips, Pixels
from facesearch.errors import FaceSearchError, ModelError, PhotoError
from facesearch.faces.detector import Detector
from facesearch.faces.embedder import Embedder
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.faces.yunet import YunetDetector
from facesearch.files import keep_private
from facesearch.geometry.face import Box, Face, Point
from facesearch.libraries import settle_all
from facesearch.models.cards import BoxAlignment, DetectorCard, EmbedderCard, ModelCard, Weights
from facesearch.models.conversion import Answer, Order, too_large
from facesearch.models.engines.onnx import OnnxNetwork, import_onnx, import_onnxruntime
from facesearch.models.export import write_networks
from facesearch.models.sandbox import limit_this_process
from facesearch.models.weights import dlib_dat, tensors
from facesearch.photos.pixels import decode

_PHOTO = Path(__file__).parents[1] / "astronaut.jpg"
# Where MTCNN sees her face.
_FACE = Face(
    Box(147.0, 59.0, 236.0, 175.0),
    1.0,
    (Point(172.0, 101.1), Point(215.3, 104.3), Point(192.9, 129.1), Point(169.0, 139.4), Point(213.0, 142.7)),
)
_LEAST_SHARED = 0.3  # of both boxes' area, by both: it is her face that was found
_DARKER = 0.7
_SAME = 1e-3  # of a row's length, at most: the difference between a face alone and in a batch
_MARGIN = 32  # pixels: of the released FaceNets' chips of LFW
_FACENET_PX = 160
_LONGEST = 300  # characters of what a library says


def main() -> None:
    """Reads what is asked, does it, says a line after each step."""
    limit_this_process()
    keep_private()
    settle_all()
    # Libraries write to the standard output too, which must hold our answers alone.
    with os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)
        _say(answers, _answer(msgspec.json.decode(sys.stdin.buffer.read(), type=Order), answers))


def _say(to: BinaryIO, answer: Answer) -> None:
    to.write(msgspec.json.encode(answer) + b"\n")


def _answer(order: Order, to: BinaryIO) -> Answer:
    try:
        return _carried_out(order, lambda: _say(to, Answer()))
    except FaceSearchError as error:
        return Answer(error=str(error), code=error.exit_code)
    except MemoryError:
        return Answer(error=too_large(order.subject))
    except OSError as error:
        return Answer(
            error=f"{error.filename or order.subject} cannot be written: {error.strerror or error}.",
            code=FaceSearchError.exit_code,
        )
    except Exception as error:
        if "bad_alloc" in str(error) or "allocate memory" in str(error):
            return Answer(error=too_large(order.subject))
        return Answer(error=f"{order.subject} cannot be used: {_first_line(error)}.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:_LONGEST]}".rstrip(".: ")


def _carried_out(order: Order, on_converted: Callable[[], None]) -> Answer:
    import_onnxruntime()  # what is absent is said before anything is tried
    import_onnx()
    folder, to = (Path(os.fsdecode(each)) for each in (order.folder, order.to))
    card = _taken_in(order, folder) if order.kind else order.card
    assert card is not None
    write_networks(card, folder, to)
    on_converted()
    if isinstance(card, EmbedderCard):
        return Answer(card, _warning_of(card, to / "embedder.onnx", order.subject))
    _refuse_blind(card, to, order.subject)
    return Answer(card)


# From a stranger's file


def _taken_in(order: Order, folder: Path) -> ModelCard:
    """The card of what is in the file, its weights as they lie in the folder now."""
    file = Path(os.fsdecode(order.file))
    if order.kind in ("frozen_pb", "keras_h5"):
        found: dict[str, NDArray[np.float32]] = import_module(f"facesearch.models.weights.{order.kind}").read(file)
        card = order.card or _facenet_card(found, file.name, order.name)
        tensors.write(folder / "weights.npz", found)
        return msgspec.structs.replace(card, weights=(Weights(path="weights.npz", format="tensors"),))
    assert order.card is not None
    if order.kind == "dlib_dat":
        dlib_dat.read(folder / order.card.weights[0].path)  # raises for any other file
    return order.card


def _facenet_card(found: Mapping[str, NDArray[np.float32]], file: str, name: str) -> EmbedderCard:
    """A FaceNet that nobody described. The released ones with 128 numbers were trained on chips whitened one by one,
    those with 512 on pixels scaled alike."""
    bottleneck = found.get("InceptionResnetV1/Bottleneck/weights")
    if bottleneck is None or bottleneck.ndim != 2:
        raise ModelError(f"{file} has no tensor InceptionResnetV1/Bottleneck/weights, so it is not a FaceNet.")
    dim = int(bottleneck.shape[1])
    return EmbedderCard(
        name=name,
        title="FaceNet (Inception-ResNet-v1)",
        network="facenet",
        licence="not stated",
        source=file,
        weights=(Weights(path="weights.npz", format="tensors"),),
        dim=dim,
        chip_px=_FACENET_PX,
        whitened=dim == 128,
        alignment=BoxAlignment(margin=_MARGIN),
        paper="Schroff et al. 2015, FaceNet: A Unified Embedding for Face Recognition and Clustering",
    )


# On a real face


def _warning_of(card: EmbedderCard, path: Path, subject: str) -> str:
    """A sentence where what the network gives for a face looks wrong. Raises ModelError where it gives no rows that
    can be embeddings, or a face other numbers in a batch than alone."""
    network = _session(path, subject)
    embedder = Embedder(network, card, card.detector)
    chips = _chips(embedder)
    try:
        rows = embedder.embed(chips)
    except PhotoError as error:
        raise ModelError(f"{subject} cannot be used: {error.reason}.") from error
    (together,) = network(chips)
    alone = np.concatenate([network(chips[i : i + 1])[0] for i in range(len(chips))])
    longest = float(np.linalg.norm(together, axis=1).max())
    if alone.shape != together.shape or np.abs(together - alone).max() > _SAME * longest:
        raise ModelError(
            f"The model '{card.name}' gives different numbers for a face in a batch than alone; it cannot be used."
        )
    face, mirrored, darker, *others = rows
    least, most = min(face @ mirrored, face @ darker), max(face @ other for other in others)
    if least > most:
        return ""
    return (
        f"{subject} finds a face less like its own mirror image or darker copy (similarity {least:.3f}) than like "
        f"noise ({most:.3f}); look at mean, scale, channels and alignment in its card before you use it."
    )


def _session(path: Path, subject: str) -> OnnxNetwork:
    try:
        return OnnxNetwork(path, os.cpu_count() or 1)
    except ModelError as error:
        why = _first_line(error.__cause__) if isinstance(error.__cause__, Exception) else str(error)
        if "bad_alloc" in why or "allocate memory" in why:
            raise MemoryError from error
        why = why.rsplit("failed:", 1)[-1]  # the path before that is of a folder that is gone afterwards
        raise ModelError(f"{subject} cannot be run by ONNX Runtime ({why}).") from error


def _chips(embedder: Embedder) -> Chips:
    """A face, its mirror image, its darker copy, and three chips of noise."""
    (face,) = embedder.aligner.cut(_photo(), [_FACE])
    noise = np.random.default_rng(0).integers(0, 256, (3, *face.shape)).astype(np.uint8)
    return np.stack([face, face[:, ::-1], (face * _DARKER).astype(np.uint8), *noise])


def _photo() -> Pixels:
    """Eileen Collins, photographed by NASA; facesearch ships it."""
    return decode(_PHOTO.read_bytes())


def _refuse_blind(card: DetectorCard, folder: Path, subject: str) -> None:
    """Raises ModelError where a detector does not find the one face in the photo."""
    if card.network == "yunet":
        detector: Detector = YunetDetector(folder / "detector.onnx", card)
    else:
        detector = MtcnnDetector({path.stem: _session(path, subject) for path in folder.glob("*.onnx")}, card)
    (found,) = detector.detect([_photo()])
    if len(found) != 1 or _shared(found[0].box, _FACE.box) < _LEAST_SHARED:
        raise ModelError(
            f"{subject} finds {len(found)} faces in a photo of one, or finds it elsewhere; it cannot be used."
        )


def _shared(a: Box, b: Box) -> float:
    """How much two boxes share of what both cover: 0..1."""
    both = Box(max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom))
    inside = both.area if both.right > both.left and both.bottom > both.top else 0.0
    return inside / (a.area + b.area - inside)


if __name__ == "__main__":
    main()
