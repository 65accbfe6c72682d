"""The user's own pairs: a CSV file with the columns a, b and same, and perhaps group."""

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from facesearch.errors import FaceSearchError
from facesearch.evaluation.metrics import Folds
from facesearch.evaluation.pairs import FOLDS, Pairs, paired
from facesearch.evaluation.portraits import ExpectedFace, name_some
from facesearch.files import printable

# A portrait fills the middle of a photo: where LFW's faces are, a little larger.
EXPECTED_FACE = ExpectedFace("pairs", ((0.39, 0.43), (0.61, 0.43), (0.50, 0.56), (0.41, 0.67), (0.59, 0.67)))

_COLUMNS = ("a", "b", "same")
_GROUP = "group"
_TRUE, _FALSE = ("1", "true", "yes", "y", "same"), ("0", "false", "no", "n", "different")


def read_pairs(path: Path) -> Pairs:
    """The pairs of a CSV file; a relative path of a photo starts at the file's folder. The ten folds share no photo;
    where that cannot be, there are none. A pair is of the group that its line names in a column `group`, if the file
    has one. Raises FaceSearchError that names a wrong line or absent photos."""
    names, same, groups = [], [], []
    for number, row in _rows(path):
        verdict = (row["same"] or "").strip().lower()
        if not row["a"] or not row["b"] or verdict not in _TRUE + _FALSE:
            raise FaceSearchError(
                f"Line {number} of {printable(str(path))} is not a pair; a line is two photos, and 1 or 0 for same."
            )
        names.append((str(path.parent / row["a"]), str(path.parent / row["b"])))
        same.append(verdict in _TRUE)
        if _GROUP in row:
            groups.append((row[_GROUP] or "").strip() or None)
    if len(set(same)) < 2:
        raise FaceSearchError(
            f"{printable(str(path))} holds {len(same):,} pairs, and not one of "
            f"{'two people' if all(same) and same else 'one person'}; both kinds are needed."
        )
    absent = sorted({name for pair in names for name in pair if not Path(name).is_file()})
    if absent:
        raise FaceSearchError(
            f"{len(absent):,} of the photos in {path.name} are not there: {name_some(absent)}; correct the file (a "
            "relative path starts at its folder)."
        )
    pairs = paired(names, same, None)
    return dataclasses.replace(pairs, folds=_folds(pairs), groups=tuple(groups))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Each row by column, with its line's number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not reader.fieldnames or not set(_COLUMNS) <= set(reader.fieldnames):
                raise FaceSearchError(
                    f"{printable(str(path))} does not begin with the columns a,b,same; add that line above the pairs."
                )
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        raise FaceSearchError(f"{printable(str(path))} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FaceSearchError(f"{printable(str(path))} is not a CSV file ({error}).") from error


def _folds(pairs: Pairs) -> Folds | None:
    """A fold for each pair, so that no photo is in two folds and each fold has both kinds; None where too few photos
    stand apart for that."""
    groups = _groups(pairs)
    kinds = [np.unique(groups[pairs.same == kind]) for kind in (True, False)]
    if min(len(kind) for kind in kinds) < FOLDS:
        return None
    folds = np.empty(len(pairs), np.intp)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for fold, (_, rows) in enumerate(splitter.split(groups, pairs.same, groups)):
        folds[rows] = fold
    whole = all(len(np.unique(pairs.same[folds == fold])) == 2 for fold in range(FOLDS))
    return folds if whole else None


def _groups(pairs: Pairs) -> NDArray[np.intp]:
    """The number of each pair's group: pairs that share photos, directly or through others, are one."""
    count = len(pairs.photos)
    links = coo_array((np.ones(len(pairs)), (pairs.first, pairs.second)), (count, count))
    of_photo: NDArray[np.intp] = connected_components(links, directed=False)[1]
    return of_photo[pairs.first]
