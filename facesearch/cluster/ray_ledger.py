"""Which photos wait for a worker, and which of them have ended one.

A worker may end for many reasons, so a photo is called guilty late: its batch is tried a second time, on a worker
that does nothing else meanwhile, then each of its photos alone. No photo ends more than three workers."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from facesearch.cluster.ray_records import Batch, Item
from facesearch.errors import FaceSearchError
from facesearch.flow.stages import Job
from facesearch.photos.file import PhotoFile

MOST_DEATHS = 20  # of workers, one after the other, without a batch that came back: it is not the photos


class Ledger:
    """The batches of a run that are not done."""

    def __init__(self) -> None:
        self._waiting: deque[Batch] = deque()
        self._suspects: deque[Batch] = deque()
        self._numbers = 0
        self._deaths = 0  # since the last batch that came back

    def __len__(self) -> int:
        """Batches that wait."""
        return len(self._waiting) + len(self._suspects)

    def files(self) -> list[PhotoFile]:
        """The photos that wait and that nodes have to see."""
        return [item.file for batch in self._waiting for item in batch.items if isinstance(item, Job)]

    def add(self, items: Iterable[Item]) -> None:
        """One batch more."""
        self._numbers += 1
        self._waiting.append(Batch(self._numbers, tuple(items)))

    def next(self, is_idle: bool) -> Batch | None:
        """What a worker gets that has nothing to do (`is_idle`), or something; None where nothing is for it."""
        if is_idle and self._suspects:
            return self._suspects.popleft()
        return self._waiting.popleft() if self._waiting else None

    def came_back(self) -> None:
        """A batch is done."""
        self._deaths = 0

    def died(self, batch: Batch, is_of_node: bool) -> Item | None:
        """The worker of a batch has ended: it waits again. Returns the photo that is guilty of that, if one is by
        now. Raises FaceSearchError where workers do nothing but end."""
        if is_of_node:
            (self._suspects if batch.is_suspect else self._waiting).appendleft(batch)
            return None
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise FaceSearchError(
                f"{self._deaths} workers ended one after the other, whatever they were given; look into the files of "
                "Ray's session on their nodes, and index one photo without --ray."
            )
        if batch.deaths == 0:
            self._suspects.append(replace(batch, deaths=1))
        elif len(batch.items) == 1:
            return batch.items[0]
        else:
            self._suspects += [Batch(self._next_number(), (item,), deaths=1) for item in batch.items]
        return None

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers
