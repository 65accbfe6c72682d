"""FaceNet: its network beside the original's tensors, and every file that it comes in."""

import importlib
import importlib.util
import re
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.faces.embedder import Embedder
from facesearch.models.adding import add
from facesearch.models.cards import EmbedderCard, embedder_card, model_cards
from facesearch.models.engines.keras import import_keras
from facesearch.models.serving import serve
from tests.models.frozen_graphs import INT32, constant, field, graph, graph_of, node, tensor

Tensors = dict[str, NDArray[np.float32]]
Cli = Callable[..., Any]


@pytest.fixture(scope="session")
def tensors() -> Callable[[int], Tensors]:
    """Random weights for the network, by the original's names."""
    pytest.importorskip("keras", reason="Keras, which knows the network's shapes, is not installed")
    import_keras()
    from facesearch.models.networks import facenet

    shapes = {dim: facenet.get_tensors(facenet.network(dim)) for dim in (128, 512)}

    def make(dim: int) -> Tensors:
        rng = np.random.default_rng(dim)
        made: Tensors = {}
        for name, like in shapes[dim].items():
            fan_in = np.prod(like.shape[:-1]) if like.ndim > 1 else 1
            values = rng.normal(size=like.shape) * (np.sqrt(2 / fan_in) if like.ndim > 1 else 0.1)
            made[name] = np.asarray(np.abs(values) + 0.5 if name.endswith("variance") else values, np.float32)
        return made

    return make


def _write_graph(path: Path, tensors: Tensors, *more: bytes) -> Path:
    """A frozen graph as TensorFlow 1 wrote it: constants by name, and what nobody must run."""
    # Other constants of such a graph: shapes and epsilons, of other types too.
    scope = "InceptionResnetV1/" if any(name.startswith("InceptionResnetV1") for name in tensors) else ""
    epsilon = constant(f"{scope}Bottleneck/BatchNorm/batchnorm/add/y", tensor([], floats=[0.001]))
    size = constant("batch_join/size", field(1, INT32) + field(7, 3), kind=INT32)
    path.write_bytes(graph_of(tensors) + graph(epsilon, size, *more))
    return path


def _run(card: EmbedderCard, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    (network,) = serve(card, "cpu", 2).values()
    return Embedder(network, card, "mtcnn").embed(chips)


def _by_hand(tensors: Tensors, chips: NDArray[np.uint8], whitened: bool) -> NDArray[np.float32]:
    """The network on chips that were standardised here, in NumPy."""
    from facesearch.models.networks import facenet

    dim = tensors["InceptionResnetV1/Bottleneck/weights"].shape[1]
    model = facenet.network(dim)
    facenet.set_tensors(model, tensors)
    x = chips.astype(np.float64)
    if whitened:
        mean, deviation = (f(x, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
        x = (x - mean) / np.maximum(deviation, 1 / np.sqrt(x[0].size))
    else:
        x = (x - 127.5) / 128
    rows = np.asarray(model.predict_on_batch(x.astype(np.float32)))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="session")
def chips_160() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3)).astype(np.uint8)


def test_the_network_has_the_originals_tensors(data: Path, tensors: Callable[[int], Tensors]) -> None:
    listed = data.parent / "reference" / "facenet_tensors.tsv"
    if not listed.is_file():
        pytest.skip("facenet_tensors.tsv, the list of the original's tensors, is not beside the data")
    original = {}
    for line in listed.read_text().splitlines():
        name, shape = line.split("\t")
        original[name] = tuple(int(size) for size in shape.split("x"))
    assert {name: values.shape for name, values in tensors(512).items()} == original
    assert tensors(128)["InceptionResnetV1/Bottleneck/weights"].shape == (1792, 128)


def test_a_frozen_graph_is_read_and_never_run(
    home: Path, tmp_path: Path, tensors: Callable[[int], Tensors], chips_160: NDArray[np.uint8]
) -> None:
    marker = tmp_path / "payload ran"

    payload = node("WriteFile", "WriteFile", filename=field(2, str(marker).encode()))
    made = tensors(128)
    card = add(_write_graph(tmp_path / "own.pb", made, payload), None, None, lambda _: None)
    assert isinstance(card, EmbedderCard)
    assert (card.name, card.dim, card.whitened, card.network) == ("own", 128, True, "facenet")
    np.testing.assert_allclose(_run(card, chips_160), _by_hand(made, chips_160, whitened=True), atol=2e-5)
    assert not marker.exists()
    assert embedder_card("own") == card


def test_a_released_file_brings_the_facts_of_its_card(
    home: Path,
    tmp_path: Path,
    tensors: Callable[[int], Tensors],
    cli: Cli,
    chips_160: NDArray[np.uint8],
    album: Path,
) -> None:
    made = tensors(512)
    path = _write_graph(tmp_path / "20180402-114759.pb", made)
    name = "facenet-20180402-114759"
    assert "no: facesearch models add 20180402-114759.pb" in cli("models", "show", name).out
    said = cli("models", "add", path)
    assert said.code == 0, said.err
    assert f"{name} is ready" in said.out
    shown = cli("models", "show", name).out
    for fact in ("VGGFace2", "0.9965", "yes"):
        assert fact in shown
    again = cli("models", "add", path)
    assert again.code == 2
    assert f"a model '{name}' already" in again.err
    path.unlink()  # it is not needed any more
    np.testing.assert_allclose(_run(embedder_card(name), chips_160), _by_hand(made, chips_160, False), atol=2e-5)
    assert cli("index", album, "--model", name).code == 0
    assert "(512 numbers a face)" in cli("info").out


def test_a_missing_or_misshapen_tensor_is_named(
    home: Path, tmp_path: Path, tensors: Callable[[int], Tensors]
) -> None:
    from facesearch.models.weights import frozen_pb

    missing = tensors(512)
    name = "InceptionResnetV1/Repeat_1/block17_4/Branch_1/Conv2d_0b_1x7/weights"
    del missing[name]
    with pytest.raises(ModelError, match=f"The tensor {name} is missing"):
        add(_write_graph(tmp_path / "own.pb", missing), None, None, lambda _: None)
    misshapen = tensors(512)
    misshapen[name] = misshapen[name].transpose(1, 0, 2, 3)
    with pytest.raises(ModelError, match=f"The tensor {name} is 7x1x128x128, where .* has 1x7x128x128"):
        add(_write_graph(tmp_path / "own.pb", misshapen), None, None, lambda _: None)
    with pytest.raises(ModelError, match="holds no tensor of InceptionResnetV1"):
        frozen_pb.read(_write_graph(tmp_path / "other.pb", {"conv/weights": misshapen[name]}))
    with pytest.raises(ModelError, match="holds no tensor of InceptionResnetV1"):
        add(_write_graph(tmp_path / "own.pb", {}), None, None, lambda _: None)
    (tmp_path / "own.pb").write_bytes(b"no graph at all")
    with pytest.raises(ModelError, match="is not a frozen graph"):
        add(tmp_path / "own.pb", None, None, lambda _: None)
    assert "own" not in model_cards()  # what failed leaves nothing behind
    assert not (home / "models" / "own").exists()


def test_files_of_keras_3_are_read(tmp_path: Path, tensors: Callable[[int], Tensors]) -> None:
    from facesearch.models.networks import facenet
    from facesearch.models.weights import keras_h5

    made = tensors(128)
    model = facenet.network(128)
    facenet.set_tensors(model, made)
    model.save(tmp_path / "own.keras")
    model.save_weights(tmp_path / "own.weights.h5")
    for path in (tmp_path / "own.keras", tmp_path / "own.weights.h5"):
        found = keras_h5.read(path)
        assert set(found) == set(made)
        for name, values in made.items():
            np.testing.assert_array_equal(found[name], values)


def test_files_of_keras_2_are_read(tmp_path: Path, tensors: Callable[[int], Tensors]) -> None:
    """As the usual conversions of the released models name their layers."""
    import h5py

    from facesearch.models.weights import keras_h5

    made = tensors(128)
    words = {"weights": "kernel", "biases": "bias"}
    with h5py.File(tmp_path / "own.h5", "w") as file:
        for name, values in made.items():
            path, word = name.removeprefix("InceptionResnetV1/").rsplit("/", 1)
            path = path.replace("Repeat_1/", "").replace("Repeat_2/", "").replace("Repeat/", "")
            path = path.replace("Block8/", "Block8_6/").replace("block", "Block").replace("/", "_")
            file[f"model_weights/{path}/{path}/{words.get(word, word)}:0"] = values
    found = keras_h5.read(tmp_path / "own.h5")
    assert set(found) == set(made)
    for name, values in made.items():
        np.testing.assert_array_equal(found[name], values)


def test_weights_that_link_elsewhere_are_refused(tmp_path: Path) -> None:
    import h5py

    from facesearch.models.weights import keras_h5

    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3, np.float32)
    links = {
        "external": h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret"),
        "soft": h5py.SoftLink("/elsewhere"),
    }
    for kind, link in links.items():
        with h5py.File(tmp_path / f"{kind}.h5", "w") as file:
            file.create_group("layers/conv2d")["kernel:0"] = link
        with pytest.raises(ModelError, match="links to other data"):
            keras_h5.read(tmp_path / f"{kind}.h5")


def test_a_lambda_in_a_keras_file_is_never_run(home: Path, tmp_path: Path) -> None:
    marker = tmp_path / "payload ran"
    with zipfile.ZipFile(tmp_path / "evil.keras", "w") as archive:
        archive.writestr(
            "config.json", f'{{"class_name": "Lambda", "config": {{"function": "open({str(marker)!r})"}}}}'
        )
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n and nothing more")
    with pytest.raises(ModelError, match="holds a Lambda layer, which is a program"):
        add(tmp_path / "evil.keras", None, None, lambda _: None)
    assert not marker.exists()


def test_the_network_is_facenet_pytorchs(
    tensors: Callable[[int], Tensors], chips_160: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same random weights in facenet-pytorch's InceptionResnetV1, where it is installed."""
    torch = pytest.importorskip("torch", reason="not installed: pip install torch")
    pytest.importorskip("tqdm", reason="not installed: pip install tqdm")
    spec = importlib.util.find_spec("facenet_pytorch")
    if spec is None:
        pytest.skip("not installed: pip install --no-deps facenet-pytorch")
    # Its own __init__ needs torchvision, which the network does not.
    package = types.ModuleType("facenet_pytorch")
    package.__path__ = list(spec.submodule_search_locations or [])
    monkeypatch.setitem(sys.modules, "facenet_pytorch", package)
    theirs = importlib.import_module("facenet_pytorch.models.inception_resnet_v1")
    made = tensors(512)
    network = theirs.InceptionResnetV1(pretrained=None, classify=False)
    network.load_state_dict(_as_pytorch(torch, made, network.state_dict()))
    network.eval()
    with torch.no_grad():
        x = torch.from_numpy((chips_160.astype(np.float32) - 127.5) / 128).permute(0, 3, 1, 2)
        rows = network(x).numpy()
    np.testing.assert_allclose(rows, _by_hand(made, chips_160, whitened=False), atol=1e-5)


_STAGES = ("Conv2d", "Repeat/", "Mixed_6a", "Repeat_1/", "Mixed_7a", "Repeat_2/", "Block8", "Bottleneck")


def _as_pytorch(torch: Any, tensors: Tensors, state: dict[str, Any]) -> dict[str, Any]:
    """facenet-pytorch has its modules in the original's order, so the two orders of convolutions agree."""

    def unit(name: str) -> str:
        path = name.removeprefix("InceptionResnetV1/")
        return path.split("/BatchNorm")[0] if "/BatchNorm" in path else path.rsplit("/", 1)[0]

    def order(path: str) -> tuple[int, list[int], str]:
        stage = next(i for i, start in enumerate(_STAGES) if path.startswith(start))
        return stage, [int(n) for n in re.findall(r"block\d+_(\d+)/", path)], path

    filled = dict(state)
    paths = sorted({unit(name) for name in tensors}, key=order)
    units = [[name for name in tensors if unit(name) == path] for path in paths]
    modules = [key.removesuffix(".weight") for key in state if key.endswith(".weight") and state[key].ndim > 1]
    modules = [module for module in modules if module != "logits"]
    assert len(modules) == len(units)
    for module, names in zip(modules, units, strict=True):
        values = {name.rsplit("/", 1)[1]: torch.from_numpy(tensors[name]) for name in names}
        kernel = values["weights"]
        filled[f"{module}.weight"] = kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        if "biases" in values:
            filled[f"{module}.bias"] = values["biases"]
        else:
            normal = "last_bn" if module == "last_linear" else module.replace(".conv", ".bn")
            filled[f"{normal}.weight"] = torch.ones_like(values["beta"])
            for ours, other in (
                ("beta", "bias"),
                ("moving_mean", "running_mean"),
                ("moving_variance", "running_var"),
            ):
                filled[f"{normal}.{other}"] = values[ours]
    return filled
