"""The replication of FaceNet on LFW and Yale B, on what two cores can do:

a  LFW as training and as test set, from scratch: View 2's 6,000 pairs, and 10,000 random pairs, a third of one
   person;
b  its honest twin: trained without the people of a fold of View 2, tried on its 600 pairs; three folds;
c  Yale B: trained on all of it and tried on all of it; and half of its lights, or of its people, trained on and the
   others tried; with 128 numbers and reduced to 32;
d  the miners at the same number of steps, from the same start, with two seeds.

    FACESEARCH_HOME=HOME python benchmarks/facenet.py CROPS UPRIGHT PAIRS YALEB WORK [NAME ...]

CROPS is what `facesearch align --size 96 --warp` makes of LFW, UPRIGHT what `--size 150 --warp` makes of it (for
those that start from dlib-resnet), PAIRS its pairs.txt. With names, such as `a` or `b-10`, only these are trained.
Models that are in HOME are not trained again. What was reached goes into facenet.json beside this file, and each
course of a training into facenet/NAME.csv."""

import csv
import importlib
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
from facesearch.evaluation.metrics import verification
from facesearch.evaluation.pairs import random_pairs
from facesearch.home import model_dir
from facesearch.models.cards import embedder_card, model_cards
from facesearch.models.engines.keras import import_keras
from facesearch.models.weight_files import read_weights
from facesearch.training.chips import ChipStore

_HERE = Path(__file__).parent
_SCRATCH = ("--warped", "--held-out", "0")
_TUNED = ("--init", "dlib-resnet", "--steps", "40", "--epochs", "2", "--people", "20", "--held-out", "0")
_REMEMBERING = ("--memory", "4096")  # the default when these were trained first; for strangers it proved worse
_YALE = (*_REMEMBERING, "--people", "12", "--held-out", "0", "--steps", "100")
_MINED = ("--init", "b-10", "--steps", "50", "--epochs", "3", "--held-out", "0", "--learning-rate", "0.0003")
_FOLDS = (10, 1, 2)  # of View 2
_REACHED = (0.90, 0.95, 0.98)


@dataclass(frozen=True)
class Row:
    """A line of the table. `course` says after how many iterations and minutes an accuracy was first seen, as far as
    it was."""

    name: str
    command: str
    reached: dict[str, str]
    course: dict[str, str]


def main(crops: Path, upright: Path, pairs: Path, data: Path, work: Path, *, names: Sequence[str]) -> None:
    """Trains what is missing, and writes what all reached."""
    file = _HERE / "facenet.json"
    rows = {row["name"]: row for row in json.loads(file.read_text())} if file.exists() else {}
    done: set[str] = set()
    for name, folder, options in _runs(crops, upright, pairs, data, work):
        if names and name not in names:
            continue
        row = _row(name, folder, options)
        if name == "a":
            row.reached["10,000 random pairs (train = test)"] = _on_random_pairs(name, crops)
        rows[name] = asdict(row)
        done.add(name)
        print(json.dumps(rows[name]), flush=True)
        file.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
        if set(names) and set(names) <= done:
            return


def _runs(
    crops: Path, upright: Path, pairs: Path, data: Path, work: Path
) -> Iterator[tuple[str, Path, Sequence[str]]]:
    yield "a", crops, (*_SCRATCH, *_REMEMBERING, "--eval-pairs", str(pairs))
    for fold in _FOLDS:
        honest, exam = _without_fold(crops, pairs, fold, work / f"fold-{fold}")
        yield f"b-{fold}", honest, (*_SCRATCH, "--epochs", "20", "--eval-pairs", str(exam))
    for part, epochs in (("all", 20), ("all-longer", 50), ("lights", 20), ("people", 20)):
        learned, exam = _part_of_yale(data, part.partition("-")[0], work / part)
        options = (*_YALE, "--epochs", str(epochs), "--eval-pairs", str(exam))
        yield f"c-{part}", learned, options
        yield f"c-{part}-32", learned, (*options, "--pca", "32", "--resume")
    honest, exam = _without_fold(crops, pairs, 10, work / "fold-10")
    for seed in (0, 1):
        for miner in ("semi-hard", "hard", "hard-within", "random"):
            mined = (*_MINED, "--miner", miner, "--seed", str(seed), "--eval-pairs", str(exam))
            yield f"d-{miner}-{seed}", honest, mined
    yield "a-tuned", upright, (*_TUNED, "--eval-pairs", str(pairs))
    honest, exam = _without_fold(upright, pairs, 10, work / "fold-10-upright")
    yield "b-tuned", honest, (*_TUNED, "--eval-pairs", str(exam))


def _row(name: str, folder: Path, options: Sequence[str]) -> Row:
    """Trains a model where it is not there; what its card and its curves say."""
    words = ["train", str(folder), "--out", name, *options]
    if name not in model_cards():
        if "--resume" in options:  # the same training, reduced otherwise
            shutil.copytree(
                model_dir(name.rpartition("-")[0]), model_dir(name), ignore=_but_checkpoint, dirs_exist_ok=True
            )
        elif (model_dir(name) / "checkpoint.npz").exists():
            words.append("--resume")  # it was interrupted
        subprocess.run([str(Path(sys.executable).with_name("facesearch")), *words], check=True)
    curves = model_dir(name) / "curves.csv"
    with curves.open(newline="") as file:
        epochs = list(csv.DictReader(file))
    if "--pca" not in options:
        (_HERE / "facenet").mkdir(exist_ok=True)
        shutil.copyfile(curves, _HERE / "facenet" / f"{name}.csv")
    shown = " ".join(Path(word).name if Path(word).is_absolute() else word for word in ["facesearch", *words])
    course = {"iterations": epochs[-1]["steps"], "minutes": epochs[-1]["minutes"]} | _course(epochs)
    return Row(name, shown, dict(embedder_card(name).accuracy), course)


def _course(epochs: Sequence[dict[str, str]]) -> dict[str, str]:
    seen = [row for row in epochs if row["pairs_accuracy"]]
    first = {least: next((row for row in seen if float(row["pairs_accuracy"]) >= least), None) for least in _REACHED}
    return {
        f"{least:.2f}": f"{row['steps']} iterations, {row['minutes']} minutes" for least, row in first.items() if row
    }


def _but_checkpoint(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name not in ("checkpoint.npz", "curves.csv")]


def _on_random_pairs(name: str, crops: Path) -> str:
    """The accuracy on 10,000 pairs of the crops, drawn anew."""
    import_keras()
    photos, people = lfw.everyone(crops)
    pairs = random_pairs(photos, people, seed=2019)
    card = embedder_card(name)
    network = importlib.import_module(f"facesearch.models.networks.{card.network}")
    model = network.keras_models(read_weights(card), card)["embedder"]
    rows = np.concatenate(
        [np.asarray(model.predict_on_batch(part)) for part in ChipStore(pairs.photos, card.chip_px).all(256)]
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similarities = np.einsum("ij,ij->i", rows[pairs.first], rows[pairs.second]).astype(np.float64)
    found = verification(np.clip(similarities, -1, 1), pairs.same, pairs.folds)
    assert found.accuracy is not None
    return f"{found.accuracy.mean:.4f} ± {found.accuracy.std:.4f}"


def _without_fold(crops: Path, pairs: Path, fold: int, work: Path) -> tuple[Path, Path]:
    """A folder of everybody whom a fold, counted from 1, does not show, and its 600 pairs as a file."""
    listed = lfw.read_pairs(pairs, crops)
    assert listed.folds is not None
    tried = np.flatnonzero(listed.folds == np.unique(listed.folds)[fold - 1])
    rows = [(listed.photos[listed.first[i]], listed.photos[listed.second[i]], int(listed.same[i])) for i in tried]
    tested = {Path(photo).parent.name for a, b, _ in rows for photo in (a, b)}
    people = [person for person in sorted(crops.iterdir()) if person.is_dir() and person.name not in tested]
    for person in people:
        _link(person, work / "people" / person.name)
    return work / "people", _write_pairs(work / "pairs.csv", rows)


def _part_of_yale(data: Path, part: str, work: Path) -> tuple[Path, Path]:
    """A folder of everything, of half of the lights (every other by angle) of everybody, or of every other person in
    all lights; and 3,000 pairs as a file, a third of one person: of everything, or of the other half."""
    found = yaleb.find(data)
    people = np.array(found.people)
    order = np.lexsort((np.array(found.photos), found.angles))
    rank = np.empty(len(order), np.intp)
    for person in np.unique(people):
        own = order[people[order] == person]
        rank[own] = np.arange(len(own))
    number = np.unique(people, return_inverse=True)[1] if part == "people" else rank
    is_learned = number % 2 == 0 if part != "all" else np.ones(len(people), bool)
    for i in np.flatnonzero(is_learned):
        photo = Path(found.photos[i])
        _link(photo, work / "learned" / people[i] / photo.name)
    others = np.flatnonzero(~is_learned) if part != "all" else np.arange(len(people))
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
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*(Path(word) for word in sys.argv[1:6]), names=sys.argv[6:])
