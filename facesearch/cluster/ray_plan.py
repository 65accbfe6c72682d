"""Where workers go: how many fit on which node."""

from dataclasses import dataclass

from facesearch.cluster.ray_cluster import Cluster
from facesearch.cluster.ray_session import Node, Session
from facesearch.errors import FaceSearchError


@dataclass(frozen=True, slots=True)
class Plan:
    """How many workers of how many processors, and of which part of a GPU, fit on which nodes."""

    cluster: Cluster
    cpus: int

    def places(self, node: Node) -> int:
        """How many workers a node has room for."""
        by_cpus = int(node.cpus // self.cpus)
        share = self.cluster.gpu_share
        return by_cpus if share is None else min(by_cpus, int(node.gpus) * int(1 / share + 1e-9))

    def refuse_without_room(self, session: Session) -> None:
        """Raises FaceSearchError where no node of the cluster has room for a worker."""
        nodes = session.nodes()
        if nodes is not None and not any(map(self.places, nodes)):
            raise self.no_room(session)

    def no_room(self, session: Session) -> FaceSearchError:
        """What is to be said then."""
        has = "a processor" if self.cpus == 1 else f"{self.cpus} processors"
        return FaceSearchError(
            f"No node of the Ray cluster {session.address} has {has if self.cluster.gpu_share is None else 'a GPU'} "
            f"for a worker; add one with: ray start --address={session.address} --disable-usage-stats"
        )

    def wanted(self, nodes: list[Node]) -> list[str]:
        """The ids of the nodes on which workers are to be, one for each worker: spread over all of them."""
        rounds = max((self.places(node) for node in nodes), default=0)
        spread = [node.id for turn in range(rounds) for node in nodes if self.places(node) > turn]
        return spread[: self.cluster.workers]
