"""What Ray starts on a node. It is sent as it stands here, so it says in a sentence what is wrong where facesearch is
not installed, or is another one; it may import nothing of ours before it has looked."""

import os
import platform
import sys
from importlib import import_module
from typing import Any


class Actor:
    """One worker. What it gets and gives is pickled by ourselves: of another facesearch nothing is read."""

    def __init__(self) -> None:
        self._worker: Any = None

    def start(self, versions: tuple[str, str], order: bytes, files: dict[str, bytes]) -> tuple[str, bytes]:
        """Makes ready for an order, with the networks in `files`. Returns why it cannot, in half a sentence, or else
        the worker's own pickled answer."""
        python, expected = versions
        here = platform.python_version()
        if here.split(".")[:2] != python.split(".")[:2]:
            return f"has Python {here}, and this machine {python}; use the same there", b""
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            here = import_module("facesearch").__version__
        except ImportError:
            return f"has no facesearch ({sys.executable}); install it there", b""
        if here != expected:
            return f"has facesearch {here}, and this machine {expected}; use the same there", b""
        from facesearch.cluster.ray_worker import start

        self._worker, answer = start(order, files)
        return "", answer

    def work(self, batch: bytes) -> bytes:
        """The worker's answer to a batch, both pickled."""
        found: bytes = self._worker.work(batch)
        return found

    def end(self) -> None:
        """Ends decoders, and leaves nothing behind."""
        if self._worker:
            self._worker.end()
