"""Weights that Keras wrote: `.h5` of Keras 2 with layers by name, `.weights.h5` and `.keras` of Keras 3. They are
read as arrays; no model in them is ever built, and no code of theirs is run."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.models.weights.sizes import MOST_BYTES, Sizes
from facesearch.packages import required

_SCOPE = "InceptionResnetV1"
_MOST_OBJECTS, _MOST_DEPTH = 10_000, 30  # groups and datasets: ten times what the network has
_MOST_CONFIG = 1 << 24
_WORDS = {"kernel": "weights", "bias": "biases"}  # Keras's word, and the original's


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays by the original's tensor names. Raises ModelError when it is not such a file, links to another
    one, announces more than this network has or names its layers otherwise."""
    h5py = required("h5py")
    try:
        with _opened(path) as opened, h5py.File(opened, "r") as file:
            objects = _objects(file, path)
            tensors = dict(_keras_3(objects) if "layers" in file else _keras_2(objects))
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is not a file of Keras weights, or it is cut short ({error}).") from error
    if not tensors:
        raise ModelError(f"{path} has no layer that is named as in Inception-ResNet-v1.")
    return tensors


def _opened(path: Path) -> Any:
    """The HDF5 data: the file itself, or the weights inside a .keras archive."""
    if not zipfile.is_zipfile(path):
        return path.open("rb")
    with zipfile.ZipFile(path) as archive:
        _refuse_code(archive, path)
        if archive.getinfo("model.weights.h5").file_size > MOST_BYTES:
            raise ModelError(f"The weights in {path} are larger than any that this network has.")
        return io.BytesIO(archive.read("model.weights.h5"))


def _refuse_code(archive: zipfile.ZipFile, path: Path) -> None:
    """A Lambda layer is a program inside a file. It would not be run here; but who brings such a file should know."""
    config = archive.getinfo("config.json")
    if config.file_size > _MOST_CONFIG:
        raise ModelError(f"The description of the network in {path} is larger than any that this network has.")
    if re.search(rb'"(Lambda|__lambda__)"', archive.read(config)):
        raise ModelError(f"{path} holds a Lambda layer, which is a program; weights alone are taken in.")


def _objects(file: Any, path: Path) -> dict[str, Any]:
    """All groups and datasets by their names, each once, whatever links to it again. Raises ModelError for a link to
    another file on this machine (the storage of a dataset may be one too), and for more than this network has."""
    import h5py

    found: dict[str, Any] = {}
    seen = {h5py.h5o.get_info(file.id).addr}
    sizes = Sizes(path)
    waiting = [(name, file, 0) for name in file]
    while waiting:
        name, group, depth = waiting.pop(0)
        last = name.rsplit("/", 1)[-1]
        is_hard = isinstance(group.get(last, getlink=True), h5py.HardLink)
        item = group.get(last) if is_hard else None
        if isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual:
            _refuse_kind(item, name, path)
            sizes.add(name, item.shape)
        elif not isinstance(item, h5py.Group):
            raise ModelError(f"{path} links to other data ({name}); weights must lie in the file itself.")
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        found[name] = item
        if len(found) > _MOST_OBJECTS or depth > _MOST_DEPTH:
            raise ModelError(f"{path} holds more, or deeper, than any file of weights of this network.")
        if isinstance(item, h5py.Group):
            waiting += [(f"{name}/{inner}", item, depth + 1) for inner in item]
    return found


def _refuse_kind(item: Any, name: str, path: Path) -> None:
    if item.dtype.kind not in "fiu":
        raise ModelError(f"{path} holds what is not numbers ({name}); weights alone are taken in.")


def _keras_3(objects: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Layers lie in order of their kind, each with its name; our own networks are named after the original's."""
    import h5py

    for group in objects.values():
        path = str(group.attrs.get("name", "")).replace("--", "/") if isinstance(group, h5py.Group) else ""
        if path.startswith(_SCOPE):
            arrays = [np.asarray(group[key], np.float32) for key in sorted(group, key=int)]
            words = (
                ("beta", "moving_mean", "moving_variance") if path.endswith("BatchNorm") else ("weights", "biases")
            )
            yield from ((f"{path}/{word}", array) for word, array in zip(words, arrays, strict=False))


def _keras_2(objects: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each array lies at layer/.../word:0."""
    import h5py

    for name, item in objects.items():
        if isinstance(item, h5py.Dataset):
            *_, layer, word = name.removeprefix("model_weights/").split("/")
            word = word.removesuffix(":0")
            yield f"{_original(layer)}/{_WORDS.get(word, word)}", np.asarray(item, np.float32)


def _original(layer: str) -> str:
    """The original's path of a layer named as the usual conversions do:
    Block17_3_Branch_1_Conv2d_0b_1x7_BatchNorm."""
    path = layer.removesuffix("_BatchNorm")
    block = re.match(r"Block(35|17|8)_(\d+)_", path)
    if block:
        repeat = {"35": "Repeat", "17": "Repeat_1", "8": "Repeat_2"}[block[1]]
        is_last = block[1] == "8" and block[2] == "6"
        start = "Block8" if is_last else f"{repeat}/block{block[1]}_{block[2]}"
        path = f"{start}/{path[block.end() :]}"
    path = re.sub(r"(Mixed_\d[a-z])_", r"\1/", path)
    path = re.sub(r"(Branch_\d)_", r"\1/", path)
    return f"{_SCOPE}/{path}" + ("/BatchNorm" if layer.endswith("_BatchNorm") else "")
