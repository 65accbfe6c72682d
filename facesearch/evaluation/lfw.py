"""Labeled Faces in the Wild on disk: where its photos and its pairs are, and what pairs.txt says."""

import hashlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import numpy as np

from facesearch.errors import FaceSearchError
from facesearch.evaluation.pairs import FOLDS, Pairs, paired
from facesearch.evaluation.portraits import ExpectedFace, name_some
from facesearch.files import printable
from facesearch.home import private_folder
from facesearch.libraries import settle
from facesearch.people import names

_SUFFIXES = (".jpg", ".png")  # releases have JPEGs, aligned sets often PNGs
_DEPTH = 2  # folders below the one that was named in which the photos may lie

# The medians over the deep-funneled photos that View 2 does not use.
EXPECTED_FACE = ExpectedFace("lfw", ((0.418, 0.451), (0.586, 0.448), (0.502, 0.548), (0.433, 0.635), (0.578, 0.632)))

# The BLAKE2b of Aaron_Eckhart_0001.jpg in the deep-funneled release; others are known by their folder's name.
_DEEP_FUNNELED = "f299e6636ec8162270aad2f48128e683"
_VARIANTS = {"lfw": "original", "lfw_funneled": "funneled", "lfw-funneled": "funneled"}


@dataclass(frozen=True, slots=True)
class Lfw:
    """The folder with a folder for each person, and which release of the photos it is."""

    images: Path
    variant: str


def find(data: Path) -> Lfw:
    """The photos in a folder or up to two folders below it. Raises FaceSearchError when there are none."""
    for folder in _folders(data, _DEPTH):
        if next(_photos_of_people(folder), None) is not None:
            return Lfw(folder, _variant(folder))
    raise FaceSearchError(
        f"There is no photo such as NAME/NAME_0001.jpg in {printable(str(data))}; give --data the folder that the "
        "archive of LFW was unpacked to."
    )


def find_pairs(data: Path, images: Path) -> Path:
    """The pairs.txt in the named folder, in that of the photos, or beside it. Raises FaceSearchError."""
    for folder in (data, images, images.parent, data.parent):
        if (folder / "pairs.txt").is_file():
            return folder / "pairs.txt"
    raise FaceSearchError(
        f"There is no pairs.txt in or beside {printable(str(data))}; say where it is with --pairs FILE."
    )


def fetch(on_bytes: Callable[[int], None]) -> Path:
    """The folder of scikit-learn's own copy of LFW (the funneled release and pairs.txt), under the home unless
    SCIKIT_LEARN_DATA names another place; downloaded and compared with its checksums where it is absent. `on_bytes`
    hears how much of a file is there. Raises FaceSearchError."""
    settle("sklearn")
    from sklearn.datasets import fetch_lfw_pairs

    place = Path(os.environ["SCIKIT_LEARN_DATA"]).expanduser()
    folder = place / "lfw_home"
    point = (slice(125, 126), slice(125, 126))  # of the photos that it would load no more than this
    try:
        private_folder(place)
        with _watched(folder, on_bytes), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fetch_lfw_pairs(data_home=str(place), subset="test", funneled=True, slice_=point, resize=None)
    except (OSError, URLError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise FaceSearchError(
            f"LFW could not be downloaded to {folder} ({reason}); try again, or unpack it yourself and name its "
            "folder with --data."
        ) from error
    return folder


def read_pairs(path: Path, images: Path) -> Pairs:
    """The ten folds of a pairs.txt. Its first line says how many folds, and how many pairs of one person (name and
    two numbers) and then of two people (name, number, name, number) each of them has. Raises FaceSearchError that
    names a wrong line, or the first photos that are not there."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise FaceSearchError(f"{printable(str(path))} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise FaceSearchError(f"{printable(str(path))} is not a list of pairs: it is not text.") from error
    folds, each = _header(path, lines)
    names, same = [], []
    for i, line in enumerate(lines[1 : 1 + folds * 2 * each]):
        same.append(i % (2 * each) < each)
        names.append(_pair(path, i + 2, line, same[-1]))
    photos, missing = _photos(images, {name for pair in names for name in pair})
    if missing:
        files = [f"{person}/{person}_{number:04d}.jpg" for person, number in missing]
        raise FaceSearchError(
            f"{len(files):,} of the photos in {path.name} are not in {printable(str(images))}: {name_some(files)}; "
            "unpack the archive of LFW again, or name its folder with --data."
        )
    return paired([(photos[a], photos[b]) for a, b in names], same, np.arange(len(same)) // (2 * each))


def everyone(images: Path) -> tuple[list[str], list[str]]:
    """All photos, by name, and who is in each."""
    photos = sorted(str(photo) for photo in _photos_of_people(images))
    return photos, [names.of_folder(photo) for photo in photos]


def _folders(top: Path, depth: int) -> Iterator[Path]:
    """The folder and those below it, level by level."""
    if not top.is_dir():
        raise FaceSearchError(f"{printable(str(top))} is not a folder; give --data the one that holds LFW's photos.")
    level = [top]
    for _ in range(depth + 1):
        yield from level
        level = sorted(path for folder in level for path in _entries(folder) if path.is_dir())


def _entries(folder: Path) -> list[Path]:
    """A few entries of a folder: one with thousands of people has no folder of photos below them."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry, _ in zip(entries, range(100), strict=False)]


def _photos_of_people(images: Path) -> Iterator[Path]:
    """Files named like their folder and a number."""
    for person in images.iterdir():
        if person.is_dir():
            for photo in person.iterdir():
                stem = photo.stem
                if photo.suffix in _SUFFIXES and stem[:-5] == person.name and stem[-5] == "_" and stem[-4:].isdigit():
                    yield photo


def _variant(images: Path) -> str:
    photo = images / "Aaron_Eckhart" / "Aaron_Eckhart_0001.jpg"
    if photo.is_file() and hashlib.blake2b(photo.read_bytes(), digest_size=16).hexdigest() == _DEEP_FUNNELED:
        return "deep-funneled"
    return _VARIANTS.get(images.name, f"unknown (folder {printable(images.name)})")


def _header(path: Path, lines: Sequence[str]) -> tuple[int, int]:
    words = lines[0].split() if lines else []
    if len(words) != 2 or not all(word.isdigit() and int(word) for word in words):
        raise _wrong(path, 1, lines[0] if lines else "", f"'{FOLDS} 300': how many folds, and pairs of each kind")
    folds, each = int(words[0]), int(words[1])
    if folds != FOLDS:
        raise FaceSearchError(f"{printable(str(path))} has {folds} folds; the protocol has {FOLDS}.")
    if len(lines) < 1 + folds * 2 * each:
        raise FaceSearchError(
            f"{printable(str(path))} ends after line {len(lines)}; its first announces {folds * 2 * each:,} pairs."
        )
    return folds, each


def _pair(path: Path, number: int, line: str, same: bool) -> tuple[tuple[str, int], tuple[str, int]]:
    words = line.split("\t") if "\t" in line else line.split()
    numbers = words[1:] if same else words[1::2]
    if len(words) != (3 if same else 4) or not all(word.strip().isdigit() for word in numbers):
        raise _wrong(path, number, line, "'name 1 2', one person" if same else "'name 1 name 2', two people")
    first, second = map(int, numbers)
    return (words[0], first), (words[0] if same else words[2], second)


def _wrong(path: Path, number: int, line: str, expected: str) -> FaceSearchError:
    return FaceSearchError(
        f"Line {number} of {printable(str(path))} is '{printable(line[:80])}'; expected is {expected}."
    )


def _photos(images: Path, names: set[tuple[str, int]]) -> tuple[dict[tuple[str, int], str], list[tuple[str, int]]]:
    """The photos by person and number, and those that are not there."""
    photos, missing = {}, []
    for person, number in sorted(names):
        stem = images / person / f"{person}_{number:04d}"
        found = [path for suffix in _SUFFIXES if (path := stem.with_name(stem.name + suffix)).is_file()]
        if found:
            photos[person, number] = str(found[0])
        else:
            missing.append((person, number))
    return photos, missing


@contextmanager
def _watched(folder: Path, on_bytes: Callable[[int], None]) -> Iterator[None]:
    """Tells every half second how large the file is that is being downloaded to a folder."""
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(0.5):
            sizes = [0]
            for path in folder.glob("*.part_*"):
                with suppress(OSError):  # it is complete
                    sizes.append(path.stat().st_size)
            on_bytes(max(sizes))

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        stopped.set()
