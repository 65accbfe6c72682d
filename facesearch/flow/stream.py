"""Work on threads as a stream: results in the order of the items, and only so much begun as the memory bears."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

_BETWEEN_LOOKS = 0.1  # seconds between two looks whether a result is still wanted
QUEUE = 1024  # items at most that wait to be taken, those that pass by included

Item = TypeVar("Item")


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of that size; the last one may be shorter."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def batched(items: Iterable[Item], most: int, most_weight: int, weigh: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in lists of so many, or fewer where their weights come to `most_weight`."""
    batch: list[Item] = []
    weight = 0
    for item in items:
        batch.append(item)
        weight += weigh(item)
        if len(batch) >= most or weight >= most_weight:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that, when the work is broken off, forgets what it has not begun. An error waits until what is begun has
    ended; an interruption waits for nothing."""
    pool = ThreadPoolExecutor(count)
    waits = True
    try:
        yield pool
    except (KeyboardInterrupt, GeneratorExit):
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)


def ordered(
    pool: ThreadPoolExecutor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    ahead: int,
    weight_ahead: int,
    *,
    weigh: Callable[[Any], int | None],
    gives_up: Callable[[], bool] = lambda: False,
) -> Iterator[Any]:
    """Maps a function over items on a pool, in their order. `weigh` says what a call with an item costs; an item
    without a weight (None) is not mapped: it passes by in its place.

    At most `ahead` calls are begun and not yet taken, and fewer where the sum of their items' weights would pass
    `weight_ahead`; a single item may weigh more. Raises KeyboardInterrupt where a result is not there and `gives_up`
    says that it is not to be waited for."""
    queue: deque[tuple[Any, int]] = deque()
    pending = weight = 0
    for item in items:
        own = weigh(item)
        while queue and (pending >= ahead or len(queue) >= QUEUE or weight + (own or 0) > weight_ahead):
            first, first_weight = queue.popleft()
            pending -= isinstance(first, Future)
            weight -= first_weight
            yield _result(first, gives_up)
        if own is None:
            queue.append((item, 0))
        else:
            queue.append((pool.submit(function, item), own))
            pending += 1
            weight += own
    for first, _ in queue:
        yield _result(first, gives_up)


def _result(item: Any, gives_up: Callable[[], bool]) -> Any:
    if not isinstance(item, Future):
        return item
    while not item.done():
        if gives_up():
            raise KeyboardInterrupt
        wait((item,), _BETWEEN_LOOKS)
    return item.result()
