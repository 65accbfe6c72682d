"""A Ray cluster on this machine for tests: nodes that come, go, and see what a test wants them to see."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

MUST = "FACESEARCH_TEST_CLUSTER"  # set where a skipped test would be a lie
_KEEPER = Path(__file__).with_name("keeper.py")
# What Python runs first in the processes of the nodes, and in no other: a photo called gated is read when the gate is
# open, and one called deadly ends its reader.
_ON_NODES = """
import os, signal, time
_open = os.open
def _guarded(path, *more, **others):
    name = os.path.basename(os.fsdecode(path)) if isinstance(path, (str, bytes)) else ""
    while name.startswith("gated") and os.path.exists(GATE):
        open(GATE + ".waits", "w").close()
        time.sleep(0.02)
    if name.startswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return _open(path, *more, **others)
os.open = _guarded
"""


class Nodes:
    """A running cluster. Its nodes have one CPU each, and a home of their own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """With settings of Ray that begin with RAY_."""
        if sys.platform != "linux":
            pytest.skip("the cluster of the tests needs Linux")
        if os.environ.get(MUST) != "must":
            pytest.importorskip("ray")
        self.home, self.gate = folder / "home", folder / "shut"
        self._waits, self._on_nodes = folder / "shut.waits", folder / "on-nodes"
        for made in (self.home, self._on_nodes):
            made.mkdir(parents=True)
        (self._on_nodes / "sitecustomize.py").write_text(f"GATE = {str(self.gate)!r}\n{_ON_NODES}")
        self._keeper = subprocess.Popen(
            [sys.executable, str(_KEEPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "keeper.log").open("w"),
            text=True,
            cwd=folder,
            env=os.environ | {"FACESEARCH_HOME": str(self.home)} | settings,
            start_new_session=True,  # Ctrl-C in a terminal is for pytest
        )
        self._there: set[str] = set()
        self.address = self._answer()

    def have(self, *names: str) -> None:
        """From now on the cluster has these nodes and no other."""
        for name in self._there - set(names):
            self.kill(name)
        for name in names:
            if name not in self._there:
                self.add(name)

    def add(self, name: str, folder: Path | None = None, *imports_first: Path) -> None:
        """A node whose processes run in that folder; what they import is looked for in these folders first."""
        path = os.pathsep.join(map(str, (self._on_nodes, *imports_first)))
        self._do(f"add {name} {folder or self.home} {path}")
        self._there.add(name)

    def kill(self, name: str) -> None:
        """Ends the node's processes at once."""
        self._do(f"kill {name}")
        self._there.discard(name)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """For the time of a block, photos whose names begin with gated are not read on the nodes."""
        self._waits.unlink(missing_ok=True)
        self.gate.touch()
        try:
            yield
        finally:
            self.gate.unlink()

    def somebody_waits(self) -> bool:
        """Whether a worker has come to the gate since it was shut."""
        return self._waits.exists()

    def end(self) -> None:
        _pipe(self._keeper.stdin).close()
        self._keeper.wait(60)

    def _do(self, command: str) -> None:
        asked = _pipe(self._keeper.stdin)
        asked.write(command + "\n")
        asked.flush()
        assert self._answer() == "done"

    def _answer(self) -> str:
        line = _pipe(self._keeper.stdout).readline().strip()
        assert line, "the cluster of the tests has ended"
        return line


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end
