"""Cards: what is shipped is right, what is wrong is refused, what the user adds comes first."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch.errors import ModelError
from facesearch.models.adding import add
from facesearch.models.cards import (
    LandmarkAlignment,
    default_embedder,
    detector_card,
    embedder_card,
    index_recipes,
    model_cards,
    shipped,
    threshold_of,
)


def test_the_shipped_cards_agree_with_each_other() -> None:
    card = embedder_card(default_embedder())
    assert (card.name, card.dim, card.chip_px) == ("dlib-resnet", 128, 150)
    assert isinstance(card.alignment, LandmarkAlignment)
    assert len(card.alignment.templates[card.detector]) == 5
    assert detector_card(card.detector).name == "mtcnn"
    assert 0 < threshold_of(card).far < 0.01
    assert all(name == model.name for name, model in model_cards().items())


def test_recipes_go_from_few_faces_to_many_and_the_last_has_no_limit() -> None:
    recipes = index_recipes()
    assert [recipe.name for recipe in recipes] == ["flat", "ivf-pq"]
    assert [recipe.up_to_faces for recipe in recipes] == [100_000, None]


def test_a_card_in_the_home_replaces_a_shipped_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    own = shutil.copy(shipped("models") / "dlib-resnet.toml", tmp_path / "models")
    Path(own).write_text(Path(own).read_text().replace("similarity = 0.929", "similarity = 0.95"))
    assert threshold_of(embedder_card("dlib-resnet")).similarity == 0.95


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("colour = 'red'", "unknown field `colour`"),
        ("dim = 'many'", "dim"),
        ("not toml", "."),
    ],
)
def test_a_wrong_card_is_named_with_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, complaint: str
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    text = (shipped("models") / "dlib-resnet.toml").read_text().replace("dim = 128", line)
    (tmp_path / "models" / "dlib-resnet.toml").write_text(text)
    with pytest.raises(ModelError, match=rf"dlib-resnet\.toml is wrong: .*{complaint}"):
        embedder_card("dlib-resnet")


def test_a_model_that_does_not_exist_or_is_of_another_kind_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no model named 'nobody'\. Available: .*dlib-resnet"):
        embedder_card("nobody")
    with pytest.raises(ModelError, match="'mtcnn' finds faces and does not embed them"):
        embedder_card("mtcnn")


def test_a_growing_gallery_is_told_once_of_a_better_model(home: Path, cli: Callable[..., Any], album: Path) -> None:
    text = (shipped("models") / "retail-0095.toml").read_text()
    (home / "models" / "retail-0095.toml").write_text(text.replace("faces = 2000", "faces = 1"))
    said = cli("index", album)
    assert said.code == 0
    assert "98 of 100 photos" in said.err
    assert "facesearch models pull retail-0095 && facesearch migrate --model retail-0095." in said.err
    assert "retail-0095" not in cli("index", album).err


def test_what_was_never_run_says_so(home: Path, cli: Callable[..., Any]) -> None:
    listed = {card["name"]: card for card in json.loads(cli("models", "list", "--json").out)}
    assert not listed["auraface"]["tried"]
    assert listed["dlib-resnet"]["tried"]
    said = cli("models", "list")
    assert re.search(r"auraface .* \(0\.9965\) ", said.out)
    assert "in brackets what its makers publish, not tried" in said.err


def test_a_foreign_file_is_tried_on_a_face_under_any_card(home: Path, data: Path, tmp_path: Path) -> None:
    file = data / "models" / "mobilefacenet.onnx"
    if not file.exists():
        pytest.skip("mobilefacenet.onnx is not here")
    card = (shipped("models") / "auraface.toml").read_text().replace("dim = 512", "dim = 128")
    (tmp_path / "card.toml").write_text(re.sub(r"(?m)^(sha256|url|size) = .*\n", "", card))
    heard: list[str] = []
    added = add(file, "stand-in", tmp_path / "card.toml", heard.append)
    assert not added.tried
    assert heard == []
    (tmp_path / "wrong.toml").write_text((tmp_path / "card.toml").read_text().replace("dim = 128", "dim = 512"))
    with pytest.raises(ModelError, match="gives 128 numbers"):
        add(file, "wrong", tmp_path / "wrong.toml", heard.append)
