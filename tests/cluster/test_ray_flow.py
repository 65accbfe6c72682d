"""What is decided about a cluster without one: who gets which photo, which of them is guilty, which node works, and
what is said of an address. A crew of this process stands for the workers; tests/cluster has real ones."""

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facesearch.cluster.node_folder import NodeFolder
from facesearch.cluster.ray_actor import Actor
from facesearch.cluster.ray_address import RayAddress
from facesearch.cluster.ray_cluster import Cluster
from facesearch.cluster.ray_flow import Likeness, Means, OnRay, _Course
from facesearch.cluster.ray_joining import _LONGEST, _folder
from facesearch.cluster.ray_ledger import MOST_DEATHS, Ledger
from facesearch.cluster.ray_plan import Plan
from facesearch.cluster.ray_records import Answer, Batch, Done, Lost, Row
from facesearch.cluster.ray_session import Node
from facesearch.cluster.ray_worker import UnseenError, Worker
from facesearch.errors import FaceSearchError, PhotoError, RootError, UsageError
from facesearch.faces.analyser import Analysed
from facesearch.flow.stages import Failed, Found, Job, Loaded
from facesearch.photos.file import MAX_MEGAPIXELS, LoadedPhoto, PhotoFile
from facesearch.photos.status import Cause, Status
from tests.conftest import Cli

_NOTHING = Analysed([], np.empty((0, 128), np.float32))
_DEADLY = "deadly"


def _file(name: str) -> PhotoFile:
    return PhotoFile(name, len(name), 7)


def _digest(file: PhotoFile) -> bytes:
    return file.path.encode()


def _job(name: str) -> Job[None]:
    return Job(None, _file(name))


@dataclass
class Crew:
    """Workers that are rows of this process. Each of `events` is what becomes of the next batch in place of rows: an
    end of its worker, by its own (`dies`) or with its node; a photo named deadly ends every worker."""

    unseen: frozenset[str] = frozenset()
    untold: frozenset[str] = frozenset()  # photos that its answers leave out
    events: deque[str] = field(default_factory=deque)
    size: int = 2
    got: list[Batch] = field(default_factory=list)
    doubted: list[str] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    out: list[Batch] = field(default_factory=list)
    together: int = 0  # suspects that were out beside another batch
    silent: int = 0  # how many times it has nothing to say, once it has batches
    when_asked: Callable[[], None] = lambda: None  # what happens whenever it is asked

    @property
    def busy(self) -> int:
        return len(self.out)

    def hand_out(self, next_batch: Callable[[bool], Batch | None]) -> None:
        while len(self.out) < self.size and (batch := next_batch(not self.out)):
            self.together += batch.is_suspect and bool(self.out)
            self.out.append(batch)
            self.got.append(batch)
            if batch.is_suspect:
                return

    def wait(self, seconds: float) -> list[Done | Lost]:
        if not self.out:
            return []
        self.when_asked()
        if self.silent:
            self.silent -= 1
            return []
        batch = self.out.pop()
        event = self.events.popleft() if self.events else "answers"
        if event == "node":
            return [Lost(batch, is_of_node=True)]
        deadly = [_path(item) for item in batch.items if _DEADLY in _path(item)]
        if event == "dies" or deadly:
            self.deaths.update(deadly)
            return [Lost(batch, is_of_node=False)]
        return [Done(batch, self._answer(batch), "one")]

    def _answer(self, batch: Batch) -> Answer:
        rows: list[Row] = []
        unseen, others = [], []
        for place, item in enumerate(batch.items):
            file = item.photo.file if isinstance(item, Loaded) else item.file
            if file.path in self.unseen and isinstance(item, Job):
                unseen.append((place, "No such file or directory"))
            elif file.path.endswith(".txt"):
                others.append(place)
            elif file.path not in self.untold:
                rows.append(Found(place, file, _digest(file), (1, 1), (1, 1), "", 0.0, _NOTHING))
        return Answer(tuple(rows), tuple(unseen), tuple(others))

    def doubt(self, node: str, path: str, why: str) -> None:
        self.doubted.append(f"{node}: {path} ({why})")

    def sentence(self) -> str:
        return "2 of 2 workers are ready"


def _path(item: Any) -> str:
    file = item.photo.file if isinstance(item, Loaded) else item.file
    path: str = file.path
    return path


def _read(file: PhotoFile) -> LoadedPhoto | None:
    if "gone" in file.path:
        raise PhotoError(Status.UNREADABLE, "cannot be opened: No such file or directory", Cause.MACHINE)
    return LoadedPhoto(file, b"bytes", _digest(file), (1, 1))


def _run(
    crew: Crew,
    source: list[Any],
    likeness: Callable[[PhotoFile], Likeness] = lambda _: "no",
    known: frozenset[bytes] = frozenset(),
    leave: Callable[[PhotoFile], None] = lambda _: None,
) -> list[Any]:
    """All rows of a run in batches of three, of which those with a known digest are recognised."""

    def recognise(items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            yield f"known {item.photo.file.path}" if item.photo.digest in known else item

    flow = OnRay(lambda _: crew, Means(_read, likeness, 3, lambda _: None))
    return [row for rows in flow.run(iter(source), recognise, leave) for row in rows]


def _paths(rows: list[Any]) -> list[str]:
    return sorted(row if isinstance(row, str) else row.file.path for row in rows)


def test_every_photo_has_one_row_and_what_passes_by_has_its_own() -> None:
    names = [str(number) for number in range(100)]
    source = [item for name in names for item in (_job(name), f"passed {name}")]
    rows = _run(Crew(), source)
    assert _paths(rows) == sorted(names + [f"passed {name}" for name in names])


def test_a_run_without_new_photos_needs_no_crew() -> None:
    def never(_: list[PhotoFile]) -> Crew:
        raise AssertionError

    flow = OnRay(never, Means(_read, lambda _: "no", 3, lambda _: None))
    assert [row for rows in flow.run(iter(["a", "b"])) for row in rows] == ["a", "b"]


def test_a_file_that_is_no_photo_leaves_without_a_row() -> None:
    left: list[PhotoFile] = []
    rows = _run(Crew(), [_job("a"), _job("b.txt"), _job("c")], leave=left.append)
    assert _paths(rows) == ["a", "c"]
    assert left == [_file("b.txt")]


def test_photos_whose_worker_ends_are_given_to_another_and_none_is_lost_or_doubled() -> None:
    names = [str(number) for number in range(60)]
    crew = Crew(events=deque(["dies", "node", "answers", "node", "dies", "answers", "dies"] * 2))
    assert _paths(_run(crew, [_job(name) for name in names])) == sorted(names)


def test_a_photo_that_ends_three_workers_is_named_and_no_other_is() -> None:
    names = [str(number) for number in range(30)]
    crew = Crew()
    rows = _run(crew, [_job(name) for name in [*names[:10], _DEADLY, *names[10:]]])
    crashed = [row for row in rows if isinstance(row, Failed)]
    assert [(row.file.path, row.error.status, row.error.reason) for row in crashed] == [
        (_DEADLY, "crashed", "it ended its worker three times")
    ]
    assert crashed[0].error.cause == Cause.MACHINE  # its bytes may be good
    assert _paths(rows) == sorted([*names, _DEADLY])
    assert crew.deaths == {_DEADLY: 3}


def test_what_may_have_ended_a_worker_is_tried_where_nothing_else_is() -> None:
    crew = Crew()
    _run(crew, [_job(name) for name in ["a", "b", _DEADLY, *map(str, range(30))]])
    suspects = [[_path(item) for item in batch.items] for batch in crew.got if batch.is_suspect]
    assert suspects == [["a", "b", _DEADLY], ["a"], ["b"], [_DEADLY]]
    assert crew.together == 0


def test_nodes_that_go_are_no_photos_fault_however_many_there_are() -> None:
    names = [str(number) for number in range(3 * MOST_DEATHS)]
    crew = Crew(events=deque(["node", "node", "answers"] * MOST_DEATHS), size=1)
    rows = _run(crew, [_job(name) for name in names])
    assert {type(row) for row in rows} == {Found}
    assert not any(batch.is_suspect for batch in crew.got)


def test_a_photo_that_ends_its_node_is_named_in_the_end() -> None:
    rows = _run(Crew(events=deque(["node"] * 1000), size=1), [_job("a")])
    assert [(row.file.path, row.error.status) for row in rows] == [("a", "crashed")]


def test_a_worker_that_ends_over_two_batches_has_ended_once() -> None:
    ledger = Ledger()
    for _ in range(MOST_DEATHS - 1):
        for is_next in (False, True):
            ledger.died(Lost(Batch(1, (_job("a"),)), is_of_node=False, is_next=is_next))
    with pytest.raises(FaceSearchError, match=f"^{MOST_DEATHS} workers ended"):
        ledger.died(Lost(Batch(1, (_job("a"),)), is_of_node=False))


def test_workers_that_do_nothing_but_end_stop_the_run() -> None:
    crew = Crew(events=deque(["dies"] * 1000))
    with pytest.raises(FaceSearchError, match=f"^{MOST_DEATHS} workers ended one after the other"):
        _run(crew, [_job(str(number)) for number in range(100)])
    assert len(crew.got) <= MOST_DEATHS + crew.size


def test_a_photo_that_a_node_does_not_see_is_read_here_and_travels() -> None:
    crew = Crew(unseen=frozenset({"b"}))
    rows = _run(crew, [_job("a"), _job("b"), _job("c")])
    assert [(type(row), row.file.path) for row in sorted(rows, key=lambda row: row.file.path)] == [
        (Found, "a"),
        (Found, "b"),
        (Found, "c"),
    ]
    assert [item.photo.data for batch in crew.got for item in batch.items if isinstance(item, Loaded)] == [b"bytes"]
    assert crew.doubted == []


def test_a_photo_that_is_not_here_either_fails_as_it_would_without_a_cluster() -> None:
    rows = _run(Crew(unseen=frozenset({"gone"})), [_job("a"), _job("gone")])
    (failed,) = (row for row in rows if isinstance(row, Failed))
    assert (failed.file.path, failed.error.status, failed.error.cause) == ("gone", "unreadable", "machine")
    assert _paths(rows) == ["a", "gone"]


def test_a_node_that_sees_none_of_its_photos_is_doubted_where_they_can_be_read_here() -> None:
    crew = Crew(unseen=frozenset("abc"))
    assert _paths(_run(crew, [_job(name) for name in "abc"])) == ["a", "b", "c"]
    assert len(crew.doubted) == 1
    assert crew.doubted[0].endswith(" (No such file or directory)")


def test_a_node_is_not_doubted_for_photos_that_nobody_can_read() -> None:
    names = [f"gone{number}" for number in range(9)]
    crew = Crew(unseen=frozenset(names))
    rows = _run(crew, [_job(name) for name in names])
    assert [row.error.status for row in rows] == ["unreadable"] * 9
    assert crew.doubted == []


def test_a_photo_of_which_a_worker_says_nothing_is_not_left_out() -> None:
    left: list[PhotoFile] = []
    crew = Crew(untold=frozenset("b"))
    crew.when_asked = lambda: setattr(crew, "untold", crew.untold if len(crew.got) == 1 else frozenset())
    assert _paths(_run(crew, [_job("a"), _job("b")], leave=left.append)) == ["a", "b"]
    assert left == []


def test_photos_that_travel_are_in_memory_only_as_far_as_it_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.cluster.ray_flow.LOADED_AHEAD", 14)  # bytes; each file has seven
    names = [f"photo{number:02}" for number in range(30)]
    crew = Crew(unseen=frozenset(names), size=8)
    held, most = Counter[str](), [0]

    def read(file: PhotoFile) -> LoadedPhoto:
        held["photos"] += 1
        return LoadedPhoto(file, file.path.encode(), _digest(file), (1, 1))

    def look() -> None:
        done = sum(batch.loaded for batch in crew.got) - sum(batch.loaded for batch in crew.out)
        most.append(7 * held["photos"] - done)
        crew.silent = len(most) % 20 > 0  # so that the crew gets all that it can

    crew.when_asked = look
    flow = OnRay(lambda _: crew, Means(read, lambda _: "no", 3, lambda _: None))
    assert _paths([row for part in flow.run(_job(name) for name in names) for row in part]) == names
    assert 7 <= max(most) <= 14


def test_an_error_of_the_source_comes_after_the_rows_of_what_was_taken() -> None:
    def source() -> Iterator[Job[None]]:
        yield from (_job(str(number)) for number in range(4))
        raise RootError("The folder is gone.")

    crew = Crew()
    rows: list[Any] = []
    parts = OnRay(lambda _: crew, Means(_read, lambda _: "no", 3, lambda _: None)).run(source())
    with pytest.raises(RootError, match="The folder is gone"):
        rows.extend(row for part in parts for row in part)
    assert _paths(rows) == ["0", "1", "2", "3"]
    assert crew.busy == 0


def test_a_photo_that_is_likely_known_is_read_here_and_is_not_sent() -> None:
    crew = Crew()
    rows = _run(crew, [_job("moved"), _job("new")], lambda _: "likely", frozenset({b"moved"}))
    assert _paths(rows) == ["known moved", "new"]
    assert [_path(item) for batch in crew.got for item in batch.items] == ["new"]


def test_a_content_that_has_become_known_is_recognised_when_its_row_arrives() -> None:
    rows = _run(Crew(), [_job("copied"), _job("new")], known=frozenset({b"copied"}))
    assert _paths(rows) == ["known copied", "new"]


def _interrupted(crew: Crew) -> list[Any]:
    """The rows of a run that is interrupted while its crew works on its first batches, all three there are."""
    course = _Course(lambda _: crew, Means(_read, lambda _: "no", 1, lambda _: None), None, lambda _: None)

    def source() -> Iterator[Job[None]]:
        for number in range(50):
            if number == 3:
                crew.when_asked = course.stop
            yield _job(str(number))

    return [row for part in course.rows(source(), lambda *_: None) for row in part]


def test_what_is_interrupted_sends_no_batch_more_and_keeps_what_comes() -> None:
    crew = Crew(size=3, silent=5)
    rows = _interrupted(crew)
    assert len(crew.got) == len(rows) > 0
    assert crew.silent == 0


def test_what_is_interrupted_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.cluster.ray_flow.GRACE", 0.05)
    crew = Crew(size=3, silent=1 << 60)
    assert _interrupted(crew) == []
    assert len(crew.got) > 0


def test_a_cluster_that_had_nothing_to_do_is_not_called_silent() -> None:
    crew = Crew()
    said: list[str] = []
    course = _Course(lambda _: crew, Means(_read, lambda _: "no", 1, said.append), None, lambda _: None)

    def source() -> Iterator[Any]:
        yield _job("a")
        while not crew.got or crew.busy:
            yield "passed"
        course._heard -= 3600  # an hour in which nothing was new
        crew.silent = 1
        yield _job("b")

    rows = [row for part in course.rows(source(), lambda *_: None) for row in part]
    assert _paths([row for row in rows if row != "passed"]) == ["a", "b"]
    assert said == []


def test_an_error_of_a_photo_comes_whole_from_another_machine() -> None:
    error = PhotoError("too_large", "300 megapixels", "option", "300.0")
    came = pickle.loads(pickle.dumps(error))
    assert (came.status, came.reason, came.cause, came.needs) == ("too_large", "300 megapixels", "option", "300.0")


def test_a_worker_imports_no_database_and_nothing_that_trains() -> None:
    program = (
        "import sys, facesearch.cluster.ray_worker; "
        "print(*({'sqlite3', 'faiss', 'tensorflow', 'keras', 'ray', 'pymilvus'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "\n"


def _nodes(*cpus: float, gpus: float = 0) -> list[Node]:
    return [Node(str(number), f"n{number}", each, gpus) for number, each in enumerate(cpus)]


def test_workers_are_spread_over_the_nodes_as_far_as_there_are_processors() -> None:
    assert Plan(Cluster(), 1).wanted(_nodes(0, 3, 1)) == ["1", "2", "1", "1"]
    assert Plan(Cluster(workers=2), 1).wanted(_nodes(0, 3, 1)) == ["1", "2"]
    assert Plan(Cluster(), 2).wanted(_nodes(5, 1)) == ["0", "0"]


def test_a_worker_with_a_part_of_a_gpu_goes_where_there_is_one() -> None:
    assert Plan(Cluster(gpu_share=0.5), 2).wanted(_nodes(16, gpus=2)) == ["0"] * 4
    assert Plan(Cluster(gpu_share=0.1), 1).wanted(_nodes(64, gpus=1)) == ["0"] * 10
    assert Plan(Cluster(gpu_share=0.5), 1).wanted(_nodes(16)) == []


@pytest.mark.parametrize("text", ["", "here", "host:0", "host:70000", "host:", ":6379", "ray://host:10001", "a b:1"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"HOST:PORT, as 10\.0\.0\.1:6379, or auto"):
        RayAddress.parse(text)


def test_an_address_is_shown_as_it_is_typed() -> None:
    for text in ("head:6379", "10.0.0.1:6379", "[::1]:6379"):
        assert str(RayAddress.parse(text)) == text


@contextmanager
def _answering(answer: bytes | None) -> Iterator[int]:
    """A port of this machine at which every caller hears these bytes, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            held = []
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return
                if answer is not None:
                    held[-1].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_where_nobody_or_no_ray_answers_a_sentence_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.cluster.ray_address._PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(FaceSearchError, match=r"No Ray cluster answers .*ray start --head --disable-usage-stats"):
        RayAddress("127.0.0.1", free).refuse_silent()
    with _answering(None) as port, pytest.raises(FaceSearchError, match="it is silent"):
        RayAddress("127.0.0.1", port).refuse_silent()
    with _answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(FaceSearchError, match="is no Ray"):
        RayAddress("127.0.0.1", port).refuse_silent()
    with _answering(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as port:
        RayAddress("127.0.0.1", port).refuse_silent()


def test_a_worker_of_another_python_or_facesearch_refuses_before_it_reads_its_order() -> None:
    reason, _ = Actor().start(("2.7.18", "0.1.0"), b"not read", {})
    assert reason.startswith("has Python 3.")
    import platform

    reason, _ = Actor().start((platform.python_version(), "99.0"), b"not read", {})
    assert reason == "has facesearch 0.1.0, and this machine 99.0; use the same there"


def test_a_worker_has_a_private_folder_of_its_own_which_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    folder = NodeFolder()
    folder.enter({"models/a/x.onnx": b"graph"})
    own = Path(os.environ["FACESEARCH_HOME"])
    assert own.parent == tmp_path / "cluster"
    assert (own / "models/a/x.onnx").read_bytes() == b"graph"
    assert {path.stat().st_mode & 0o077 for path in (own, *own.rglob("*"), tmp_path / "cluster")} == {0}
    folder.leave()
    assert list((tmp_path / "cluster").iterdir()) == []


def test_what_a_killed_worker_left_is_deleted_by_the_next_and_what_another_uses_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    used, clusters = NodeFolder(), tmp_path / "cluster"
    used.enter({})
    this_node = next(clusters.iterdir()).name.rpartition("-")[0]
    left, of_another_node = clusters / f"{this_node}-left", clusters / f"{this_node}2-left"
    for folder in (left, of_another_node):  # whose locks are not seen here, where the home is on a share
        folder.mkdir()
        (folder / "in-use").touch()
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    NodeFolder().enter({})
    assert not left.exists()
    assert of_another_node.exists()
    assert len(list(clusters.iterdir())) == 3


def test_a_home_whose_path_is_relative_serves_processes_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACESEARCH_HOME", "here")
    with _folder() as folder:
        assert folder.is_absolute()
    NodeFolder().enter({})
    assert Path(os.environ["FACESEARCH_HOME"]).parent == tmp_path / "here" / "cluster"


def test_rays_files_lie_under_the_home_however_long_its_path_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / ("long" * 20)))
    with _folder() as folder:
        assert len(bytes(folder)) <= _LONGEST
        assert folder.resolve().is_relative_to(tmp_path)
        assert not folder.stat().st_mode & 0o077
    assert not folder.is_symlink()
    assert list((tmp_path / ("long" * 20) / "ray").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--workers", "2"], "--workers is for a cluster"),
        (["--gpu-share", "0.5"], "--gpu-share is for a cluster"),
        (["--ray", "auto", "--gpu-share", "0.5", "--device", "cpu"], "do not go together"),
        (["--ray", "auto", "--watch"], "--watch and --ray do not go together"),
        (["--ray", "nowhere"], "'nowhere' is no address"),
    ],
)
def test_options_that_do_not_fit_cost_nothing(cli: Cli, tmp_path: Path, words: list[str], sentence: str) -> None:
    said = cli("index", str(tmp_path), *words)
    assert said.code == 2
    assert sentence in said.err


def test_a_root_that_is_not_there_costs_no_cluster(cli: Cli, tmp_path: Path) -> None:
    said = cli("index", str(tmp_path / "not" / "there"), "--ray", "127.0.0.1:1")
    assert str(tmp_path / "not" / "there") in said.err
    assert "Ray" not in said.err.replace(str(tmp_path), "")


def test_a_worker_reads_no_other_file_for_the_photo_that_is_meant(tmp_path: Path) -> None:
    worker = object.__new__(Worker)  # without its networks
    worker._most, worker._others = MAX_MEGAPIXELS, set()
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))
    here = PhotoFile.from_stat(str(path), path.stat())
    for coarser in (0, 100, 2_000_000_000):  # as shares and FAT have times
        assert worker._read(replace(here, mtime_ns=here.mtime_ns - coarser))
    for other in (replace(here, size=here.size + 1), replace(here, mtime_ns=here.mtime_ns - 3_000_000_000)):
        with pytest.raises(UnseenError, match="another size or time"):
            worker._read(other)


def test_a_worker_names_what_is_no_photo(tmp_path: Path) -> None:
    worker = object.__new__(Worker)
    worker._most, worker._others = MAX_MEGAPIXELS, set()
    path = tmp_path / "text"
    path.write_text("This is no photo.")
    job = Job(0, PhotoFile.from_stat(str(path), path.stat()))
    assert not worker._is_other(job)
    assert worker._read(job.file) is None
    assert worker._is_other(job)
    assert not worker._is_other(job)
