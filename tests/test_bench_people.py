"""`facesearch bench people` on a small LFW, and its protocols on made-up faces."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch.evaluation.album import BYSTANDER, Album
from facesearch.evaluation.grouping_methods import Model
from facesearch.evaluation.people import PROTOCOLS, measure
from facesearch.models.cards import embedder_card
from facesearch.people.grouping import facts_of
from tests.portraits import Faces

Cli = Callable[..., Any]
_DIM = 128


@pytest.fixture(scope="module")
def model() -> Model:
    """What the default model's card says."""
    card = embedder_card("dlib-resnet")
    facts = facts_of(card)
    assert card.threshold
    assert facts
    return Model(card.threshold, facts)


@pytest.fixture(scope="module")
def album() -> Album:
    """Twelve people of five photos each, so alike that none is in doubt, and a bystander in each tenth photo."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, _DIM)) + 2
    people = np.repeat(np.arange(12), 5)
    faces = centres[people] + 0.05 * rng.normal(size=(60, _DIM))
    strangers = rng.normal(size=(6, _DIM)) + 2
    photos = np.concatenate([np.arange(60), np.arange(0, 60, 10)])
    order = np.argsort(photos, kind="stable")
    embeddings = np.concatenate([faces, strangers])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    boxes = np.tile(np.array([[0, 0, 90, 90]], np.float32), (66, 1))
    boxes[60:] += 200
    return Album(
        photos[order],
        boxes[order],
        np.ones(66, np.float32),
        embeddings[order].astype(np.float32),
        np.concatenate([people, np.full(6, BYSTANDER)])[order],
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_people_who_are_not_in_doubt_are_grouped_right(protocol: Any, album: Album, model: Model) -> None:
    report = measure(protocol, album, model, ("balanced",), lambda step: None)
    ours = [line for line in report.groupings if line.method == "facesearch, balanced"]
    assert ours
    for line in ours:
        assert (line.figures.faces, line.figures.work) == (60, 0), line
    assert (report.faces, report.bystanders) == (66, 6)
    assert report.is_same_in_any_order is (True if protocol in ("all", "often") else None)


def test_peers_are_measured_in_the_same_run(album: Album, model: Model) -> None:
    report = measure("all", album, model, ("careful", "eager"), lambda step: None)
    assert [line.method for line in report.groupings] == [
        "facesearch, careful",
        "facesearch, eager",
        "average linkage",
        "Chinese whispers",
        "Immich's rule",
        "... with 3 faces",
        "DBSCAN, 2 faces",
        "HDBSCAN",
    ]


def test_a_small_lfw_is_grouped(cli: Cli, portraits: Faces, tmp_path: Path) -> None:
    for line in portraits.pairs.read_text().splitlines()[1:4]:
        person, *numbers = line.split()
        (tmp_path / person).mkdir(exist_ok=True)
        for number in numbers:
            shutil.copy(portraits.photo(person, int(number)), tmp_path / person)
    said = cli("bench", "people", "--data", tmp_path, "--mode", "careful", "--protocol", "later", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    photos = sum(path.is_file() for path in tmp_path.glob("*/*"))
    assert (told["protocol"], told["model"], told["photos"]) == ("later", "dlib-resnet", photos)
    assert told["groupings"][0]["what"] == "all at once"
    shown = cli("bench", "people", "--data", tmp_path, "--mode", "careful", "--protocol", "later")
    assert "known from an earlier run" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_folder_without_lfw_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    said = cli("bench", "people", "--data", tmp_path)
    assert said.code == 3
    assert "--data" in said.err
