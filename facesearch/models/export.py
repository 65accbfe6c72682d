"""Networks in the form in which they are served, kept under the home."""

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from facesearch.errors import FaceSearchError, Note
from facesearch.files import write_whole
from facesearch.home import home, model_dir, private_folder
from facesearch.models import networks
from facesearch.models.cards import ModelCard
from facesearch.models.conversion import convert, order_of
from facesearch.models.device import ON_THE_CPU
from facesearch.models.engines.onnx import import_onnxruntime
from facesearch.models.weight_files import comes_with_facesearch, digest_of, refuse_missing

_IN_THE_GRAPH = ("network", "dim", "chip_px", "mean", "scale", "whitened", "channels")
_SUMS = "checksums.json"  # CRC-32 of each exported network


def prepare(cards: Sequence[ModelCard], note: Note) -> None:
    """Exports what is not yet exported and tries it, in a process of its own with limits, so that TensorFlow's memory
    goes with it and a file of strangers harms nothing. Raises ModelError or FaceSearchError with what it said."""
    for card in cards:
        refuse_missing(card)
    missing = [card for card in cards if not is_prepared(card)]
    if not missing:
        return
    import_onnxruntime()
    if any(card.network not in ON_THE_CPU for card in missing):
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
