"""Which nodes of a cluster are there. The cluster itself says so, but of one that has gone only after a while."""

import time
from typing import Protocol

from facesearch.cluster.ray_address import RayAddress
from facesearch.cluster.ray_session import Node
from facesearch.errors import FaceSearchError

_BETWEEN_LOOKS = 2.0  # seconds
_MOST_GONE = 10.0  # seconds in which a cluster may not answer
_SILENT = 30.0  # seconds in which nothing is begun on a node that did not answer, unless the cluster drops it sooner


class Cluster(Protocol):
    """What is asked: a `Session`."""

    @property
    def address(self) -> RayAddress: ...
    def nodes(self) -> list[Node] | None: ...
    def gone(self) -> FaceSearchError: ...


class Nodes:
    """The nodes that were there when somebody looked last."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._found: list[Node] = []
        self._looked = float("-inf")
        self._unanswered: float | None = None  # since when the cluster does not say which nodes there are
        self._silent: dict[str, float] = {}  # by the id of a node that did not answer: when

    @property
    def found(self) -> list[Node]:
        return self._found

    def look(self) -> bool:
        """Whether it has been looked again. Raises FaceSearchError where the cluster has been gone for too long."""
        now = time.monotonic()
        if now - self._looked < _BETWEEN_LOOKS:
            return False
        nodes = self._cluster.nodes() if self._cluster.address.answers() else None
        if nodes is None:
            self._unanswered = self._unanswered or now
            if now - self._unanswered > _MOST_GONE:
                raise self._cluster.gone()
            return False
        self._found, self._unanswered, self._looked = nodes, None, now
        return True

    def look_soon(self) -> None:
        """The next look is not to wait."""
        self._looked = float("-inf")

    def is_there(self, node: Node) -> bool:
        """Asks the node itself too."""
        if self.is_silent(node):
            return False
        listed = self._cluster.nodes()
        if (listed is None or any(each.id == node.id for each in listed)) and node.answers():
            return True
        self._silent[node.id] = time.monotonic()
        return False

    def is_silent(self, node: Node) -> bool:
        """Whether it did not answer a short time ago."""
        return time.monotonic() - self._silent.get(node.id, float("-inf")) < _SILENT
