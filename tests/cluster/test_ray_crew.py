"""What is decided about workers and nodes that end. A Ray of this process stands for the cluster, whose nodes are
ports of this machine; tests/cluster has real ones."""

import pickle
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from facesearch.cluster.ray_address import RayAddress
from facesearch.cluster.ray_cluster import Cluster
from facesearch.cluster.ray_crew import RayCrew
from facesearch.cluster.ray_plan import Plan
from facesearch.cluster.ray_records import Answer, Batch, Done, Lost, Ready, Refused
from facesearch.cluster.ray_session import Node
from facesearch.errors import FaceSearchError, Note
from facesearch.flow.stages import Job
from facesearch.models.engines import Engine
from facesearch.photos.file import PhotoFile

exceptions = pytest.importorskip("ray.exceptions")
_READY = Ready(Engine("an engine", "here", "float32"))


def _id(name: str) -> str:
    """As Ray's are: 28 bytes in hexadecimal digits."""
    return name.encode().hex().ljust(56, "0")


@dataclass
class Ray:
    """What a crew calls. `answers` has what came, or the error that did, by what it was asked for."""

    starts: list[Any] = field(default_factory=lambda: [_READY] * 99)  # what the next workers say at their start
    answers: dict[Any, Any] = field(default_factory=dict)
    works: list[Any] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)  # of each worker that was started
    exceptions: Any = exceptions
    cloudpickle: Any = field(default_factory=lambda: SimpleNamespace(register_pickle_by_value=lambda _: None))

    def put(self, _: object) -> str:
        return "networks"

    def remote(self, _: type) -> Any:
        def options(scheduling_strategy: Any, **_: Any) -> Any:
            self.nodes.append(scheduling_strategy.node_id)
            calls = (self._start, self._work, self._end)
            start, work, end = (SimpleNamespace(remote=call) for call in calls)
            return SimpleNamespace(remote=lambda: SimpleNamespace(start=start, work=work, end=end))

        return SimpleNamespace(options=options)

    def _start(self, *_: object) -> object:
        ref, said = object(), self.starts.pop(0)
        self.answers[ref] = ("", pickle.dumps(said))
        return ref

    def _work(self, _: bytes) -> object:
        self.works.append(object())
        return self.works[-1]

    def _end(self) -> object:
        ref = object()
        self.answers[ref] = None
        return ref

    def wait(self, refs: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return [ref for ref in refs if ref in self.answers], []

    def get(self, ref: Any, **_: Any) -> Any:
        answer = self.answers[ref]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, _: object) -> None:
        return


@dataclass
class Session:
    """A connection to it. `listed` are the nodes that the cluster names, or None where it does not answer."""

    ray: Ray
    listed: list[Node] | None
    address: Any = field(default_factory=lambda: SimpleNamespace(answers=lambda: True))
    is_usable: bool = True

    def nodes(self) -> list[Node] | None:
        return self.listed

    def refuse_cut(self) -> None:
        return

    def gone(self) -> FaceSearchError:
        return FaceSearchError("The cluster is gone.")


@pytest.fixture
def node() -> Iterator[Callable[..., Node]]:
    """Makes nodes of one processor; of one that has gone nothing answers any more."""
    servers = []

    def make(name: str, is_there: bool = True) -> Node:
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        if is_there:
            servers.append(server)
        else:
            server.close()
        return Node(_id(name), name, 1, 0, RayAddress("127.0.0.1", port))

    yield make
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def _looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.cluster.ray_nodes._BETWEEN_LOOKS", -1.0)


def _crew(session: Any, note: Note = lambda _: None) -> RayCrew:
    order: Any = SimpleNamespace(engine=None, seconds=60)
    crew = RayCrew(session, Plan(Cluster(), 1), order, {}, note)
    crew.wait(0)  # until all are ready
    return crew


def _batches(crew: RayCrew, count: int) -> list[Batch]:
    """Gives out so many, of a photo each."""
    batches = [Batch(number, (Job(None, PhotoFile(str(number), 1, 1)),)) for number in range(count)]
    left = iter(batches)
    crew.hand_out(lambda _: next(left, None))
    return batches


def _lost(found: list[Done | Lost]) -> list[tuple[bool, bool]]:
    return [(each.is_of_node, each.is_next) for each in found if isinstance(each, Lost)]


def test_a_node_that_has_gone_is_no_photos_fault_though_the_cluster_still_names_it(
    node: Callable[..., Node],
) -> None:
    ray = Ray()
    crew = _crew(Session(ray, [node("gone", is_there=False)]))
    _batches(crew, 2)
    ray.answers[ray.works[0]] = exceptions.ActorDiedError()
    assert _lost(crew.wait(0)) == [(True, False), (True, True)]
    crew.wait(0)
    assert ray.nodes == [_id("gone")]  # nothing is begun there any more


@pytest.mark.parametrize("error", ["ActorUnavailableError", "NodeDiedError"])
def test_what_ray_itself_takes_for_the_end_of_a_node_is_one(node: Callable[..., Node], error: str) -> None:
    ray = Ray()
    crew = _crew(Session(ray, [node("a")]))
    _batches(crew, 1)
    kind = getattr(exceptions, error)
    ray.answers[ray.works[0]] = kind("why", None) if error == "ActorUnavailableError" else kind("why")
    assert _lost(crew.wait(0)) == [(True, False)]


def test_a_worker_that_ends_on_a_node_that_is_there_has_ended_once_and_another_follows(
    node: Callable[..., Node],
) -> None:
    ray = Ray()
    crew = _crew(Session(ray, [node("a")]))
    _batches(crew, 2)
    ray.answers[ray.works[1]] = exceptions.ActorDiedError()
    assert _lost(crew.wait(0)) == [(False, False), (False, True)]
    crew.wait(0)
    assert ray.nodes == [_id("a")] * 2


def test_the_last_node_is_not_left_out_for_what_it_does_not_see(node: Callable[..., Node]) -> None:
    nodes = [node("a")]
    crew = _crew(Session(Ray(), nodes))
    for _ in range(9):
        crew.doubt(_id("a"), "photo", "No such file or directory")
    assert crew.use().refused == ()
    nodes.append(node("b"))
    for _ in range(2):
        crew.wait(0)
    crew.doubt(_id("a"), "photo", "No such file or directory")
    assert len(crew.use().refused) == 1


def test_a_node_that_sees_only_what_travels_is_left_out(node: Callable[..., Node]) -> None:
    ray = Ray()
    crew = _crew(Session(ray, [node("a"), node("b")]))
    crew.doubt(_id("a"), "photo", "No such file or directory")
    loaded: Any = SimpleNamespace()
    given = iter([Batch(0, (loaded,))])
    crew.hand_out(lambda _: next(given, None))
    ray.answers[ray.works[0]] = pickle.dumps(Answer((_Row(),)))  # type: ignore[arg-type]
    assert len(crew.wait(0)) == 1
    crew.doubt(_id("a"), "photo", "No such file or directory")
    assert len(crew.use().refused) == 1


@dataclass
class _Row:
    key: int = 0


def test_where_nodes_that_worked_have_gone_others_may_come_though_one_was_refused(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses, works = node("refuses"), node("works")
    ray = Ray(starts=[Refused("does not see the photos"), _READY])
    session = Session(ray, [refuses, works])
    crew = _crew(session)
    _batches(crew, 1)
    session.listed = [refuses]
    ray.answers[ray.works[0]] = exceptions.ActorDiedError()
    assert _lost(crew.wait(0)) == [(True, False)]
    assert crew.wait(0) == []
    monkeypatch.setattr("facesearch.cluster.ray_crew._TO_COME", -1.0)
    with pytest.raises(FaceSearchError, match="add one with: ray start"):
        crew.wait(0)


def test_where_the_only_node_refuses_it_is_said_at_once(node: Callable[..., Node]) -> None:
    crew = _crew(Session(Ray(starts=[Refused("has no facesearch")]), [node("a")]))
    with pytest.raises(FaceSearchError, match=r"^The node a has no facesearch\.$"):
        crew.wait(0)


def test_a_worker_that_hangs_is_named_and_what_it_has_is_given_to_another(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    ray = Ray()
    crew = _crew(Session(ray, [node("a"), node("b")]), said.append)
    _batches(crew, 1)
    assert crew.wait(0) == []
    assert "the longest on the node a for 0 seconds" in crew.sentence()
    monkeypatch.setattr("facesearch.cluster.ray_staff._LONGER", -120.0)
    assert _lost(crew.wait(0)) == [(False, False)]
    assert [sentence.split(" has not")[0] for sentence in said] == ["A worker on the node a"]


def test_a_cluster_that_is_slow_once_is_not_gone(node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Ray(), None)
    crew = _crew(session)
    assert crew.wait(0) == []
    session.listed = [node("a")]
    crew.wait(0)
    assert crew.size == 1
    session.listed = None
    monkeypatch.setattr("facesearch.cluster.ray_nodes._MOST_GONE", -1.0)
    with pytest.raises(FaceSearchError, match="is gone"):
        crew.wait(0)
