"""Networks as the ONNX files that serve on a CPU, in folders under the home: which folder is a model's, whether it is
whole, and how it comes into being."""

import hashlib
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

from facesearch.errors import FaceSearchError, Note
from facesearch.files import write_whole
from facesearch.home import home, model_dir, private_folder
from facesearch.models.cards import ModelCard
from facesearch.models.conversion import convert, order_of
from facesearch.models.engines.onnx import import_onnx, import_onnxruntime, write_folded
from facesearch.models.engines.openvino import PLAIN
from facesearch.models.weight_files import (
    checked_path,
    comes_with_facesearch,
    digest_of,
    read_weights,
    refuse_missing,
)

# Raised when a graph changes that any network is served as, so that the files of before are not taken for its own.
_FORMAT = 2
_IN_THE_GRAPH = ("network", "dim", "chip_px", "mean", "scale", "whitened", "channels")  # facts of a card
_FOLDER_NAME = re.compile(r"[0-9a-f]{16}")
_SUMS = "checksums.json"  # CRC-32 of each network's file


def prepare(cards: Sequence[ModelCard], note: Note) -> None:
    """Writes the ONNX files of networks that have none yet, or damaged ones. Weights that come with facesearch are
    read here. What may be a stranger's is read, and tried on a face, in a process of its own with limits. Raises
    ModelError for a model that cannot be used, FaceSearchError where this machine is to blame."""
    for card in cards:
        refuse_missing(card)
    missing = [card for card in cards if not is_prepared(card)]
    if not missing:
        return
    import_onnxruntime()
    import_onnx()
    note(f"Preparing {' and '.join(card.name for card in missing)} for this machine, once.")
    with fresh_folder() as folder:
        for number, card in enumerate(missing):
            to = folder / str(number)
            if is_strange(card):
                warning = convert(order_of(card, model_dir(card.name), to)).warning
                if warning:
                    note(warning)
            else:
                write_networks(card, model_dir(card.name), to)
            put_in_place(to, exported_to(card))


def is_prepared(card: ModelCard) -> bool:
    """Whether the card's networks lie there in the form that this version of facesearch builds, and are still what
    they were: a network with a damaged weight would answer, and wrongly."""
    return _is_whole(exported_to(card))


def is_strange(card: ModelCard) -> bool:
    """Whether a file of its weights may be a stranger's."""
    return not all(map(comes_with_facesearch, card.weights))


def exported_to(card: ModelCard) -> Path:
    """Where the card's ONNX files are. The folder's name depends on the weights, on all facts of the card that shape
    the graph and on the format's number, so that files of other weights are never taken for these."""
    facts = [getattr(card, fact, None) for fact in _IN_THE_GRAPH]
    digests = [digest_of(each, card.name) for each in card.weights]
    recipe = hashlib.sha256(msgspec.json.encode([_FORMAT, facts, digests]))
    return model_dir(card.name) / recipe.hexdigest()[:16]


def write_networks(card: ModelCard, weights_in: Path, to: Path) -> None:
    """Writes a card's networks to a new folder, an ONNX file for each part. Raises ModelError for weights that are
    not those of the network, FaceSearchError when the disk refuses a file."""
    try:
        to.mkdir()
        if card.network == "yunet":  # its output has no weights to fold, and OpenCV reads it
            shutil.copyfile(checked_path(card.weights[0], card, weights_in), to / "detector.onnx")
        elif card.network == "onnx_graph":
            graph = _network_of(card).adapted(checked_path(card.weights[0], card, weights_in), card)
            (to / "embedder.onnx").write_bytes(graph.SerializeToString())
        else:
            network, weights = _network_of(card), read_weights(card, weights_in)
            for part, graph in network.graphs(weights, card).items():
                write_folded(graph, to / f"{part}.onnx")
            if hasattr(network, "plain_graphs"):
                for part, graph in network.plain_graphs(weights, card).items():
                    write_folded(graph, to / f"{part}{PLAIN}")
    except OSError as error:
        raise FaceSearchError(f"{error.filename or to} cannot be written: {error.strerror or error}.") from error


def put_in_place(networks: Path, at: Path) -> None:
    """Moves a folder of ONNX files to where it is served from, beside which no other of the model's is needed any
    more; a folder that is there is whole. Raises FaceSearchError when the disk refuses it."""
    try:
        sums = {path.name: zlib.crc32(path.read_bytes()) for path in sorted(networks.glob("*.onnx"))}
        write_whole(networks / _SUMS, json.dumps(sums).encode())
        private_folder(at.parent)
        if _is_whole(at):
            return  # another process was faster, with the same result
        if at.exists():  # damaged, and ours alone
            at.rename(networks.with_name(f"{networks.name}-damaged"))
        networks.rename(at)
    except OSError as error:
        raise FaceSearchError(f"{error.filename or at} cannot be written: {error.strerror}.") from error
    for other in at.parent.iterdir():
        if other.name != at.name and is_export(other) and (other / _SUMS).is_file():
            shutil.rmtree(other, ignore_errors=True)


def is_export(path: Path) -> bool:
    """Whether what lies in a model's folder is named as a folder of its ONNX files."""
    return _FOLDER_NAME.fullmatch(path.name) is not None


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A new private folder beside the models', for what is not finished; it is gone afterwards. Raises
    FaceSearchError when the disk refuses it."""
    try:
        parent = private_folder(home() / "models")
        folder = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=parent))
    except OSError as error:
        raise FaceSearchError(f"{error.filename} cannot be written: {error.strerror}.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _network_of(card: ModelCard) -> ModuleType:
    return import_module(f"facesearch.models.networks.{card.network}")


def _is_whole(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
        return bool(sums) and all(zlib.crc32((folder / name).read_bytes()) == crc for name, crc in sums.items())
    except (OSError, ValueError, AttributeError):
        return False
