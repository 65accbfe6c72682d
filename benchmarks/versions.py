"""Two versions of facesearch, command by command in turn: `python benchmarks/versions.py OLD NEW PHOTOS [ROUNDS]`.

OLD and NEW are checkouts, both run by this Python with the packages that are installed here; PHOTOS is a folder of
photos. Prints the median CPU seconds and seconds by the clock of each version, children included, and the ratios."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_GALLERY = ("--gallery", "measured")


def main(old: Path, new: Path, photos: Path, rounds: int = 7) -> None:
    """Measures each command, the older version first in every other round."""
    a, b = sorted(str(path) for path in photos.rglob("*.jpg"))[:2]
    commands = {
        "--help": ("--help",),
        "verify": ("verify", a, b),
        "index, again": ("index", str(photos), *_GALLERY),
        "query": ("query", a, *_GALLERY),
        "index": ("index", str(photos), "--gallery", "new"),
    }
    with tempfile.TemporaryDirectory() as folder:
        homes = {version: Path(folder) / str(i) for i, version in enumerate((old, new))}
        for version, home in homes.items():
            _run(version, home, ("index", str(photos), *_GALLERY))
        for name, command in commands.items():
            spent: dict[Path, list[tuple[float, float]]] = {old: [], new: []}
            for number in range(rounds):
                for version in (old, new) if number % 2 == 0 else (new, old):
                    spent[version].append(_run(version, homes[version], command))
            print(name, *_compared(spent[old], spent[new]))


def _compared(old: list[tuple[float, float]], new: list[tuple[float, float]]) -> list[str]:
    sentences = []
    for i, what in enumerate(("CPU", "clock")):
        before, after = (statistics.median(each[i] for each in side) for side in (old, new))
        sentences.append(f"{what}: {before:.3f} s, {after:.3f} s, ratio {after / before:.3f};")
    return sentences


def _run(version: Path, home: Path, command: tuple[str, ...]) -> tuple[float, float]:
    """CPU seconds and seconds by the clock."""
    if "new" in command:  # an index starts from nothing
        shutil.rmtree(home / "indexes" / "new", ignore_errors=True)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(version), "FACESEARCH_HOME": str(home)}
    words = [sys.executable, "-P", "-m", "facesearch", *command]  # -P: not what lies in the current folder
    done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 1):  # 1 is the no of `verify`
        raise RuntimeError(f"{version}: {command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    spent, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, spent


if __name__ == "__main__":
    before, after, album = (Path(word).absolute() for word in sys.argv[1:4])
    main(before, after, album, int(sys.argv[4]) if len(sys.argv) > 4 else 7)
