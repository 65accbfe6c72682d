"""What every implementation of a protocol keeps: detectors, networks, aligners, indexes and readers of weights."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest
from msgspec import structs

from facesearch import Gallery
from facesearch.arrays import Pixels
from facesearch.errors import ModelError
from facesearch.evaluation.synthetic import DIM, Identities
from facesearch.faces.detector import Detector
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.faces.yunet import YunetDetector
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.stores import add, sync
from facesearch.gallery.vectors.file import build_in_memory
from facesearch.gallery.vectors.index import NONE, Searchable
from facesearch.gallery.vectors.store_index import answered_by
from facesearch.geometry.chips import Aligner, ByBox, ByLandmarks
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import ModelCard, detector_card, embedder_card, index_recipes
from facesearch.models.engines import Network
from facesearch.models.engines.keras import KerasNetwork
from facesearch.models.serving import keras_models, serve
from facesearch.models.weight_files import weights_path
from facesearch.models.weights import tensors
from tests.cluster.milvus_lite_server import lite
from tests.made_up_gallery import add_photos
from tests.models.frozen_graphs import graph_of

_FACE = Face(Box(30, 20, 70, 70), 1.0, (Point(40, 35), Point(60, 35), Point(50, 47), Point(42, 58), Point(58, 58)))
_TEMPLATE = np.array(_FACE.landmarks) * 0.5  # the photo at half its size
_ALIGNERS: list[Aligner] = [ByLandmarks(_TEMPLATE, np.ones(5), 48), ByBox(8, 48)]


@pytest.mark.parametrize("aligner", _ALIGNERS, ids=lambda aligner: type(aligner).__name__)
def test_an_aligner_gives_a_chip_a_face_and_says_how_much_it_shrinks(aligner: Aligner) -> None:
    photo: Pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    for faces in ([], [_FACE], [_FACE] * 3):
        chips = aligner.cut(photo, faces)
        assert chips.shape == (len(faces), aligner.chip_px, aligner.chip_px, 3)
        assert chips.dtype == np.uint8
        assert aligner.shrinks(faces).shape == (len(faces),)
        assert (aligner.shrinks(faces) > 0).all()
        assert all((chip == chips[0]).all() for chip in chips)


@pytest.fixture(params=["mtcnn", "yunet"])
def detector(request: pytest.FixtureRequest, models_home: Path) -> Detector:
    card = detector_card(request.param)
    if request.param == "mtcnn":
        return MtcnnDetector(serve(card, "cpu", 2), card)
    file: Path = request.getfixturevalue("data") / "models" / "face_detection_yunet_2026may.onnx"
    if not file.is_file():
        pytest.skip(f"{file.name} is not at hand")
    return YunetDetector(file, card)


def test_a_detector_gives_a_list_a_photo_surest_first_within_the_photo(detector: Detector, astronaut: Pixels) -> None:
    two = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    photos = [astronaut, np.zeros((60, 90, 3), np.uint8), two]
    found = detector.detect(photos)
    assert [len(faces) for faces in found] == [1, 0, 2]
    for photo, faces in zip(photos, found, strict=True):
        scores = [face.score for face in faces]
        assert scores == sorted(scores, reverse=True)
        for face in faces:
            assert 0 < face.score <= 1
            assert -10 < face.box.left < face.box.right < photo.shape[1] + 10
            assert -10 < face.box.top < face.box.bottom < photo.shape[0] + 10
    assert detector.detect([]) == []


@pytest.mark.parametrize("engine", ["onnx", "openvino", "keras"])
def test_a_network_gives_a_row_a_chip_whatever_the_batch(engine: str, models_home: Path) -> None:
    card = embedder_card("dlib-resnet")
    network: Network
    if engine == "keras":
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
        network = KerasNetwork(keras_models(card)["embedder"])
    else:
        network = serve(card, "cpu", 1, "float32" if engine == "onnx" else "auto")["embedder"]
        if engine == "openvino" and network.engine.precision == "float32":
            pytest.skip(network.engine.instead)
    chips = np.random.default_rng(0).integers(0, 256, (3, card.chip_px, card.chip_px, 3)).astype(np.uint8)
    (together,) = network(chips)
    assert together.shape == (3, card.dim)
    assert together.dtype == np.float32
    alone = np.concatenate([network(chips[i : i + 1])[0] for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-4 if network.engine.precision == "float32" else 1e-3)


_RECIPES = {recipe.name: recipe for recipe in index_recipes()}
_COUNT = 1500


@pytest.fixture(params=[*_RECIPES, pytest.param("milvus-lite", marks=pytest.mark.cluster)])
def index(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Searchable]:
    """Of all that `Identities` enrols."""
    faces = Identities(_COUNT, 0.5)
    if request.param in _RECIPES:
        yield build_in_memory(faces, DIM, [structs.replace(_RECIPES[request.param], up_to_faces=None)])
        return
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    gallery, storage = Gallery.open("contract", "cpu"), Storage("contract", pytest.fail)
    (_, rows), *_ = faces.embeddings(DIM)
    add_photos(gallery, tmp_path, [rows])
    with lite(tmp_path) as address:
        add(storage, f"{address}/faces")
        sync(storage)
        with storage.reading() as (db, settings), storage.searching(db, settings) as index:
            yield index
            assert answered_by(index) == f"{address}/faces"


def test_an_index_gives_ids_by_falling_similarity_and_none_where_there_are_fewer(index: Searchable) -> None:
    assert len(index) == _COUNT
    _, queries = Identities(_COUNT, 0.5).queries(5)
    for k in (1, 7, _COUNT + 5):
        similarities, ids = index.search(queries, k)
        assert similarities.shape == ids.shape == (5, k)
        assert (np.diff(similarities[:, :7], axis=1) <= 0).all()
        assert ((ids == NONE) == np.isneginf(similarities)).all()
    assert (ids == NONE)[:, -5:].all()
    assert len(set(ids[0][ids[0] != NONE].tolist())) == (ids[0] != NONE).sum()


# Readers of weights


def _dlib_dat(_: Path) -> Path:
    return _of_package(embedder_card("dlib-resnet"))


def _joblib_list(_: Path) -> Path:
    return _of_package(detector_card("mtcnn"))


def _of_package(card: ModelCard) -> Path:
    path = weights_path(card.weights[0], card.name)
    assert path is not None
    return path


def _tensors(folder: Path) -> Path:
    tensors.write(folder / "weights.npz", {"a": np.ones((3, 2), np.float32)})
    return folder / "weights.npz"


def _frozen_pb(folder: Path) -> Path:
    (folder / "graph.pb").write_bytes(graph_of({"InceptionResnetV1/a/weights": np.ones((3, 2), np.float32)}))
    return folder / "graph.pb"


def _keras_h5(folder: Path) -> Path:
    with h5py.File(folder / "weights.h5", "w") as file:
        file["Conv2d_1a_3x3/Conv2d_1a_3x3/kernel:0"] = np.ones((3, 2), np.float64)
    return folder / "weights.h5"


@pytest.mark.parametrize("make", [_dlib_dat, _joblib_list, _tensors, _frozen_pb, _keras_h5])
def test_a_reader_gives_arrays_of_floats_and_refuses_what_is_cut_short(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    name = make.__name__[1:]
    reader, path = import_module(f"facesearch.models.weights.{name}"), make(tmp_path)
    found = reader.read(path)
    arrays = list(found.values() if isinstance(found, dict) else found)
    assert arrays
    assert all(array.dtype == np.float32 and array.size for array in arrays)
    if name == "joblib_list":  # a program: only a file of a known SHA-256 comes to its reader
        return
    data = path.read_bytes()
    (tmp_path / path.name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError):
        reader.read(tmp_path / path.name)
