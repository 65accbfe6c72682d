"""Makes photos of 12 megapixels with known faces: LFW's faces, scaled up, on textured backgrounds.

    python benchmarks/large.py LFW/images FOLDER [--count 200] [--seed 0]

Each photo shows 1 to 30 faces of 60 to 600 pixels (small counts and small sizes are more frequent: both are drawn
uniformly in their logarithms), fewer where no place is left. FOLDER/faces.json says where. The background is noise
with as much power in each octave, as in photos of nature, in three correlated colours; its contrast changes from
place to place, as from a wall to leaves.
"""

import argparse
import json
import sqlite3
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 4000, 3000
_FACE_IN_LFW = 92  # pixels: a face's usual height in a photo of LFW, whose centre it is
_PATCH_IN_LFW = 150  # pixels: what is cut out around it
_MOST_FACES, _SMALLEST, _LARGEST = 30, 60, 600
_OCTAVES = range(1, 10)  # a camera's own pixels are smooth: they are no octave
_TRIES = 200
_QUALITY = 90


def make(lfw: Path, folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Writes the photos; their paths. The same seed gives the same photos."""
    rng = np.random.default_rng(seed)
    sources = sorted(lfw.glob("*/*.jpg"))
    folder.mkdir(parents=True, exist_ok=True)
    truth, paths = {}, []
    for i in range(count):
        photo = _background(rng)
        boxes = [_paste(photo, box, _face(sources, rng)) for box in _places(rng)]
        path = folder / f"{i:04d}.jpg"
        cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        truth[path.name] = boxes
        paths.append(path)
    (folder / "faces.json").write_text(json.dumps(truth))
    return paths


def _background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(height, width, 3)."""
    photo = np.zeros((_HEIGHT, _WIDTH, 3), np.float32)
    for octave in _OCTAVES:
        size = max(2, _WIDTH >> octave), max(2, _HEIGHT >> octave)
        grey = rng.normal(0, 1, (size[1], size[0], 1)).astype(np.float32)
        colour = grey + rng.normal(0, 0.4, (size[1], size[0], 3)).astype(np.float32)
        photo += cv2.resize(colour, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_LINEAR)
    contrast = rng.uniform(0, 28, (6, 8)).astype(np.float32)
    photo *= cv2.resize(contrast, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.clip(128 + photo, 0, 255).astype(np.uint8)


def _places(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Left, top and side of squares for patches that do not overlap."""
    chosen: list[tuple[int, int, int]] = []
    wanted = round(np.exp(rng.uniform(0, np.log(_MOST_FACES))))
    for _ in range(_TRIES):
        if len(chosen) == wanted:
            break
        face = np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST)))
        side = round(face * _PATCH_IN_LFW / _FACE_IN_LFW)
        x, y = int(rng.integers(0, _WIDTH - side)), int(rng.integers(0, _HEIGHT - side))
        if all(x + side <= a or a + c <= x or y + side <= b or b + c <= y for a, b, c in chosen):
            chosen.append((x, y, side))
    return chosen


def _face(sources: list[Path], rng: np.random.Generator) -> NDArray[np.uint8]:
    photo = cv2.imread(str(sources[rng.integers(len(sources))]))
    assert photo is not None
    edge = (photo.shape[0] - _PATCH_IN_LFW) // 2
    return photo[edge:-edge, edge:-edge].astype(np.uint8)


def _paste(photo: NDArray[np.uint8], place: tuple[int, int, int], face: NDArray[np.uint8]) -> list[float]:
    """Puts a patch there; the face's box."""
    x, y, side = place
    photo[y : y + side, x : x + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    half = side * _FACE_IN_LFW / _PATCH_IN_LFW / 2
    middle = x + side / 2, y + side / 2
    return [middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half]


def make_many(folder: Path, count: int) -> None:
    """Files that are JPEGs, all different, and show next to nothing."""
    _, tiny = cv2.imencode(".jpg", np.full((16, 16, 3), 127, np.uint8))
    for i in range(count):
        part = folder / f"{i // 1000:04d}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"{i:06d}.jpg").write_bytes(tiny.tobytes() + i.to_bytes(4, "big"))


def boxes(database: Path) -> dict[str, NDArray[np.float64]]:
    """The boxes in a gallery, (n, 4), by the photo's path."""
    found: dict[str, list[list[float]]] = {}
    with sqlite3.connect(database) as conn:
        for path, *box in conn.execute(
            "SELECT path, box_left, box_top, box_right, box_bottom FROM photos JOIN faces ON photo_id = photos.id"
        ):
            found.setdefault(path, []).append(box)
    return {path: np.array(rows) for path, rows in found.items()}


def recall(truth: dict[str, NDArray[np.float64]], found: dict[str, NDArray[np.float64]]) -> float:
    """The share of the boxes that another gallery has too, with an intersection over union above a half; of boxes
    as large as the faces that were pasted: smaller ones were not."""
    hits = total = 0
    for path, every in truth.items():
        expected = every[every[:, 3] - every[:, 1] >= _SMALLEST]
        total += len(expected)
        hits += int((_overlaps(expected, found.get(path, np.empty((0, 4)))).max(axis=1, initial=0) > 0.5).sum())
    return hits / max(total, 1)


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) intersections over unions."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    return np.asarray(shared / union)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("lfw", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    made = make(given.lfw, given.folder, given.count, given.seed)
    print(f"{len(made)} photos in {given.folder}, {sum(path.stat().st_size for path in made) / 1e6:.0f} MB")
