"""What a model may be called, and that nothing but its own is ever deleted or overwritten."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facesearch.errors import FaceSearchError, ModelError, UsageError
from facesearch.models.adding import add, pull
from facesearch.models.card import valid_model_name
from facesearch.models.cards import decode_card, model_cards, shipped

Cli = Callable[..., Any]

_CARD = """
kind = "embedder"
name = {name}
title = "A model"
network = "onnx_graph"
licence = "not stated"
source = "this test"
dim = 4
chip_px = 8
mean = [127.5, 127.5, 127.5]
scale = 128.0
weights = [{{ path = {path}, format = "onnx"{more} }}]
alignment = {{ kind = "box", margin = 8 }}
"""
_TRAVELLERS = [
    "../indexes/default",
    "..",
    ".",
    "",
    "/tmp/x",
    "a/b",
    "a\\u0000b",
    "x" * 300,
    ".hidden",
    "a\\nb",
    "a\\u001b[31m",
]
_ENDINGS = ["own.toml", "own.part", "OWN.TOML"]


def _silent(_: object) -> None:
    pass


def _card(path: Path, name: str = "own", weights: str = "own.onnx", more: str = "") -> Path:
    path.write_text(_CARD.format(name=f'"{name}"', path=f'"{weights}"', more=more))
    return path


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A network that gives the means of a chip's channels."""
    weights = numpy_helper.from_array(np.eye(3, 4, dtype=np.float32), "w")
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "w"], ["output"]),
    ]
    info = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "g",
        [info("input", TensorProto.FLOAT, [1, 3, 8, 8])],
        [info("output", TensorProto.FLOAT, [1, 4])],
        [weights],
    )
    path = tmp_path / "own.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def _tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def precious(home: Path, tmp_path: Path) -> Callable[[], bool]:
    """A home with a gallery and photos beside it, and whether they are as they were."""
    for place in (home / "indexes" / "default" / "backup.db", tmp_path / "photos" / "a.jpg"):
        place.parent.mkdir(parents=True)
        place.write_bytes(b"hours of work")
    kept = [home / "indexes", tmp_path / "photos"]
    before = [_tree(place) for place in kept]
    return lambda: [_tree(place) for place in kept] == before


# Names


@pytest.mark.parametrize("name", [*_TRAVELLERS, *_ENDINGS])
def test_a_card_whose_name_leads_elsewhere_is_refused(
    name: str, home: Path, tmp_path: Path, graph: Path, precious: Callable[[], bool]
) -> None:
    card = _card(tmp_path / "card.toml", name)
    with pytest.raises(ModelError, match=r"card\.toml is wrong: `name`") as refused:
        add(graph, None, card, _silent)
    assert str(refused.value).isprintable()
    assert precious()


def test_a_card_that_names_a_folder_of_photos_does_not_delete_it(
    home: Path, tmp_path: Path, precious: Callable[[], bool]
) -> None:
    card = _card(tmp_path / "card.toml", str(tmp_path / "photos"))
    (tmp_path / "own.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError):
        add(tmp_path / "own.onnx", None, card, _silent)
    assert precious()


@pytest.mark.parametrize("name", ["../indexes/default", "..", "/tmp/x", "own.toml", "x" * 300])
def test_a_name_that_is_typed_is_refused_alike(
    name: str, cli: Cli, tmp_path: Path, graph: Path, precious: Callable[[], bool]
) -> None:
    card = _card(tmp_path / "card.toml")
    added = cli("models", "add", graph, "--card", card, "--name", name)
    assert (added.code, added.err.count("\n")) == (2, 1)
    trained = cli("train", tmp_path / "photos", "--out", name)
    assert (trained.code, trained.err.count("\n")) == (2, 1)
    assert cli("models", "pull", name).code == 6
    assert cli("models", "remove", name, "--yes").code == 6
    assert cli("models", "show", name).code == 6
    assert precious()


def test_names_of_any_script_are_names() -> None:
    for name in ("own", "Netz-ä.2", "模型", "20180402-114759"):
        assert valid_model_name(name) == name


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("../other/weights.onnx", ""),
        ("/etc/passwd", ""),
        ("..", ""),
        ("a/b.onnx", ""),
        ("checkpoint.npz", ""),
        ("people.json", ""),
        ("own.part", ""),
        ("../../secret", ', package = "numpy"'),
        ("/etc/passwd", ', package = "numpy"'),
        ("own.onnx", ', package = "numpy.random"'),
        ("own.onnx", ', package = "../numpy"'),
        ("own.onnx", ', url = "file:///etc/passwd"'),
        ("own.onnx", ', url = "https://example.org/own.onnx"'),
        ("own.onnx", ', sha256 = "abc"'),
        ("own.onnx", ", size = -1"),
    ],
)
def test_weights_that_lead_elsewhere_are_refused(path: str, more: str, tmp_path: Path) -> None:
    card = _card(tmp_path / "card.toml", weights=path, more=more)
    with pytest.raises(ModelError, match=r"card\.toml is wrong: .*weights\[0\]"):
        decode_card(card)


# What is there stays


def test_a_broken_file_under_the_name_of_a_training_leaves_its_checkpoint(
    home: Path, tmp_path: Path, graph: Path
) -> None:
    (home / "models" / "own").mkdir()
    (home / "models" / "own" / "checkpoint.npz").write_bytes(b"a night's work")
    for file in (graph, tmp_path / "broken.onnx"):
        (tmp_path / "broken.onnx").write_bytes(b"no graph")
        with pytest.raises(UsageError, match="choose another name"):
            add(file, "own", _card(tmp_path / "card.toml"), _silent)
        assert (home / "models" / "own" / "checkpoint.npz").read_bytes() == b"a night's work"


def test_a_card_in_the_home_outlives_a_file_that_is_refused(home: Path, tmp_path: Path, graph: Path) -> None:
    own = _card(home / "models" / "own.toml")
    before = own.read_bytes()
    graph.write_bytes(graph.read_bytes()[:100])
    with pytest.raises(ModelError):
        add(graph, None, None, _silent)  # the card knows the file by its name
    assert own.read_bytes() == before
    other = _card(tmp_path / "card.toml")
    with pytest.raises(UsageError, match="choose another name"):
        add(graph, None, other, _silent)
    assert own.read_bytes() == before


def test_a_card_in_the_home_is_completed_by_its_file(home: Path, graph: Path) -> None:
    _card(home / "models" / "own.toml")
    added = add(graph, None, None, _silent)
    assert model_cards()["own"] == added
    assert len(added.weights[0].sha256) == 64
    assert sorted(path.name for path in (home / "models" / "own").iterdir())[-1] == "own.onnx"
    for path in (home / "models" / "own", *(home / "models" / "own").rglob("*"), home / "models" / "own.toml"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_card_that_the_disk_refuses_leaves_no_model(
    home: Path, tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("facesearch.models.cards.write_whole", refuse)
    before = {path.name for path in (home / "models").iterdir()}
    with pytest.raises(FaceSearchError, match=r"own\.toml cannot be written: No space left"):
        add(graph, None, _card(tmp_path / "card.toml"), _silent)
    assert {path.name for path in (home / "models").iterdir()} == before


def test_a_card_of_another_kind_of_network_than_the_file_is_a_sentence(
    home: Path, tmp_path: Path, graph: Path
) -> None:
    before = {path.name for path in (home / "models").iterdir()}
    text = _card(tmp_path / "card.toml").read_text()
    (tmp_path / "card.toml").write_text(text.replace("onnx_graph", "facenet"))
    for card in (tmp_path / "card.toml", shipped("models") / "mtcnn.toml"):
        with pytest.raises(ModelError, match="correct the card"):
            add(graph, "own", card, _silent)
    assert {path.name for path in (home / "models").iterdir()} == before


def test_a_pull_beside_a_checkpoint_is_refused(home: Path, graph: Path) -> None:
    digest = "0" * 64
    _card(home / "models" / "own.toml", more=f', url = "https://127.0.0.1:1/x", sha256 = "{digest}"')
    (home / "models" / "own").mkdir()
    (home / "models" / "own" / "checkpoint.npz").write_bytes(b"a night's work")
    with pytest.raises(UsageError, match="checkpoint of a training"):
        pull("own", str(graph), lambda *_: None, _silent)
    assert [path.name for path in (home / "models" / "own").iterdir()] == ["checkpoint.npz"]


# Removing


def test_a_model_is_removed_with_all_that_is_its_own(cli: Cli, home: Path, tmp_path: Path, graph: Path) -> None:
    before = _tree(home / "models")
    assert cli("models", "add", graph, "--card", _card(tmp_path / "card.toml")).code == 0
    asked = cli("models", "remove", "own")  # nobody is there to answer
    assert asked.code == 2
    assert "own" in model_cards()
    said = cli("models", "remove", "own", "--yes")
    assert (said.code, said.out) == (0, "own is removed.\n"), said.err
    assert _tree(home / "models") == before
    assert not (home / "models" / "own").exists()
    assert cli("models", "remove", "own", "--yes").code == 6


def test_what_somebody_put_beside_a_model_stays(cli: Cli, home: Path, tmp_path: Path, graph: Path) -> None:
    assert cli("models", "add", graph, "--card", _card(tmp_path / "card.toml")).code == 0
    (home / "models" / "own" / "notes.txt").write_text("mine")
    said = cli("models", "remove", "own", "--yes")
    assert said.code == 0
    assert "notes.txt stays" in said.err
    assert [path.name for path in (home / "models" / "own").iterdir()] == ["notes.txt"]


def test_a_model_that_a_gallery_needs_stays(cli: Cli, home: Path, astronaut_file: Path) -> None:
    assert cli("index", astronaut_file, "-g", "family").code == 0
    for model in ("dlib-resnet", "mtcnn"):
        said = cli("models", "remove", model, "--yes")
        assert said.code == 6
        assert "is needed by family" in said.err
    shutil.rmtree(home / "indexes" / "family")
    assert cli("models", "remove", "dlib-resnet", "--yes").code == 0  # of its own, a link to the exports of all tests
    assert "dlib-resnet" in model_cards()
    assert cli("models", "remove", "dlib-resnet", "--yes").code == 6


def test_the_checkpoint_of_a_training_goes_only_when_it_is_said(cli: Cli, home: Path) -> None:
    from facesearch.gallery.migration.models_in_use import galleries_with
    from facesearch.models.removal import remove

    (home / "models" / "mine").mkdir()
    (home / "models" / "mine" / "checkpoint.npz").write_bytes(b"a night's work")
    with pytest.raises(UsageError, match="--yes"):
        remove("mine", galleries_with)
    assert (home / "models" / "mine" / "checkpoint.npz").exists()
    assert cli("models", "remove", "mine", "--yes").code == 0
    assert not (home / "models" / "mine").exists()


# Training


def test_a_training_is_never_begun_over_what_is_there(
    process: Callable[..., "subprocess.CompletedProcess[str]"], home: Path, tmp_path: Path
) -> None:
    folder = home / "models" / "mine"
    folder.mkdir()
    (folder / "checkpoint.npz").write_bytes(b"a night's work")
    said = process("train", tmp_path, "--out", "mine")
    assert said.returncode == 2
    assert "--resume" in said.stderr
    assert "--out" in said.stderr
    (folder / "checkpoint.npz").rename(folder / "letter.txt")
    said = process("train", tmp_path, "--out", "mine")
    assert said.returncode == 2
    assert "There is something in" in said.stderr
    assert _tree(folder) == {str(folder / "letter.txt"): b"a night's work"}
    resumed = process("train", tmp_path, "--out", "mine", "--resume")
    assert resumed.returncode == 6
    assert "There is no checkpoint" in resumed.stderr
    assert _tree(folder) == {str(folder / "letter.txt"): b"a night's work"}
