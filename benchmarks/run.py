"""Measures facesearch beside its peers, whole commands from start to end, and prints one table and JSON.

    python benchmarks/run.py PHOTOS [--backgrounds FOLDER] [--peer PYTHON]... [--only PART]... [--json FILE] [--tiny]

PHOTOS holds a folder of JPEGs for each person, as the images of Labeled Faces in the Wild do; FOLDER real photographs
for the backgrounds of large photos (benchmarks/large.py). PYTHON is the
interpreter of an environment with some of the peers face_recognition, deepface and facenet_pytorch (they need other
packages than facesearch, and than each other); nothing is installed here, and what is missing is said. Commands that
are compared run in turn, and medians count; the machine should do nothing else. `--tiny` takes seconds and measures
nothing of worth: it shows that all of this still runs.
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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import large
import memory
import numpy as np
from numpy.typing import NDArray

_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_HERE = Path(__file__).parent
_HONEST = (0, 1, 7)  # exit codes: done or yes, no, done but some photos could not be read


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: photos, or faces of a gallery."""

    small: int = 4000
    large: int = 200
    megapixels: float = 150  # of very large photos
    heic_shrink: int = 1  # of their sides: the whole ones take 20 seconds each to write
    whole: int = 60  # of the large ones, looked at in their own size
    gallery: tuple[int, ...] = (100_000, 1_000_000)
    unchanged: int = 200_000
    growth: int = 50_000
    window: int = 5_000
    chips: int = 2_048
    rounds: int = 3
    starts: int = 7  # how often a command that takes a second runs
    # What a slow peer indexes of the small and of the large photos: its rate is what counts.
    peers: tuple[tuple[str, int, int], ...] = (
        ("face_recognition", 200, 8),
        ("deepface", 80, 6),
        ("facenet_pytorch", 400, 0),
    )


_TINY = Sizes(6, 1, 2, 8, 1, (300,), 40, 16, 4, 64, 1, 1, ())


class CommandError(Exception):
    """A command ended with an error."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a command."""

    seconds: float
    peak_mb: float
    out: str

    def answer(self) -> dict[str, object]:
        """What it printed with --json."""
        answer: dict[str, object] = json.loads(self.out)
        return answer


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None where there is no target."""

    what: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


class Bench:
    """The measurements; each part adds rows to the table."""

    def __init__(
        self, photos: Path, peers: Sequence[str], sizes: Sizes, work: Path, backgrounds: Path | None = None
    ) -> None:
        self._folder, self._sizes, self._work, self._backgrounds = photos, sizes, work, backgrounds
        self._photos = sorted(photos.glob("*/*.jpg"))
        self._home = work / "home"
        self._peers = _present(peers, [name for name, *_ in sizes.peers])
        self.rows: list[Row] = []

    def parts(self) -> dict[str, Callable[[], None]]:
        """What can be measured, by name."""
        return {
            "start": self.start,
            "small": self.small,
            "large": self.large,
            "huge": self.huge,
            "embedding": self.embedding,
            "galleries": self.galleries,
            "unchanged": self.unchanged,
            "growth": self.growth,
        }

    def measure(self, only: Sequence[str]) -> None:
        self._run("doctor")  # exports the networks: done once on a machine, not timed
        for name, part in self.parts().items():
            if not only or name in only:
                part()

    def start(self) -> None:
        """Commands that are there at once."""
        help_ = _median(self._run("--help") for _ in range(self._sizes.starts))
        self._row("facesearch --help", help_, "s", "0.3 or less", help_ <= 0.3)
        pair = [str(photo) for photo in self._photos[:2]]
        ours, theirs = [], {peer: [] for peer in self._peers if peer != "facenet_pytorch"}  # type: ignore[var-annotated]
        for _ in range(self._sizes.starts):
            ours.append(self._run("verify", *pair))
            for peer, runs in theirs.items():
                runs.append(self._run_peer(peer, "verify", *pair))
        seconds = _median(ours)
        self._row("facesearch verify A B, cold", seconds, "s", "0.8 or less", seconds <= 0.8)
        for peer, runs in theirs.items():
            times, least = _median(runs) / seconds, {"face_recognition": 2, "deepface": 6}[peer]
            self._row(f"  {peer}, {_median(runs):.2f} s", times, "times ours", f"{least} or more", times >= least)

    def small(self) -> None:
        """The photos as they are."""
        count = min(self._sizes.small, len(self._photos))
        folder = self._copied("small", self._photos[:count])
        ours: list[Ran] = []
        theirs: dict[str, list[float]] = {peer: [] for peer in self._peers}
        for _ in range(self._sizes.rounds):
            ours.append(self._index("small", folder))
            for peer, rates in theirs.items():
                rates.append(self._peer_rate(peer, self._photos[:count], self._taken(peer)[0]))
        rate = count / _median(ours)
        self._row(f"facesearch index, {count:,} small photos", rate, "photos/s", "80 or more", rate >= 80)
        self._memory(ours)
        least = {"face_recognition": 8.0, "deepface": 15.0, "facenet_pytorch": 3.5}
        self._beside(theirs, rate, least)

    def large(self) -> None:
        """Photos of 12 megapixels, and what looking at them in a smaller size costs."""
        folder, heic = self._work / "large", self._work / "heic"
        # In a process of its own: the memory of this one would count as that of the commands that it starts.
        self._make_large(
            folder, self._sizes.large, "--heic", str(heic), "--heic-shrink", str(self._sizes.heic_shrink)
        )
        made = sorted(folder.glob("*.jpg"))
        ours: list[Ran] = []
        theirs: dict[str, list[float]] = {peer: [] for peer in self._peers if self._taken(peer)[1]}
        for _ in range(self._sizes.rounds):
            ours.append(self._index("large", folder))
            for peer, rates in theirs.items():
                rates.append(self._peer_rate(peer, made, self._taken(peer)[1]))
        rate = len(made) / _median(ours)
        self._row(f"facesearch index, {len(made):,} photos of 12 MP", rate, "photos/s", "12 or more", rate >= 12)
        self._memory(ours, 900)
        self._beside(theirs, rate, {"face_recognition": 50.0, "deepface": 50.0})
        for engine in ("auto", "float32"):
            seconds = self._index(engine, folder, "--precision", engine).seconds
            self._row(f"  with --precision {engine}", len(made) / seconds, "photos/s")
        seconds = self._index("heic", heic).seconds
        rate = sum(1 for _ in heic.iterdir()) / seconds
        self._row("  as HEIC", rate, "photos/s", "6 or more", rate >= 6)
        few = self._sizes.whole  # a whole photo takes seconds
        part = self._copied("part/large", made[:few])
        seconds = self._index("whole", part, "--max-side", "0").seconds
        whole = {str(folder / Path(path).name): boxes for path, boxes in self._boxes("whole").items()}
        recall = large.recall(folder, whole, self._boxes("large"))
        self._row("  recall of the heads found in whole photos", recall, "", "0.99 or more", recall >= 0.99)
        self._row("  with --max-side 0", min(few, len(made)) / seconds, "photos/s")
        rate = len(made) / self._index("min-face", folder, "--min-face", "40").seconds
        self._row("  with --min-face 40", rate, "photos/s", "18 or more", rate >= 18)
        self._row("    recall", large.recall(folder, whole, self._boxes("min-face")), "")

    def huge(self) -> None:
        """Photos of 150 and 196 megapixels, for the memory that they take."""
        folder = self._work / "huge"
        self._make_large(self._work / "one", 1, "--huge", str(folder), "--megapixels", str(self._sizes.megapixels))
        for name in ("huge", "progressive"):
            ran = self._index(name, folder / name)
            of = f"of {self._sizes.megapixels * (1 if name == 'huge' else 196 / 150):.0f} MP"
            what = f"three JPEGs and three PNGs {of}" if name == "huge" else f"a progressive JPEG {of}"
            self._row(f"facesearch index, {what}", ran.seconds, "s")
            self._memory([ran])

    def _make_large(self, folder: Path, count: int, *more: str) -> None:
        words = [str(self._folder), str(folder), "--count", str(count), *more]
        if self._backgrounds:
            words += ["--backgrounds", str(self._backgrounds)]
        self._ran([sys.executable, str(_HERE / "large.py"), *words])

    def _boxes(self, gallery: str) -> dict[str, NDArray[np.float64]]:
        return large.boxes(self._home / "indexes" / gallery / "faces.db")

    def embedding(self) -> None:
        """The embedder beside ONNX Runtime on the same chips."""
        script = str(_HERE / "embedding.py")
        chips = str(self._sizes.chips)
        found = json.loads(self._ran([sys.executable, script, "--chips", chips]).out)
        self._row("embedding alone, mirrored chips", found["float32"], "chips/s")
        share = 100 * found["float32"] / found["bare"]
        self._row("  of ONNX Runtime's bare rate", share, "%", "95 or more", share >= 95)
        if "bfloat16" in found:
            self._row("  by OpenVINO in bfloat16", found["bfloat16"], "chips/s")

    def galleries(self) -> None:
        """Queries in galleries of made-up faces, cold, and the building of their index."""
        photo = str(self._photos[0])
        for count in self._sizes.gallery:
            name = f"faces{count}"
            self._ran([sys.executable, str(_HERE / "galleries.py"), name, str(count)])
            first = self._run("query", photo, "--gallery", name)
            runs = [self._run("query", photo, "--gallery", name) for _ in range(self._sizes.starts)]
            most = 1.0 if count <= 100_000 else 1.3
            seconds = _median(runs)
            built = first.seconds - seconds
            self._row(f"facesearch query, cold, {count:,} faces", seconds, "s", f"{most} or less", seconds <= most)
            self._row("  the first one, which builds the index, more", built, "s", "300 or less", built <= 300)
        found = self._run("bench", "search", "--n", str(count), "--json").answer()
        best = found["recipes"][-1]  # type: ignore[index]
        what = f"search alone, {count:,} faces, {best['recipe']}"
        self._row(f"{what}: one query", best["one_ms"], "ms", "2 or less", best["one_ms"] <= 2)
        self._row("  1,000 at once", best["per_second"], "queries/s", "3,000 or more", best["per_second"] >= 3000)
        self._row("  recall@1", best["recall1"], "", "0.99 or more", best["recall1"] >= 0.99)

    def unchanged(self) -> None:
        """Runs in which nothing is new."""
        self._index("all", self._folder)
        again = _median(self._run("index", str(self._folder), "--gallery", "all") for _ in range(self._sizes.rounds))
        self._row(f"nothing new in {len(self._photos):,} photos", again, "s", "2 or less", again <= 2)
        folder = self._work / "many"
        large.make_many(folder, self._sizes.unchanged)
        self._index("many", folder)
        again = _median(self._run("index", str(folder), "--gallery", "many") for _ in range(self._sizes.rounds))
        self._row(f"nothing new in {self._sizes.unchanged:,} files", again, "s", "20 or less", again <= 20)

    def growth(self) -> None:
        """Whether a photo costs more in a gallery that is larger."""
        folder = self._work / "growth"
        photos = self._photos * (self._sizes.growth // len(self._photos) + 1)
        for i, photo in enumerate(photos[: self._sizes.growth]):
            part = folder / f"{i // 1000:04d}"
            part.mkdir(parents=True, exist_ok=True)
            # What comes after a JPEG's end is not decoded, but makes it another file.
            (part / f"{i:06d}.jpg").write_bytes(photo.read_bytes() + i.to_bytes(4, "big"))
        script, window = str(_HERE / "growth.py"), str(self._sizes.window)
        ran = self._ran([sys.executable, script, str(folder), "--window", window])
        rates = json.loads(ran.out)["photos_per_second"]
        share = 100 * statistics.median(rates[-3:]) / statistics.median(rates[:3])
        windows = f"each {self._sizes.window:,} of {self._sizes.growth:,} photos"
        self._row(f"slowest and fastest of {windows}", min(rates), "photos/s", f"fastest {max(rates):.1f}")
        self._row("  last three beside the first three", share, "%", "90 or more", share >= 90)
        self._memory([ran])

    def _memory(self, runs: Sequence[Ran], most: int = 1200) -> None:
        peak = max(ran.peak_mb for ran in runs)
        self._row("  peak memory", peak, "MB", f"under {most:,}", peak < most)

    def _beside(self, theirs: dict[str, list[float]], ours: float, least: dict[str, float]) -> None:
        for peer, rates in theirs.items():
            rate = statistics.median(rates)
            if not rate:
                self._row(f"  {peer} fails, as said above", 0.0, "photos/s", f"{least[peer]} times")
                continue
            times = ours / rate
            self._row(
                f"  {peer}, {rate:.2f} photos/s", times, "times", f"{least[peer]} or more", times >= least[peer]
            )

    def _taken(self, peer: str) -> tuple[int, int]:
        """How many of the small and of the large photos a peer is measured on."""
        return next((small, large) for name, small, large in self._sizes.peers if name == peer)

    def _index(self, gallery: str, folder: Path, *options: str) -> Ran:
        """A gallery made from nothing."""
        shutil.rmtree(self._home / "indexes" / gallery, ignore_errors=True)
        return self._run("index", str(folder), "--gallery", gallery, "--json", *options)

    def _copied(self, name: str, photos: Sequence[Path]) -> Path:
        for photo in photos:
            to = self._work / name / photo.parent.name
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(photo, to)
        return self._work / name

    def _peer_rate(self, peer: str, photos: Sequence[Path], count: int) -> float:
        """Photos a second, without the peer's start, which a long run would hide; 0 where the peer fails."""
        step = max(1, len(photos) // count)
        chosen = [str(photo) for photo in photos[::step]][:count]
        few = max(1, len(chosen) // 8)
        seconds = []
        for part in (chosen[:few], chosen):
            listed = self._work / "listed"
            listed.write_text("\n".join(part))
            try:
                seconds.append(self._run_peer(peer, "index", str(listed)).seconds)
            except CommandError as error:
                print(f"{peer}, {len(part)} photos: {error}", file=sys.stderr)
                return 0.0
        return (len(chosen) - few) / (seconds[1] - seconds[0])

    def _run(self, *words: str) -> Ran:
        return self._ran([_FACESEARCH, *words])

    def _run_peer(self, peer: str, *words: str) -> Ran:
        return self._ran([self._peers[peer], str(_HERE / "peers.py"), peer, *words])

    def _ran(self, command: Sequence[str]) -> Ran:
        """Runs a command to its end. An exit code that means an error ends all."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said:
            started = time.perf_counter()
            env = os.environ | {"FACESEARCH_HOME": str(self._home), "TF_CPP_MIN_LOG_LEVEL": "3"}
            process = subprocess.Popen(command, stdout=out, stderr=said, env=env)
            with memory.watched(process.pid) as most:
                process.wait()
                seconds = time.perf_counter() - started
            out.seek(0), said.seek(0)
            if process.returncode not in _HONEST:
                words = " ".join(command[:4])
                raise CommandError(f"{words} ended with {process.returncode}: {said.read()[-800:]}")
            return Ran(seconds, most[0] / 1e6, out.read())

    def _row(self, what: str, value: float, unit: str, target: str = "", met: bool | None = None) -> None:
        self.rows.append(Row(what.strip(), round(float(value), 4), unit, target, met))
        verdict = "" if met is None else "met" if met else "MISSED"
        print(f"{what:<52} {value:>10.2f} {unit:<10} {target:<16} {verdict}", flush=True)


def _median(runs: Iterable[Ran]) -> float:
    """The median of the seconds."""
    return statistics.median(ran.seconds for ran in runs)


def _present(pythons: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The peers by name, with the interpreter that can import them."""
    found = {}
    for name in names:
        able = (
            python
            for python in pythons
            if not subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode
        )
        python = next(able, None)
        if python:
            found[name] = python
        else:
            print(f"{name} is left out: no --peer can import it.", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--backgrounds", type=Path, help="a folder of real photographs")
    parser.add_argument("--peer", action="append", default=[], help="an interpreter that can import peers")
    parser.add_argument("--only", action="append", default=[], help="one part; several may be named")
    parser.add_argument("--rounds", type=int, help="how often an index is made")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    sizes = _TINY if given.tiny else Sizes()
    if given.rounds:
        sizes = replace(sizes, rounds=given.rounds)
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(given.photos, given.peer, sizes, Path(work), given.backgrounds)
        unknown = set(given.only) - set(bench.parts())
        if unknown:
            raise SystemExit(f"There is no part {', '.join(unknown)}; there is {', '.join(bench.parts())}.")
        bench.measure(given.only)
    if given.json:
        rows = [{name: getattr(row, name) for name in Row.__slots__} for row in bench.rows]
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
