"""`facesearch bench people` on a small LFW, and its protocols on made-up faces."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.evaluation.album import BYSTANDER, Album
from facesearch.evaluation.fitted_bars import fit
from facesearch.evaluation.grouping_methods import Model
from facesearch.evaluation.made_up_people import MadeUpPeople
from facesearch.evaluation.people import PROTOCOLS, PeopleReport, measure
from facesearch.evaluation.people_benchmark import PeopleBenchmark, keep_bars
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
    assert (report.faces, report.bystanders) == ((60, 0) if protocol == "often" else (66, 6))
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


def test_bars_are_fitted_by_what_a_mode_minds(album: Album, model: Model) -> None:
    fitted = fit(album, model, lambda step: None)
    assert [each.mode for each in fitted] == ["careful", "balanced", "eager"]
    assert all(each.figures.work == 0 and each.bars[0] >= each.bars[1] for each in fitted)


def test_saved_bars_are_those_that_group(cli: Cli, model: Model, album: Album, home: Path) -> None:
    fitted = tuple(replace(each, bars=(1.0, 0.5)) for each in fit(album, model, lambda step: None))
    report = PeopleReport("bars", 66, 6, ())
    measured = PeopleBenchmark("dlib-resnet", "", "", "LFW", 60, 12, 0, 0.0, report, fitted)
    assert keep_bars(measured).is_relative_to(home)
    facts = facts_of(embedder_card("dlib-resnet"))
    assert facts
    assert dict(facts.bars) == dict.fromkeys(("careful", "balanced", "eager"), (1.0, 0.5))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--save"], "--save keeps bars"),
        (["--protocol", "bars", "--mode", "eager"], "--mode picks a way of grouping"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(cli: Cli, words: list[str], said: str) -> None:
    answer = cli("bench", "people", "--data", "nowhere", *words)
    assert answer.code == 2
    assert said in answer.err


def test_made_up_people_are_spread_like_their_model() -> None:
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(400), 3)
    centres = rng.normal(size=(400, 8)) + 4
    faces = centres[people] + 0.1 * rng.normal(size=(1200, 8))
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    made, who = MadeUpPeople.like(faces.astype(np.float32), people).draw(3000, seed=3, spread=1.0)
    again, _ = MadeUpPeople.like(faces.astype(np.float32), people).draw(3000, seed=3, spread=1.0)
    assert (made == again).all()
    assert np.bincount(who).max() == 3
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    of_one, of_two = _spread(faces, people), _spread(made.astype(np.float64), who)
    assert of_two == pytest.approx(of_one, rel=0.1)


def _spread(faces: NDArray[np.float64], people: NDArray[np.int64]) -> tuple[float, float]:
    """One less the mean similarity of faces of one person, and of two."""
    order = np.argsort(people, kind="stable")
    similarities = (faces[order][1:] * faces[order][:-1]).sum(axis=1)
    same = people[order][1:] == people[order][:-1]
    return float(1 - similarities[same].mean()), float(1 - (faces[:600] @ faces[-600:].T).mean())


def test_a_folder_without_lfw_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    said = cli("bench", "people", "--data", tmp_path)
    assert said.code == 3
    assert "--data" in said.err
