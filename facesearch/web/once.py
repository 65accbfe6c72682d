"""What is sent again because its answer was lost is done once."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any, TypeAlias

_KEPT = 256  # answers: a page sends one write at a time, and the next when it has the answer

Id: TypeAlias = tuple[str, str]


class Once:
    """The answers to the writes that were done lately, by what their page called them. May be asked from any
    thread."""

    def __init__(self) -> None:
        self._kept: dict[Id, Future[Any]] = {}
        self._changing = Lock()

    def answer(self, write: Id, does: Callable[[], Any]) -> Any:
        """Does a write and gives its answer, or that which it had before; waits for it where it is being done. One
        that fails may be tried again."""
        with self._changing:
            known = self._kept.get(write)
            mine = known or self._kept.setdefault(write, Future())
        return known.result() if known else self._done(write, mine, does)

    def _done(self, write: Id, mine: "Future[Any]", does: Callable[[], Any]) -> Any:
        try:
            mine.set_result(does())
        except BaseException as error:
            with self._changing:
                del self._kept[write]
            mine.set_exception(error)
            raise
        self._drop_oldest()
        return mine.result()

    def _drop_oldest(self) -> None:
        with self._changing:
            done = [write for write, future in self._kept.items() if future.done()]
            for write in done[:-_KEPT]:
                del self._kept[write]
