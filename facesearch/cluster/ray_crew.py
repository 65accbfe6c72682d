"""The workers of a run on the nodes of a cluster: started, asked, replaced.

Where each goes is decided here and not by Ray: a node that refuses is left out by its name, one that joins is used,
and a worker that ended is followed by another on its node. Ray is never asked to try anything again."""

import pickle
import platform
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from facesearch.cluster.ray_nodes import Nodes
from facesearch.cluster.ray_plan import Plan
from facesearch.cluster.ray_records import Answer, Batch, Done, Lost, Order, Ready, Refused, Use, unseen
from facesearch.cluster.ray_session import Node, Session
from facesearch.cluster.ray_staff import AT_ONCE, Employed
from facesearch.errors import FaceSearchError, Note
from facesearch.flow.stages import Job
from facesearch.models.engines import Engine

_TO_COME = 60.0  # seconds in which a node may yet join where all that worked have gone
_MOST_STARTS = 3  # of a node on which workers end before they are ready
_MOST_DOUBTS = 2  # batches in a row of which a node sees nothing
_PAUSE = 10.0  # seconds between two times of listening, with which something is wrong here
_TO_FETCH = 60.0  # seconds for an answer on its way from its node


class RayCrew:
    """A `Crew` of Ray's actors."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        order: Order,
        files: dict[str, bytes],
        note: Note,
        on_ready: Callable[[Engine], None] = lambda _: None,
    ) -> None:
        """Sends the networks to the cluster, and starts the workers, for which nothing waits; `on_ready` hears what
        embeds there of each that can begin. Raises FaceSearchError."""
        self._session, self._ray, self._plan, self._note = session, session.ray, plan, note
        self._order, self._engine, self._on_ready = order, order.engine, on_ready
        self._files = self._put(files)
        self._actor_class = self._ray.remote(_actor_by_value(self._ray))
        self._workers: list[Employed] = []
        self._refused: dict[str, Refused] = {}  # by the id of the node
        self._first: tuple[Node, Refused] | None = None
        self._sentences: list[str] = []
        self._left: list[Done | Lost] = []  # of nodes that were refused between two looks
        self._failed_starts: Counter[str] = Counter()
        self._doubts: Counter[str] = Counter()
        self._most: Counter[str] = Counter()  # workers that were ready at once, by node
        self._nodes = Nodes(session)
        self._usable = time.monotonic()  # when there was a worker, or the run began
        self._listened = time.monotonic()
        self._count()

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def busy(self) -> int:
        return sum(len(worker.batches) for worker in self._workers) + len(self._left)

    def use(self) -> Use:
        """What the run had of the cluster until now."""
        return Use(self._most.total(), len(self._most), tuple(self._sentences))

    def sentence(self) -> str:
        ready = sum(worker.is_ready for worker in self._workers)
        said = f"{ready} of {len(self._workers)} workers are ready, {self.busy} batches are with them"
        waits = min((worker for worker in self._workers if worker.batches), key=lambda each: each.since, default=None)
        if waits is None:
            return said
        return f"{said}, the longest on the node {waits.node.name} for {waits.silent:,.0f} seconds"

    def hand_out(self, next_batch: Callable[[bool], Batch | None]) -> None:
        """As `Crew.hand_out`: first one to each, then more."""
        self._session.refuse_cut()
        for full in range(AT_ONCE):
            for worker in self._workers:
                if worker.room() and len(worker.batches) <= full:
                    batch = next_batch(not worker.batches)
                    if batch is not None:
                        self._give(worker, batch)

    def _give(self, worker: Employed, batch: Batch) -> None:
        if not worker.batches:
            worker.since = time.monotonic()
        try:
            worker.batches[worker.actor.work.remote(pickle.dumps(batch, protocol=5))] = batch
        except self._ray.exceptions.RayError as error:
            raise self._no_room("Photos", error) from error

    def wait(self, seconds: float) -> list[Done | Lost]:
        """As `Crew.wait`."""
        self._session.refuse_cut()
        self._forgive_pauses()
        self._count()
        if self._left:
            left, self._left = self._left, []
            return left
        pending = [ref for worker in self._workers for ref in worker.batches]
        starting = [worker.start for worker in self._workers if not worker.is_ready]
        self._refuse_where_none_is_left()
        if not pending and not starting:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(pending + starting, num_returns=1, timeout=seconds, fetch_local=False)
        if ready:  # all that is there, without waiting for more
            all_of_them = pending + starting
            ready, _ = self._ray.wait(all_of_them, num_returns=len(all_of_them), timeout=0, fetch_local=False)
        found: list[Done | Lost] = []
        for ref in ready:
            found += self._heard(ref)
        return found + self._stuck()

    def doubt(self, node: str, path: str, why: str) -> None:
        """As `Crew.doubt`. The last node stays: what it does not see travels."""
        self._doubts[node] += 1
        found = next((worker.node for worker in self._workers if worker.node.id == node), None)
        has_others = any(worker.is_ready and worker.node.id != node for worker in self._workers)
        if found and has_others and self._doubts[node] >= _MOST_DOUBTS:
            self._left += self._refuse(found, Refused(unseen(path, why)))

    def close(self) -> None:
        """Ends all workers; what they were given stays undone."""
        if self._session.is_usable:
            self._end(self._workers)
            self._workers = []

    def _end(self, workers: list[Employed]) -> None:
        """Ends workers, which delete what they have unpacked if they can soon."""
        ends = []
        for worker in workers:
            with suppress(self._ray.exceptions.RayError):
                if worker.is_ready:
                    ends.append(worker.actor.end.remote())
        if ends:
            self._ray.wait(ends, num_returns=len(ends), timeout=2)
        for worker in workers:
            self._kill(worker)

    def _put(self, files: dict[str, bytes]) -> Any:
        try:
            return self._ray.put(files)
        except self._ray.exceptions.RayError as error:
            raise self._no_room("The networks", error) from error

    def _no_room(self, what: str, error: Exception) -> FaceSearchError:
        return FaceSearchError(
            f"{what} find no room in the cluster's memory for objects ({_first_line(error)}); start its nodes with a "
            "larger --object-store-memory, or wait for others to end."
        )

    def _count(self) -> None:
        """Looks which nodes there are, and has workers on them."""
        if self._nodes.look():
            self._staff()

    def _staff(self) -> None:
        """Starts the workers that are not there yet."""
        open_to_us = [
            node for node in self._nodes.found if node.id not in self._refused and not self._nodes.is_silent(node)
        ]
        have = Counter(worker.node.id for worker in self._workers)
        by_id = {node.id: node for node in open_to_us}
        missing = Counter(self._plan.wanted(open_to_us)) - have
        room = None if self._plan.cluster.workers is None else self._plan.cluster.workers - len(self._workers)
        for node_id in list(missing.elements())[: room if room is None else max(room, 0)]:
            self._workers.append(self._started(by_id[node_id]))
        if self._workers:
            self._usable = time.monotonic()

    def _started(self, node: Node) -> Employed:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        actor = self._actor_class.options(
            num_cpus=self._plan.cpus,
            num_gpus=self._plan.cluster.gpu_share or 0,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=AT_ONCE + 1,  # one to end it by
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        ).remote()
        versions = platform.python_version(), import_module("facesearch").__version__
        return Employed(actor, node, actor.start.remote(versions, pickle.dumps(self._order), self._files))

    def _heard(self, ref: Any) -> list[Done | Lost]:
        """What a worker has to say, with a batch or at its start."""
        worker = next((each for each in self._workers if ref == each.start or ref in each.batches), None)
        if worker is None:  # it ended with another batch
            return []
        try:
            answer = self._ray.get(ref, timeout=_TO_FETCH)
        except self._ray.exceptions.RayTaskError as error:
            return self._refuse(worker.node, Refused(f"failed ({_first_line(error.cause)})"))
        except self._ray.exceptions.RayError as error:
            return self._bury(worker, error)
        if ref == worker.start:
            return self._meet(worker, *answer)
        worker.since = time.monotonic()
        found: Answer = pickle.loads(answer)
        batch = worker.batches.pop(ref)
        if any(isinstance(batch.items[row.key], Job) for row in found.rows):  # what travels any node sees
            self._doubts.pop(worker.node.id, None)
        return [Done(batch, found, worker.node.id)]

    def _meet(self, worker: Employed, reason: str, answer: bytes) -> list[Done | Lost]:
        found = Refused(reason) if reason else pickle.loads(answer)
        if isinstance(found, Ready) and not self._is_ours(found.engine):
            found = Refused(f"embeds with {found.engine.name} in {found.engine.precision}, and this run does not")
        if isinstance(found, Refused):
            return self._refuse(worker.node, found)
        worker.is_ready = True
        self._on_ready(found.engine)
        ready = sum(each.is_ready and each.node.id == worker.node.id for each in self._workers)
        self._most[worker.node.id] = max(self._most[worker.node.id], ready)
        self._failed_starts.pop(worker.node.id, None)
        return []

    def _is_ours(self, engine: Engine) -> bool:
        self._engine = self._engine or engine
        return (engine.name, engine.precision) == (self._engine.name, self._engine.precision)

    def _refuse(self, node: Node, refused: Refused) -> list[Done | Lost]:
        """Leaves a node out of the run. What its workers have is given to others."""
        if node.id not in self._refused:
            self._refused[node.id] = refused
            self._first = self._first or (node, refused)
            self._sentences.append(f"The node {node.name} {refused.reason}.")
            if any(self._plan.places(each) and each.id not in self._refused for each in self._nodes.found):
                self._note(f"{self._sentences[-1]} The others go on without it.")
        left = [worker for worker in self._workers if worker.node.id == node.id]
        self._workers = [worker for worker in self._workers if worker.node.id != node.id]
        self._end(left)
        return [lost for worker in left for lost in worker.lost(is_of_node=True)]

    def _bury(self, worker: Employed, error: Exception) -> list[Done | Lost]:
        """A worker has ended: with its node, at its start, or over what it had."""
        self._workers.remove(worker)
        self._kill(worker)
        self._nodes.look_soon()  # another follows
        is_there = self._nodes.is_there(worker.node) and not self._is_of_node(error)
        if is_there and not worker.is_ready:
            self._failed_starts[worker.node.id] += 1
            if self._failed_starts[worker.node.id] >= _MOST_STARTS:
                return self._refuse(worker.node, Refused(f"starts no worker ({_first_line(error)})"))
        return worker.lost(is_of_node=not is_there)

    def _is_of_node(self, error: Exception) -> bool:
        """Whether Ray itself takes it for the end of a node, or does not know yet what ended."""
        kinds = self._ray.exceptions
        return isinstance(error, kinds.ActorUnavailableError | kinds.NodeDiedError)

    def _forgive_pauses(self) -> None:
        """Time in which nobody listened is no worker's."""
        now = time.monotonic()
        if now - self._listened > _PAUSE:
            for worker in self._workers:
                worker.since += now - self._listened
        self._listened = now

    def _stuck(self) -> list[Done | Lost]:
        """What workers have that are not heard of for longer than any photo may take. They are ended."""
        found: list[Done | Lost] = []
        for worker in list(self._workers):
            if worker.hangs(self._order.seconds):
                self._note(
                    f"A worker on the node {worker.node.name} has not answered for {worker.silent / 60:,.0f} "
                    "minutes; another gets its photos."
                )
                self._workers.remove(worker)
                self._kill(worker)
                found += worker.lost(is_of_node=False)
        return found

    def _kill(self, worker: Employed) -> None:
        with suppress(Exception):  # it is gone, or its cluster is
            self._ray.kill(worker.actor)

    def _refuse_where_none_is_left(self) -> None:
        """Raises FaceSearchError where no node can work. Where those that could have gone, others may come."""
        if self._workers:
            return
        have_gone = any(node_id not in self._refused for node_id in self._most)
        if (
            self._first
            and not have_gone
            and all(node.id in self._refused for node in self._nodes.found if self._plan.places(node))
        ):
            node, refused = self._first
            raise FaceSearchError(f"The node {node.name} {refused.reason}.")
        if time.monotonic() - self._usable > _TO_COME:
            raise self._plan.no_room(self._session)


def _actor_by_value(ray: Any) -> type:
    """The actor as Ray is to send it: itself, and not where to find it."""
    from facesearch.cluster import ray_actor

    ray.cloudpickle.register_pickle_by_value(ray_actor)
    return ray_actor.Actor


def _first_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
