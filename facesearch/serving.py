"""From a card to running networks.

On a GPU Keras runs them. On a CPU ONNX Runtime does: on first use a card's networks are built in Keras, exported
and kept under the home, so that no later command needs TensorFlow, whose import alone takes seconds."""

import hashlib
import importlib
import importlib.util
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from facesearch import networks
from facesearch.cards import EmbedderCard, ModelCard
from facesearch.conversion import convert, order_of
from facesearch.engines import Network
from facesearch.engines.keras import KerasNetwork, gpu_is_visible, gpu_works, import_keras, precision
from facesearch.engines.onnx import OnnxNetwork, import_onnxruntime
from facesearch.errors import FaceSearchError, ModelError
from facesearch.files import write_whole
from facesearch.settings import home, model_dir, private_folder
from facesearch.weight_files import checked_path, comes_with_facesearch, digest_of, refuse_missing

Device = Literal["auto", "cpu", "gpu"]
Note = Callable[[str], None]

_IN_THE_GRAPH = ("network", "dim", "chip_px", "mean", "scale", "whitened", "channels")
_SUMS = "checksums.json"  # CRC-32 of each exported network
_PROGRAMS = ("joblib_list",)  # formats whose reading runs what the file says
_ON_THE_CPU = ("onnx_graph", "yunet")  # networks that are not defined in Keras


def choose_device(asked: Device) -> Literal["cpu", "gpu"]:
    """`auto` is the GPU where the driver shows one and TensorFlow can use it.
    Raises FaceSearchError when a GPU is asked for and cannot be used: it is never silently replaced."""
    if asked == "cpu":
        return "cpu"
    if asked == "auto":
        return "gpu" if gpu_is_visible() and _has_keras() and gpu_works() else "cpu"
    if gpu_is_visible() and gpu_works():
        return "gpu"
    raise FaceSearchError(
        "No GPU can be used here; check nvidia-smi, install what uses it with: pip install 'tensorflow[and-cuda]', "
        "or leave --device out."
    )


def device_of(card: ModelCard, asked: Device) -> Literal["cpu", "gpu"]:
    """As choose_device, for one model. Raises FaceSearchError too when a GPU is asked for and cannot run it."""
    if card.network not in _ON_THE_CPU:
        return choose_device(asked)
    if asked == "gpu":
        raise FaceSearchError(f"'{card.name}' runs on the CPU only; leave --device out, or choose another model.")
    return "cpu"


def serve(card: ModelCard, device: Literal["cpu", "gpu"], threads: int) -> Mapping[str, Network]:
    """A card's networks by the name of their part. `threads` is how many cores a call on the CPU may use; on the
    CPU the card must have been prepared."""
    if device == "gpu":
        # A detector finds places to a fraction of a pixel, for which 16 bits are too few.
        with precision(mixed=isinstance(card, EmbedderCard)):
            return {part: KerasNetwork(model) for part, model in build(card).items()}
    files = sorted(exported_to(card).glob("*.onnx"))
    if not files:
        raise ModelError(f"The model '{card.name}' is not prepared; run: facesearch doctor.")
    return {path.stem: OnnxNetwork(path, threads) for path in files}


def prepare(cards: Sequence[ModelCard], note: Note) -> None:
    """Exports what is not yet exported and tries it, in a process of its own with limits, so that TensorFlow's memory
    goes with it and a file of strangers harms nothing. Raises ModelError or FaceSearchError with what it said."""
    for card in cards:
        refuse_missing(card)
    missing = [card for card in cards if not is_prepared(card)]
    if not missing:
        return
    import_onnxruntime()
    if any(card.network not in _ON_THE_CPU for card in missing):
        names = " and ".join(card.name for card in missing)
        note(f"Preparing {names} for this machine, once; this takes some seconds.")
    with fresh_folder() as folder:
        places = [folder / str(i) for i in range(len(missing))]
        orders = [order_of(card, model_dir(card.name), to) for card, to in zip(missing, places, strict=True)]
        for card, to, tried in zip(missing, places, convert(orders), strict=True):
            put_in_place(to, exported_to(card))
            if tried.doubt:
                note(tried.doubt)


def is_prepared(card: ModelCard) -> bool:
    """Whether the card's networks are exported in the form that this version of facesearch builds, and are still what
    they were: a network with a damaged weight would answer, and wrongly."""
    return _is_whole(exported_to(card))


def is_strange(card: ModelCard) -> bool:
    """Whether a file of its weights may be a stranger's."""
    return not all(map(comes_with_facesearch, card.weights))


def put_in_place(exports: Path, at: Path) -> None:
    """Moves a folder of exports to where it is served from; a folder that is there is whole. Raises FaceSearchError
    when the disk refuses it."""
    try:
        sums = {path.name: zlib.crc32(path.read_bytes()) for path in sorted(exports.glob("*.onnx"))}
        write_whole(exports / _SUMS, json.dumps(sums).encode())
        private_folder(at.parent)
        if _is_whole(at):
            return  # another process was faster, with the same result
        if at.exists():  # damaged: ours alone, and made anew
            at.rename(exports.with_name(f"{exports.name}-damaged"))
        exports.rename(at)
    except OSError as error:
        raise FaceSearchError(f"{error.filename or at} cannot be written: {error.strerror}.") from error


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


def _is_whole(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
        return bool(sums) and all(zlib.crc32((folder / name).read_bytes()) == crc for name, crc in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def exported_to(card: ModelCard) -> Path:
    """Where the exports are. The folder's name depends on all that shapes the graph, in the card, in the weights and
    in the network's code, so that nothing of it can change without a new export."""
    folder = Path(networks.__file__).parent
    facts = [getattr(card, fact, None) for fact in _IN_THE_GRAPH]
    files = [(each.path, each.format, each.package, digest_of(each, card.name)) for each in card.weights]
    recipe = hashlib.sha256(msgspec.json.encode([*facts, files]))
    for module in (card.network, "ends"):
        source = folder / f"{module}.py"
        recipe.update(source.read_bytes() if source.exists() else b"")  # YuNet runs as it is
    return model_dir(card.name) / recipe.hexdigest()[:16]


def build(card: ModelCard, folder: Path | None = None) -> dict[str, Any]:
    """The card's Keras models by the name of their part, with the weights that the card names, in the model's folder
    unless another is said. Raises ModelError when the weights are absent or not those that the card was written
    for."""
    import_keras()
    network = importlib.import_module(f"facesearch.networks.{card.network}")
    models: dict[str, Any] = network.build(read_weights(card, folder), card)
    return models


def read_weights(card: ModelCard, folder: Path | None = None) -> list[Any]:
    """What the reader of each of the card's files gives. Raises ModelError when a file is absent or not the one that
    the card was written for."""
    for weights in card.weights:
        if weights.format in _PROGRAMS and not comes_with_facesearch(weights):
            raise ModelError(
                f"{weights.path} of '{card.name}' is a pickle, which is a program; none is read but the weights that "
                "a card of facesearch's own names."
            )
    return [
        importlib.import_module(f"facesearch.weights.{weights.format}").read(checked_path(weights, card, folder))
        for weights in card.weights
    ]


def _has_keras() -> bool:
    return importlib.util.find_spec("keras") is not None
