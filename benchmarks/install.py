"""What an installation costs, and the first run after it.

    python benchmarks/install.py [--extra cpu] [--rounds 3]

Installs this checkout with an extra into a fresh environment, with the versions of constraints.txt, and indexes one
photo with an empty home. Says in a line of JSON how many MB the packages take on disk (beyond an empty environment),
how many seconds pip took (with what its cache already held), and of each first run the seconds and the MB of memory
that it held at the most, with all processes that it started."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import memory

_REPOSITORY = Path(__file__).resolve().parents[1]
_EVERY = 0.02  # seconds between two looks at the memory: the whole run takes two
_PHOTO = _REPOSITORY / "facesearch" / "astronaut.jpg"


def main(extra: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as work:
        place = Path(work) / "venv"
        venv.create(place, with_pip=True)
        empty = _bytes_in(place)
        started = time.perf_counter()
        _install(place / "bin" / "pip", extra)
        seconds = time.perf_counter() - started
        first = [_first_run(place / "bin" / "facesearch", Path(work) / f"home{i}") for i in range(rounds)]
        report = {
            "python": platform.python_version(),
            "extra": extra,
            "megabytes": round((_bytes_in(place) - empty) / 1e6),
            "pip_seconds": round(seconds, 1),
            "first_run_seconds": [round(took, 2) for took, _ in first],
            "first_run_megabytes": [round(held / 1e6) for _, held in first],
        }
    print(json.dumps(report))


def _install(pip: Path, extra: str) -> None:
    constraints = str(_REPOSITORY / "constraints.txt")
    command = [str(pip), "install", "--quiet", "-c", constraints, f"{_REPOSITORY}[{extra}]"]
    subprocess.run(command, check=True, stdout=sys.stderr)


def _first_run(facesearch: Path, home: Path) -> tuple[float, int]:
    """The seconds of an `index` of one photo that prepares the networks first, and the bytes that it held."""
    environment = os.environ | {"FACESEARCH_HOME": str(home)}
    started = time.perf_counter()
    process = subprocess.Popen([str(facesearch), "index", str(_PHOTO)], env=environment, stdout=sys.stderr)
    with memory.watched(process.pid, _EVERY) as most:
        code = process.wait()
        seconds = time.perf_counter() - started
    if code:
        raise SystemExit(f"facesearch index ended with {code}.")
    return seconds, most[0]


def _bytes_in(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", default="cpu", help="the extra to install")
    parser.add_argument("--rounds", type=int, default=3, help="first runs, each with an empty home")
    given = parser.parse_args()
    main(given.extra, given.rounds)
