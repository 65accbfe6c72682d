"""Networks of OpenVINO: what facesearch makes of them is what their layers say."""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.models.adding import add
from facesearch.models.cards import decode_card, embedder_card, shipped
from facesearch.models.engines.onnx import import_onnxruntime, write_folded
from facesearch.models.networks.openvino_graph import graphs
from facesearch.models.weights import openvino_bin, openvino_xml
from tests.models.openvino_files import CARD, Network, small

Array = NDArray[np.float64]


def _served(net: Network, folder: Path, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    path = net.write(folder)
    card_file = folder / "card.toml"
    card_file.write_text(CARD)
    layers, data = openvino_xml.read(path), openvino_bin.read(path.with_suffix(".bin"))
    graph = graphs([layers, data], decode_card(card_file))["embedder"]  # type: ignore[arg-type]
    write_folded(graph, folder / "small.onnx")
    session = import_onnxruntime().InferenceSession(str(folder / "small.onnx"))
    return np.asarray(session.run(None, {"pixels": chips})[0])


def _conv(x: Array, kernel: Array, stride: int, pad: int, groups: int = 1) -> Array:
    """(channels, rows, columns) by (out, in of a group, rows, columns), as the sum that it is."""
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad)])
    size, each = kernel.shape[2], len(kernel) // groups
    side = (x.shape[1] - size) // stride + 1
    out = np.empty((len(kernel), side, side))
    for o in range(len(kernel)):
        part = x[o // each * kernel.shape[1] :][: kernel.shape[1]]
        for i in range(side):
            for j in range(side):
                window = part[:, i * stride : i * stride + size, j * stride : j * stride + size]
                out[o, i, j] = (window * kernel[o]).sum()
    return out


def _by_hand(net: Network, chip: NDArray[np.uint8]) -> Array:
    """What the layers of `small` say, one after the other."""
    rest = net.data

    def take(*shape: int, kind: type[np.floating[Any]] = np.float16) -> Array:
        nonlocal rest
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        part, rest = rest[:size], rest[size:]
        return np.frombuffer(part, kind).reshape(shape).astype(np.float64)

    x = chip.transpose(2, 0, 1).astype(np.float64) * take(3, 1, 1) + take(3, 1, 1)
    x = _conv(x, take(4, 3, 3, 3), 2, 1) + take(4, 1, 1, kind=np.float32)
    x = np.where(x > 0, x, x * take(1))
    y = _conv(x, take(4, 1, 3, 3), 1, 1, groups=4)
    y = np.where(y > 0, y, y * take(4)[:, None, None])
    s = 1 / (1 + np.exp(-_conv(y.mean(axis=(1, 2), keepdims=True), take(4, 4, 1, 1), 1, 0)))
    return _conv(x + y * s, take(4, 4, 4, 4), 1, 0).ravel()


def test_a_network_gives_what_its_layers_say_for_any_number_of_chips(tmp_path: Path) -> None:
    net = small()
    chips = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    expected = np.array([_by_hand(net, chip) for chip in chips])
    np.testing.assert_allclose(_served(net, tmp_path, chips), expected, rtol=1e-5, atol=1e-5)


def test_what_is_used_twice_is_not_folded_into_one_of_its_uses(tmp_path: Path) -> None:
    net = Network()
    x = net.parameter(1, 3, 8, 8)
    x = net.conv(x, np.full((4, 3, 8, 8), 1 / 192, np.float32), 1, 0, (1, 4, 1, 1))
    more = net.layer("Add", "", [x, net.constant(np.full((1, 4, 1, 1), 2, np.float32))], (1, 4, 1, 1))
    net.layer("Result", "", [net.layer("Multiply", "", [x, more], (1, 4, 1, 1))], None)
    chips = np.full((1, 8, 8, 3), 3, np.uint8)
    np.testing.assert_allclose(_served(net, tmp_path, chips), np.full((1, 4), 3 * (3 + 2)), rtol=1e-3)


def test_a_description_and_its_numbers_become_a_model(home: Path, tmp_path: Path) -> None:
    path = small().write(tmp_path)
    (tmp_path / "card.toml").write_text(CARD)
    card = add(path, "own", tmp_path / "card.toml", lambda _: None)
    assert [weights.sha256 for weights in card.weights] == [
        hashlib.sha256(each.read_bytes()).hexdigest() for each in (path, path.with_suffix(".bin"))
    ]
    assert {each.name for each in (home / "models" / "own").iterdir()} >= {"small.xml", "small.bin"}


@pytest.fixture
def official(home: Path, data: Path) -> Iterator[str]:
    """The card with addresses of a server here, in place of the official ones; the server's address."""
    folder = data / "models"
    if not (folder / "face-reidentification-retail-0095.xml").exists():
        pytest.skip("the files of retail-0095 are not here")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    text = (shipped("models") / "retail-0095.toml").read_text()
    text = re.sub(r'url = "https://.*/([^/"]+)"', rf'url = "{address}/\1"', text)
    (home / "models" / "retail-0095.toml").write_text(text)
    yield address
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_retail_0095_is_pulled_with_both_files_and_knows_people(
    official: str, cli: Callable[..., Any], home: Path, photo_of: Callable[..., Path]
) -> None:
    said = cli("models", "pull", "retail-0095")
    assert said.code == 0, said.err
    files = {path.name for path in (home / "models" / "retail-0095").iterdir() if path.is_file()}
    assert files == {f"face-reidentification-retail-0095.{kind}" for kind in ("xml", "bin")}
    assert "is there already" in cli("models", "pull", "retail-0095").err
    one, other = photo_of("Tiger_Woods", 1), photo_of("Tony_Blair", 1)
    assert cli("verify", one, photo_of("Tiger_Woods", 2), "--model", "retail-0095").code == 0
    assert cli("verify", one, other, "--model", "retail-0095").code == 1


def test_a_file_that_is_lost_is_pulled_again_alone(official: str, cli: Callable[..., Any], home: Path) -> None:
    assert cli("models", "pull", "retail-0095").code == 0
    lost = home / "models" / "retail-0095" / "face-reidentification-retail-0095.bin"
    lost.unlink()
    assert "models pull retail-0095" in cli("verify", "a.jpg", "b.jpg", "--model", "retail-0095").err
    assert (
        cli("models", "pull", "retail-0095", "--from", f"{official}/face-reidentification-retail-0095.xml").code == 0
    )
    assert hashlib.sha256(lost.read_bytes()).hexdigest() == embedder_card("retail-0095").weights[1].sha256
