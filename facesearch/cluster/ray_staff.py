"""A worker as the driver sees it: where it is, what it has, and since when it is silent."""

import time
from dataclasses import dataclass, field
from typing import Any

from facesearch.cluster.ray_records import Batch, Done, Lost
from facesearch.cluster.ray_session import Node

AT_ONCE = 2  # batches with a worker: one that it works on, one that waits there
_TIMES_LONGER, _LONGER = 2, 300.0  # than all photos of its batches may take, and seconds more: a worker hangs


@dataclass(slots=True, eq=False)
class Employed:
    """One actor. Its `start` is waited for until it is ready."""

    actor: Any
    node: Node
    start: Any
    is_ready: bool = False
    batches: dict[Any, Batch] = field(default_factory=dict)  # by what Ray calls the answer
    since: float = 0.0  # when it was last heard of, or was given something after it had nothing

    def room(self) -> bool:
        has_suspect = any(batch.is_suspect for batch in self.batches.values())
        return self.is_ready and not has_suspect and len(self.batches) < AT_ONCE

    @property
    def silent(self) -> float:
        """Seconds, of a worker that has something."""
        return time.monotonic() - self.since

    def hangs(self, seconds: float) -> bool:
        """Whether it is not heard of for longer than its photos may take, of which one may take so long."""
        photos = sum(len(batch.items) for batch in self.batches.values())
        return photos > 0 and self.silent > _TIMES_LONGER * seconds * photos + _LONGER

    def lost(self, is_of_node: bool) -> list[Done | Lost]:
        """What it had when it ended."""
        return [Lost(batch, is_of_node, place > 0) for place, batch in enumerate(self.batches.values())]
