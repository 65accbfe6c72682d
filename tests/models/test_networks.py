"""The networks as Keras builds them, as ONNX Runtime serves them, and as their authors run them."""

import shutil
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.arrays import Chips, Pixels
from facesearch.errors import FaceSearchError, ModelError
from facesearch.faces.embedder import Embedder
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.models.cards import BoxAlignment, EmbedderCard, ModelCard, Weights, detector_card, embedder_card
from facesearch.models.device import choose_device
from facesearch.models.engines import Engine
from facesearch.models.engines.keras import KerasNetwork, import_keras
from facesearch.models.engines.onnx import OnnxNetwork, write_folded
from facesearch.models.export import exported_to, prepare, put_in_place, write_networks
from facesearch.models.onnx_builder import Graph
from facesearch.models.serving import serve
from facesearch.models.weight_files import read_weights, weights_path
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


Arrays = dict[str, NDArray[np.float32]]


def _card(network: Literal["facenet", "resnet", "small"], dim: int, chip_px: int, **facts: Any) -> EmbedderCard:
    return EmbedderCard(
        name=network,
        title="",
        network=network,
        licence="",
        source="",
        weights=(Weights(path="weights.npz", format="tensors"),),
        dim=dim,
        chip_px=chip_px,
        alignment=BoxAlignment(margin=32),
        **facts,
    )


def _random_weights(card: EmbedderCard) -> Arrays:
    """As a training leaves them: kernels as they begin, and what normalises anything but 0 and 1."""
    module = import_module(f"facesearch.models.networks.{card.network}")
    model = module.network(card.dim, card.chip_px)
    rng = np.random.default_rng(5)
    ranges = {"gamma": (0.7, 1.3), "variance": (0.5, 2.0), "alpha": (0.0, 0.5)}
    for weight in model.weights:
        low, high = next((ends for word, ends in ranges.items() if word in weight.path), (-0.1, 0.1))
        if "kernel" not in weight.path:
            weight.assign(rng.uniform(low, high, weight.shape).astype(np.float32))
    found: Arrays = module.get_tensors(model)
    return found


def _reduced(weights: Arrays, card: EmbedderCard, width: int) -> Arrays:
    rng = np.random.default_rng(6)
    axes = rng.normal(size=(width, card.dim)).astype(np.float32)
    return weights | {"reduction/mean": rng.normal(size=width).astype(np.float32), "reduction/axes": axes}


@pytest.mark.parametrize(
    "case", ["mtcnn", "dlib-resnet", "facenet", "resnet", "resnet-odd", "small", "small-bgr-reduced"]
)
def test_a_network_is_the_same_in_keras_and_as_a_graph(case: str, astronaut: Pixels, tmp_path: Path) -> None:
    """The same arrays in both forms give the same numbers for pieces of a real photo, to 1e-6, or to that part of
    the greatest where it is above 1; the graph as it is served, with all folded that can be. MTCNN's networks take
    pixels of 0 to 255, and resnet sums 4,096 numbers in the end, which in 32 bits are rounded more, differently by
    each engine: up to 4e-6 apart."""
    most = 4e-6 if case in ("mtcnn", "resnet", "resnet-odd") else 1e-6
    pytest.importorskip("keras", reason="Keras, in which the other form is, is not installed")
    import_keras()
    card: ModelCard
    if case == "mtcnn":
        card = detector_card("mtcnn")
        weights = read_weights(card)
    elif case == "dlib-resnet":
        card = embedder_card("dlib-resnet")
        weights = read_weights(card)
    elif case == "small-bgr-reduced":
        card = _card("small", 16, 50, channels="BGR", mean=(120, 110, 100), scale=60)
        weights = [_reduced(_random_weights(msgspec.structs.replace(card, dim=64)), card, 64)]
    elif case.startswith("resnet"):
        card = _card("resnet", 128, 64 if case == "resnet" else 75)
        weights = [_random_weights(card)]
    elif case == "small":
        card = _card("small", 128, 112)
        weights = [_random_weights(card)]
    else:
        card = _card("facenet", 128, 160, whitened=True)
        weights = [_random_weights(card)]
    module = import_module(f"facesearch.models.networks.{card.network}")
    graphs = module.graphs(weights, card)
    models = module.keras_models(weights, card)
    assert set(graphs) == set(models)
    sides = {"pnet": 61, "rnet": 24, "onet": 48, "embedder": getattr(card, "chip_px", 0)}
    for part, graph in graphs.items():
        write_folded(graph, tmp_path / f"{part}.onnx")
        side = (sides[part],) * 2
        pieces: Chips = np.stack([cv2.resize(astronaut[y : y + 150, 140:290], side) for y in (20, 40, 200)])
        outputs = OnnxNetwork(tmp_path / f"{part}.onnx", 1)(pieces)
        expected = KerasNetwork(models[part])(pieces)
        assert len(outputs) == len(expected)
        for ours, theirs in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=most * max(1, np.abs(theirs).max()), err_msg=part)


@pytest.mark.parametrize("has_gamma", [True, False])
def test_batch_normalisation_is_keras_s_own(has_gamma: bool) -> None:
    """In training, with what it gives back to those before it and what it remembers, and in use."""
    keras = import_keras()
    import tensorflow as tf

    from facesearch.models.networks.batch_normalisation import BatchNormalisation

    x = tf.constant(np.random.default_rng(0).normal(3, 2, (4, 5, 6, 7)), tf.float32)
    towards = tf.constant(np.random.default_rng(1).normal(size=(4, 5, 6, 7)), tf.float32)
    found = []
    for kind in (BatchNormalisation, keras.layers.BatchNormalization):
        layer = kind(momentum=0.9, epsilon=0.001, scale=has_gamma)
        layer.build(x.shape)
        layer.beta.assign(np.arange(7))
        with tf.GradientTape() as tape:
            tape.watch(x)
            trained = layer(x, training=True)
            loss = tf.reduce_sum(trained * towards)
        gradients = tape.gradient(loss, [x, *[each.value for each in layer.trainable_variables]])
        # TensorFlow's own remembers the variance of the population, of which the batch is a sample.
        share = 120 / 119 if kind is BatchNormalisation else 1.0
        variance = (np.asarray(layer.moving_variance) - 0.9) / share
        layer.moving_variance.assign(np.full(7, 2.0))
        found.append([trained, *gradients, np.asarray(layer.moving_mean), variance, layer(x)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused() -> None:
    card = _card("small", 128, 112)
    with pytest.raises(ModelError, match="number 0 is missing or of another shape"):
        import_module("facesearch.models.networks.small").graphs([{"0": np.zeros((3, 3), np.float32)}], card)


def test_a_network_that_cannot_be_built_or_written_is_an_error(home: Path, tmp_path: Path) -> None:
    graph = Graph()
    dancing = graph.model(["n", 8, 8, 3], {"embedding": graph.node("Dance", "pixels")}, "dancer")
    with pytest.raises(ModelError, match="cannot be built or written"):
        write_folded(dancing, tmp_path / "embedder.onnx")
    card = embedder_card("dlib-resnet")
    with pytest.raises(ModelError, match="chips of 40 pixels are too small"):
        write_networks(msgspec.structs.replace(card, chip_px=40), home, tmp_path / "made")
    with pytest.raises(FaceSearchError, match="cannot be written: No such file or directory"):
        write_networks(card, home, tmp_path / "absent" / "made")


def test_an_export_replaces_those_of_other_weights_or_facts_and_nothing_else(tmp_path: Path) -> None:
    def export(name: str) -> None:
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "embedder.onnx").write_bytes(name.encode())
        put_in_place(tmp_path / "made", tmp_path / "model" / name)

    export("a" * 16)
    for kept in ("b" * 16, "events"):  # without checksums, or of another name: not an export of ours
        (tmp_path / "model" / kept).mkdir()
    export("c" * 16)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["b" * 16, "c" * 16, "events"]


def test_the_place_of_an_export_follows_from_weights_and_facts_alone(home: Path) -> None:
    card = embedder_card("dlib-resnet")
    (weights,) = card.weights
    same = msgspec.structs.replace(card, title="another", threshold=None, accuracy={})
    assert exported_to(same) == exported_to(card)
    other = msgspec.structs.replace(weights, sha256="0" * 64)
    assert exported_to(msgspec.structs.replace(card, weights=(other,))) != exported_to(card)
    assert exported_to(msgspec.structs.replace(card, scale=255.0)) != exported_to(card)


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
    cards: list[ModelCard] = [embedder_card("dlib-resnet"), detector_card("mtcnn")]
    prepare(cards, lambda _: None)
    started: list[object] = []
    monkeypatch.setattr("facesearch.models.export.write_networks", lambda *order: started.append(order))
    notes: list[str] = []
    prepare(cards, notes.append)
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
    engine = Engine("none", "float32")

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
    pytest.importorskip("keras", reason="Keras, which serves on a GPU, is not installed")
    card = embedder_card("dlib-resnet")
    rows = [
        Embedder(network, card, "mtcnn").embed(chips)
        for device in ("cpu", "gpu")
        for network in serve(card, device, 1).values()
    ]
    assert (rows[0] * rows[1]).sum(axis=1).min() > 0.9995
