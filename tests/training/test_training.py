"""Training: triplets by brute force, batches by count, and a small network that learns from real faces."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import combinations, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError, UsageError
from facesearch.evaluation.pairs import Pairs
from facesearch.faces.analyser import Analyser
from facesearch.models.cards import BoxAlignment, embedder_card
from facesearch.models.engines.keras import import_keras
from facesearch.photos.view import read
from facesearch.training.batches import Batches
from facesearch.training.chips import ChipStore
from facesearch.training.people import People, find, split
from facesearch.training.validation import pairs_of_file
from tests.portraits import Faces

Cli = Callable[..., Any]
Write = Callable[[Path, Pixels], Path]


def _batch(seed: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Five people, four photos each, and two more with one."""
    rng = np.random.default_rng(seed)
    people = np.array([0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5, 6], np.int32)
    return people, rng.normal(size=(22, 8)).astype(np.float32)


def _excess_by_hand(
    people: NDArray[np.int32], rows: NDArray[np.float32], miner: str, criterion: str, batch: int | None = None
) -> dict[tuple[int, int], float]:
    """For each anchor and positive by how much the margin of 0.2 is violated with the negative that the miner
    names. Anchors and positives are among the first `batch` rows; those behind are negatives alone."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    d = ((unit[:, None] - unit[None]) ** 2).sum(axis=2)
    found = {}
    count = batch or len(people)
    for a in range(count):
        negatives = sorted(np.flatnonzero(people != people[a]).tolist(), key=lambda n: d[a, n])
        if miner == "hard-within":
            negatives = negatives[: max(1, int(0.25 * len(negatives)))]
        for p in np.flatnonzero(people[:count] == people[a]).tolist():
            if p == a:
                continue
            farther = [n for n in negatives if d[a, n] > d[a, p]]
            negative = negatives[0] if miner == "hard" else (farther or [negatives[-1]])[0]
            far = d[a, negative] if criterion == "margin" else (d[a, negative] + d[p, negative]) / 2
            found[a, p] = 0.2 + d[a, p] - far
    return found


class _Embedder:
    """A network that gives the rows it was given."""

    @staticmethod
    def make(dim: int) -> Any:
        import keras

        rows = keras.Input((dim,))
        return keras.Model(rows, keras.layers.Identity()(rows))


@pytest.mark.parametrize("criterion", ["margin", "symmetric"])
@pytest.mark.parametrize("miner", ["semi-hard", "hard", "hard-within"])
def test_the_miners_choose_what_their_definition_says(miner: Any, criterion: Any) -> None:
    import_keras()
    from facesearch.training.losses import Choice, TripletModel, triplet_excess, unit_length

    people, rows = _batch(3)
    by_hand = _excess_by_hand(people, rows, miner, criterion)
    choice = Choice(miner, 0.2, criterion)
    excess, counts = (np.asarray(part) for part in triplet_excess(people, unit_length(rows), choice))
    assert {(int(a), int(p)) for a, p in zip(*np.nonzero(counts), strict=True)} == set(by_hand)
    for (a, p), value in by_hand.items():
        assert excess[a, p] == pytest.approx(value, abs=1e-5)
    model = TripletModel(_Embedder.make(8), choice)
    loss = float(np.asarray(model.compute_loss(y=people, y_pred=rows)))
    assert loss == pytest.approx(np.mean([max(0, value) for value in by_hand.values()]), abs=1e-5)
    active = float(np.asarray(model.get_metrics_result()["active"]))
    assert active == pytest.approx(np.mean([value > 0 for value in by_hand.values()]), abs=1e-6)


@pytest.mark.parametrize("criterion", ["margin", "symmetric"])
@pytest.mark.parametrize("miner", ["semi-hard", "hard", "hard-within"])
def test_negatives_come_from_the_memory_too(miner: Any, criterion: Any) -> None:
    """Anchors and positives of the second batch, with the negatives of both: of the memory's five newest embeddings,
    as it holds no more."""
    import_keras()
    from facesearch.training.losses import Choice, TripletModel

    people, rows = _batch(3)
    earlier, theirs = _batch(4)
    model = TripletModel(_Embedder.make(8), Choice(miner, 0.2, criterion), remembered=5)
    empty = float(np.asarray(model.compute_loss(y=earlier, y_pred=theirs)))
    alone = _excess_by_hand(earlier, theirs, miner, criterion)
    assert empty == pytest.approx(np.mean([max(0, value) for value in alone.values()]), abs=1e-5)
    loss = float(np.asarray(model.compute_loss(y=people, y_pred=rows)))
    both = _excess_by_hand(
        np.concatenate([people, earlier[:5]]), np.concatenate([rows, theirs[:5]]), miner, criterion, len(people)
    )
    assert loss == pytest.approx(np.mean([max(0, value) for value in both.values()]), abs=1e-5)
    assert loss != pytest.approx(
        np.mean([max(0, v) for v in _excess_by_hand(people, rows, miner, criterion).values()])
    )


@pytest.mark.parametrize("criterion", ["margin", "symmetric"])
def test_prepared_triplets_are_taken_as_they_stand(criterion: Any) -> None:
    import_keras()
    from facesearch.training.losses import Choice, TripletModel

    rows = np.random.default_rng(1).normal(size=(9, 8)).astype(np.float32)
    a, p, n = np.split(rows / np.linalg.norm(rows, axis=1, keepdims=True), 3)
    far = ((a - n) ** 2).sum(axis=1)
    if criterion == "symmetric":
        far = (far + ((p - n) ** 2).sum(axis=1)) / 2
    excess = 0.2 + ((a - p) ** 2).sum(axis=1) - far
    people = np.array([0, 1, 2, 0, 1, 2, 1, 2, 0])
    model = TripletModel(_Embedder.make(8), Choice("random", 0.2, criterion))
    loss = model.compute_loss(y=people, y_pred=rows)
    assert float(np.asarray(loss)) == pytest.approx(np.maximum(excess, 0).mean(), abs=1e-5)
    active = model.get_metrics_result()["active"]
    assert float(np.asarray(active)) == pytest.approx((excess > 0).mean(), abs=1e-6)


def test_the_cosine_margin_makes_the_right_person_harder() -> None:
    import_keras()
    from facesearch.training.losses import CosineMarginLoss

    cosines = np.array([[0.5, 0.4, -0.2]], np.float32)
    logits = 30 * (cosines[0] - np.array([0.2, 0, 0]))
    expected = -logits[0] + np.log(np.exp(logits).sum())
    assert float(np.asarray(CosineMarginLoss()(np.array([0]), cosines))) == pytest.approx(expected, rel=1e-4)


# Batches


@pytest.fixture(scope="session")
def crops(portraits: Faces, write: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people with three crops each, three with one."""
    folder = tmp_path_factory.mktemp("crops")
    images = portraits.images
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
    for chips, who in islice(Batches(people, people=6, per_person=3, chip_px=64).drawn("people", 0), 8):
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
        next(Batches(people, people=4, per_person=2, chip_px=64).drawn("people", seed))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_triplets_are_prepared_once_and_come_again_in_another_order(crops: Path) -> None:
    people = find(crops)
    batches = Batches(people, people=4, per_person=2, chip_px=32).drawn("triplets", 0, prepared=3)
    rounds = [[tuple(who.tolist()) for _, who in islice(batches, 3)] for _ in range(3)]
    for who in rounds[0]:
        anchors, positives, negatives = np.split(np.array(who), 3)
        np.testing.assert_array_equal(anchors, positives)
        assert len(anchors) == 2
        assert (negatives != anchors).all()
    assert sorted(rounds[0]) == sorted(rounds[1]) == sorted(rounds[2])
    assert len({tuple(each) for each in rounds}) > 1


def test_chips_that_do_not_fit_into_the_memory_are_read_when_they_are_wanted(crops: Path, tmp_path: Path) -> None:
    """They are the same chips. One that is replaced meanwhile is noticed there alone; a broken one is named."""
    folder = tmp_path / "crops"
    shutil.copytree(crops, folder)
    people = find(folder)
    rows = [np.array([5, 0, 5]), np.array([38, 1])]
    kept, read_anew = ChipStore(people.photos, 64), ChipStore(people.photos, 64, most_bytes=0)
    before = list(kept.batches(rows))
    for ours, theirs in zip(read_anew.batches(rows), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [len(part) for part in read_anew.all(16)] == [16, 16, 7]
    shutil.copy(people.photos[1], people.photos[0])
    np.testing.assert_array_equal(next(kept.batches(rows)), before[0])
    np.testing.assert_array_equal(next(read_anew.batches(rows))[1], before[1][1])
    Path(people.photos[0]).write_bytes(b"no photo")
    np.testing.assert_array_equal(next(kept.batches(rows)), before[0])
    with pytest.raises(FaceSearchError, match=rf"{Path(people.photos[0]).name} cannot be trained on: .*--resume"):
        list(read_anew.batches(rows))


def test_every_photo_comes_as_often_as_any_other(crops: Path) -> None:
    people = find(crops)
    batches = Batches(people, people=6, per_person=2, chip_px=32).drawn("photos", 0)
    seen = np.concatenate([who for _, who in islice(batches, 13)])  # 156 = 4 x 39
    np.testing.assert_array_equal(np.bincount(seen), 4 * np.bincount(people.who))


def test_a_chip_is_altered_and_still_the_face(crops: Path) -> None:
    """Cut, turned, mirrored and lit at random, on the average it is the crop's middle."""
    from facesearch.training.augmentation import altered, enlarged

    side = enlarged(64)
    assert side > 64
    crop = next(ChipStore(find(crops).photos[:1], side).all(1))[0]
    rng = np.random.default_rng(0)
    every = np.stack([altered(crop, 64, rng) for _ in range(300)]).astype(np.float64)
    assert len({each.tobytes() for each in every}) == 300
    middle = ChipStore(find(crops).photos[:1], 64)
    upright = next(middle.all(1))[0].astype(np.float64)
    expected = (upright + upright[:, ::-1]) / 2
    assert np.corrcoef(every.mean(axis=0).ravel(), expected.ravel())[0, 1] > 0.9
    assert abs(every.mean() - upright.mean()) < 12
    grey = altered(np.full((side, side, 3), 255, np.uint8), 64, rng)
    assert grey.dtype == np.uint8  # light that is too bright is white, and does not begin again at black
    assert grey.min() > 60


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
        Batches(find(crops), people=13, per_person=2, chip_px=64)
    people = find(crops)
    one = people.subset(np.flatnonzero(np.bincount(people.who) >= 2)[:1])
    with pytest.raises(
        FaceSearchError, match="Training needs 2 people with two photos or more, and there are 1; add"
    ):
        Batches(one, people=2, per_person=2, chip_px=64)
    with pytest.raises(FaceSearchError, match="no folder of a person with a photo"):
        find(tmp_path)


# The command

_FAST = ("--people", 4, "--per-person", 2, "--steps", 3, "--held-out", 0)


def test_a_model_is_trained_and_served_by_its_name(cli: Cli, crops: Path, home: Path, eager: None) -> None:
    said = cli("train", crops, "--out", "mine", "--epochs", 2, *_FAST)
    assert said.code == 0, said.err
    assert re.search(r"epoch 1 \(softmax\): loss \d", said.out)
    assert re.search(r"epoch 2 \(triplet\): loss \d.*% of triplets active", said.out)
    assert "3 people with one photo are negatives only" in said.err
    card = embedder_card("mine")
    assert (card.network, card.dim, card.chip_px) == ("resnet", 128, 64)
    assert card.alignment == BoxAlignment(margin=32)
    curves = (home / "models" / "mine" / "curves.csv").read_text().splitlines()
    assert curves[0].startswith("epoch,phase,steps,minutes,loss")
    assert len(curves) == 3
    assert cli("index", crops, "--model", "mine", "-g", "mine", "--precision", "float32").code == 0
    again = cli("train", crops, "--out", "mine", *_FAST)
    assert again.code == 2
    assert "There is a model 'mine' already" in again.err


_PLAN: dict[str, Any] = {
    "recipe": "triplet",
    "miner": "semi-hard",
    "criterion": "margin",
    "margin": 0.2,
    "people": 6,
    "per_person": 3,
    "epochs": 1,
    "steps": 8,
    "learning_rate": 2e-3,
    "seed": 0,
}


@pytest.fixture
def few_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few channels in the network that is trained by default."""
    from facesearch.models.networks import resnet

    monkeypatch.setattr(resnet, "_CHANNELS", (8, 8, 16, 16))


@pytest.fixture
def eager() -> Iterator[None]:
    """TensorFlow traces nothing: that takes longer than a few steps do."""
    import_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def shallow(few_layers: None, eager: None) -> None:
    """The default network with few channels, untraced."""


@pytest.fixture
def trainer(crops: Path, home: Path, shallow: None) -> Callable[..., Any]:
    """A training of a network of 32 numbers on chips of 64 pixels, by its plan."""
    from facesearch.training.initial_network import fresh
    from facesearch.training.loop import Trainer
    from facesearch.training.plan import Plan, ValidationSets

    people = find(crops)
    folder = home / "models" / "learner"
    folder.mkdir()

    def make(dim: int = 32, people_of: People = people, **changes: object) -> Any:
        sets = ValidationSets(people.subset(np.array([], np.intp)))
        return Trainer(fresh("resnet", dim, 64, False), Plan(**_PLAN | changes), people_of, sets, folder)

    return make


def test_training_learns_and_goes_on_from_its_checkpoint(
    trainer: Callable[..., Any], crops: Path, home: Path
) -> None:
    quick = {"learning_rate": 5e-3, "seed": 1}
    first = trainer(**quick).run()
    resumed = trainer(epochs=8, **quick)
    assert resumed.resume() == 1
    history = resumed.run()
    assert [epoch.number for epoch in history] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert history[0].loss == pytest.approx(first[0].loss)
    assert history[-1].loss < 0.8 * history[0].loss  # it learns
    folder = home / "models" / "learner"
    curves = (folder / "curves.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curves] == ["epoch", *"12345678"]
    assert read(str(folder / "curves.png")).shape[0] > 300
    assert list((folder / "events").iterdir())
    with pytest.raises(FaceSearchError, match="written with dim 32, not 64"):
        trainer(dim=64, **quick).resume()
    with pytest.raises(FaceSearchError, match="written with precision float32, not bfloat16; give the same options"):
        trainer(precision="bfloat16", **quick).resume()
    assert trainer(learning_rate=1e-4, seed=1).resume() == 8  # after a loss that is no number it may be lower
    fewer = find(crops).subset(np.arange(14))
    with pytest.raises(FaceSearchError, match=r"was trained on other people .* put back whom you removed"):
        trainer(people_of=fewer, **quick).resume()


@pytest.mark.parametrize(("precision", "miner"), [("float16", "random"), ("bfloat16", "semi-hard")])
def test_sixteen_bits_learn_too(trainer: Callable[..., Any], precision: str, miner: str) -> None:
    """What a GPU computes in, here on the CPU, with the loss scaled as there; and what newer processors do."""
    import keras

    history = trainer(precision=precision, miner=miner, epochs=2, steps=2, people=2, per_person=2).run()
    assert np.isfinite([epoch.loss for epoch in history]).all()
    assert keras.config.dtype_policy().name == "float32"


def test_the_learning_rate_rises_and_falls() -> None:
    from facesearch.training.plan import Plan

    plan = Plan(**_PLAN | {"epochs": 10, "steps": 100})
    rates = [plan.rate_of(step) for step in range(1000)]
    assert rates[0] < 0.03 * plan.learning_rate
    assert 45 < int(np.argmax(rates)) < 55
    assert max(rates) == pytest.approx(plan.learning_rate, rel=0.02)
    assert (np.diff(rates[50:]) < 0).all()
    assert rates[-1] == pytest.approx(0.01 * plan.learning_rate, rel=0.01)
    phases = [Plan(**_PLAN | {"epochs": n, "recipe": "softmax-then-triplet"}) for n in (1, 2, 10)]
    assert [[plan.phase_of(i) for i in range(plan.epochs)].count("softmax") for plan in phases] == [1, 1, 7]


def test_epochs_that_are_added_go_on_with_triplets(trainer: Callable[..., Any]) -> None:
    """Not with a softmax over again, though by the new plan it would not be its end yet."""
    short = {"recipe": "softmax-then-triplet", "steps": 1}
    assert [epoch.phase for epoch in trainer(epochs=3, **short).run()] == ["softmax", "softmax", "triplet"]
    longer = trainer(epochs=6, **short)
    longer.resume()
    assert [epoch.phase for epoch in longer.run()[3:]] == ["triplet"] * 3


def test_what_was_remembered_is_kept_for_what_goes_on(
    trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from facesearch.training.losses import EmbeddingMemory

    contents: list[NDArray[np.int32]] = []
    before = EmbeddingMemory.remember

    def remember(self: Any, people: Any, rows: Any) -> None:
        contents.append(np.asarray(self.content[1]))
        before(self, people, rows)
        contents.append(np.asarray(self.content[1]))

    monkeypatch.setattr(EmbeddingMemory, "remember", remember)
    trainer(memory=64, steps=1).run()
    longer = trainer(memory=64, steps=1, epochs=2)
    longer.resume()
    longer.run()
    empty, written, read_again, _ = contents
    assert (empty < 0).all()
    assert (written >= 0).any()
    assert read_again.tolist() == written.tolist()


def test_an_epoch_counts_whose_evaluation_is_interrupted(
    trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from facesearch.training.loop import _Evaluations

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Evaluations, "is_due", lambda _: True)
    monkeypatch.setattr(_Evaluations, "run", interrupt)
    begun = trainer(epochs=5, steps=1)
    with pytest.raises(KeyboardInterrupt):
        begun.run()
    assert trainer(epochs=5, steps=1).resume() == 1


def test_one_person_less_changes_nothing_for_who_is_held_out() -> None:
    names = tuple(f"person {i}" for i in range(200))
    everybody = People(tuple(f"{name}/{i}" for name in names for i in (1, 2)), np.repeat(np.arange(200), 2), names)
    _, held_out = split(everybody, 0.1, seed=0)
    _, without_one = split(everybody.subset(np.arange(1, 200)), 0.1, seed=0)
    assert len(held_out.names) == len(without_one.names) == 20
    assert len(set(held_out.names) ^ set(without_one.names)) <= 2
    assert set(held_out.names) != set(split(everybody, 0.1, seed=1)[1].names)


def test_a_clock_that_stands_or_jumps_harms_nothing(
    trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes nothing of what is trained."""
    expected = trainer(epochs=2, steps=3).run()
    readings = iter([5.0] * 4)
    clock = SimpleNamespace(perf_counter=lambda: next(readings, -1e9))
    monkeypatch.setattr("facesearch.training.loop.time", clock)
    history = trainer(epochs=2, steps=3).run()
    assert [epoch.loss for epoch in history] == pytest.approx([epoch.loss for epoch in expected])
    assert all(np.isfinite(epoch.images_per_second) for epoch in history)


def test_evaluations_take_a_small_share_of_the_time(crops: Path) -> None:
    """The first where one is expected to be short enough, the next by how long that one took."""
    from facesearch.training.loop import _Evaluations
    from facesearch.training.plan import ValidationSets
    from facesearch.training.validation import ValidationSet

    people = find(crops)
    first, second = np.triu_indices(len(people.photos), 1)
    pairs = Pairs(people.photos, first, second, people.who[first] == people.who[second], None)
    sets = ValidationSets(people, ValidationSet("all of them", pairs, len(people.names)))
    evaluations = _Evaluations(sets, 64)
    evaluations.after(1.0, 100)  # 39 photos are expected to take a tenth of a second
    assert not evaluations.is_due()
    evaluations.after(1.5, 150)
    assert evaluations.is_due()
    seen: list[int] = []

    def embed(store: ChipStore) -> NDArray[np.float32]:
        seen.extend(len(part) for part in store.all(100))
        return np.random.default_rng(0).normal(size=(39, 8)).astype(np.float32)

    held_out, on_pairs = evaluations.run(embed)
    assert held_out is not None
    assert on_pairs is None
    assert [len(rows) for _, rows in evaluations.newest(embed)] == [39]
    assert seen == [39]  # nobody is embedded twice by one network
    evaluations.after(0.0, 100)
    assert len(evaluations.newest(embed)) == 1
    assert seen == [39, 39]


def test_a_disk_that_fills_keeps_the_last_good_checkpoint(trainer: Callable[..., Any], home: Path) -> None:
    """The limit on the size of a file stands in for the disk: the system refuses the same write."""
    import resource

    trainer(steps=1).run()
    path = home / "models" / "learner" / "checkpoint.npz"
    good = path.read_bytes()
    again = trainer(steps=1, epochs=2)
    again.resume()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            again.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)
    assert path.read_bytes() == good
    assert trainer(steps=1).resume() == 1
    assert not list(path.parent.glob("*.part"))


# Going on from a model, exams, fewer numbers


@pytest.fixture(scope="session")
def upright(portraits: Faces, analyser: Analyser, write: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people with three crops each, turned by their landmarks."""
    from facesearch.training.crops import CropOptions, align_people, by_landmarks

    photos, folder = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("upright")
    images = portraits.images
    several = [person for person in sorted(images.iterdir()) if len(list(person.iterdir())) >= 3][:12]
    for person in several:
        for photo in sorted(person.iterdir())[:3]:
            write(photos / person.name / f"{photo.stem}.png", read(str(photo)))
    done = list(align_people(str(photos), folder, lambda: analyser.detector, CropOptions(by_landmarks(150, "mtcnn"))))
    assert sum(each.crops for each in done) == 36
    return folder


def _pairs_of(crops: Path, path: Path) -> Path:
    """A CSV file of all pairs of one person, and as many of two."""
    people = sorted(crops.iterdir())
    rows = [(a, b, 1) for person in people for a, b in combinations(sorted(person.iterdir()), 2)]
    rows += [(next(a.iterdir()), next(b.iterdir()), 0) for a, b in combinations(people, 2)][: len(rows)]
    path.write_text("a,b,same\n" + "".join(f"{a},{b},{same}\n" for a, b, same in rows))
    return path


def test_training_goes_on_from_the_default_model(cli: Cli, upright: Path, tmp_path: Path, home: Path) -> None:
    """Before any step it is the same network: one step at a rate of nearly nothing leaves its embeddings."""
    pairs = _pairs_of(upright, tmp_path / "pairs.csv")
    said = cli("train", upright, "--out", "tuned", "--init", "dlib-resnet", "--epochs", 1, "--people", 4,
               "--per-person", 2, "--steps", 1, "--learning-rate", 1e-9, "--held-out", 0, "--eval-pairs", pairs,
               "--pca", 16)  # fmt: skip
    assert said.code == 0, said.err
    assert said.out.startswith("train = test: 12 of the 12 people of pairs.csv were trained on;")
    assert re.search(r"epoch 1 \(triplet\): .*pairs\.csv \(train = test\): AUC 1\.0000", said.out)
    card = embedder_card("tuned")
    assert (card.network, card.dim, card.chip_px, card.mirrored) == ("dlib_resnet", 16, 150, True)
    assert card.alignment == embedder_card("dlib-resnet").alignment
    assert "dlib-resnet" in card.source
    measured = cli("bench", "pairs", pairs, "--model", "tuned", "--json")
    assert measured.code == 0, measured.err
    facts = json.loads(measured.out)
    assert facts["people_trained_on"] == 12
    assert facts["auc"] > 0.99
    assert cli("bench", "pairs", pairs, "--model", "tuned").out.startswith("train = test: 12 of the 12 people")
    assert json.loads(cli("bench", "pairs", pairs, "--json").out)["people_trained_on"] == 0
    listed = {each["name"]: each for each in json.loads(cli("models", "list", "--json").out)}
    assert list(listed["tuned"]["accuracy"]) == ["pairs.csv (train = test)"]
    assert "pairs.csv (train = test)" in cli("models", "show", "tuned").out
    assert " - " in next(line for line in cli("models", "list").out.splitlines() if "tuned" in line)  # nothing on LFW
    assert cli("index", upright, "--model", "tuned", "--precision", "float32").code == 0
    assert "(16 numbers a face)" in cli("info").out


def test_who_was_seen_is_known_by_name_and_by_content(crops: Path, tmp_path: Path) -> None:
    """The exam shows two people who are trained on, one of them under another name, and one who is not."""
    people = find(crops)
    chosen = np.flatnonzero(np.bincount(people.who) == 3)[:3]
    first, second, third = (people.names[i] for i in chosen)
    photos = {name: [p for p, who in zip(people.photos, people.who, strict=True) if people.names[who] == name]
              for name in (first, second, third)}  # fmt: skip
    renamed = tmp_path / "exam" / "n000001"
    renamed.mkdir(parents=True)
    for photo in photos[second]:
        shutil.copy(photo, renamed)
    under_another_name = [str(renamed / Path(photo).name) for photo in photos[second]]
    rows = [(photos[first][0], photos[first][1], 1), (under_another_name[0], under_another_name[1], 1),
            (photos[first][0], under_another_name[0], 0), (photos[third][0], photos[first][0], 0)]  # fmt: skip
    file = tmp_path / "exam.csv"
    file.write_text("a,b,same\n" + "".join(f"{a},{b},{same}\n" for a, b, same in rows))
    others = people.subset(np.array([i for i in range(len(people.names)) if i != chosen[2]]))
    exam = pairs_of_file(file, crops, others)
    assert (exam.people, exam.seen, exam.mark) == (3, 2, " (train = test)")
    unseen = pairs_of_file(file, crops, people.subset(np.flatnonzero(np.bincount(people.who) == 1)))
    assert (unseen.seen, unseen.mark) == (0, "")


def test_what_was_chosen_for_a_training_stays_when_it_goes_on(
    cli: Cli, crops: Path, tmp_path: Path, home: Path, eager: None
) -> None:
    """Of a training that was interrupted a photo is removed; so many people and steps are taken as before."""
    from facesearch.training.plan import Plan
    from facesearch.training.run import Listeners, TrainingOptions, train

    folder = tmp_path / "people"
    shutil.copytree(crops, folder)
    shutil.rmtree(folder / find(crops).names[0])
    words = _PLAN | {"people": 0, "per_person": 2, "steps": 2, "epochs": 2}
    options = TrainingOptions(folder, "begun", Plan(**words), dim=32, held_out=0.0, device="cpu")

    def interrupt(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(options, Listeners(on_epoch=interrupt))
    several = [person for person in folder.iterdir() if len(list(person.iterdir())) > 2]
    sorted(several[0].iterdir())[0].unlink()
    said = cli("train", folder, "--out", "begun", "--dim", 32, "--held-out", 0, "--recipe", "triplet",
               "--per-person", 2, "--epochs", 2, "--memory", 0, "--learning-rate", 0.002, "--resume")  # fmt: skip
    assert said.code == 0, said.err
    assert "Going on after 1 epochs." in said.err


def test_in_which_numbers_is_trained_follows_from_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    from facesearch.models.engines import keras as engine
    from facesearch.training import run

    said: list[str] = []
    chosen = [("auto", "cpu", "resnet"), ("auto", "cpu", "small"), ("bfloat16", "cpu", "small"),
              ("float32", "cpu", "resnet"), ("auto", "gpu", "small"), ("bfloat16", "gpu", "resnet")]  # fmt: skip
    found = {}
    for knows in (True, False):
        monkeypatch.setattr(run, "has_bfloat16", lambda knows=knows: knows)
        found[knows] = [run._numbers(*each, said.append) for each in chosen]  # type: ignore[arg-type]
    assert found[True] == ["bfloat16", "float32", "bfloat16", "float32", "float16", "bfloat16"]
    assert found[False] == ["float32", "float32", "bfloat16", "float32", "float16", "bfloat16"]
    assert len(said) == 1
    assert "takes longer than --precision float32" in said[0]
    monkeypatch.setattr(engine, "_CPU_INFO", Path("/nowhere"))
    assert not engine.has_bfloat16()


@pytest.mark.parametrize(("flags", "knows"), [("avx512f avx512_bf16 amx_tile", True), ("avx2 f16c", False)])
def test_the_system_tells_what_the_processor_has(
    flags: str, knows: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facesearch.models.engines import keras as engine

    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu {flags} sse\n")
    monkeypatch.setattr(engine, "_CPU_INFO", tmp_path / "cpuinfo")
    assert engine.has_bfloat16() is knows


def test_options_that_do_not_fit_are_refused(cli: Cli, crops: Path, home: Path) -> None:
    for words, sentence in (
        (("--init", "dlib-resnet", "--dim", 64), "--dim follows from --init dlib-resnet; leave it out."),
        (("--init", "sface"), "'sface' is a graph that runs as it is and cannot be trained; start from one of"),
        (("--network", "facenet", "--size", 64), "--size 64 is too small for --network facenet; take 75 or more."),
        (("--pca", 128), "--pca 128 must be less than the 128 numbers of an embedding."),
        (("--eval-pairs", crops / "none.csv"), "none.csv cannot be read: No such file or directory."),
    ):
        said = cli("train", crops, "--out", "refused", *words)
        assert said.code in (2, 3), said.err
        assert sentence in said.err
        assert not (home / "models" / "refused").exists()


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(
    cli: Cli, crops: Path, home: Path, shallow: None
) -> None:
    from facesearch.training.plan import Plan
    from facesearch.training.run import Listeners, TrainingOptions, train

    # Beyond what the command takes, so that it surely happens.
    plan = Plan(**_PLAN | {"recipe": "triplet", "epochs": 3, "learning_rate": 1e30})
    options = TrainingOptions(crops, "broken", plan, size=64, dim=32, held_out=0.0, device="cpu")
    with pytest.raises(FaceSearchError, match=r"lower --learning-rate \(1e\+30\)"):
        train(options, Listeners())
    assert not (home / "models" / "broken.toml").exists()
    assert not (home / "models" / "broken").exists()  # there was no checkpoint yet
    missing = cli("train", crops, "--out", "none", "--resume", *_FAST)
    assert missing.code == 6
    assert "There is no checkpoint" in missing.err


def test_an_interrupted_training_says_what_is_kept(crops: Path, home: Path, few_layers: None) -> None:
    from facesearch.training.plan import Plan
    from facesearch.training.run import Listeners, TrainingOptions, train

    plan = Plan(**_PLAN | {"recipe": "softmax-then-triplet", "epochs": 2})
    options = TrainingOptions(crops, "cut", plan, size=64, dim=32, held_out=0.0, device="cpu")
    folder = home / "models" / "cut"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="nothing is kept yet"):
        train(options, Listeners(note=interrupt))  # at its first note, before anything is trained
    assert not folder.exists()
    with pytest.raises(KeyboardInterrupt) as interrupted:
        train(options, Listeners(on_step=interrupt))
    assert str(folder) in str(interrupted.value)
    assert "--resume" in str(interrupted.value)
    assert (folder / "checkpoint.npz").exists()
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    with pytest.raises(UsageError, match=r"--resume.*--out"):
        train(options, Listeners())


_UNTRACED = """
import sys
from facesearch.cli import main
from facesearch.models.engines.keras import import_keras
import_keras()
import tensorflow
tensorflow.config.run_functions_eagerly(True)
sys.argv = ["facesearch", *sys.argv[1:]]
main()
"""


def _begun(crops: Path, home: Path, *words: object) -> tuple[subprocess.Popen[str], list[str]]:
    """A training that has written its first checkpoint, and its command."""
    before = _written(home)
    words = ("train", crops, "--out", "cut", *_FAST, "--recipe", "triplet", *words)
    command = [sys.executable, "-c", _UNTRACED, *map(str, words)]
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 300
    while _written(home) == before and run.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    return run, command


def _written(home: Path) -> int:
    """When the checkpoint was written, 0 where there is none."""
    checkpoint = home / "models" / "cut" / "checkpoint.npz"
    return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(crops: Path, home: Path) -> None:
    run, _ = _begun(crops, home, "--epochs", 500)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 130, err
    assert "goes on from there" in err
    assert (home / "models" / "cut" / "checkpoint.npz").exists()


def test_a_training_that_was_killed_goes_on(crops: Path, home: Path) -> None:
    """Whatever was being written when it was killed: it goes on after the last whole epoch."""
    for moment in (0.0, 0.2):
        run, command = _begun(crops, home, "--epochs", 500, *(["--resume"] if moment else []))
        time.sleep(moment)
        run.kill()
        run.communicate(timeout=60)
    with np.load(home / "models" / "cut" / "checkpoint.npz") as file:
        done = len(json.loads(str(file["history"])))
    at = command.index("--epochs") + 1
    command[at] = str(done + 1)
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert f"Going on after {done} epochs." in ended.stderr
    assert f"epoch {done + 1} (triplet)" in ended.stdout
    assert embedder_card("cut").dim == 128
    assert not list((home / "models" / "cut").glob(".*"))
