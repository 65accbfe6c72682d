"""Recipes of training, each a change of one of them, tried on people whom View 2 of LFW does not show: 52 of them
with two photos or more, all pairs of their 133 photos; trained on everybody else of LFW.

    python benchmarks/recipes.py CROPS PAIRS [NAME ...]

CROPS is what `facesearch align --size 96 --warp` makes of LFW, PAIRS its pairs.txt. With names, only these
recipes are trained, and nothing is compared where the first is not among them. What each reached goes into
recipes.json beside this file, with its difference from the first on the same pairs and the deviation of that over
500 samples of the people; each course into recipes/NAME.csv, and all of them as a picture into
recipes.png; --draw makes that alone."""

import argparse
import csv
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from facesearch.evaluation import lfw
from facesearch.evaluation.metrics import equal_error_rate, roc
from facesearch.evaluation.pairs import Pairs
from facesearch.models.engines.keras import import_keras
from facesearch.training.initial_network import fresh
from facesearch.training.people import LEAST_PHOTOS, People, find
from facesearch.training.plan import SOFTMAX_SHARE, Plan, ValidationSets
from facesearch.training.validation import ValidationSet

_HERE = Path(__file__).parent
_STEPS, _EPOCHS = 80, 10
_SOFTMAX_STEPS = _STEPS * round(_EPOCHS * SOFTMAX_SHARE)
_SAMPLES = 500
_FIRST = Plan(  # that of `facesearch train`, but for the memory, in which it has none
    recipe="softmax-then-triplet",
    miner="semi-hard",
    criterion="margin",
    margin=0.2,
    people=32,
    per_person=4,
    epochs=_EPOCHS,
    steps=_STEPS,
    learning_rate=2e-3,
    seed=0,
    memory=4096,
    precision="bfloat16",
)

Similarities = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """What differs from the first: of the plan, of the softmax's loss, and other things."""

    plan: dict[str, Any] = field(default_factory=dict)
    softmax: dict[str, float] = field(default_factory=dict)
    softmax_share: float = SOFTMAX_SHARE
    dim: int = 128

    @property
    def differences(self) -> dict[str, Any]:
        """All that is not as in the first."""
        return {key: value for key, value in asdict(self).items() if value != asdict(Recipe())[key]}


_RECIPES = {
    "memory-4096": Recipe(),
    "memory-4096-another-seed": Recipe({"seed": 1}),
    "default": Recipe({"memory": 0}),
    "default-another-seed": Recipe({"memory": 0, "seed": 1}),
    "softmax-for-half": Recipe(softmax_share=0.5),
    "softmax-but-for-an-epoch": Recipe(softmax_share=1.0),
    "scale-64-margin-0.35": Recipe(softmax={"scale": 64.0, "margin": 0.35}),
    "scale-20-margin-0.1": Recipe(softmax={"scale": 20.0, "margin": 0.1}),
    "256-numbers": Recipe(dim=256),
    "16-people-of-8": Recipe({"people": 16, "per_person": 8}),
    "rate-0.004": Recipe({"learning_rate": 4e-3}),
}


def main(crops: Path, pairs: Path, names: Sequence[str], draw: bool) -> None:
    """Trains, and writes what was reached."""
    if draw:
        return _draw()
    import_keras()
    learned, tried = _outside(find(crops), pairs)
    file = _HERE / "recipes.json"
    rows = {row["name"]: row for row in json.loads(file.read_text())} if file.exists() else {}
    expected: Similarities | None = None
    for name, recipe in _RECIPES.items():
        if names and name not in names:
            continue
        found, minutes = _trained(name, recipe, learned, tried)
        expected = found if not recipe.differences else expected
        rows[name] = _row(name, recipe, minutes, found, expected, tried)
        print(json.dumps(rows[name]), flush=True)
        file.write_text(json.dumps(list(rows.values()), indent=1) + "\n")
    return _draw()


def _draw() -> None:
    """The AUC of each recipe by iterations."""
    from matplotlib.figure import Figure

    courses = {}
    for name in _RECIPES:
        path = _HERE / "recipes" / f"{name}.csv"
        if path.exists():
            with path.open(newline="") as file:
                courses[name] = [(int(row["steps"]), float(row["pairs_auc"])) for row in csv.DictReader(file)]
    figure = Figure(figsize=(9, 4.5), dpi=160, layout="constrained")
    axes = figure.add_subplot()
    best_last = sorted(courses, key=lambda name: courses[name][-1][1], reverse=True)
    colours = count()
    for name in best_last:
        is_default = name.startswith("default")
        style = {"color": "black", "linewidth": 2.5} if is_default else {"color": f"C{next(colours)}"}
        line = "--" if "another-seed" in name else "-"
        axes.plot(*zip(*courses[name], strict=True), line, label=f"{courses[name][-1][1]:.3f}  {name}", **style)
    axes.axvline(_SOFTMAX_STEPS, color="0.6", linewidth=1)
    axes.annotate("triplets", (_SOFTMAX_STEPS, 0.52), (5, 0), textcoords="offset points", color="0.4")
    axes.set(xlabel="iterations of 128 photos", ylabel="AUC on people not trained on", ylim=(0.45, 1))
    axes.grid(color="0.9")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.savefig(_HERE / "recipes.png")


def _outside(everybody: People, file: Path) -> tuple[People, People]:
    """Those to train on, and those with two photos or more whom the pairs of a file do not show."""
    shown = {Path(photo).parent.name for photo in lfw.read_pairs(file, Path(everybody.photos[0]).parents[1]).photos}
    counts = np.bincount(everybody.who)
    tried = np.array([i for i, name in enumerate(everybody.names) if counts[i] >= LEAST_PHOTOS and name not in shown])
    return everybody.subset(np.setdiff1d(np.arange(len(everybody.names)), tried)), everybody.subset(tried)


def _trained(name: str, recipe: Recipe, learned: People, tried: People) -> tuple[Similarities, float]:
    """Similarities of all pairs of those who are tried, (pairs,), and the minutes that it took."""
    from facesearch.training.loop import Trainer
    from facesearch.training.losses import CosineMarginLoss

    first, second = np.triu_indices(len(tried.photos), 1)
    pairs = Pairs(tried.photos, first, second, tried.who[first] == tried.who[second], None)
    nobody = People((), np.array([], np.intp), ())
    sets = ValidationSets(nobody, None, ValidationSet("others", pairs, len(tried.names)))
    # No options of `facesearch train`:
    share = patch("facesearch.training.plan.SOFTMAX_SHARE", recipe.softmax_share)
    loss = patch("facesearch.training.loop.CosineMarginLoss", partial(CosineMarginLoss, **recipe.softmax))
    with tempfile.TemporaryDirectory() as folder, share, loss:
        initial = fresh("resnet", recipe.dim, 64, warped=True)
        trainer = Trainer(initial, replace(_FIRST, **recipe.plan), learned, sets, Path(folder))
        started = time.perf_counter()
        trainer.run()
        minutes = (time.perf_counter() - started) / 60
        (_HERE / "recipes").mkdir(exist_ok=True)
        shutil.copyfile(Path(folder) / "curves.csv", _HERE / "recipes" / f"{name}.csv")
        rows = trainer._embedded(tried.photos).astype(np.float64)
    return np.einsum("ij,ij->i", rows[first], rows[second]), minutes


def _row(
    name: str, recipe: Recipe, minutes: float, found: Similarities, expected: Similarities | None, tried: People
) -> dict[str, Any]:
    first, second = np.triu_indices(len(tried.photos), 1)
    same = tried.who[first] == tried.who[second]

    def auc(similarities: Similarities, weights: NDArray[np.float64] | None = None) -> float:
        return float(roc_auc_score(same, similarities, sample_weight=weights))

    row = {
        "name": name,
        "differs": recipe.differences,
        "iterations": _STEPS * _EPOCHS,
        "minutes": round(minutes, 1),
        "auc": round(auc(found), 4),
        "eer": round(equal_error_rate(roc(found, same)), 4),
    }
    if expected is None or not recipe.differences:
        return row
    differences = [auc(found, weights) - auc(expected, weights) for weights in _weights(tried, first, second, same)]
    return row | {
        "auc_over_first": round(auc(found) - auc(expected), 4),
        "deviation": round(float(np.std(differences)), 4),
    }


def _weights(tried: People, first: NDArray[Any], second: NDArray[Any], same: NDArray[Any]) -> Iterator[Any]:
    """Of each pair, as often as samples of the people are drawn: how often its people are in the sample."""
    rng = np.random.default_rng(0)
    people = len(tried.names)
    for _ in range(_SAMPLES):
        times = np.bincount(rng.integers(0, people, people), minlength=people).astype(np.float64)
        a, b = times[tried.who[first]], times[tried.who[second]]
        yield np.where(same, a, a * b)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--draw", action="store_true")
    main(**vars(parser.parse_args()))
