"""A long run of `index` while others ask: photos a second, its memory over time, and how long answers take.

    python benchmarks/load.py LFW [--photos 50000] [--processes 8] [--queries 1000]

LFW holds images/PERSON/*.jpg; copies of them with other bytes at their end are indexed into a new gallery in a
temporary home, while so many processes share the queries and spread them over the run. It ends with a line of JSON,
and with exit code 1 when a query failed."""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import memory

from facesearch import Gallery
from facesearch.errors import FaceSearchError

_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_EVERY = 5.0  # seconds between two looks at the memory
_BEGIN_AT = 500  # faces, before the first query


def main(lfw: Path, photos: int, processes: int, queries: int) -> int:
    with tempfile.TemporaryDirectory() as work:
        os.environ["FACESEARCH_HOME"] = str(Path(work) / "home")
        folder = Path(work) / "photos"
        asked = _copies(lfw / "images", folder, photos)
        (Path(work) / "asked").write_text("\n".join(map(str, asked)))
        subprocess.run([_FACESEARCH, "doctor"], check=True, capture_output=True)  # the networks are exported first
        indexing = subprocess.Popen([_FACESEARCH, "index", str(folder), "--json"], stdout=subprocess.PIPE)
        while _faces() < _BEGIN_AT and indexing.poll() is None:
            time.sleep(1)
        asking = [
            subprocess.Popen(
                [sys.executable, __file__, str(lfw), "--ask", str(n), str(queries // processes), work],
                stdout=subprocess.PIPE,
            )
            for n in range(processes)
        ]
        bytes_held = list(_memory_while_it_runs(indexing.pid))
        (Path(work) / "over").touch()
        said = [json.loads(each.communicate()[0]) for each in asking]
        summary = json.loads(indexing.communicate()[0])
    took = sorted(itertools.chain.from_iterable(each["seconds"] for each in said))
    errors = [error for each in said for error in each["errors"]]
    tenth = max(1, len(bytes_held) // 10)
    print(
        json.dumps(
            {
                "photos": photos,
                "exit_code": indexing.returncode,
                "photos_per_second": summary["photos_per_second"],
                "outcomes": summary["photos"],
                "memory_mb": {
                    "second_tenth": round(statistics.median(bytes_held[tenth : 2 * tenth]) / 1e6),
                    "last_tenth": round(statistics.median(bytes_held[-tenth:]) / 1e6),
                    "most": round(max(bytes_held) / 1e6),
                },
                "queries": len(took),
                "errors": errors,
                "query_seconds": {
                    "median": round(statistics.median(took), 3),
                    "p99": round(took[int(0.99 * len(took))], 3),
                    "most": round(took[-1], 3),
                },
            }
        )
    )
    return 1 if errors or indexing.returncode else 0


def _copies(images: Path, to: Path, count: int) -> list[Path]:
    """So many photos of which no two have the same bytes; some of the originals to ask about."""
    originals = sorted(images.rglob("*.jpg"))
    for i, original in zip(range(count), itertools.cycle(originals), strict=False):
        target = to / f"{i // 1000:03d}" / f"{i:06d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(original.read_bytes() + i.to_bytes(4))  # what follows the picture's end is not shown
    return originals[:: max(1, len(originals) // 100)]


def _faces() -> int:
    try:
        return Gallery.open().facts().faces
    except FaceSearchError:
        return 0


def _memory_while_it_runs(pid: int) -> Iterator[int]:
    """Bytes that the process and its children hold for themselves."""
    while now := memory.held(pid, "status", "RssAnon:"):
        yield now
        time.sleep(_EVERY)


def ask(number: int, count: int, work: Path) -> None:
    """One of the processes that ask: its answers' seconds and its errors, as JSON. It goes on until the run is over,
    and has asked so many by then if each could be answered in time; what is left it asks afterwards."""
    photos = (work / "asked").read_text().splitlines()
    gallery = Gallery.open(device="cpu")
    seconds: list[float] = []
    errors: list[str] = []
    for i in range(count):
        photo = photos[(number + 8 * i) % len(photos)]
        started = time.perf_counter()
        try:
            answer = gallery.query(photo, k=1)
            if not answer.matches:
                errors.append(f"{photo}: no match")
        except Exception as error:  # what went wrong is the result
            errors.append(f"{type(error).__name__}: {error}")
        seconds.append(time.perf_counter() - started)
        if not (work / "over").exists():
            time.sleep(_PAUSE)
    print(json.dumps({"seconds": seconds, "errors": errors}))


_PAUSE = 3.0  # seconds between two questions of a process, so that they spread over the run


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--photos", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--ask", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        ask(int(options.ask[0]), int(options.ask[1]), Path(options.ask[2]))
    else:
        sys.exit(main(options.lfw, options.photos, options.processes, options.queries))
