"""Runs a command and says how much memory it and all that it starts held together at the most, in MB.

    python benchmarks/memory.py facesearch index PHOTOS

Memory that processes share counts once."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EVERY = 0.2  # seconds


def main(command: list[str]) -> int:
    process = subprocess.Popen(command)
    with watched(process.pid) as most:
        process.wait()
    print(f"{most[0] / 1e6:,.0f} MB at the most")
    return process.returncode


@contextmanager
def watched(pid: int, every: float = _EVERY) -> Iterator[list[int]]:
    """Looks at a process and all that it starts, `every` so many seconds, beside what is done inside; the most bytes
    that they held together, as the only item."""
    most = [0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            most[0] = max(most[0], held(pid, "smaps_rollup", "Pss:"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        over.set()
        looking.join()


def held(pid: int, file: str, line: str) -> int:
    """Bytes of a process and all that it started together, as that line of that file of each in /proc says."""
    return sum(_bytes_in(Path(f"/proc/{each}/{file}"), line) for each in _family(pid))


def _family(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                found += _family(int(child))
        except OSError:
            continue
    return found


def _bytes_in(file: Path, start: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(start))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
