"""Files of strangers that ask for everything: memory, time, other files. Each is a sentence, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesearch.errors import ModelError
from facesearch.models import conversion
from facesearch.models.adding import add
from facesearch.models.weights import keras_h5, tensors
from tests.models.frozen_graphs import constant, graph, tensor

_HUGE = 1 << 34  # numbers: 64 GB
_CARD = """
kind = "embedder"
name = "own"
title = "A stranger's"
network = "onnx_graph"
licence = "not stated"
source = "this test"
dim = 4
chip_px = 8
mean = [127.5, 127.5, 127.5]
scale = 128.0
weights = [{ path = "own.onnx", format = "onnx" }]
alignment = { kind = "box", margin = 8 }
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card.toml"
    path.write_text(_CARD)
    return path


def _silent(_: object) -> None:
    pass


def _left(home: Path) -> set[str]:
    return {path.name for path in (home / "models").iterdir()}


# Graphs


def _graph(path: Path, nodes: list[Any], weights: list[Any], domains: tuple[str, ...] = ()) -> Path:
    """Of a chip of 8 pixels four numbers, with whatever is between."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 4])],
        weights,
    )
    opsets = [helper.make_opsetid("", 13), *(helper.make_opsetid(domain, 1) for domain in domains)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def _means() -> list[Any]:
    """Nodes that make four numbers of "x", (1, 3, 8, 8), and the weights for that."""
    return [
        helper.make_node("ReduceMean", ["x"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "w"], ["output"]),
    ]


_W = numpy_helper.from_array(np.eye(3, 4, dtype=np.float32), "w")


def _of_64_gb(path: Path) -> Path:
    """The size depends on the chip, so that no optimiser computes it beforehand."""
    sizes = numpy_helper.from_array(np.array([_HUGE], np.int64), "sizes")
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["much"]),
        helper.make_node("ReduceSum", ["much"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["input", "nothing"], ["x"]),
        *_means(),
    ]
    return _graph(path, nodes, [_W, sizes])


def _endless(path: Path) -> Path:
    """A loop whose condition stays true."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["y", "y"], ["y_next"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("y", TensorProto.FLOAT, None)],
        [info("go_on", TensorProto.BOOL, []), info("y_next", TensorProto.FLOAT, None)],
    )
    always = numpy_helper.from_array(np.array(True), "always")
    nodes = [helper.make_node("Loop", ["", "always", "input"], ["x"], body=body), *_means()]
    return _graph(path, nodes, [_W, always])


def _unknown(path: Path) -> Path:
    nodes = [helper.make_node("Dance", ["input"], ["x"], domain="com.stranger"), *_means()]
    return _graph(path, nodes, [_W], ("com.stranger",))


def _invented(path: Path) -> Path:
    return _graph(path, [helper.make_node("Dance", ["input"], ["x"]), *_means()], [_W])


def _not_a_number(path: Path) -> Path:
    nothing = numpy_helper.from_array(np.array(np.nan, np.float32), "nan")
    return _graph(path, [helper.make_node("Mul", ["input", "nan"], ["x"]), *_means()], [_W, nothing])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (_of_64_gb, "asks for more memory|cannot be used|ended the process"),
        (_unknown, "cannot be run by ONNX Runtime"),
        (_invented, "is not an ONNX graph|cannot be run by ONNX Runtime"),
        (_not_a_number, "without length or number"),
    ],
)
def test_a_graph_that_cannot_be_used_is_a_sentence(
    made: Callable[[Path], Path], said: str, card: Path, home: Path, tmp_path: Path
) -> None:
    before = _left(home)
    with pytest.raises(ModelError, match=said) as refused:
        add(made(tmp_path / "own.onnx"), None, card, _silent)
    assert "\n" not in str(refused.value)
    assert "own" in str(refused.value)
    assert _left(home) == before


def test_a_loop_without_end_is_ended(card: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _left(home)
    monkeypatch.setattr(conversion, "SECONDS", 4)
    started = time.monotonic()
    with pytest.raises(ModelError, match="did not finish within 4 seconds"):
        add(_endless(tmp_path / "own.onnx"), None, card, _silent)
    assert time.monotonic() - started < 60
    assert _left(home) == before
    assert not _processes_with("facesearch.faces.trial", os.getpid())


def test_ctrl_c_ends_a_loop_without_end_at_once(card: Path, home: Path, tmp_path: Path) -> None:
    before = _left(home)
    command = [
        str(Path(sys.executable).with_name("facesearch")),
        "models",
        "add",
        str(_endless(tmp_path / "own.onnx")),
    ]
    run = subprocess.Popen(
        [*command, "--card", str(card)],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    _wait_for(lambda: _cpu_seconds(_processes_with("facesearch.faces.trial", run.pid)) > 1.5)  # it loops
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)  # it loops for longer
    assert run.returncode == 130
    assert not _processes_with("facesearch.faces.trial", run.pid)
    assert _left(home) == before


def test_the_trial_ends_with_who_started_it(card: Path, home: Path, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("facesearch")),
        "models",
        "add",
        str(_endless(tmp_path / "own.onnx")),
    ]
    run = subprocess.Popen([*command, "--card", str(card)], stderr=subprocess.DEVNULL)
    _wait_for(lambda: _cpu_seconds(_processes_with("facesearch.faces.trial", run.pid)) > 0.5)
    (trial,) = _processes_with("facesearch.faces.trial", run.pid)
    run.kill()
    run.wait()
    _wait_for(lambda: not _is_alive(trial))


def _processes_with(word: str, parent: int) -> list[int]:
    """Those that run a module, started by a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            started_by = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if word.encode() in words and started_by == parent:
            found.append(int(folder.name))
    return found


def _cpu_seconds(processes: list[int]) -> float:
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


# Weights


def _pb_of_64_gb(path: Path) -> Path:
    """One number, and the shape to repeat it to."""
    value = tensor([_HUGE], floats=[1])
    path.write_bytes(graph(constant("InceptionResnetV1/Bottleneck/weights", value)))
    assert path.stat().st_size < 150
    return path


def _h5_of_64_gb(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("model_weights/Conv2d_1a_3x3/kernel:0", (_HUGE,), "f4", chunks=(1024,))
    return path


def _circular(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/a/b")
        group["up"] = file["layers"]
        group["self"] = group
    return path


def _deep(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_group("/".join(["g"] * 500))
    return path


def _keras_bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("model.weights.h5", "w", force_zip64=True) as file:
            for _ in range(1100):
                file.write(bytes(1 << 20))
    return path


def _sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.write(b"\x89HDF\r\n\x1a\n")
        file.truncate(200 << 30)
    return path


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("own.pb", _pb_of_64_gb, "announces an array"),
        ("own.h5", _h5_of_64_gb, "announces an array"),
        ("own.h5", _circular, "has no layer"),
        ("own.h5", _deep, "holds more, or deeper"),
        ("own.keras", _keras_bomb, "are larger than any"),
        ("own.h5", _sparse, "which no model here has"),
    ],
)
def test_weights_that_ask_for_everything_are_a_sentence(
    name: str, made: Callable[[Path], Path], said: str, home: Path, tmp_path: Path
) -> None:
    before = _left(home)
    with pytest.raises(ModelError, match=said):
        add(made(tmp_path / name), None, None, _silent)
    assert _left(home) == before


def test_what_is_linked_twice_in_a_keras_file_is_read_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["model_weights/Conv2d_1a_3x3/kernel:0"] = np.ones((2, 2), np.float32)
        file["model_weights/again"] = file["model_weights"]
    found = keras_h5.read(tmp_path / "own.h5")
    assert list(found) == ["InceptionResnetV1/Conv2d_1a_3x3/weights"]


@pytest.mark.parametrize("lie", ["bomb", "head"])
def test_an_archive_of_arrays_that_swells_is_refused_unread(lie: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("0.npy", "w") as file:
        shape = (_HUGE,) if lie == "head" else (1 << 25,)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for _ in range(1 if lie == "head" else 128):
            file.write(bytes(1 << 20))
    with pytest.raises(ModelError, match=r"announces"):
        tensors.read(path)


# What is accepted, and what is said of it


def test_a_network_that_sees_nothing_is_said_to(card: Path, home: Path, tmp_path: Path) -> None:
    """Its numbers are the same whatever it sees: noise is then as like a face as its mirror image."""
    zero = numpy_helper.from_array(np.array(0, np.float32), "zero")
    one = numpy_helper.from_array(np.array(1, np.float32), "one")
    nodes = [
        helper.make_node("Mul", ["input", "zero"], ["y"]),
        helper.make_node("Add", ["y", "one"], ["x"]),
        *_means(),
    ]
    notes: list[str] = []
    add(_graph(tmp_path / "own.onnx", nodes, [_W, zero, one]), None, card, notes.append)
    assert any("less like its own mirror image" in note for note in notes)
    onnx.load(str(next((home / "models" / "own").rglob("embedder.onnx"))))


_YUNET = """
kind = "detector"
name = "blind"
title = "YuNet with its eyes shut"
network = "yunet"
licence = "MIT"
source = "OpenCV Zoo"
min_face_px = 400
thresholds = [0.7]
overlaps = [0.3]
weights = [{ path = "y.onnx", format = "onnx" }]
"""


def test_a_detector_that_does_not_find_the_face_is_refused(data: Path, home: Path, tmp_path: Path) -> None:
    before = _left(home)
    (tmp_path / "card.toml").write_text(_YUNET)
    with pytest.raises(ModelError, match="finds 0 faces in a photo of one"):
        add(data / "models" / "face_detection_yunet_2026may.onnx", None, tmp_path / "card.toml", _silent)
    assert _left(home) == before
