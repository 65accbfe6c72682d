"""OpenVINO in bfloat16: taken by itself, like ONNX Runtime in float32, and replaced by it where it cannot serve."""

import os
import shutil
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from facesearch.arrays import Pixels
from facesearch.faces.analyser import Analyser
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.gallery.gallery import Gallery
from facesearch.models.cards import detector_card, embedder_card
from facesearch.models.engines.onnx import OnnxNetwork
from facesearch.models.engines.openvino import PLAIN, UnavailableError, import_openvino
from facesearch.models.export import exported_to
from facesearch.models.serving import serve
from facesearch.photos.view import read
from tests.conftest import Cli
from tests.portraits import Faces


@pytest.fixture(scope="module", autouse=True)
def kept() -> None:
    """Nothing: how networks are loaded is what these tests are about."""


@pytest.fixture(scope="module")
def openvino() -> str:
    try:
        return import_openvino()
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def photos(portraits: Faces) -> list[Pixels]:
    """Of 24 people."""
    return [read(str(path)) for path in sorted(portraits.images.glob("*/*_0001.jpg"))[:24]]


def test_a_face_is_the_same_to_both_engines(openvino: str, photos: list[Pixels], models_home: Path) -> None:
    detector, card = detector_card("mtcnn"), embedder_card("dlib-resnet")
    exact = Analyser.load(detector, card, "cpu", precision="float32")
    fast = Analyser.load(detector, card, "cpu")
    assert (exact.embedder.engine.precision, fast.embedder.engine.precision) == ("float32", "bfloat16")
    assert fast.embedder.engine.name == f"OpenVINO {openvino}"
    found = [faces[:1] for faces in exact.detector.detect(photos)]
    chips = np.concatenate([exact.embedder.aligner.cut(*each) for each in zip(photos, found, strict=True)])
    assert len(chips) >= 20
    assert (exact.embedder.embed(chips) * fast.embedder.embed(chips)).sum(axis=1).min() > 0.999


def test_both_engines_find_the_same_faces(openvino: str, photos: list[Pixels], models_home: Path) -> None:
    card = detector_card("mtcnn")
    exact, fast = (MtcnnDetector(serve(card, "cpu", 1, each), card).detect(photos) for each in ("float32", "auto"))
    same = total = 0
    for wanted, found in zip(exact, fast, strict=True):
        total += len(wanted)
        for face in wanted:
            width = face.box.right - face.box.left
            apart = [np.abs(np.subtract(face.landmarks, other.landmarks)).max() for other in found]
            same += min(apart, default=width) < 0.06 * width
    assert total >= 20
    assert same >= 0.98 * total


@pytest.mark.parametrize("part", ["pnet", "rnet", "onet"])
def test_a_plain_graph_computes_what_the_other_one_does(part: str, models_home: Path) -> None:
    at, side = exported_to(detector_card("mtcnn")), {"pnet": 61, "rnet": 24, "onet": 48}[part]
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3)).astype(np.uint8)
    outputs = (OnnxNetwork(at / name, 1)(pixels) for name in (f"{part}.onnx", f"{part}{PLAIN}"))
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(one, other, atol=4e-6)


@pytest.fixture
def own_export(home: Path) -> Path:
    """The folder of the detector's graphs, a copy of the test's own without anything compiled."""
    own = exported_to(detector_card("mtcnn"))
    kept = own.resolve()
    (home / "models" / "mtcnn").unlink()
    shutil.copytree(kept, own)
    for compiled in own.glob("*.compiled"):
        compiled.unlink()
    return own


def test_what_was_compiled_is_kept_privately_and_a_damaged_file_is_not_believed(
    openvino: str, own_export: Path
) -> None:
    windows = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3)).astype(np.uint8)
    first = serve(detector_card("mtcnn"), "cpu", 1, "auto")["rnet"](windows)
    (kept,) = own_export.glob("rnet.*.compiled")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    whole = kept.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    for data in (whole, bytes(damaged), b"", whole[:100]):
        kept.write_bytes(data)
        again = serve(detector_card("mtcnn"), "cpu", 1, "auto")["rnet"]
        assert again.engine.precision == "bfloat16"
        np.testing.assert_array_equal(again(windows)[0], first[0])
        now = kept.read_bytes()  # the same graph is not compiled into the same bytes twice
        assert now == whole if data == whole else zlib.crc32(now[4:]) == int.from_bytes(now[:4])


def test_a_graph_that_openvino_cannot_run_is_served_by_onnx_runtime(openvino: str, own_export: Path) -> None:
    (own_export / f"rnet{PLAIN}").write_bytes(b"no graph")
    for network in serve(detector_card("mtcnn"), "cpu", 1, "auto").values():
        assert network.engine.precision == "float32"
        assert "cannot compile rnet" in network.engine.instead


def test_a_graph_that_comes_out_otherwise_is_served_by_onnx_runtime(openvino: str, own_export: Path) -> None:
    graph = onnx.load(str(own_export / f"rnet{PLAIN}"))
    for weights in graph.graph.initializer:
        array = numpy_helper.to_array(weights)
        if array.ndim == 4 and array.dtype == np.float32:
            weights.CopyFrom(numpy_helper.from_array(array * np.float32(1.2), weights.name))
    (own_export / f"rnet{PLAIN}").write_bytes(graph.SerializeToString())
    network = serve(detector_card("mtcnn"), "cpu", 1, "auto")["rnet"]
    assert network.engine.precision == "float32"
    assert "otherwise" in network.engine.instead


def test_a_broken_openvino_is_said_by_doctor_and_does_without(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    (tmp_path / "broken" / "openvino").mkdir(parents=True)
    (tmp_path / "broken" / "openvino" / "__init__.py").write_text("raise ImportError('libtbb.so.12 is missing')")
    command = [str(Path(sys.executable).with_name("facesearch")), "doctor", "--device", "cpu", "--json"]
    settings = os.environ | {"PYTHONPATH": str(tmp_path / "broken")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings, timeout=120)
    assert done.returncode == 0, done.stderr
    assert '"precision": "float32: OpenVINO cannot be loaded: libtbb.so.12 is missing"' in done.stdout


def test_a_gallery_takes_embeddings_of_both(
    openvino: str, cli: Cli, album: Path, photo_of: Callable[..., Path]
) -> None:
    people = sorted(album.iterdir())
    assert '"precision": "float32"' in cli("index", people[0], "--precision", "float32", "--json").out
    mixed = cli("index", album, "--people-from", "folder", "--json").out
    assert f'"engine": "OpenVINO {openvino}", "precision": "bfloat16"' in mixed
    engines = '"engines": [{"engine": "OpenVINO ' + openvino + '", "precision": "bfloat16"}, {"engine": "ONNX Runtime'
    assert engines in cli("info", "--json").out
    exact, fast = (
        Gallery.open(device="cpu", precision=each).query(photo_of(people[0].name, 1), k=3, group=False)
        for each in ("float32", "auto")
    )
    assert exact.matches[0].similarity > 0.9999
    assert [match.photo for match in exact.matches] == [match.photo for match in fast.matches]
    for one, other in zip(exact.matches, fast.matches, strict=True):
        assert abs(one.similarity - other.similarity) < 0.005
