"""From a card to running networks.

On a GPU Keras runs them. On a CPU ONNX Runtime does: on first use a card's networks are built in Keras, exported
and kept under the home, so that no later command needs TensorFlow, whose import alone takes seconds."""

import hashlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from facesearch import networks
from facesearch.cards import ModelCard, Weights, model_cards
from facesearch.engines import Network
from facesearch.engines.keras import KerasNetwork, gpu_is_visible, gpu_works, import_keras
from facesearch.engines.onnx import OnnxNetwork, export, import_onnxruntime
from facesearch.errors import FaceSearchError, ModelError
from facesearch.settings import model_dir

Device = Literal["auto", "cpu", "gpu"]
Note = Callable[[str], None]

_IN_THE_GRAPH = ("network", "weights", "dim", "chip_px", "mean", "scale")


def choose_device(asked: Device) -> Literal["cpu", "gpu"]:
    """`auto` is the GPU where the driver shows one and TensorFlow can use it.
    Raises FaceSearchError when a GPU is asked for and cannot be used: it is never silently replaced."""
    if asked == "cpu":
        return "cpu"
    if asked == "auto":
        return "gpu" if gpu_is_visible() and _has_tensorflow() and gpu_works() else "cpu"
    if gpu_is_visible() and gpu_works():
        return "gpu"
    raise FaceSearchError(
        "No GPU can be used here; check nvidia-smi and that facesearch[gpu] is installed, or leave --device out."
    )


def serve(card: ModelCard, device: Literal["cpu", "gpu"], threads: int) -> Mapping[str, Network]:
    """A card's networks by the name of their part. `threads` is how many cores a call on the CPU may use; on the
    CPU the card must have been prepared."""
    if device == "gpu":
        return {part: KerasNetwork(model) for part, model in build(card).items()}
    files = sorted(exported_to(card).glob("*.onnx"))
    if not files:
        raise ModelError(f"The model '{card.name}' is not prepared; run: facesearch doctor.")
    return {path.stem: OnnxNetwork(path, threads) for path in files}


def prepare(cards: Sequence[ModelCard], note: Note) -> None:
    """Exports what is not yet exported, in a process of its own, so that TensorFlow's memory goes with it.
    Raises ModelError or FaceSearchError with that process's own last words when it fails."""
    missing = [card.name for card in cards if not is_prepared(card)]
    if not missing:
        return
    import_onnxruntime()
    note(f"Preparing {' and '.join(missing)} for this machine, once; this takes about 20 seconds.")
    # -P: what lies in the user's current folder is no part of facesearch, whatever its name.
    command = [sys.executable, "-P", "-m", "facesearch.serving", *missing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        error = ModelError if done.returncode == ModelError.exit_code else FaceSearchError
        raise error(said[-1])


def is_prepared(card: ModelCard) -> bool:
    """Whether the card's networks are exported in the form that this version of facesearch builds."""
    return exported_to(card).is_dir()


def exported_to(card: ModelCard) -> Path:
    """Where the exports are. The folder's name depends on all that shapes the graph, in the card and in the
    network's code, so that nothing of it can change without a new export."""
    folder = Path(networks.__file__).parent
    recipe = hashlib.sha256(msgspec.json.encode([getattr(card, fact, None) for fact in _IN_THE_GRAPH]))
    recipe.update((folder / f"{card.network}.py").read_bytes())
    return model_dir(card.name) / recipe.hexdigest()[:16]


def build(card: ModelCard) -> dict[str, Any]:
    """The card's Keras models by the name of their part, with the weights that the card names.
    Raises ModelError when the weights are absent or not those that the card was written for."""
    import_keras()
    network = importlib.import_module(f"facesearch.networks.{card.network}")
    models: dict[str, Any] = network.build([_read(weights, card) for weights in card.weights], card)
    return models


def weights_path(weights: Weights) -> Path | None:
    """The file of weights inside its installed package, which is not imported; None where it is not there."""
    spec = importlib.util.find_spec(weights.package)
    folders = (spec.submodule_search_locations if spec else None) or []
    found = (Path(folder) / weights.path for folder in folders)
    return next((path for path in found if path.is_file()), None)


def _has_tensorflow() -> bool:
    return importlib.util.find_spec("tensorflow") is not None


def _read(weights: Weights, card: ModelCard) -> Any:
    path = weights_path(weights)
    if path is None:
        raise ModelError(
            f"The weights of '{card.name}' are missing; install them with: pip install {weights.package}."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != weights.sha256:
        raise ModelError(
            f"{path} is not the file that '{card.name}' was made for (SHA-256 {found[:12]}..., expected "
            f"{weights.sha256[:12]}...); install it again with: pip install --force-reinstall {weights.package}."
        )
    return importlib.import_module(f"facesearch.weights.{weights.format}").read(path)


def _export(card: ModelCard) -> None:
    """Builds and writes all parts beside the final folder, then renames: a folder that exists is whole."""
    folder = exported_to(card)
    unfinished = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        for part, model in build(card).items():
            export(model, unfinished / f"{part}.onnx")
        if not folder.exists():  # else another process was faster, with the same result
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _main(names: Sequence[str]) -> int:
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
