"""Measures facesearch beside its peers, whole commands from start to end, and prints one table and JSON.

    python benchmarks/run.py LFW [--peers PYTHON] [--json FILE]

LFW is the folder that holds images/. PYTHON is the interpreter of an environment with face_recognition and deepface
(they need older packages than facesearch; nothing is installed here, and what is missing is said). Each command runs
several times, in turn with its peer's, and the median counts; the machine should do nothing else.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_PEERS = str(Path(__file__).with_name("peers.py"))
_INDEXED = 2000  # photos
_SAMPLE = {"face_recognition": 200, "deepface": 60}  # photos that a slow peer indexes; its rate is what counts
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a command."""

    seconds: float
    peak_mb: float


def run(command: Sequence[str], home: Path) -> Ran:
    """Runs a command to its end. An exit code above 1 is an error (1 is an honest no)."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"FACESEARCH_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command[:4])} ended with {process.returncode}: {said.decode()[-800:]}")
    return Ran(seconds, used.ru_maxrss / 1024)


def median(runs: Sequence[Ran]) -> float:
    """The median of the seconds."""
    return statistics.median(ran.seconds for ran in runs)


class Bench:
    """The measurements, each a row of the table."""

    def __init__(self, lfw: Path, peers: str | None, work: Path) -> None:
        self._photos = sorted((lfw / "images").glob("*/*.jpg"))
        self._images, self._peers, self._work = lfw / "images", peers, work
        self._home = work / "home"
        self.rows: list[dict[str, object]] = []

    def all(self) -> None:
        run([_FACESEARCH, "doctor"], self._home)  # exports the networks: done once on a machine, not timed
        self.help()
        self.verify()
        self.index()
        self.whole_collection()

    def help(self) -> None:
        seconds = median([run([_FACESEARCH, "--help"], self._home) for _ in range(9)])
        self._row("--help", seconds, "s", "under 0.3")

    def verify(self) -> None:
        a, b = (self._images / "George_W_Bush" / f"George_W_Bush_{i:04d}.jpg" for i in (1, 2))
        ours: list[Ran] = []
        theirs: dict[str, list[Ran]] = {peer: [] for peer in self._present()}
        for _ in range(_ROUNDS + 2):
            ours.append(run([_FACESEARCH, "verify", str(a), str(b)], self._home))
            for peer, runs in theirs.items():
                runs.append(run([str(self._peers), _PEERS, peer, "verify", str(a), str(b)], self._home))
        self._row("verify A B", median(ours), "s", "under 1.5")
        for peer, runs in theirs.items():
            self._row(f"  {peer}", median(runs), "s", f"{median(runs) / median(ours):.1f} times ours")

    def index(self) -> None:
        photos = self._photos[:_INDEXED]
        folder = self._work / "photos"
        for photo in photos:
            (folder / photo.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy2(photo, folder / photo.parent.name)
        ours: list[Ran] = []
        theirs: dict[str, list[float]] = {peer: [] for peer in self._present()}
        for _ in range(_ROUNDS):
            shutil.rmtree(self._home / "indexes", ignore_errors=True)
            ours.append(run([_FACESEARCH, "index", str(folder)], self._home))
            for peer, rates in theirs.items():
                rates.append(self._peer_rate(peer))
        rate = len(photos) / median(ours)
        self._row(f"index, {len(photos):,} photos", rate, "photos/s", "at least 4 times face_recognition")
        self._row("  peak memory", max(ran.peak_mb for ran in ours), "MB", "")
        for peer, rates in theirs.items():
            theirs_rate = statistics.median(rates)
            self._row(
                f"  {peer}, {_SAMPLE[peer]} photos",
                theirs_rate,
                "photos/s",
                f"ours is {rate / theirs_rate:.1f} times",
            )

    def _peer_rate(self, peer: str) -> float:
        """Photos a second, without the peer's start, which a long run would hide."""
        step = max(1, _INDEXED // _SAMPLE[peer])
        chosen = [str(photo) for photo in self._photos[:_INDEXED:step]][: _SAMPLE[peer]]
        seconds = []
        for name, photos in (("few", chosen[:4]), ("all", chosen)):
            listed = self._work / name
            listed.write_text("\n".join(photos))
            seconds.append(run([str(self._peers), _PEERS, peer, "index", str(listed)], self._home).seconds)
        return (len(chosen) - 4) / (seconds[1] - seconds[0])

    def whole_collection(self) -> None:
        shutil.rmtree(self._home / "indexes", ignore_errors=True)
        command = [_FACESEARCH, "index", str(self._images)]
        first = run(command, self._home)
        again = [run(command, self._home) for _ in range(_ROUNDS)]
        count = len(self._photos)
        self._row(f"index, {count:,} photos", count / first.seconds, "photos/s", "")
        self._row("  peak memory", first.peak_mb, "MB", "under 1,500, not growing")
        self._row("  second run", median(again), "s", "under 5")

    def _present(self) -> list[str]:
        if self._peers is None:
            return []
        found = []
        for peer in _SAMPLE:
            tried = subprocess.run([self._peers, "-c", f"import {peer}"], capture_output=True, check=False)
            if tried.returncode == 0:
                found.append(peer)
            else:
                print(f"{peer} cannot be imported by {self._peers}: it is left out.", file=sys.stderr)
        return found

    def _row(self, what: str, value: float, unit: str, target: str) -> None:
        self.rows.append({"what": what.strip(), "value": round(value, 2), "unit": unit, "target": target})
        print(f"{what:<34} {value:>9.2f} {unit:<9} {target}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--peers")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(given.lfw, given.peers, Path(work))
        bench.all()
    if given.json:
        given.json.write_text(json.dumps(bench.rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
