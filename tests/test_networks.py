"""The networks as Keras builds them, as ONNX Runtime serves them, and as their authors run them."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facesearch.arrays import Chips
from facesearch.errors import FaceSearchError, ModelError
from facesearch.faces.embedder import Embedder
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.models.cards import detector_card, embedder_card
from facesearch.models.device import choose_device
from facesearch.models.engines.keras import KerasNetwork
from facesearch.models.export import exported_to, prepare
from facesearch.models.serving import keras_models, serve
from facesearch.models.weight_files import weights_path
from facesearch.photos.view import read
from tests.portraits import Faces


@pytest.fixture(scope="module")
def chips(portraits: Faces, models_home: Path) -> Chips:
    """Eight aligned faces."""
    card = embedder_card("dlib-resnet")
    detector = MtcnnDetector(serve(detector_card("mtcnn"), "cpu", 2), detector_card("mtcnn"))
    embedder = Embedder(serve(card, "cpu", 2)["embedder"], card, "mtcnn")
    paths = sorted(portraits.images.glob("*/*_0001.jpg"))[:8]
    photos = [read(str(path)) for path in paths]
    found = detector.detect(photos)
    return np.concatenate([embedder.aligner.cut(p, f[:1]) for p, f in zip(photos, found, strict=True)])


def test_embeddings_agree_with_dlib(chips: Chips) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    card = embedder_card("dlib-resnet")
    theirs = dlib.face_recognition_model_v1(str(weights_path(card.weights[0], card.name)))
    expected = np.array([theirs.compute_face_descriptor(chip) for chip in chips])
    (ours,) = serve(card, "cpu", 1)["embedder"](chips)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_keras_gives_what_onnx_runtime_gives(chips: Chips) -> None:
    """The engine for GPUs, here on the CPU, against the one for CPUs, for every network."""
    small = np.ascontiguousarray(chips[:, ::3, ::3])  # 50 x 50
    given = {
        "embedder": chips,
        "pnet": small,
        "rnet": np.ascontiguousarray(small[:, :24, :24]),
        "onet": np.ascontiguousarray(small[:, :48, :48]),
    }
    for card in (embedder_card("dlib-resnet"), detector_card("mtcnn")):
        served = serve(card, "cpu", 1)
        for part, model in keras_models(card).items():
            outputs, expected = KerasNetwork(model)(given[part]), served[part](given[part])
            assert len(outputs) == len(expected)
            for ours, theirs in zip(outputs, expected, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=part)


def test_a_network_may_be_called_from_many_threads(chips: Chips) -> None:
    network = serve(embedder_card("dlib-resnet"), "cpu", 1)["embedder"]
    (expected,) = network(chips)
    results: list[np.ndarray] = []

    def work() -> None:
        results.append(network(chips)[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(result, expected) for result in results)


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(FaceSearchError, match="No GPU"):
        choose_device("gpu")
    assert choose_device("auto") == "cpu"


def test_what_is_exported_is_not_exported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr("facesearch.models.export.convert", started.append)
    notes: list[str] = []
    prepare([embedder_card("dlib-resnet"), detector_card("mtcnn")], notes.append)
    assert (started, notes) == ([], [])


def test_a_damaged_export_is_named(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "models")
    card = embedder_card("dlib-resnet")
    exported_to(card).mkdir(parents=True)
    (exported_to(card) / "embedder.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"embedder\.onnx is not a network"):
        serve(card, "cpu", 1)


def test_an_export_that_fails_says_why(home: Path) -> None:
    """The process that exports ends with its sentence, and that sentence reaches the user."""
    shutil.rmtree(home / "models")
    (home / "models").write_text("a file where a folder must be")
    with pytest.raises(FaceSearchError, match="cannot be written"):
        prepare([embedder_card("dlib-resnet")], lambda _: None)


_Photo = Callable[..., Path]


def test_red_is_not_blue(chips: Chips) -> None:
    """The embedding of swapped channels is another one: a mistake in their order would be seen."""
    embedder = Embedder(
        serve(embedder_card("dlib-resnet"), "cpu", 1)["embedder"], embedder_card("dlib-resnet"), "mtcnn"
    )
    swapped = np.ascontiguousarray(chips[..., ::-1])
    assert (np.einsum("nd,nd->n", embedder.embed(chips), embedder.embed(swapped)) < 0.998).all()


def test_embeddings_have_unit_length_and_do_not_mind_a_mirror(chips: Chips) -> None:
    embedder = Embedder(
        serve(embedder_card("dlib-resnet"), "cpu", 1)["embedder"], embedder_card("dlib-resnet"), "mtcnn"
    )
    rows = embedder.embed(chips)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows, embedder.embed(np.ascontiguousarray(chips[:, :, ::-1])), atol=1e-5)
    assert embedder.embed(chips[:0]).shape == (0, 128)


class _Broken:
    """A network that gives one number, whatever it sees."""

    breadth = 1

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, batch: Chips, /) -> tuple[np.ndarray, ...]:
        return (np.full((len(batch), 128), self.value, np.float32),)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_embedding_without_number_or_length_is_refused(value: float) -> None:
    embedder = Embedder(_Broken(value), embedder_card("dlib-resnet"), "mtcnn")
    with pytest.raises(ModelError, match="without length or number"):
        embedder.embed(np.zeros((2, 150, 150, 3), np.uint8))


class _Small:
    """A model on a GPU whose memory holds so many rows, and no more."""

    def __init__(self, holds: int) -> None:
        self.holds = holds
        self.calls: list[int] = []

    def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
        self.calls.append(len(batch))
        if len(batch) > self.holds:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12345 bytes.")
        return np.asarray(batch.reshape(len(batch), -1).sum(axis=1, keepdims=True), np.float16)


def test_a_batch_that_the_memory_does_not_hold_is_halved() -> None:
    model = _Small(holds=3)
    network = KerasNetwork(model)
    chips = np.arange(10 * 12, dtype=np.uint8).reshape(10, 2, 2, 3)
    (sums,) = network(chips)
    np.testing.assert_array_equal(sums[:, 0], chips.reshape(10, -1).sum(axis=1))
    assert sums.dtype == np.float32
    assert model.calls == [10, 5, 2, 2, 2, 2, 2]
    network(chips)
    assert model.calls[7:] == [2] * 5  # it is not tried again


def test_a_picture_that_the_memory_does_not_hold_is_an_error() -> None:
    with pytest.raises(FaceSearchError, match="does not hold one picture of 2 x 2 pixels"):
        KerasNetwork(_Small(holds=0))(np.zeros((4, 2, 2, 3), np.uint8))


def test_sixteen_bits_change_embeddings_little(chips: Chips) -> None:
    """Served as on a GPU, here on the CPU."""
    card = embedder_card("dlib-resnet")
    rows = [
        Embedder(network, card, "mtcnn").embed(chips)
        for device in ("cpu", "gpu")
        for network in serve(card, device, 1).values()
    ]
    assert (rows[0] * rows[1]).sum(axis=1).min() > 0.9995
