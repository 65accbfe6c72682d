"""The stream between the stages: order is kept, and queues are bounded by count and by weight."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch.flow import stages, stream
from facesearch.flow.pace import Pace
from facesearch.gallery.records.run import Outcome
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from facesearch.photos.view import whole_view


class Gate:
    """Counts how much is begun and not yet taken."""

    def __init__(self) -> None:
        self.begun = self.taken = self.most = 0
        self._lock = threading.Lock()

    def count(self, items: Iterator[object]) -> Iterator[object]:
        for item in items:
            self.begun += 1
            self.most = max(self.most, self.begun - self.taken)
            yield item


def _weigh(item: object) -> int | None:
    return item.size if isinstance(item, PhotoFile) else None


_ordered = partial(stream.ordered, weigh=_weigh)
_NO_LIMIT = 1 << 60


def _file(i: int, size: int = 1) -> PhotoFile:
    return PhotoFile(f"/{i}", size, 0)


@pytest.mark.parametrize(("ahead", "weight_ahead", "most"), [(4, _NO_LIMIT, 6), (100, 50, 7), (1, _NO_LIMIT, 3)])
def test_order_is_kept_and_the_queue_is_bounded(ahead: int, weight_ahead: int, most: int) -> None:
    gate = Gate()
    files = [_file(i, size=10) for i in range(60)]
    with ThreadPoolExecutor(3) as pool:
        made = []
        for item in _ordered(pool, lambda item: item, gate.count(iter(files)), ahead, weight_ahead):
            gate.taken += 1
            made.append(item)
    assert made == files
    assert gate.most <= most


def test_one_item_heavier_than_the_limit_still_passes() -> None:
    files = [_file(i, size=1000) for i in range(5)]
    with ThreadPoolExecutor(2) as pool:
        assert list(_ordered(pool, lambda item: item, files, 10, 50)) == files


def test_what_is_finished_keeps_its_place_and_is_not_mapped() -> None:
    items: list[object] = [_file(0), Outcome("/1", Status.OK, 1, "unchanged"), _file(2), Outcome("/3", Status.OK, 0)]
    with ThreadPoolExecutor(2) as pool:
        assert list(_ordered(pool, lambda item: ("mapped", item), items, 2, _NO_LIMIT)) == [
            ("mapped", items[0]),
            items[1],
            ("mapped", items[2]),
            items[3],
        ]


def test_a_million_unchanged_photos_are_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is finished passes although nothing is ever submitted."""
    gate = Gate()
    items = (Outcome(f"/{i}", Status.OK, 0, "unchanged") for i in range(20_000))
    with ThreadPoolExecutor(1) as pool:
        for _ in _ordered(pool, lambda item: item, gate.count(items), 64, _NO_LIMIT):
            gate.taken += 1
    assert gate.most <= stream.QUEUE + 2


def test_an_error_in_a_stage_reaches_the_caller() -> None:
    def fail(item: PhotoFile) -> PhotoFile:
        raise ValueError(item.path)

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="/0"):
        list(_ordered(pool, fail, [_file(0), _file(1)], 2, _NO_LIMIT))


def _decoded(pixels: int) -> stages.Decoded[None]:
    return stages.Decoded(None, _file(0), b"", whole_view(np.zeros((1, pixels, 3), np.uint8)), 0.0)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (lambda: [_decoded(10)] * 70, [32, 32, 6]),
        (lambda: [_decoded(2_500_000)] * 7, [3, 3, 1]),
        (lambda: [Outcome("/", Status.OK, 0)] * 2500, [1024, 1024, 452]),
        (lambda: [], []),
    ],
)
def test_batches_end_at_a_count_a_weight_or_a_queue(make: Callable[[], list[object]], sizes: list[int]) -> None:
    assert [len(batch) for batch in stages._batches(make(), Pace(1, 32))] == sizes


def test_a_failure_keeps_its_place_too(tmp_path: Path) -> None:
    from facesearch.errors import PhotoError

    failed = stages.Failed(None, _file(0), None, PhotoError(Status.UNREADABLE, "broken"))
    with ThreadPoolExecutor(1) as pool:
        assert list(_ordered(pool, lambda item: "mapped", [failed, _file(1)], 2, _NO_LIMIT)) == [failed, "mapped"]


# The whole stream, on real photos


def _job(key: str, path: Path) -> stages.Job[str]:
    return stages.Job(key, PhotoFile(str(path), path.stat().st_size, 0))


def _widths(photos: Sequence[stages.Decoded[str]]) -> list[int]:
    if any(photo.key == "bad" for photo in photos):
        raise ValueError("this one breaks the stage")
    return [photo.view.pixels.shape[1] for photo in photos]


def test_every_item_of_a_source_has_one_row_in_its_place(tmp_path: Path, astronaut_file: Path) -> None:
    """What is analysed, passes by, is known by its content, cannot be read, or breaks a stage."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff")
    source = ["passed", _job("good", astronaut_file), _job("broken", broken), _job("bad", astronaut_file)]
    source += [_job("known", astronaut_file), _job("last", astronaut_file)]

    def recognise(items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            yield "recognised" if isinstance(item, stages.Loaded) and item.key == "known" else item

    work: stages.Work[str, int] = stages.Work(lambda: _widths, Pace(2, 3), max_side=128)
    rows = [row for batch in stages.run(source, work, recognise) for row in batch]
    assert rows[0] == "passed"
    assert rows[4] == "recognised"
    good, failed, bad, last = rows[1], rows[2], rows[3], rows[5]
    assert isinstance(good, stages.Found)
    assert isinstance(last, stages.Found)
    assert (good.key, good.result, good.size, good.seen_size) == ("good", 128, (384, 384), (128, 128))
    assert (last.key, last.result, last.digest) == ("last", 128, good.digest)
    assert isinstance(failed, stages.Failed)
    assert (failed.key, failed.error.status) == ("broken", Status.UNREADABLE)
    assert isinstance(bad, stages.Failed)
    assert (bad.key, bad.error.status, bad.digest) == ("bad", Status.CRASHED, good.digest)
    assert "this one breaks the stage" in bad.error.reason


def test_nothing_is_loaded_for_photos_that_all_pass_by() -> None:
    def never() -> stages.Analyse[str, int]:
        raise AssertionError("no photo was decoded")

    work: stages.Work[str, int] = stages.Work(never, Pace(1, 32))
    assert [row for batch in stages.run(["a", "b"], work) for row in batch] == ["a", "b"]
