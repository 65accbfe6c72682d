"""A worker without its cluster: it gives what a run on one machine gives, and refuses what it is not made for."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch.cluster.ray_bundle import packed, settled
from facesearch.cluster.ray_records import Answer, Batch, Order, Ready, Refused
from facesearch.cluster.ray_worker import Worker, start
from facesearch.faces.analyser import Analyser
from facesearch.flow.analysis import analysis
from facesearch.flow.pace import Pace
from facesearch.flow.stages import Failed, Found, Job, Work, run
from facesearch.models.cards import detector_card, embedder_card
from facesearch.models.engines import Engine
from facesearch.models.export import exported_to
from facesearch.photos.file import PhotoFile, load

_CARDS = settled(detector_card("mtcnn")), settled(embedder_card("dlib-resnet"))
Started = Callable[[Order], tuple[Worker | None, Any]]


@pytest.fixture
def started(models_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    """Starts a worker in a home of its own, as on another machine, without the weights and networks of this one."""
    files = packed(_CARDS, with_weights=False)

    def begin(order: Order) -> tuple[Worker | None, Any]:
        monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "node"))
        worker, answer = start(pickle.dumps(order), files)
        return worker, pickle.loads(answer)

    return begin


@pytest.fixture
def order(models_home: Path) -> Order:
    return Order(
        *_CARDS,
        {card.name: exported_to(card).name for card in _CARDS},
        False,
        "float32",
        None,
        Pace(1, 8),
        200,
        60,
        True,
    )


@pytest.fixture
def photos(astronaut_file: Path, tmp_path: Path) -> list[PhotoFile]:
    """A photo, one that is cut off, an empty one and a text."""
    folder = tmp_path / "photos"
    folder.mkdir()
    whole = astronaut_file.read_bytes()
    for name, data in (("a.jpg", whole), ("cut.jpg", whole[:300]), ("empty.jpg", b""), ("notes.txt", b"text")):
        (folder / name).write_bytes(data)
    return [PhotoFile.from_stat(str(path), path.stat()) for path in sorted(folder.iterdir())]


def _answer(worker: Worker, photos: list[PhotoFile]) -> Answer:
    batch = Batch(1, tuple(Job(None, file) for file in photos))
    answer: Answer = pickle.loads(worker.work(pickle.dumps(batch)))
    return answer


def test_rows_of_a_worker_are_those_of_a_run_on_one_machine(
    started: Started, order: Order, photos: list[PhotoFile]
) -> None:
    here = Analyser.load(*_CARDS, "cpu", 1, precision="float32")
    work: Work[int, Any] = Work(
        lambda: analysis(here, makes_pictures=True), Pace(1, 8), _CARDS[0].max_side, read=lambda file: load(file)
    )
    parts: Iterator[list[Any]] = run((Job(place, file) for place, file in enumerate(photos)), work)
    expected = [row for rows in parts for row in rows]
    worker, answer = started(order)
    assert isinstance(answer, Ready)
    assert worker is not None
    rows = sorted(_answer(worker, photos).rows, key=lambda row: row.key)
    worker.end()
    assert [row.key for row in rows] == [0, 1, 2]  # the text has no row
    for one, other in zip(rows, expected, strict=True):
        assert _facts(one) == _facts(other)
        if isinstance(one, Found) and isinstance(other, Found):
            assert one.result.faces == other.result.faces
            assert one.result.embeddings.tobytes() == other.result.embeddings.tobytes()
            assert one.result.pictures == other.result.pictures
    assert isinstance(rows[0], Found)
    assert len(rows[0].result.faces) > 0


def _facts(row: Any) -> tuple[Any, ...]:
    if isinstance(row, Failed):
        return row.file, row.digest, row.error.status, row.error.reason, row.error.cause
    return row.file, row.digest, row.size, row.seen_size, row.note, row.taken


def test_a_worker_leaves_nothing_on_its_node(started: Started, order: Order, tmp_path: Path) -> None:
    worker, _ = started(order)
    assert worker is not None
    assert [path.name for path in (tmp_path / "node/cluster").glob("*/*")] == ["in-use"]
    worker.end()
    assert list((tmp_path / "node/cluster").iterdir()) == []


def test_what_a_node_cannot_read_is_handed_back_and_is_no_failure(
    started: Started, order: Order, photos: list[PhotoFile]
) -> None:
    worker, _ = started(order)
    assert worker is not None
    answer = _answer(worker, [PhotoFile("/not/there.jpg", 1, 1), photos[0]])
    worker.end()
    assert answer.unseen == ((0, "No such file or directory"),)
    assert [row.key for row in answer.rows] == [1]


@pytest.mark.parametrize("change", ["gone", "another time", "another size"])
def test_a_node_that_does_not_see_the_photos_refuses(
    started: Started, order: Order, photos: list[PhotoFile], change: str
) -> None:
    seen = photos[0]
    wrong = {
        "gone": replace(seen, path="/not/there.jpg"),
        "another time": replace(seen, mtime_ns=1),
        "another size": replace(seen, size=1),
    }[change]
    _, answer = started(_with(order, sights=(wrong, wrong, seen)))
    assert isinstance(answer, Refused)
    assert answer.reason.startswith("does not see ")
    worker, answer = started(_with(order, sights=(wrong, seen, seen)))  # one may just have been deleted
    assert isinstance(answer, Ready)
    assert worker is not None
    worker.end()


def _with(order: Order, **changes: Any) -> Order:
    return replace(order, **changes)


def test_a_node_that_makes_other_networks_refuses(started: Started, order: Order, tmp_path: Path) -> None:
    _, answer = started(_with(order, exports={"mtcnn": "0" * 16, "dlib-resnet": "0" * 16}))
    assert isinstance(answer, Refused)
    assert answer.reason.startswith("makes another graph of 'mtcnn'")
    assert not any((tmp_path / "node/cluster").iterdir())


def test_a_node_with_another_engine_or_precision_refuses(started: Started, order: Order) -> None:
    _, answer = started(_with(order, engine=Engine("OpenVINO 1", "bfloat16")))
    assert isinstance(answer, Refused)
    assert answer.reason.startswith("embeds with ONNX Runtime ")
    assert "and this run with OpenVINO 1 in bfloat16" in answer.reason


def test_networks_that_came_damaged_are_not_used(
    order: Order, models_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = packed(_CARDS, with_weights=False)
    damaged = next(name for name in files if name.endswith("embedder.onnx"))
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "node"))
    worker, answer = start(pickle.dumps(order), files | {damaged: files[damaged][:-1] + b"?"})
    assert worker is None
    assert pickle.loads(answer).reason.startswith("did not get the networks of 'dlib-resnet' whole")


def test_two_batches_are_in_a_worker_at_once(started: Started, order: Order, photos: list[PhotoFile]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    worker, _ = started(order)
    assert worker is not None
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: _answer(worker, photos[:1]), range(2))
    worker.end()
    (first,), (second,) = one.rows, other.rows
    assert isinstance(first, Found)
    assert isinstance(second, Found)
    assert np.array_equal(first.result.embeddings, second.result.embeddings)
