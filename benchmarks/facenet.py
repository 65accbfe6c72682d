"""The replication of FaceNet on LFW and Yale B, run again as far as the machine goes:

a  LFW as training and as test set;   b  its honest twin: trained without the people of the tenth fold, tried on it;
c  Yale B, trained on half of its lights or half of its people, with embeddings reduced to fewer numbers;
d  the miners at the same number of steps, from the same start.

    FACESEARCH_HOME=HOME python benchmarks/facenet.py CROPS UPRIGHT PAIRS YALEB WORK

CROPS is what `facesearch align --size 128 --margin 32` makes of LFW, UPRIGHT what `--size 150 --warp` makes of it,
PAIRS its pairs.txt. Models that are in HOME are not trained again. Writes facenet.json beside this file."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from facesearch.evaluation import lfw, yaleb
from facesearch.home import model_dir
from facesearch.models.cards import embedder_card, model_cards

_HERE = Path(__file__).parent
_SCRATCH = ("--size", "64", "--steps", "115", "--held-out", "0", "--epochs", "9")
_TUNED = ("--init", "dlib-resnet", "--steps", "40", "--epochs", "2", "--held-out", "0")
_YALE = ("--size", "64", "--steps", "30", "--held-out", "0", "--epochs", "10", "--dim", "256", "--people", "10",
         "--per-person", "8")  # fmt: skip
_MINED = ("--init", "b-scratch", "--steps", "60", "--epochs", "3", "--held-out", "0", "--learning-rate", "0.0003")
_REDUCED = (128, 64, 32)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    command: str
    reached: dict[str, str]


def main(crops: Path, upright: Path, pairs: Path, data: Path, work: Path) -> None:
    """Trains what is missing, and writes what all reached."""
    rows = []
    for name, folder, options in _runs(crops, upright, pairs, data, work):
        rows.append(_row(name, folder, options))
        print(json.dumps(asdict(rows[-1])), flush=True)
        (_HERE / "facenet.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def _runs(
    crops: Path, upright: Path, pairs: Path, data: Path, work: Path
) -> Iterator[tuple[str, Path, Sequence[str]]]:
    on = ("--eval-pairs", str(pairs))
    yield "a-scratch", crops, (*_SCRATCH, *on)
    yield "a-tuned", upright, (*_TUNED, *on)
    honest, tenth = _without_tenth_fold(crops, pairs, work / "nine")
    honest_upright, tenth_upright = _without_tenth_fold(upright, pairs, work / "nine-upright")
    yield "b-scratch", honest, (*_SCRATCH, "--eval-pairs", str(tenth))
    yield "b-tuned", honest_upright, (*_TUNED, "--eval-pairs", str(tenth_upright))
    for half in ("lights", "people"):
        learned, exam = _half_of_yale(data, half, work / half)
        yield f"c-{half}", learned, (*_YALE, "--eval-pairs", str(exam))
        for dim in _REDUCED:
            yield f"c-{half}-{dim}", learned, (*_YALE, "--eval-pairs", str(exam), "--pca", str(dim), "--resume")
    for miner in ("semi-hard", "hard", "hard-within", "random"):
        yield f"d-{miner}", honest, (*_MINED, "--miner", miner, "--eval-pairs", str(tenth))
    alone = (*_SCRATCH[:-1], "3", "--recipe", "triplet")
    yield "d-triplets-alone", honest, (*alone, "--eval-pairs", str(tenth))


def _row(name: str, folder: Path, options: Sequence[str]) -> Row:
    """Trains a model where it is not there; what its card and its curves say."""
    words = ["train", str(folder), "--out", name, *options]
    if name not in model_cards():
        if "--resume" in options:  # the same training, reduced otherwise
            shutil.copytree(model_dir(name.rpartition("-")[0]), model_dir(name), ignore=_but_checkpoint)
        subprocess.run([str(Path(sys.executable).with_name("facesearch")), *words], check=True)
    curves = model_dir(name) / "curves.csv"
    with curves.open(newline="") as file:
        spent = list(csv.DictReader(file))
    shown = " ".join(Path(word).name if Path(word).is_absolute() else word for word in ["facesearch", *words])
    return Row(name, shown, embedder_card(name).accuracy | {"epochs": str(len(spent))})


def _but_checkpoint(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name not in ("checkpoint.npz", "curves.csv")]


def _without_tenth_fold(crops: Path, pairs: Path, work: Path) -> tuple[Path, Path]:
    """A folder of everybody whom the tenth fold does not show, and its 600 pairs as a file."""
    listed = lfw.read_pairs(pairs, crops)
    assert listed.folds is not None
    tenth = np.flatnonzero(listed.folds == listed.folds.max())
    rows = [(listed.photos[listed.first[i]], listed.photos[listed.second[i]], int(listed.same[i])) for i in tenth]
    tested = {Path(photo).parent.name for a, b, _ in rows for photo in (a, b)}
    people = [person for person in sorted(crops.iterdir()) if person.is_dir() and person.name not in tested]
    for person in people:
        _link(person, work / "people" / person.name)
    return work / "people", _write_pairs(work / "tenth.csv", rows)


def _half_of_yale(data: Path, half: str, work: Path) -> tuple[Path, Path]:
    """A folder of half of the lights (every other by angle) of everybody, or of every other person in all lights; and
    3,000 pairs of the other half as a file, a third of one person."""
    found = yaleb.find(data)
    people = np.array(found.people)
    order = np.lexsort((np.array(found.photos), found.angles))
    rank = np.empty(len(order), np.intp)
    for person in np.unique(people):
        own = order[people[order] == person]
        rank[own] = np.arange(len(own))
    number = np.unique(people, return_inverse=True)[1] if half == "people" else rank
    for i in np.flatnonzero(number % 2 == 0):
        photo = Path(found.photos[i])
        _link(photo, work / "learned" / people[i] / photo.name)
    others = np.flatnonzero(number % 2 == 1)
    rng = np.random.default_rng(0)
    every = np.array(list(combinations(others, 2)))
    same = people[every[:, 0]] == people[every[:, 1]]
    rows = [
        (found.photos[a], found.photos[b], int(kind))
        for kind, count in ((True, 1000), (False, 2000))
        for a, b in rng.permutation(every[same == kind])[:count]
    ]
    return work / "learned", _write_pairs(work / "pairs.csv", rows)


def _link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(target.absolute())


def _write_pairs(path: Path, rows: Sequence[tuple[str, str, int]]) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerows(
            [("a", "b", "same"), *((str(Path(a).absolute()), str(Path(b).absolute()), same) for a, b, same in rows)]
        )
    return path


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
