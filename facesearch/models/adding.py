"""Bring a model home: from a file, or from the address in its card. Only arrays and ONNX graphs are taken in; no
program that a file may hold is ever run.

Everything is made in a fresh folder beside the models' and takes its place when the model has run: what fails leaves
nothing behind, and touches nothing that was there."""

import os
import shutil
from pathlib import Path

import msgspec

from facesearch.errors import FaceSearchError, ModelError, Note, UsageError
from facesearch.files import PART, printable, sync_folder
from facesearch.home import model_dir, private_folder
from facesearch.models.card import CHECKPOINT, is_weights_name, valid_model_name
from facesearch.models.cards import (
    EmbedderCard,
    Format,
    ModelCard,
    Weights,
    card_path,
    decode_card,
    embedder_card,
    every_card,
    keep_card,
    model_card,
    model_cards,
)
from facesearch.models.conversion import Order, convert, order_of
from facesearch.models.download import OnBytes, download, too_many_bytes, wrong_bytes
from facesearch.models.export import exported_to, fresh_folder, prepare, put_in_place
from facesearch.models.weight_files import MOST_BYTES, sha256_of, weights_path

_KINDS = {".pb": "frozen_pb", ".onnx": "onnx", ".dat": "dlib_dat", ".xml": "openvino"}
_NETWORKS = {  # what a file of a kind can hold
    "frozen_pb": ("facenet",),
    "keras_h5": ("facenet",),
    "onnx": ("onnx_graph", "yunet"),
    "dlib_dat": ("dlib_resnet",),
    "openvino": ("openvino_graph",),
}
_FORMATS: dict[
    str, tuple[Format, ...]
] = {  # of the files that are kept as they are: of that one, and those beside it
    "onnx": ("onnx",),
    "dlib_dat": ("dlib_dat",),
    "openvino": ("openvino_xml", "openvino_bin"),
}
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def add(file: Path, name: str | None, card_file: Path | None, note: Note) -> ModelCard:
    """Takes a model from a file: its card is the given one, or a shipped card that knows the file by its SHA-256 or
    its name, or follows from what the file holds. The file is opened, converted and tried on a real face in a process
    of its own with limits.

    Raises ModelError for a file that is not a model, UsageError where the card must be given, for a name that no
    model can have, or when there is such a model or folder already."""
    if not file.is_file():
        raise UsageError(f"There is no file {printable(str(file))}; name a file of weights.")
    kind = _kind_of(file)
    files = _files(file, kind)
    card = decode_card(card_file) if card_file else _known(file, kind)
    called = name or (card.name if card else _stem(file))
    try:
        valid_model_name(called)
    except UsageError as error:
        raise UsageError(f"{error} Say it with --name.") from error
    _refuse_taken(called, is_own=card_file is None and card is not None and card.name == called)
    if card:
        card = msgspec.structs.replace(card, name=called)
        if isinstance(card, EmbedderCard):
            card = msgspec.structs.replace(card, default=False)
    try:
        with fresh_folder() as folder:
            return _made(files, kind, card, called, folder, note)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; nothing of the model was kept.") from None


def pull(name: str, source: str | None, on_bytes: OnBytes, note: Note) -> ModelCard:
    """Downloads the weights of a card from its address, or from `source`: a mirror's address, or a file. What an
    interrupted download left is gone on with where the server allows it, and that is all that a failed one leaves.
    Raises ModelError for an unknown model, for one without an address, for bytes that are not the card's and for a
    model that cannot be used; FaceSearchError when the server does not give them."""
    known = sorted(each.name for each in model_cards().values() if _has_address(each))
    card = model_card(name)
    if not _has_address(card):
        raise ModelError(f"There is no model '{name}' to download. Available: {', '.join(known)}.")
    missing = [weights for weights in card.weights if not _is_there(weights, name)]
    if not missing:
        prepare([card], note)
        note(f"{name} is there already.")
        return card
    at = model_dir(name)
    if (at / CHECKPOINT).exists():
        raise UsageError(f"{at} holds the checkpoint of a training; go on with it, or see: facesearch models remove.")
    with fresh_folder() as folder:
        for weights in card.weights:
            if weights in missing:
                _fetch(_origin(card, weights, source), weights, at, folder, on_bytes)
            else:
                _copy(at / weights.path, folder / weights.path, weights.sha256, weights.size or MOST_BYTES)
        exports = folder / "exports"
        tried = convert(order_of(card, folder, exports))
        if tried.warning:
            note(tried.warning)
        for weights in missing:
            _put(folder / weights.path, _private(at) / weights.path)
        put_in_place(exports, exported_to(card))
    return card


def _has_address(card: ModelCard) -> bool:
    return all(weights.url and not weights.package for weights in card.weights)


def _is_there(weights: Weights, model: str) -> bool:
    path = weights_path(weights, model)
    return path is not None and sha256_of(path) == weights.sha256.lower()


def _origin(card: ModelCard, weights: Weights, source: str | None) -> str:
    """Where a file of weights comes from. A source names the first one; others lie beside it."""
    if source is None:
        return weights.url
    if weights == card.weights[0]:
        return source
    before, slash, _ = source.rpartition("/" if "://" in source else os.sep)
    return f"{before}{slash}{weights.path}"


def _files(file: Path, kind: str) -> list[Path]:
    """The file, and the one beside it that holds its numbers where there must be one. Raises UsageError."""
    if kind != "openvino":
        return [file]
    beside = file.with_suffix(".bin")
    if not beside.is_file():
        raise UsageError(
            f"{printable(file.name)} describes a network, and {printable(beside.name)} with its numbers does not lie "
            "beside it; put it there."
        )
    return [file, beside]


def _kind_of(file: Path) -> str:
    """The format, by content where that tells, else by the name's end."""
    try:
        with file.open("rb") as opened:
            head = opened.read(8)
    except OSError as error:
        raise FaceSearchError(f"{printable(str(file))} cannot be read: {error.strerror}.") from error
    if head == _HDF5 or head.startswith(_ZIP):
        return "keras_h5"
    if file.suffix.lower() not in _KINDS:
        raise UsageError(
            f"{printable(file.name)} is not of a known kind; a model is a .pb, .h5, .keras, .weights.h5, .onnx, .dat "
            "or .xml with its .bin."
        )
    return _KINDS[file.suffix.lower()]


def _known(file: Path, kind: str) -> ModelCard | None:
    """The card that knows the file, or None where it follows from what the file holds."""
    digest = sha256_of(file)
    for card in every_card():
        for weights in card.weights:
            if digest == weights.sha256.lower() or (not weights.sha256 and weights.path == file.name):
                return card
    if kind in ("frozen_pb", "keras_h5"):
        return None
    if kind == "dlib_dat":
        return msgspec.structs.replace(
            embedder_card("dlib-resnet"), name=valid_model_name(_stem(file)), threshold=None, accuracy={}
        )
    raise UsageError(
        f"{printable(file.name)} does not say how its chips must be made; give a card with --card card.toml (see "
        "docs/models.md)."
    )


def _stem(file: Path) -> str:
    return file.name.split(".")[0]


def _refuse_taken(name: str, is_own: bool) -> None:
    """`is_own` says that the card in the home is the one that the file is for."""
    known = model_cards().get(name)
    if known and all(weights_path(weights, name) for weights in known.weights):
        raise UsageError(f"There is a model '{name}' already; choose another name with --name.")
    for path in (model_dir(name), card_path(name)):
        if os.path.lexists(path) and not (is_own and path == card_path(name)):
            raise UsageError(
                f"There is {path} already; choose another name with --name, or see: facesearch models remove {name}."
            )


def _made(files: list[Path], kind: str, card: ModelCard | None, name: str, folder: Path, note: Note) -> ModelCard:
    """The model, converted and tried in the fresh folder, and put into its place."""
    file = files[0]
    inside, exports = folder / "model", folder / "exports"
    inside.mkdir(mode=0o700)
    if card is not None and card.network not in _NETWORKS[kind]:
        raise ModelError(
            f"{printable(file.name)} can hold a network of the kind {' or '.join(_NETWORKS[kind])}, and its card "
            f"says {card.network}; correct the card."
        )
    if kind in _FORMATS:
        assert card is not None
        known = zip(files, _FORMATS[kind], card.weights, strict=True)
        card = msgspec.structs.replace(card, weights=tuple(_copied(*each, inside) for each in known))
    folders = os.fsencode(inside), os.fsencode(exports)
    order = Order(card, *folders, subject=printable(str(file)), file=os.fsencode(file), kind=kind, name=name)
    try:
        tried = convert(order)
    except ModelError as error:
        raise ModelError(str(error).replace(f"{inside}{os.sep}", f"{file.parent}{os.sep}")) from error
    made = _with_digest(msgspec.structs.replace(tried.card, name=name), inside)
    put_in_place(exports, inside / exported_to(made).name)
    _put(inside, model_dir(name))
    try:
        keep_card(made)
    except BaseException:
        shutil.rmtree(model_dir(name), ignore_errors=True)  # it came into being two lines above
        raise
    if tried.warning:
        note(tried.warning)
    return made


def _copied(file: Path, format_of: Format, known: Weights, to: Path) -> Weights:
    """The file, copied, and what a card says of it; `known` is what the card said of it before."""
    name = file.name if is_weights_name(file.name) else f"network{file.suffix.lower()}"
    _copy(file, to / name, "", MOST_BYTES)
    digest = sha256_of(to / name)
    url = known.url if known.sha256.lower() == digest else ""
    return Weights(path=name, format=format_of, sha256=digest, url=url)


def _with_digest(card: ModelCard, folder: Path) -> ModelCard:
    weights = [
        msgspec.structs.replace(each, sha256=sha256_of(folder / each.path), package="") for each in card.weights
    ]
    return msgspec.structs.replace(card, weights=tuple(weights))


def _fetch(origin: str, weights: Weights, at: Path, folder: Path, on_bytes: OnBytes) -> None:
    """The file of weights in the fresh folder; what is unfinished lies in the model's, for a later try."""
    most = weights.size or MOST_BYTES
    if "://" not in origin:
        return _copy(Path(origin), folder / weights.path, weights.sha256, most)
    made = not at.exists()
    _private(at)
    try:
        download(origin, at / f"{weights.path}{PART}", folder / weights.path, weights.sha256, most, on_bytes)
    finally:
        if made and not any(at.iterdir()):
            at.rmdir()
    return None


def _copy(source: Path, target: Path, sha256: str, most: int) -> None:
    """Raises ModelError when the bytes are not the expected ones, or too many."""
    try:
        if not source.is_file():
            raise FaceSearchError(f"There is no file {printable(str(source))}; name a file or an address.")
        if source.stat().st_size > most:
            raise too_many_bytes(str(source), most)
        shutil.copyfile(source, target)
        target.chmod(0o600)
    except OSError as error:
        raise FaceSearchError(f"{printable(str(source))} cannot be copied: {error.strerror}.") from error
    if sha256 and sha256_of(target) != sha256.lower():
        raise wrong_bytes(str(source), sha256)


def _private(folder: Path) -> Path:
    try:
        return private_folder(folder)
    except OSError as error:
        raise FaceSearchError(f"{folder} cannot be written: {error.strerror}.") from error


def _put(made: Path, at: Path) -> None:
    """Renames what is finished."""
    try:
        if made.is_dir() and os.path.lexists(at):
            raise UsageError(f"There is {at} already; choose another name with --name.")
        made.chmod(0o700 if made.is_dir() else 0o600)
        made.rename(at)
        sync_folder(at.parent)
    except OSError as error:
        raise FaceSearchError(f"{at} cannot be written: {error.strerror}.") from error
