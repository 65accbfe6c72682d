"""Training: triplets by brute force, batches by count, and a small network that learns from real faces."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.cards import BoxAlignment, embedder_card
from facesearch.engines.keras import import_keras
from facesearch.errors import FaceSearchError
from facesearch.photos import read
from facesearch.records import Pixels
from facesearch.training.people import Batches, find, split

Cli = Callable[..., Any]
Write = Callable[[Path, Pixels], Path]
_MINERS = ("semi-hard", "hard", "hard-within", "random")


def _batch(seed: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Five people, four photos each, and two more with one."""
    rng = np.random.default_rng(seed)
    people = np.array([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5, 6], np.int32)
    return people, rng.normal(size=(22, 8)).astype(np.float32)


def _excess_by_hand(
    people: NDArray[np.int32], rows: NDArray[np.float32], miner: str, criterion: str
) -> dict[tuple[int, int], float]:
    """For each anchor and positive by how much the margin of 0.2 is violated with the negative that the miner
    names."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    d = ((unit[:, None] - unit[None]) ** 2).sum(axis=2)
    found = {}
    for a in range(len(people)):
        negatives = sorted(np.flatnonzero(people != people[a]).tolist(), key=lambda n: d[a, n])
        if miner == "hard-within":
            negatives = negatives[: max(1, int(0.25 * len(negatives)))]
        for p in np.flatnonzero(people == people[a]).tolist():
            if p == a:
                continue
            farther = [n for n in negatives if d[a, n] > d[a, p]]
            negative = negatives[0] if miner == "hard" else (farther or [negatives[-1]])[0]
            far = d[a, negative] if criterion == "margin" else (d[a, negative] + d[p, negative]) / 2
            found[a, p] = 0.2 + d[a, p] - far
    return found


@pytest.mark.parametrize("criterion", ["margin", "symmetric"])
@pytest.mark.parametrize("miner", ["semi-hard", "hard", "hard-within"])
def test_the_miners_choose_what_their_definition_says(miner: Any, criterion: Any) -> None:
    import_keras()
    from facesearch.training.triplets import TripletLoss, active_share, triplet_excess

    people, rows = _batch(3)
    by_hand = _excess_by_hand(people, rows, miner, criterion)
    excess, counts = (np.asarray(part) for part in triplet_excess(people, rows, miner, 0.2, criterion))
    assert {(int(a), int(p)) for a, p in zip(*np.nonzero(counts), strict=True)} == set(by_hand)
    for (a, p), value in by_hand.items():
        assert excess[a, p] == pytest.approx(value, abs=1e-5)
    loss = float(np.asarray(TripletLoss(miner, 0.2, criterion)(people, rows)))
    assert loss == pytest.approx(np.mean([max(0, value) for value in by_hand.values()]), abs=1e-5)
    active = float(np.asarray(active_share(miner, 0.2, criterion)(people, rows)))
    assert active == pytest.approx(np.mean([value > 0 for value in by_hand.values()]), abs=1e-6)


def test_random_negatives_are_of_other_people_and_vary() -> None:
    import_keras()
    from facesearch.training.triplets import _negatives

    people, rows = _batch(0)
    distances = np.asarray(((rows[:, None] - rows[None]) ** 2).sum(axis=2), np.float32)
    drawn = [np.asarray(_negatives(distances, people[:, None] == people[None], "random"))[:, 0] for _ in range(20)]
    assert all((people[negatives] != people).all() for negatives in drawn)
    assert len({tuple(negatives) for negatives in drawn}) > 10


def test_the_cosine_margin_makes_the_right_person_harder() -> None:
    import_keras()
    from facesearch.training.triplets import CosineMarginLoss

    cosines = np.array([[0.5, 0.4, -0.2]], np.float32)
    logits = 30 * (cosines[0] - np.array([0.2, 0, 0]))
    expected = -logits[0] + np.log(np.exp(logits).sum())
    assert float(np.asarray(CosineMarginLoss()(np.array([0]), cosines))) == pytest.approx(expected, rel=1e-4)


# Batches


@pytest.fixture(scope="session")
def crops(data: Path, write: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people with three crops each, three with one."""
    folder = tmp_path_factory.mktemp("crops")
    images = data / "lfw" / "images"
    several = [person for person in sorted(images.iterdir()) if len(list(person.iterdir())) >= 3][:12]
    alone = [person for person in sorted(images.iterdir()) if len(list(person.iterdir())) == 1][:3]
    for person, count in [*((person, 3) for person in several), *((person, 1) for person in alone)]:
        for photo in sorted(person.iterdir())[:count]:
            write(folder / person.name / f"{photo.stem}.png", read(str(photo))[60:190, 60:190])
    return folder


def test_a_batch_is_so_many_photos_of_so_many_people(crops: Path) -> None:
    people = find(crops)
    assert (len(people.names), len(people.photos)) == (15, 39)
    seen = set()
    for chips, who in islice(Batches(people, people=6, per_person=3, chip_px=64, seed=0), 8):
        assert chips.shape == (18, 64, 64, 3)
        assert chips.dtype == np.uint8
        counts = np.bincount(who)
        assert set(counts[counts > 0]) <= {1, 3}
        assert (counts == 3).sum() >= 5
        seen |= set(who.tolist())
    assert any(len(np.flatnonzero(people.who == i)) == 1 for i in seen)  # those with one photo come too, as negatives


def test_chips_are_cut_and_mirrored_at_random_and_the_seed_decides(crops: Path) -> None:
    people = find(crops)
    first, again, other = (
        next(iter(Batches(people, people=4, per_person=2, chip_px=64, seed=seed)))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_who_is_held_out_is_not_trained_on(crops: Path) -> None:
    people = find(crops)
    learned, others = split(people, 0.25, seed=0)
    assert len(others.names) == 3
    assert not set(learned.names) & set(others.names)
    assert len(learned.photos) + len(others.photos) == len(people.photos)
    for part in (learned, others):
        assert all(
            Path(photo).parent.name == part.names[who] for photo, who in zip(part.photos, part.who, strict=True)
        )


def test_too_few_people_are_refused(crops: Path, tmp_path: Path) -> None:
    with pytest.raises(FaceSearchError, match=r"12 people with two photos or more .* fewer than the 13 of a batch"):
        Batches(find(crops), people=13, per_person=2, chip_px=64, seed=0)
    with pytest.raises(FaceSearchError, match="no folder of a person with a photo"):
        find(tmp_path)


# The command

_FAST = ("--people", 4, "--per-person", 2, "--steps", 3, "--held-out", 0)


def test_a_model_is_trained_and_served_by_its_name(
    cli: Cli, crops: Path, home: Path, lfw: Callable[..., Path]
) -> None:
    said = cli("train", crops, "--out", "mine", "--epochs", 2, *_FAST)
    assert said.code == 0, said.err
    assert re.search(r"epoch 1 \(softmax\): loss \d", said.out)
    assert re.search(r"epoch 2 \(triplet\): loss \d.*% of triplets active", said.out)
    assert "3 people with one photo are negatives only" in said.err
    card = embedder_card("mine")
    assert (card.network, card.dim, card.chip_px) == ("small", 128, 112)
    assert card.alignment == BoxAlignment(margin=32)
    curves = (home / "models" / "mine" / "curves.csv").read_text().splitlines()
    assert curves[0].startswith("epoch,phase,loss")
    assert len(curves) == 3
    assert cli("index", crops, "--model", "mine", "-g", "mine").code == 0
    again = cli("train", crops, "--out", "mine", *_FAST)
    assert again.code == 2
    assert "There is a model 'mine' already" in again.err


def test_training_learns_and_goes_on_from_its_checkpoint(crops: Path, home: Path) -> None:
    import_keras()
    from facesearch.training.loop import Plan, Trainer

    people = find(crops)
    facts: dict[str, Any] = {
        "network": "small",
        "dim": 32,
        "recipe": "triplet",
        "miner": "semi-hard",
        "criterion": "margin",
        "margin": 0.2,
        "people": 6,
        "per_person": 3,
        "steps": 8,
        "learning_rate": 2e-3,
        "seed": 0,
    }
    folder = home / "models" / "learner"
    folder.mkdir()
    none = people.of(np.array([], np.intp))
    first = Trainer(Plan(epochs=1, **facts), people, none, folder).run()
    resumed = Trainer(Plan(epochs=3, **facts), people, none, folder)
    assert resumed.resume() == 1
    history = resumed.run()
    assert [epoch.number for epoch in history] == [1, 2, 3]
    assert history[0].loss == pytest.approx(first[0].loss)
    assert history[2].loss < 0.8 * history[0].loss  # it learns
    curves = (folder / "curves.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curves] == ["epoch", "1", "2", "3"]
    other = Trainer(Plan(epochs=3, **facts | {"dim": 64}), people, none, folder)
    with pytest.raises(FaceSearchError, match="written with dim 32, not 64"):
        other.resume()


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(cli: Cli, crops: Path, home: Path) -> None:
    said = cli(
        "train", crops, "--out", "broken", "--epochs", 3, "--recipe", "triplet", "--learning-rate", 1e30, *_FAST
    )
    assert said.code == 3
    assert "lower --learning-rate (1e+30)" in said.err
    assert not (home / "models" / "broken.toml").exists()
    missing = cli("train", crops, "--out", "none", "--resume", *_FAST)
    assert missing.code == 6
    assert "There is no checkpoint" in missing.err


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(crops: Path, home: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("facesearch")),
        "train",
        str(crops),
        "--out",
        "cut",
        "--epochs",
        "2",
    ]
    command += [*map(str, _FAST[:-4]), "--steps", "400", "--held-out", "0", "--recipe", "triplet"]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("Training on"):
            break
    time.sleep(25)  # TensorFlow starts, and some steps are done
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "goes on from there" in err
    assert (home / "models" / "cut" / "checkpoint.npz").exists()
