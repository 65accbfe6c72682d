"""Runs a command and says how much memory it and all that it starts held together at the most, in MB.

    python benchmarks/memory.py facesearch index PHOTOS

Memory that processes share counts once."""

import subprocess
import sys
import time
from pathlib import Path

_EVERY = 0.1  # seconds


def main(command: list[str]) -> int:
    most = 0
    process = subprocess.Popen(command)
    while process.poll() is None:
        most = max(most, sum(map(_share_of, _family(process.pid))))
        time.sleep(_EVERY)
    print(f"{most / 1e6:,.0f} MB at the most")
    return process.returncode


def _family(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                found += _family(int(child))
        except OSError:
            continue
    return found


def _share_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
