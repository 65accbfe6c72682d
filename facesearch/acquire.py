"""Bring a model home: from a file, or from the address in its card. Only arrays and ONNX graphs are taken in; no
program that a file may hold is ever run."""

import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from facesearch.cards import (
    BoxAlignment,
    EmbedderCard,
    ModelCard,
    Weights,
    decode_card,
    every_card,
    keep_card,
    model_cards,
)
from facesearch.engines.keras import import_keras
from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.photos import printable
from facesearch.serving import Note, prepare, weights_path
from facesearch.settings import home, model_dir
from facesearch.weights import dlib_dat, tensors

_BLOCK = 1 << 14  # bytes
_TIMEOUT = 30  # seconds without a byte
_TRIES = 4
_MARGIN = 32  # pixels: of the released FaceNets' chips of LFW
_FACENET_PX = 160

OnBytes = Callable[[int, int | None], None]


def add(file: Path, name: str | None, card_file: Path | None, note: Note) -> ModelCard:
    """Takes a model from a file: its card is the given one, or a shipped card that knows the file by its SHA-256 or
    its name, or follows from what the file holds. Raises ModelError for a file that is no model, UsageError where the
    card must be given, or when there is such a model already."""
    if not file.is_file():
        raise UsageError(f"There is no file {printable(str(file))}; name a file of weights.")
    kind = _kind_of(file)
    card = _described(file, kind, card_file)
    card = msgspec.structs.replace(card, name=name or card.name)
    if isinstance(card, EmbedderCard):
        card = msgspec.structs.replace(card, default=False)
    _refuse_taken(card)
    model_dir(card.name).mkdir(parents=True, exist_ok=True)
    try:
        weights = _taken_in(file, kind, card)
    except BaseException:
        shutil.rmtree(model_dir(card.name), ignore_errors=True)
        raise
    card = msgspec.structs.replace(card, weights=(weights,))
    _try_and_keep(card, note)
    return card


def pull(name: str, source: str | None, on_bytes: OnBytes, note: Note) -> ModelCard:
    """Downloads the weights of a card from its address, or from `source`: a mirror's address, or a file. What an
    interrupted download left is gone on with where the server allows it. Raises ModelError for an unknown model, for
    one without an address and for bytes that are not the card's; FaceSearchError when the server does not give
    them."""
    card = model_cards().get(name)
    if card is None or not card.weights[0].url:
        known = ", ".join(sorted(card.name for card in model_cards().values() if card.weights[0].url))
        raise ModelError(f"There is no model '{name}' to download; there is {known}.")
    (weights,) = card.weights
    there = weights_path(weights, card.name)
    if there is not None and _sha256(there) == weights.sha256:
        note(f"{name} is there already.")
        return card
    target = model_dir(card.name) / weights.path
    target.parent.mkdir(parents=True, exist_ok=True)
    origin = source or weights.url
    if "://" in origin:
        _download(origin, target, weights.sha256, on_bytes)
    else:
        _copy(Path(origin), target, weights.sha256)
    prepare([card], note)
    return card


def _kind_of(file: Path) -> str:
    """The format, by content where that tells, else by the name's end."""
    with file.open("rb") as opened:
        head = opened.read(8)
    if head.startswith(b"\x89HDF\r\n\x1a\n") or zipfile.is_zipfile(file):
        return "keras_h5"
    kinds = {".pb": "frozen_pb", ".onnx": "onnx", ".dat": "dlib_dat"}
    if file.suffix.lower() not in kinds:
        raise UsageError(
            f"{printable(file.name)} is of no known kind; a model is a .pb, .h5, .keras, .weights.h5, .onnx or .dat."
        )
    return kinds[file.suffix.lower()]


def _described(file: Path, kind: str, card_file: Path | None) -> ModelCard:
    if card_file is not None:
        return decode_card(card_file)
    digest = _sha256(file)
    for card in every_card():
        for weights in card.weights:
            if digest == weights.sha256 or (not weights.sha256 and weights.path == file.name):
                return card
    if kind in ("frozen_pb", "keras_h5"):
        return _facenet_card(file, kind)
    if kind == "dlib_dat":
        from facesearch.cards import embedder_card

        return msgspec.structs.replace(embedder_card("dlib-resnet"), name=file.stem, threshold=None, accuracy={})
    raise UsageError(
        f"{printable(file.name)} does not say what its pixels and chips must be; say it with --card card.toml (the "
        "README shows one)."
    )


def _facenet_card(file: Path, kind: str) -> EmbedderCard:
    """A FaceNet that nobody described. The released ones with 128 numbers were trained on chips whitened one by one,
    those with 512 on pixels scaled alike."""
    found = _tensors(file, kind)
    bottleneck = found.get("InceptionResnetV1/Bottleneck/weights")
    if bottleneck is None or bottleneck.ndim != 2:
        raise ModelError(f"{printable(str(file))} has no tensor InceptionResnetV1/Bottleneck/weights: no FaceNet.")
    dim = int(bottleneck.shape[1])
    return EmbedderCard(
        name=file.name.split(".")[0],
        title="FaceNet (Inception-ResNet-v1)",
        network="facenet",
        licence="not stated",
        source=file.name,
        weights=(Weights(path="weights.npz", format="tensors"),),
        dim=dim,
        chip_px=_FACENET_PX,
        whitened=dim == 128,
        alignment=BoxAlignment(margin=_MARGIN),
        paper="Schroff et al. 2015, FaceNet: A Unified Embedding for Face Recognition and Clustering",
    )


def _tensors(file: Path, kind: str) -> dict[str, Any]:
    from importlib import import_module

    found: dict[str, Any] = import_module(f"facesearch.weights.{kind}").read(file)
    return found


def _taken_in(file: Path, kind: str, card: ModelCard) -> Weights:
    """The weights in the model's folder: arrays of a FaceNet in our own format, else a copy of the file."""
    folder = model_dir(card.name)
    if kind in ("frozen_pb", "keras_h5"):
        target = folder / "weights.npz"
        found = _tensors(file, kind)
        _refuse_others(found, card)
        tensors.write(target, found)
        return Weights(path=target.name, format="tensors", sha256=_sha256(target))
    if kind == "dlib_dat":
        dlib_dat.read(file)  # raises for any other file
    target = folder / file.name
    if not target.exists() or not target.samefile(file):
        _copy(file, target, "")
    format_of: Literal["onnx", "dlib_dat"] = "onnx" if kind == "onnx" else "dlib_dat"
    return Weights(path=target.name, format=format_of, sha256=_sha256(target), url=card.weights[0].url)


def _refuse_others(found: dict[str, Any], card: ModelCard) -> None:
    """Raises ModelError that names a tensor which the network needs in another shape, or at all."""
    assert isinstance(card, EmbedderCard)
    import_keras()
    from facesearch.networks import facenet

    facenet.set_tensors(facenet.network(card.dim, card.chip_px), found)


def _refuse_taken(card: ModelCard) -> None:
    known = model_cards().get(card.name)
    if known and all(weights_path(weights, known.name) for weights in known.weights):
        raise UsageError(f"There is a model '{card.name}' already; choose another name with --name.")


def _try_and_keep(card: ModelCard, note: Note) -> None:
    """Writes the card once the model has run; what could not run leaves nothing behind."""
    path = home() / "models" / f"{card.name}.toml"
    try:
        keep_card(card)
        prepare([card], note)
        if isinstance(card, EmbedderCard):
            _refuse_nonsense(card)
    except BaseException:
        path.unlink(missing_ok=True)
        shutil.rmtree(model_dir(card.name), ignore_errors=True)
        raise


def _refuse_nonsense(card: EmbedderCard) -> None:
    """A network must give one row a chip, and the same row whatever is beside it in a batch."""
    import numpy as np

    from facesearch.embed import Embedder
    from facesearch.serving import serve

    (network,) = serve(card, "cpu", 1).values()
    embedder = Embedder(network, card, card.detector)
    chips = np.random.default_rng(0).integers(0, 256, (3, card.chip_px, card.chip_px, 3)).astype(np.uint8)
    together = embedder.embed(chips)
    alone = np.concatenate([embedder.embed(chips[i : i + 1]) for i in range(3)])
    if not np.allclose(together, alone, atol=1e-3):
        raise ModelError(f"The model '{card.name}' gives a face other numbers in a batch than alone; it is useless.")


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Raises ModelError when the bytes are not the expected ones."""
    unfinished = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, unfinished)
        if sha256 and _sha256(unfinished) != sha256:
            raise _wrong_bytes(str(source), sha256)
        unfinished.replace(target)
    except OSError as error:
        raise FaceSearchError(f"{printable(str(source))} cannot be copied: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _wrong_bytes(origin: str, sha256: str) -> ModelError:
    return ModelError(
        f"{printable(origin)} is not the file that the card expects (SHA-256 {sha256[:12]}...); try again, or "
        "another mirror with --from."
    )


def _download(url: str, target: Path, sha256: str, on_bytes: OnBytes) -> None:
    """The file, compared with its SHA-256 before it takes its place."""
    import pooch

    pooch.get_logger().setLevel("ERROR")

    def fetch(url: str, to: str, _: object) -> None:
        unfinished = target.with_name(f"{target.name}.part")
        _try_hard(url, unfinished, on_bytes)
        unfinished.replace(to)

    try:
        pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent, downloader=fetch)
    except ValueError as error:
        raise _wrong_bytes(url, sha256) from error


def _try_hard(url: str, unfinished: Path, on_bytes: OnBytes) -> None:
    """Downloads to a file that is kept when it breaks off, and goes on where an earlier try stopped."""
    import requests

    said: Exception | None = None
    for attempt in range(_TRIES):
        time.sleep(min(attempt, 2))
        try:
            return _go_on(url, unfinished, on_bytes)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code < 500:
                answer = f"{error.response.status_code} ({error.response.reason})"
                raise FaceSearchError(f"{url} answers {answer}; try a mirror with --from.") from error
            said = error
        except (requests.RequestException, OSError) as error:
            said = error
    raise FaceSearchError(
        f"{url} could not be downloaded ({said}); run it again to go on from there, or try a mirror with --from."
    )


def _go_on(url: str, unfinished: Path, on_bytes: OnBytes) -> None:
    """One request for what is still missing. Raises requests' errors, also for an answer that ends early."""
    import requests

    there = unfinished.stat().st_size if unfinished.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing is missing
            return
        answer.raise_for_status()
        goes_on = answer.status_code == 206
        done = there if goes_on else 0
        rest = answer.headers.get("Content-Length")
        total = done + int(rest) if rest else None
        with unfinished.open("ab" if goes_on else "wb") as file:
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                done += len(block)
                on_bytes(done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done < total:
            raise requests.ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
