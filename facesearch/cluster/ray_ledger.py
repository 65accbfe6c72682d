"""Which photos wait for a worker, and which of them have ended one.

A worker may end for many reasons, so a photo is called guilty late: its batch is tried a second time, on a worker
that does nothing else meanwhile, then each of its photos alone. No photo ends more than three workers. Nodes end for
reasons of their own, but a batch that three of them ended with is tried as one whose worker ended."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from facesearch.cluster.ray_records import Batch, Item, Lost
from facesearch.errors import FaceSearchError
from facesearch.flow.stages import Job
from facesearch.photos.file import PhotoFile

MOST_DEATHS = 20  # of workers, one after the other, without a batch that came back: it is not the photos
MOST_NODE_ENDS = 3  # over one batch, until it may be its photos
DEATHS_OF_ONE = 3  # workers that a photo ends before it is called guilty


class Ledger:
    """The batches of a run that are not done."""

    def __init__(self) -> None:
        self._waiting: deque[Batch] = deque()
        self._suspects: deque[Batch] = deque()
        self._numbers = 0
        self._deaths = 0  # since the last batch that came back
        self._loaded = 0

    def __len__(self) -> int:
        """Batches that wait."""
        return len(self._waiting) + len(self._suspects)

    @property
    def loaded(self) -> int:
        """Bytes of the photos that travel and are not done, wherever they are."""
        return self._loaded

    def files(self) -> list[PhotoFile]:
        """The photos that wait and that nodes have to see."""
        return [item.file for batch in self._waiting for item in batch.items if isinstance(item, Job)]

    def add(self, items: Iterable[Item]) -> None:
        """One batch more."""
        batch = Batch(self._next_number(), tuple(items))
        self._loaded += batch.loaded
        self._waiting.append(batch)

    def next(self, is_idle: bool) -> Batch | None:
        """What a worker gets that has nothing to do (`is_idle`), or something; None where nothing is for it."""
        if is_idle and self._suspects:
            return self._suspects.popleft()
        return self._waiting.popleft() if self._waiting else None

    def came_back(self, batch: Batch) -> None:
        """A batch is done."""
        self._deaths = 0
        self._loaded -= batch.loaded

    def died(self, lost: Lost) -> Item | None:
        """The worker of a batch has ended: it waits again. Returns the photo that is guilty of that, if one is by
        now. Raises FaceSearchError where workers do nothing but end."""
        batch = lost.batch
        if lost.is_of_node:
            batch = replace(batch, node_ends=batch.node_ends + 1)
            if batch.node_ends < MOST_NODE_ENDS:
                (self._suspects if batch.is_suspect else self._waiting).appendleft(batch)
                return None
        elif not lost.is_next:
            self._count_death()
        batch = replace(batch, deaths=batch.deaths + 1)
        if len(batch.items) > 1 and batch.deaths > 1:
            self._suspects += [replace(batch, number=self._next_number(), items=(item,)) for item in batch.items]
        elif batch.deaths < DEATHS_OF_ONE:
            self._suspects.append(batch)
        else:
            self._loaded -= batch.loaded
            return batch.items[0]
        return None

    def _count_death(self) -> None:
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise FaceSearchError(
                f"{self._deaths} workers ended one after the other, whatever they were given; look into the files of "
                "Ray's session on their nodes, and index one photo without --ray."
            )

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers
