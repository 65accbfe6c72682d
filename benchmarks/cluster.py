"""A Ray cluster of two nodes with a core each on this machine, beside `--threads 2` without one, in turn:

    python benchmarks/cluster.py PHOTOS [--rounds 3] [--precision float32]

PHOTOS is a folder of photos, some hundreds. For each run, into a new gallery in a temporary home: seconds from the
start of the command to the first photo that is stored, photos a second after those that were stored first, and CPU
seconds, those of workers and nodes included; then what a node holds in memory beyond its worker and its decoders. It
ends with a line of JSON. Other work on the machine disturbs the rates more than the CPU seconds."""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_KEEPER = Path(__file__).parents[1] / "tests" / "cluster" / "keeper.py"
_NODES = ("one", "two")
_BETWEEN_LOOKS = 0.02  # seconds
_LOOKS = 10  # of which the processes are looked at in one


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds to the first photo that was stored, photos a second after it, and CPU seconds of all processes."""

    first: float
    rate: float
    cpu: float


def main(photos: Path, rounds: int, precision: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        os.environ["FACESEARCH_HOME"] = work
        subprocess.run([_FACESEARCH, "doctor"], check=True, capture_output=True)  # the networks are exported first
        words = (str(photos), "--precision", precision, "--json", "--quiet")
        with _cluster() as (keeper, address):
            ways = {"threads": ("--threads", "2"), "cluster": ("--ray", address)}
            runs: dict[str, list[Run]] = {name: [] for name in ways}
            beyond = 0
            for number in range(rounds):
                for name, more in ways.items():
                    run, held = _measured(f"{name}{number}", keeper, (*words, *more))
                    runs[name].append(run)
                    beyond = max(beyond, held)
                    print(f"{name}: {run.first:.1f} s to the first, {run.rate:.1f} photos/s, {run.cpu:.1f} s of CPU")
    _conclude(runs, beyond)


def _conclude(runs: dict[str, list[Run]], beyond: int) -> None:
    rates, cpu = (
        {name: statistics.median(getattr(run, what) for run in each) for name, each in runs.items()}
        for what in ("rate", "cpu")
    )
    print(f"The cluster's rate is {rates['cluster'] / rates['threads']:.2f} of that of two threads (medians).")
    print(f"Its CPU seconds are {cpu['cluster'] / cpu['threads']:.2f} of theirs.")
    print(f"A node holds {beyond / 1e6:.0f} MB beyond its worker.")
    print(json.dumps({name: [asdict(run) for run in each] for name, each in runs.items()} | {"beyond": beyond}))


@contextmanager
def _cluster() -> Iterator[tuple[psutil.Process, str]]:
    """The process that keeps the cluster, and the cluster's address."""
    keeper = subprocess.Popen(
        [sys.executable, str(_KEEPER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert keeper.stdin
    assert keeper.stdout
    address = keeper.stdout.readline().strip()
    try:
        for name in _NODES:
            keeper.stdin.write(f"add {name}\n")
            keeper.stdin.flush()
            keeper.stdout.readline()
        yield psutil.Process(keeper.pid), address
    finally:
        keeper.stdin.close()
        keeper.wait()


def _measured(gallery: str, keeper: psutil.Process, words: tuple[str, ...]) -> tuple[Run, int]:
    """A run into a new gallery, and what a node held beyond its worker when the first photos were stored."""
    spent = _Spent()
    if "--ray" in words:
        spent.look(keeper)
    before, started = spent.seconds, time.perf_counter()
    driver = psutil.Popen([_FACESEARCH, "index", "--gallery", gallery, *words], stdout=subprocess.PIPE)
    came: list[tuple[float, int]] = []
    held, looks = 0, 0
    while driver.poll() is None:
        stored = _stored(gallery)
        if stored and (not came or stored > came[-1][1]):
            came.append((time.perf_counter() - started, stored))
            held = held or (_beyond(keeper) if "--ray" in words else 0)
        if looks % _LOOKS == 0:
            spent.look(driver, *([keeper] if "--ray" in words else []))
        looks += 1
        time.sleep(_BETWEEN_LOOKS)
    if driver.returncode not in (0, 7):  # 7: some photos could not be read
        raise RuntimeError(f"index ended with {driver.returncode}")
    (first, few), (last, all_of_them) = came[0], came[-1]
    return Run(first, (all_of_them - few) / (last - first), spent.seconds - before), held


class _Spent:
    """CPU seconds of processes and of all that they began, as far as they were looked at: those of one that has ended
    are those of the last look."""

    def __init__(self) -> None:
        self._by_id: dict[int, float] = {}

    @property
    def seconds(self) -> float:
        return sum(self._by_id.values())

    def look(self, *roots: psutil.Process) -> None:
        with suppress(psutil.Error):
            for each in (one for root in roots for one in (root, *root.children(recursive=True))):
                times = each.cpu_times()
                self._by_id[each.pid] = times.user + times.system


def _stored(gallery: str) -> int:
    path = Path(os.environ["FACESEARCH_HOME"]) / "indexes" / gallery / "faces.db"
    if path.exists():
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db, suppress(sqlite3.OperationalError):
            return int(db.execute("SELECT count(*) FROM photos").fetchone()[0])
    return 0


def _beyond(keeper: psutil.Process) -> int:
    """Bytes that the largest node has for itself alone, or its part of what it shares, without its worker."""
    nodes = [each for each in keeper.children() if each.name() == "raylet"]
    return max(sum(_share(each) for each in (node, *_agents(node))) for node in nodes)


def _agents(node: psutil.Process) -> list[psutil.Process]:
    """What runs on a node beside its workers: those are called after their actor, and have their decoders below."""
    return [each for each in node.children() if not any("ray::Actor" in word for word in each.cmdline())]


def _share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    asked = parser.parse_args()
    main(asked.photos, asked.rounds, asked.precision)
