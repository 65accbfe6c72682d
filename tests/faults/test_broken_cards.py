"""Cards that are wrong: each field is named, each is said where it is needed, and stops nothing else."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch.errors import FaceSearchError, ModelError
from facesearch.models.cards import (
    EmbedderCard,
    decode_card,
    default_embedder,
    embedder_card,
    keep_card,
    model_cards,
    shipped,
)

Cli = Callable[..., Any]

_POINTS = "[[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]]"
_EMBEDDER = f"""
kind = "embedder"
name = "own"
title = "A model"
network = "onnx_graph"
licence = "not stated"
source = "this test"
dim = 128
chip_px = 112
mean = [127.5, 127.5, 127.5]
scale = 128.0
channels = "RGB"
weights = [{{ path = "own.onnx", format = "onnx" }}]
[alignment]
kind = "landmarks"
weights = [1.0, 1.0, 1.0, 1.0, 1.0]
[alignment.templates]
mtcnn = {_POINTS}
[threshold]
similarity = 0.5
far = 0.001
measured_on = "pairs"
"""
_WRONG_EMBEDDERS = [
    ("mean = [127.5, 127.5, 127.5]\n", "", "mean"),
    ("scale = 128.0\n", "", "scale"),
    ("scale = 128.0", "scale = 0.0", "scale"),
    ("scale = 128.0", "scale = nan", "scale"),
    ("scale = 128.0", "scale = inf", "scale"),
    ("mean = [127.5,", "mean = [nan,", "mean"),
    ("mean = [127.5, 127.5, 127.5]", "mean = [127.5]", "mean"),
    ("dim = 128", "dim = 0", "dim"),
    ("dim = 128", "dim = 1000000000", "dim"),
    ("chip_px = 112", "chip_px = 1", "chip_px"),
    ("chip_px = 112", "chip_px = 100000", "chip_px"),
    ('channels = "RGB"', 'channels = "GBR"', "channels"),
    (", [70.73, 92.20]]", "]", "templates"),
    ("[70.73, 92.20]]", "[70.73]]", "templates"),
    ("[70.73, 92.20]]", "[70.73, inf]]", "templates"),
    ("[70.73, 92.20]]", "[70.73, 1e9]]", "templates"),
    (_POINTS, "[[1, 1], [1, 1], [1, 1], [1, 1], [1, 1]]", "templates"),
    (f"mtcnn = {_POINTS}", f"other = {_POINTS}", "detector"),
    ("weights = [1.0, 1.0, 1.0, 1.0, 1.0]", "weights = [0, 0, 0, 0, 0]", "weights"),
    ("weights = [1.0, 1.0, 1.0, 1.0, 1.0]", "weights = [1, 1, 1, 1, -1]", "weights"),
    ("weights = [1.0, 1.0, 1.0, 1.0, 1.0]", "weights = [1, 1, 1, 1]", "weights"),
    ("similarity = 0.5", "similarity = 1.5", "similarity"),
    ("similarity = 0.5", "similarity = nan", "similarity"),
    ("far = 0.001", "far = 0.0", "far"),
    ("far = 0.001", "far = 1.0", "far"),
    ('measured_on = "pairs"\n', "", "measured_on"),
]
_WRONG_DETECTORS = [
    ("min_face_px = 20", "min_face_px = 0", "min_face_px"),
    ("min_face_px = 20", "min_face_px = nan", "min_face_px"),
    ("thresholds = [0.6, 0.7, 0.8]", "thresholds = [0.6, 0.7]", "thresholds"),
    ("thresholds = [0.6, 0.7, 0.8]", "thresholds = [0.6, 0.7, 1.8]", "thresholds"),
    ("overlaps = [0.5, 0.7, 0.7, 0.7]", "overlaps = []", "overlaps"),
    ("overlaps = [0.5, 0.7, 0.7, 0.7]", "overlaps = [0.5, 0.7, 0.7, nan]", "overlaps"),
    ("scale_factor = 0.709", "scale_factor = 1.0", "scale_factor"),
    ("scale_factor = 0.709", "scale_factor = 0.0", "scale_factor"),
    ("max_side = 1500", "max_side = -1", "max_side"),
]


@pytest.mark.parametrize(("old", "new", "field"), _WRONG_EMBEDDERS)
def test_each_wrong_field_of_an_embedder_is_named(old: str, new: str, field: str, tmp_path: Path) -> None:
    _refused(_EMBEDDER, old, new, field, tmp_path / "card.toml")


@pytest.mark.parametrize(("old", "new", "field"), _WRONG_DETECTORS)
def test_each_wrong_field_of_a_detector_is_named(old: str, new: str, field: str, tmp_path: Path) -> None:
    _refused((shipped("models") / "mtcnn.toml").read_text(), old, new, field, tmp_path / "card.toml")


@pytest.mark.parametrize("margin", ["-1", "nan", "inf", "1e9"])
def test_a_margin_that_is_none_is_named(margin: str, tmp_path: Path) -> None:
    text = (shipped("models") / "facenet-20180402-114759.toml").read_text()
    _refused(text, "margin = 32", f"margin = {margin}", "margin", tmp_path / "card.toml")


def _refused(text: str, old: str, new: str, field: str, path: Path) -> None:
    path.write_text(text)
    decode_card(path)  # as it stands it is right
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match=rf"card\.toml is wrong: .*{field}"):
        decode_card(path)


def test_shipped_cards_are_complete() -> None:
    for path in shipped("models").glob("*.toml"):
        card = decode_card(path)
        facts = tomllib.loads(path.read_text())
        assert isinstance(card, EmbedderCard) == (facts["kind"] == "embedder")
        assert not isinstance(card, EmbedderCard) or card.whitened or {"mean", "scale"} <= set(facts)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b"a = 1\n" * 100_000, b"", b"name = 3"])
def test_what_is_no_card_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_bytes(content)
    with pytest.raises(ModelError, match=r"card\.toml is wrong"):
        decode_card(tmp_path / "card.toml")


# In the home


def test_a_broken_card_is_said_where_it_is_needed_alone(
    cli: Cli, home: Path, astronaut_file: Path, photo_of: Callable[..., Path]
) -> None:
    (home / "models" / "own.toml").write_text(_EMBEDDER.replace("scale = 128.0", "scale = 0.0"))
    (home / "models" / "torn.toml").write_text("not toml")
    (home / "models" / "folder.toml").mkdir()
    assert cli("verify", photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2)).code == 0
    assert cli("index", astronaut_file).code == 0
    assert cli("models", "show", "sface").code == 0
    for name in ("own", "torn", "folder"):
        said = cli("models", "show", name)
        assert said.code == 6
        assert f"{name}.toml" in said.err
        assert cli("verify", astronaut_file, astronaut_file, "--model", name).code == 6
    listed = cli("models", "list", "--json")
    assert listed.code == 6
    assert {"dlib-resnet", "mtcnn"} <= {each["name"] for each in json.loads(listed.out)}
    assert all(f"{name}.toml" in listed.err for name in ("own", "torn", "folder"))


def test_a_card_in_the_home_does_not_become_the_default(home: Path) -> None:
    (home / "models" / "own.toml").write_text(_EMBEDDER.replace("dim = 128", "dim = 128\ndefault = true"))
    assert embedder_card("own").default
    assert default_embedder() == "dlib-resnet"
    text = (shipped("models") / "dlib-resnet.toml").read_text().replace("default = true\n", "")
    (home / "models" / "dlib-resnet.toml").write_text(text)
    assert default_embedder() == "dlib-resnet"


def test_a_card_that_an_earlier_facesearch_kept_is_read(home: Path) -> None:
    """It left out what was usual, and always knew the SHA-256 of the weights."""
    text = _EMBEDDER.replace("mean = [127.5, 127.5, 127.5]\nscale = 128.0\n", "")
    (home / "models" / "own.toml").write_text(text)
    with pytest.raises(ModelError, match="`mean` is missing"):
        embedder_card("own")
    text = text.replace('format = "onnx"', f'format = "onnx", sha256 = "{"0" * 64}"')
    (home / "models" / "own.toml").write_text(text)
    assert (embedder_card("own").mean, embedder_card("own").scale) == ((127.5, 127.5, 127.5), 128.0)


def test_a_card_that_is_kept_says_all_and_is_its_owners_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(_EMBEDDER)
    path = keep_card(decode_card(tmp_path / "card.toml"))
    assert decode_card(path) == model_cards()["own"] == decode_card(tmp_path / "card.toml")
    assert path.stat().st_mode & 0o077 == 0
    (home / "models").rename(home / "elsewhere")
    (home / "models").write_text("a file where a folder must be")
    with pytest.raises(FaceSearchError, match="cannot be written"):
        keep_card(decode_card(tmp_path / "card.toml"))


def test_what_a_card_says_never_rules_the_terminal(cli: Cli, home: Path) -> None:
    wild = r"\u001b[31m\u009b2J\u0007red\u202e"
    text = _EMBEDDER.replace('"A model"', f'"{wild}"').replace('"not stated"', f'"{wild}"')
    text = text.replace('"this test"', f'"{wild}"').replace('"pairs"', f'"{wild}"')
    (home / "models" / "own.toml").write_text(text + f'[accuracy]\n"{wild}" = "{wild}"\n')
    (home / "models" / "torn.toml").write_text(f'"{wild}" = 1')
    said = [cli("models", "list"), cli("models", "show", "own"), cli("models", "show", "torn")]
    said.append(cli("models", "show", "\x1b[31mred"))
    said.append(cli("models", "list", "--json"))
    for each in said:
        assert not {"\x1b", "\x9b", "\x07", "\u202e"} & set(each.out + each.err)
    assert "red" in said[1].out
