"""Models that are damaged, hostile or broken: refused before a program in them could run, and never believed."""

import hashlib
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesearch import Gallery
from facesearch.arrays import Chips
from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.faces.embedder import Embedder
from facesearch.gallery.search.probes import embed_probes
from facesearch.gallery.vectors import gpu as vectors_gpu
from facesearch.models.adding import add
from facesearch.models.cards import Weights, detector_card, embedder_card, index_recipes, keep_card, model_cards
from facesearch.models.engines import Engine


class _Program:
    """What a pickle can hold: a call of any function."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A folder that is made when the program in a file has run."""
    return tmp_path / "it has run"


def _keras(path: Path, marker: Path) -> Path:
    layer = {"class_name": "Lambda", "config": {"function": f"__import__('os').mkdir({str(marker)!r})"}}
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2), np.float32)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": [layer]}}))
        archive.writestr("metadata.json", "{}")
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
    return path


def _linked(path: Path, kind: str, secret: Path) -> Path:
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros(3, np.float32)
    with h5py.File(path, "w") as file:
        if kind == "link":
            file["InceptionResnetV1"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "storage":
            file.create_dataset("x", (3,), "f4", external=[(str(secret), 0, 12)])
        else:
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource(str(secret), "x", (3,))
            file.create_virtual_dataset("x", layout)
    return path


def _pickled(path: Path, marker: Path) -> Path:
    path.write_bytes(pickle.dumps(_Program(marker)))
    return path


def _zipped_pickle(path: Path, marker: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", pickle.dumps(_Program(marker)))
        archive.writestr("config.json", "{}")
    return path


_FILES: dict[str, tuple[str, Callable[[Path, Path], Path]]] = {
    "a Lambda": ("model.keras", _keras),
    "a link to another file": ("model.h5", lambda path, marker: _linked(path, "link", path.with_name("secret.h5"))),
    "storage in another file": ("model.h5", lambda path, marker: _linked(path, "storage", path.with_name("s.h5"))),
    "a view of another file": ("model.h5", lambda path, marker: _linked(path, "virtual", path.with_name("s.h5"))),
    "a pickle as dlib's": ("model.dat", _pickled),
    "a pickle as a graph": ("model.pb", _pickled),
    "a pickle as Keras's": ("model.h5", _pickled),
    "a pickle in an archive": ("model.keras", _zipped_pickle),
    "a pickle as PyTorch's": ("model.pth", _pickled),
    "a pickle of scikit-learn's": ("model.pkl", _pickled),
}


@pytest.mark.parametrize("what", _FILES)
def test_a_model_that_is_a_program_is_refused(what: str, home: Path, tmp_path: Path, marker: Path) -> None:
    name, made = _FILES[what]
    file = made(tmp_path / name, marker)
    before = set(model_cards())
    with pytest.raises((ModelError, UsageError)) as refused:
        add(file, "hostile", None, lambda _: None)
    assert name in str(refused.value)
    assert not marker.exists()
    assert set(model_cards()) == before
    assert not (home / "models" / "hostile").exists()


@pytest.mark.parametrize("package", ["", "strangers"])
def test_no_pickle_is_read_but_that_of_a_shipped_card(
    package: str, home: Path, tmp_path: Path, marker: Path, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever checksum a card in the home says, and whatever name it has: here that of the default detector."""
    folder = tmp_path / "packages" / "strangers" if package else home / "models" / "mtcnn"
    if not package:
        folder.unlink()  # it is all tests' own
    folder.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    data = _pickled(folder / "weights.lz4", marker).read_bytes()
    weights = Weights(
        path="weights.lz4", format="joblib_list", sha256=hashlib.sha256(data).hexdigest(), package=package
    )
    keep_card(msgspec.structs.replace(detector_card("mtcnn"), weights=(weights,) * 3))
    with pytest.raises(ModelError, match="is a pickle, which is a program"):
        Gallery.open(device="cpu").index([astronaut_file])
    assert not marker.exists()


def test_a_pickle_is_read_only_by_its_checksum(home: Path, marker: Path, astronaut_file: Path) -> None:
    (home / "models" / "hostile").mkdir()
    _pickled(home / "models" / "hostile" / "weights.pkl", marker)
    card = msgspec.structs.replace(embedder_card("dlib-resnet"), name="hostile", default=False)
    for sha256, said in (("", "is a pickle, which is a program"), ("0" * 64, "is a pickle, which is a program")):
        weights = Weights(path="weights.pkl", format="joblib_list", sha256=sha256)
        keep_card(msgspec.structs.replace(card, weights=(weights,)))
        with pytest.raises(ModelError, match=said):
            Gallery.open(device="cpu").index([astronaut_file], model="hostile")
        assert not marker.exists()


def _graph_with(tensor: onnx.TensorProto, where: str) -> onnx.ModelProto:
    """A graph whose tensor lies among its weights, in a constant, in a branch, or in a function."""
    out = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 4])
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    nodes, weights, functions = [constant], [], []
    if where == "weights":
        nodes, weights = [helper.make_node("Identity", [tensor.name], ["output"])], [tensor]
    elif where == "branch":
        branch = helper.make_graph([constant], "branch", [], [])
        nodes = [helper.make_node("If", ["input"], ["output"], then_branch=branch, else_branch=branch)]
    elif where == "function":
        opset = [helper.make_opsetid("", 13)]
        functions = [helper.make_function("own", "f", [], ["c"], [constant], opset)]
        nodes = [helper.make_node("f", [], ["output"], domain="own")]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph(nodes, "g", [given], [out], weights)
    return helper.make_model(graph, functions=functions)


@pytest.mark.parametrize("location", ["elsewhere.bin", "../../secret", "/etc/passwd"])
@pytest.mark.parametrize("where", ["weights", "constant", "branch", "function"])
def test_a_graph_that_leans_on_other_files_is_refused(where: str, location: str, home: Path, tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.zeros((1, 4), np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    path = tmp_path / "own.onnx"
    path.write_bytes(_graph_with(tensor, where).SerializeToString())
    card = tmp_path / "card.toml"
    card.write_text(
        (Path(__file__).parents[2] / "models" / "dlib-resnet.toml")
        .read_text()
        .replace('name = "dlib-resnet"', 'name = "own"')
        .replace('network = "dlib_resnet"', 'network = "onnx_graph"')
    )
    with pytest.raises(ModelError, match="keeps weights in other files"):
        add(path, "own", card, lambda _: None)
    assert not (home / "models" / "own").exists()


def test_an_exported_network_that_is_damaged_is_exported_again(
    cli: Callable[..., Any], home: Path, models_home: Path, photo_of: Callable[..., Path]
) -> None:
    words = ("verify", photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2), "--json")
    expected = cli(*words).out
    own = home / "models" / "dlib-resnet"
    own.unlink()  # it is all tests' own
    shutil.copytree(models_home / "models" / "dlib-resnet", own)
    (network,) = own.rglob("embedder.onnx")
    good = network.read_bytes()
    network.write_bytes(good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 0x40]) + good[len(good) // 2 + 1 :])
    said = cli(*words)
    assert "Preparing dlib-resnet" in said.err
    assert said.out == expected
    assert cli(*words).err == ""


# Embeddings that are none


class _Broken:
    """A network that gives one number, whatever it sees."""

    breadth = 1
    engine = Engine("none", "float32")

    def __init__(self, number: float, dim: int = 128) -> None:
        self._number, self._dim = number, dim

    def __call__(self, batch: Chips, /) -> tuple[np.ndarray, ...]:
        return (np.full((len(batch), self._dim), self._number, np.float32),)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0])
def test_a_face_without_an_embedding_costs_its_photo_alone(
    wrong: float, gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = embedder_card("dlib-resnet")
    monkeypatch.setattr(Embedder, "_run", _wrapped(Embedder._run, wrong))
    statuses: dict[str, str] = {}
    summary = gallery.index([album], on_outcome=lambda o: statuses.update({Path(o.path).name: o.status}))
    assert summary.photos == {"ok": 6, "crashed": 3}
    assert summary.failures[0].reason == "'dlib-resnet' gives an embedding without length or number"
    assert {name[:5] for name, status in statuses.items() if status == "crashed"} == {"Tiger"}
    with gallery.reading() as (db, _):
        for _, rows in db.faces.embeddings(card.dim):
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    photos = [str(path) for path in sorted(album.rglob("*.jpg"))]
    analyser = gallery._load(_settings(gallery))
    asked = [item for part in embed_probes(photos, lambda: analyser, analyser.max_side) for item in part]
    assert [getattr(answer, "status", "asked") for answer in asked].count("crashed") == 3


def _settings(gallery: Gallery) -> Any:
    with gallery.reading() as (_, settings):
        return settings


def _wrapped(run: Callable[..., Any], wrong: float) -> Callable[..., Any]:
    """The real network; but whom it would call Tiger Woods it gives no embedding."""

    def broken(self: Embedder, chips: Chips) -> Any:
        rows = run(self, chips)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.where((unit @ _WOODS[0] > 0.9)[:, None], np.float32(wrong), rows)

    return broken


_WOODS: list[np.ndarray] = []


@pytest.fixture
def gallery(home: Path, analyser: Any, photo_of: Callable[..., Path]) -> Gallery:
    from facesearch.photos.view import read_view

    if not _WOODS:
        (found,) = analyser.analyse([read_view(str(photo_of("Tiger_Woods", 4)), analyser.max_side)])
        _WOODS.append(found.embeddings[0])
    return Gallery.open(device="cpu")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (_Broken(np.nan), "without length or number"),
        (_Broken(0.0), "without length or number"),
        (_Broken(1.0, dim=64), r"gives arrays of \(2, 64\) for 2 chips"),
    ],
)
def test_a_model_that_is_broken_is_said_to_be(network: Any, said: str) -> None:
    embedder = Embedder(network, embedder_card("dlib-resnet"), "mtcnn")
    with pytest.raises(ModelError, match=said):
        embedder.embed(np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3)).astype(np.uint8))


def test_a_broken_model_ends_the_run_and_stores_nothing(
    gallery: Gallery, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Embedder, chips: Chips) -> Any:
        return np.full((len(chips), 128), np.nan, np.float32)

    monkeypatch.setattr(Embedder, "_run", broken)
    with pytest.raises(ModelError, match="without length or number"):
        gallery.index([album])
    assert gallery.facts().faces == 0
    assert gallery.facts().photos == {}
    monkeypatch.undo()
    monkeypatch.setenv("FACESEARCH_HOME", str(gallery.directory.parents[1]))
    assert gallery.index([album]).photos == {"ok": 9}


# A GPU that turns out to be too small


def test_a_gpu_without_memory_for_the_faces_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from facesearch.evaluation.synthetic import DIM, Identities
    from facesearch.gallery.vectors.file import build_in_memory

    def refuse(*_: object) -> None:
        raise RuntimeError("Error in virtual void* StandardGpuResourcesImpl::allocMemory: out of memory")

    stand_in: dict[str, Any] = {"get_num_gpus": lambda: 1, "StandardGpuResources": object}
    monkeypatch.setattr(vectors_gpu, "import_faiss", lambda: SimpleNamespace(**stand_in))
    monkeypatch.setattr(vectors_gpu, "_free_memory", lambda: 64 << 30)
    monkeypatch.setattr(vectors_gpu, "_built", refuse)
    faces = Identities(100, 0.5)
    with pytest.raises(
        FaceSearchError, match=r"does not hold the 100 faces of the gallery after all; .*--device cpu"
    ):
        vectors_gpu.on_gpu(faces, DIM, index_recipes("gpu"), build_in_memory(faces, DIM, index_recipes()))
