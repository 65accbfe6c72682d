"""Models from files and from servers: what is taken in runs, what is wrong is refused and leaves nothing behind."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.faces.analyser import Analyser
from facesearch.faces.embedder import aligner_of
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.models.adding import add, pull
from facesearch.models.cards import EmbedderCard, detector_card, embedder_card, model_cards
from facesearch.models.serving import serve
from facesearch.photos.view import read_view

Cli = Callable[..., Any]

_CARD = """
kind = "embedder"
name = "own"
title = "A network of one's own"
network = "onnx_graph"
licence = "CC0-1.0"
source = "this test"
dim = {dim}
chip_px = {px}
weights = [{{ path = "own.onnx", format = "onnx" }}]
{more}
[alignment]
kind = "landmarks"
[alignment.templates]
mtcnn = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
"""
_YUNET = """
kind = "detector"
name = "yunet"
title = "YuNet of May 2026"
network = "yunet"
licence = "MIT"
source = "OpenCV Zoo"
min_face_px = 20
thresholds = [0.7]
overlaps = [0.3]
weights = [{ path = "face_detection_yunet_2026may.onnx", format = "onnx" }]
"""


def _silent(_: object) -> None:
    pass


def _graph(path: Path, shape: list[int], size: int = 4) -> Path:
    """A graph for one picture whose numbers are the sums of the channels and of the first pixel: what order, scale
    and layout enter it can be read off what it gives."""
    axis = 1 if shape[1] == 3 else 3
    others = [a for a in (1, 2, 3) if a != axis]
    weights = numpy_helper.from_array(np.eye(3, size, dtype=np.float32), "w")
    fixed = numpy_helper.from_array(np.array([1, 3]), "one_picture")
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["means"], axes=others, keepdims=0),
        helper.make_node("Reshape", ["means", "one_picture"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, size])],
        [weights, fixed],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


_SCALED = "mean = [127.5, 127.5, 127.5]\nscale = 128.0"


def _card(path: Path, dim: int = 4, px: int = 8, more: str = "") -> Path:
    more = more if "scale" in more or "whitened" in more else f"{more}\n{_SCALED}"
    path.write_text(_CARD.format(dim=dim, px=px, more=more))
    return path


# ONNX graphs


@pytest.mark.parametrize("shape", [[1, 3, 8, 8], [1, 8, 8, 3]])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_channels_scale_and_layout_enter_a_graph_as_the_card_says(
    home: Path, tmp_path: Path, shape: list[int], channels: str
) -> None:
    more = f'channels = "{channels}"\nmean = [10.0, 20.0, 30.0]\nscale = 2.0'
    card = add(_graph(tmp_path / "own.onnx", shape), None, _card(tmp_path / "c.toml", more=more), _silent)
    assert isinstance(card, EmbedderCard)
    chips = np.zeros((5, 8, 8, 3), np.uint8)
    chips[..., 0], chips[..., 1], chips[..., 2] = 110, 40, 230
    (network,) = serve(card, "cpu", 1).values()
    (rows,) = network(chips)  # five at once, although the file is made for one
    expected = [50, 10, 100] if channels == "RGB" else [100, 10, 50]
    np.testing.assert_allclose(rows, np.tile([*expected, 0], (5, 1)), atol=1e-4)


def test_whitening_enters_a_graph(home: Path, tmp_path: Path) -> None:
    path, card_file = _graph(tmp_path / "own.onnx", [1, 3, 8, 8]), _card(tmp_path / "c.toml", more="whitened = true")
    card = add(path, "white", card_file, _silent)
    assert isinstance(card, EmbedderCard)
    chips = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    (rows,) = next(iter(serve(card, "cpu", 1).values()))(chips)
    x = chips.astype(np.float64)
    white = (x - x.mean(axis=(1, 2, 3), keepdims=True)) / x.std(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(rows[:, :3], white.mean(axis=(1, 2)), atol=1e-4)


def test_what_does_not_fit_is_said_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    path = _graph(tmp_path / "own.onnx", [1, 3, 8, 8])
    cases: list[tuple[Path, Path | None, type[FaceSearchError], str]] = [
        (path, None, UsageError, "give a card with --card"),
        (path, _card(tmp_path / "a.toml", px=9), ModelError, "takes 8 pixels and gives 4 numbers, but the card"),
        (path, _card(tmp_path / "b.toml", dim=5), ModelError, "takes 8 pixels and gives 4 numbers, but the card"),
        (path, _card(tmp_path / "c.toml", more="colour = 1"), ModelError, "unknown field `colour`"),
        (tmp_path / "none.onnx", None, UsageError, "There is no file"),
        (_write(tmp_path / "text.onnx", b"text"), _card(tmp_path / "d.toml"), ModelError, "is not an ONNX graph"),
        (_write(tmp_path / "text.txt", b"text"), None, UsageError, "is not of a known kind"),
        (_graph(tmp_path / "grey.onnx", [1, 1, 8, 3]), _card(tmp_path / "e.toml"), ModelError, "one square colour"),
    ]
    for file, card, error, said in cases:
        with pytest.raises(error, match=said):
            add(file, None, card, _silent)
        assert "own" not in model_cards()
        assert not (home / "models" / "own").exists()


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_graph_that_keeps_weights_elsewhere_is_refused(home: Path, tmp_path: Path) -> None:
    model = onnx.load(str(_graph(tmp_path / "own.onnx", [1, 3, 8, 8])))
    onnx.save(
        model, str(tmp_path / "own.onnx"), save_as_external_data=True, location="elsewhere.bin", size_threshold=0
    )
    with pytest.raises(ModelError, match="keeps weights in other files"):
        add(tmp_path / "own.onnx", None, _card(tmp_path / "c.toml"), _silent)


def test_a_foreign_embedder_serves_every_command(
    cli: Cli, data: Path, tmp_path: Path, album: Path, photo_of: Callable[..., Path]
) -> None:
    file = data / "models" / "mobilefacenet.onnx"
    card = _card(tmp_path / "c.toml", dim=128, px=112).as_posix()
    said = cli("models", "add", file, "--name", "mobilefacenet", "--card", card)
    assert said.code == 0, said.err
    assert cli("index", album, "--model", "mobilefacenet", "--people-from", "folder", "-g", "m").code == 0
    answer = cli("query", photo_of("Tiger_Woods", 1), "-g", "m", "--k", 2)
    assert "Tiger_Woods" in answer.out
    assert "same: not known of mobilefacenet" in answer.out
    unknown = cli("verify", photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2), "--model", "mobilefacenet")
    assert unknown.code == 6
    assert unknown.out.startswith("not known: similarity 0.")
    assert "--protocol strangers --save --model mobilefacenet" in unknown.err


# YuNet


@pytest.fixture
def yunet(home: Path, data: Path, tmp_path: Path) -> Analyser:
    (tmp_path / "y.toml").write_text(_YUNET)
    add(data / "models" / "face_detection_yunet_2026may.onnx", None, tmp_path / "y.toml", _silent)
    return Analyser.load(detector_card("yunet"), embedder_card("dlib-resnet"), "cpu")


def test_yunet_finds_the_faces_that_mtcnn_finds(
    yunet: Analyser, analyser: Analyser, photo_of: Callable[..., Path]
) -> None:
    assert isinstance(analyser.detector, MtcnnDetector)
    photos = [read_view(str(photo_of(person, i))) for person in ("Tony_Blair", "Tiger_Woods") for i in range(1, 13)]
    for ours, theirs in zip(yunet.analyse(photos), analyser.analyse(photos), strict=True):
        similarities = ours.embeddings @ theirs.embeddings[0]  # the surest face of MTCNN
        best = int(similarities.argmax())
        assert similarities[best] > 0.97
        centres = [np.add(f.box[:2], f.box[2:]) / 2 for f in (ours.faces[best], theirs.faces[0])]
        assert np.linalg.norm(centres[0] - centres[1]) < 15
        points = [np.array(face.landmarks) for face in (ours.faces[best], theirs.faces[0])]
        assert np.abs(points[0] - points[1]).mean() < 6  # eyes are eyes, and left is left


def test_yunet_finds_faces_of_all_sizes_in_a_large_photo(yunet: Analyser, astronaut: Pixels) -> None:
    import cv2

    photo = np.full((2400, 3200, 3), 90, np.uint8)
    face = astronaut[20:240, 100:290]
    for times, left, top in ((8.0, 100, 100), (1.0, 2000, 200), (0.3, 2600, 1800)):
        size = (round(face.shape[1] * times), round(face.shape[0] * times))
        photo[top : top + size[1], left : left + size[0]] = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
    (found,) = yunet.detector.detect([photo])
    widths = sorted(f.box.right - f.box.left for f in found if f.score > 0.8)
    assert len(widths) == 3
    assert widths[2] > 20 * widths[0]


def test_a_detector_is_chosen_by_name(cli: Cli, yunet: Analyser, album: Path, photo_of: Callable[..., Path]) -> None:
    assert cli("index", album, "--detector", "yunet").code == 0
    assert "yunet, faces from 20 pixels" in cli("info").out
    again = cli("index", album, "--detector", "mtcnn")
    assert again.code == 6
    assert "holds faces that yunet found" in again.err
    said = cli("verify", photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2), "--detector", "yunet")
    assert said.code == 0
    assert cli("index", album, "--detector", "nobody", "-g", "other").code == 6


# Download


_ELSEWHERE = ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/"]


class _Server(ThreadingHTTPServer):
    """Serves one file as badly as `manners` says, and notes what was asked for."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who is left alone says nothing."""

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.manners, self.sent = data, set[str](), 0
        self.ranges: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if "absent" in server.manners:
            self.send_error(404)
            return
        if "raves" in server.manners:
            self.wfile.write(b"HTTP/1.1 404 \x1b[31mNo \x07such file\r\n\r\n")
            return
        for manner in server.manners & set(_ELSEWHERE):
            self.send_response(302)
            self.send_header("Location", manner)
            self.end_headers()
            return
        if "never ends" in server.manners:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):  # it is left alone
                while True:
                    self.wfile.write(bytes(1 << 16))
                    server.sent += 1 << 16
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and "no ranges" not in server.manners else 0
        rest = server.data[start:]
        if "wrong bytes" in server.manners:
            rest = bytes(len(rest))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if "truncates" in server.manners:
            rest = rest[: max(1, len(rest) // 2)]
        for at in range(0, len(rest), 1 << 16):
            self.wfile.write(rest[at : at + (1 << 16)])
            time.sleep(0.01 if "slow" in server.manners else 0)


@pytest.fixture
def server(data: Path) -> Iterator[_Server]:
    with _Server((data / "models" / "face_detection_yunet_2026may.onnx").read_bytes()) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http
        http.shutdown()


@pytest.fixture
def url(home: Path, server: _Server) -> str:
    """The address of a model whose card is in the home."""
    address = f"http://127.0.0.1:{server.server_port}/yunet.onnx"
    digest = hashlib.sha256(server.data).hexdigest()
    weights = f'weights = [{{ path = "y.onnx", format = "onnx", sha256 = "{digest}", url = "{address}" }}]'
    lines = [line for line in _YUNET.splitlines() if not line.startswith("weights")]
    (home / "models" / "yunet.toml").write_text("\n".join([*lines, weights]))
    return address


@pytest.mark.parametrize("manners", [set(), {"slow"}, {"no ranges"}])
def test_a_model_is_downloaded(cli: Cli, url: str, server: _Server, home: Path, manners: set[str]) -> None:
    server.manners = manners
    said = cli("models", "pull", "yunet")
    assert (said.code, said.out) == (0, "yunet is ready: YuNet of May 2026.\n"), said.err
    assert (home / "models" / "yunet" / "y.onnx").read_bytes() == server.data
    exports = [path.name for path in (home / "models" / "yunet").iterdir() if path.name != "y.onnx"]
    assert len(exports) == 1
    assert len(exports[0]) == 16  # it is served from there
    assert "is there already" in cli("models", "pull", "yunet").err
    assert len(server.ranges) == 1


def test_a_download_that_breaks_off_goes_on_from_there(url: str, server: _Server, home: Path) -> None:
    server.manners = {"truncates"}
    sizes: list[int] = []

    def heard(done: int, _: int | None) -> None:
        sizes.append(done)
        if len(server.ranges) >= 2:
            server.manners = set()

    pull("yunet", None, heard, _silent)
    assert server.ranges[0] is None
    assert all(asked and asked.startswith("bytes=") for asked in server.ranges[1:])
    assert sizes == sorted(sizes)
    assert (home / "models" / "yunet" / "y.onnx").read_bytes() == server.data


@pytest.mark.parametrize(
    ("manners", "code", "said"),
    [({"absent"}, 3, "answers 404"), ({"wrong bytes"}, 6, "is not the file that the card expects")],
)
def test_a_bad_server_is_one_sentence(
    cli: Cli, url: str, server: _Server, home: Path, manners: set[str], code: int, said: str
) -> None:
    server.manners = manners
    found = cli("models", "pull", "yunet")
    assert found.code == code
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not (home / "models" / "yunet" / "y.onnx").exists()
    server.manners = set()
    assert cli("models", "pull", "yunet").code == 0  # nothing wrong was left to go on from


def test_a_server_that_never_ends_is_gone_on_with_later(
    url: str, server: _Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesearch.models.download.time.sleep", _silent)
    server.manners = {"truncates"}
    with pytest.raises(FaceSearchError, match="run it again to continue from there"):
        pull("yunet", None, lambda *_: None, _silent)
    assert (home / "models" / "yunet" / "y.onnx.part").stat().st_size > len(server.data) // 2
    server.manners = set()
    pull("yunet", None, lambda *_: None, _silent)
    assert (home / "models" / "yunet" / "y.onnx").read_bytes() == server.data


def _state_size(home: Path, size: int) -> None:
    card = home / "models" / "yunet.toml"
    card.write_text(card.read_text().replace('path = "y.onnx"', f'path = "y.onnx", size = {size}'))


@pytest.mark.parametrize("manners", [{"never ends"}, set()])
def test_a_server_that_sends_more_than_the_card_says_is_cut_off(
    cli: Cli, url: str, server: _Server, home: Path, manners: set[str]
) -> None:
    _state_size(home, 100_000)
    server.manners = manners
    said = cli("models", "pull", "yunet")
    assert (said.code, said.err.count("\n")) == (6, 1)
    assert "more than the 100,000 bytes" in said.err
    assert server.sent < 50_000_000  # what the connection itself holds
    assert not (home / "models" / "yunet").exists()


def test_a_server_without_end_is_cut_off_where_no_card_says_a_size(
    cli: Cli, url: str, server: _Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facesearch.models.adding.MOST_BYTES", 3_000_000)
    server.manners = {"never ends"}
    assert cli("models", "pull", "yunet").code == 6
    assert not (home / "models" / "yunet").exists()


@pytest.mark.parametrize("where", _ELSEWHERE)
def test_a_server_that_leads_elsewhere_is_not_followed(
    cli: Cli, url: str, server: _Server, home: Path, where: str
) -> None:
    server.manners = {where}
    said = cli("models", "pull", "yunet")
    assert (said.code, said.err.count("\n")) == (3, 1), said.err
    assert not (home / "models" / "yunet").exists()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data://x"])
def test_an_address_that_is_none_of_the_web_is_refused(cli: Cli, url: str, home: Path, address: str) -> None:
    assert cli("models", "pull", "yunet", "--from", address).code == 2
    assert cli("models", "pull", "yunet", "--from", "/dev/zero").code == 3
    assert not (home / "models" / "yunet").exists()


def test_what_a_server_says_never_rules_the_terminal(cli: Cli, url: str, server: _Server) -> None:
    server.manners = {"raves"}
    said = cli("models", "pull", "yunet")
    assert said.code == 3
    assert not {"\x1b", "\x07"} & set(said.err)
    assert "such file" in said.err


def test_a_pull_whose_model_cannot_be_used_leaves_nothing(cli: Cli, url: str, server: _Server, home: Path) -> None:
    card = home / "models" / "yunet.toml"
    card.write_text(card.read_text().replace("min_face_px = 20", "min_face_px = 400"))  # it sees no face then
    said = cli("models", "pull", "yunet")
    assert said.code == 6
    assert "finds 0 faces" in said.err
    assert not (home / "models" / "yunet").exists()


def test_mirrors_and_files_that_are_there(cli: Cli, url: str, server: _Server, data: Path, tmp_path: Path) -> None:
    wrong = _write(tmp_path / "wrong.onnx", b"wrong")
    assert cli("models", "pull", "yunet", "--from", wrong).code == 6
    assert cli("models", "pull", "yunet", "--from", tmp_path / "absent").code == 3
    assert cli("models", "pull", "yunet", "--from", url).code == 0
    assert len(server.ranges) == 1
    unknown = cli("models", "pull", "dlib-resnet")
    assert unknown.code == 6
    assert "retail-0095, sface, " in unknown.err


def test_an_embedder_without_its_file_says_how_to_get_it(cli: Cli, astronaut_file: Path) -> None:
    said = cli("verify", astronaut_file, astronaut_file, "--model", "sface")
    assert said.code == 6
    assert "facesearch models pull sface" in said.err


def test_the_shipped_cards_of_files_to_bring_can_be_embedders() -> None:
    for card in model_cards().values():
        if isinstance(card, EmbedderCard):
            aligner = aligner_of(card, card.detector)
            assert aligner.cut(np.zeros((50, 50, 3), np.uint8), []).shape == (0, card.chip_px, card.chip_px, 3)
