"""Makes photos of 12 megapixels with known faces: heads from LFW, scaled up and blended into real photographs.

    python benchmarks/large.py LFW/images FOLDER [--backgrounds PHOTOS] [--count 200] [--seed 0]

Each photo shows 1 to 6 heads with faces of 80 to 480 pixels (small counts and small sizes are more frequent: both are
drawn uniformly in their logarithms), fewer where no place is left. FOLDER/faces.json says where. PHOTOS holds JPEGs
of 8 megapixels or more without people: a crop of one, perhaps mirrored, is each photo's background. Without them it
is noise with as much power in each octave, as in photos of nature, in three correlated colours; its contrast changes
from place to place, as from a wall to leaves. Detectors find that harder to leave alone than any real photograph."""

import argparse
import json
import sqlite3
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 4000, 3000
_LEAST_PIXELS = 8_000_000  # of a background: of a smaller one the enlarged pixels would be all too smooth
_LEAST_SHARE = 0.75  # of a background's sides that a crop shows
_FACE_IN_LFW = 92  # pixels: a face's usual height in a photo of LFW, whose centre it is
_PATCH_IN_LFW = 150  # pixels: what is cut out around it
_MOST_FACES, _SMALLEST, _LARGEST = 6, 80, 480
_SOLID, _SOFT = (
    0.75,
    1.0,
)  # of a patch's half: an ellipse that is all head, and one beyond which nothing of it is seen
_SAME = 0.4  # intersection over union of a pasted head's box, which is a guess, and a found one
_NONE = np.empty((0, 4))
_OCTAVES = range(1, 10)  # a camera's own pixels are smooth: they are no octave
_TRIES = 200
_QUALITY = 90
_HEIC_QUALITY = 70  # about that of phones
_HEIC_PHOTOS = 40  # each takes seconds to write


def make(lfw: Path, folder: Path, count: int, seed: int = 0, backgrounds: Path | None = None) -> list[Path]:
    """Writes the photos; their paths. The same seed gives the same photos."""
    rng = np.random.default_rng(seed)
    sources, scenes = sorted(lfw.glob("*/*.jpg")), _scenes(backgrounds)
    folder.mkdir(parents=True, exist_ok=True)
    truth, paths = {}, []
    for i in range(count):
        photo = _scene(scenes[i % len(scenes)], rng) if scenes else _noise(rng)
        boxes = [_paste(photo, box, _face(sources, rng)) for box in _places(rng)]
        path = folder / f"{i:04d}.jpg"
        cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        truth[path.name] = boxes
        paths.append(path)
    (folder / "faces.json").write_text(json.dumps(truth))
    return paths


def _scenes(folder: Path | None) -> list[NDArray[np.uint8]]:
    """The photographs that are large enough, (height, width, 3) each."""
    read = [cv2.imread(str(path)) for path in sorted(folder.glob("*.jpg"))] if folder else []
    return [each.astype(np.uint8) for each in read if each is not None and each.size >= 3 * _LEAST_PIXELS]


def _scene(photo: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop of a photograph, (height, width, 3)."""
    height, width = photo.shape[:2]
    share = rng.uniform(_LEAST_SHARE, 1) * min(width / _WIDTH, height / _HEIGHT)
    size = round(_WIDTH * share), round(_HEIGHT * share)
    left, top = int(rng.integers(0, width - size[0] + 1)), int(rng.integers(0, height - size[1] + 1))
    crop = photo[top : top + size[1], left : left + size[0]]
    shrinks = share > 1
    scene = cv2.resize(crop, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.ascontiguousarray(scene[:, ::-1] if rng.random() < 0.5 else scene, np.uint8)


def _noise(rng: np.random.Generator) -> NDArray[np.uint8]:
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
    """Blends a patch in there; the face's box."""
    x, y, side = place
    patch = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    under = photo[y : y + side, x : x + side]
    opacity = _ellipse(side)
    photo[y : y + side, x : x + side] = np.clip(opacity * patch + (1 - opacity) * under, 0, 255)
    half = side * _FACE_IN_LFW / _PATCH_IN_LFW / 2
    middle = x + side / 2, y + side / 2
    return [middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half]


def _ellipse(side: int) -> NDArray[np.float32]:
    """How opaque a head's patch is, 0 to 1, (side, side, 1)."""
    at = (np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1  # -1 to 1
    distance = np.hypot(at[None, :] / 0.85, at[:, None])
    return np.clip((_SOFT - distance) / (_SOFT - _SOLID), 0, 1)[..., None].astype(np.float32)


def as_heic(folder: Path, to: Path, shrink: int = 1) -> None:
    """Some photos of a folder once more, as a phone writes them, each side divided by `shrink`."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    to.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.jpg"))[:_HEIC_PHOTOS]:
        with Image.open(path) as photo:
            photo.reduce(shrink).save(to / f"{path.stem}.heic", quality=_HEIC_QUALITY)


def make_huge(photo: Path, folder: Path, megapixels: float) -> None:
    """Three JPEGs and three PNGs of so many megapixels, and a progressive JPEG of 1.3 times as many, all of one photo
    enlarged."""
    read = cv2.imread(str(photo))
    assert read is not None
    unit = (megapixels * 1e6 / 150) ** 0.5
    for name, size in (("huge", (15, 10)), ("progressive", (14, 14))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        large = cv2.resize(read, (round(size[0] * unit), round(size[1] * unit)), interpolation=cv2.INTER_CUBIC)
        if name == "progressive":
            words = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
            cv2.imwrite(str(folder / name / "0.jpg"), large, words)
            continue
        for i in range(3):
            large[:8] = 40 * i  # or they would be copies
            cv2.imwrite(str(folder / name / f"{i}.jpg"), large, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            cv2.imwrite(str(folder / name / f"{i}.png"), large, [cv2.IMWRITE_PNG_COMPRESSION, 1])


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


def recall(folder: Path, whole: dict[str, NDArray[np.float64]], found: dict[str, NDArray[np.float64]]) -> float:
    """Of the heads that were pasted into a folder's photos and are in one gallery's boxes, the share that another
    gallery has too, each with an intersection over union of 0.4 or more. What else is found in a whole photo is
    mostly no face, and does not count."""
    hits = total = 0
    for name, placed in json.loads((folder / "faces.json").read_text()).items():
        path, heads = str(folder / name), np.array(placed).reshape(-1, 4)
        there = _overlaps(heads, whole.get(path, _NONE)).max(axis=1, initial=0) >= _SAME
        again = _overlaps(heads, found.get(path, _NONE)).max(axis=1, initial=0) >= _SAME
        total += int(there.sum())
        hits += int((there & again).sum())
    return hits / max(total, 1)


def _overlaps(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) intersections over unions."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (a, b)]
    union = areas[0][:, None] + areas[1] - shared
    return np.asarray(shared / union)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--heic", type=Path, metavar="FOLDER", help="write 40 of them there once more, as HEIC")
    parser.add_argument("--heic-shrink", type=int, default=1, help="divide the sides of those by this")
    parser.add_argument("--huge", type=Path, metavar="FOLDER", help="write very large ones there")
    parser.add_argument("--megapixels", type=float, default=150, help="of those")
    given = parser.parse_args()
    made = make(given.lfw, given.folder, given.count, given.seed, given.backgrounds)
    if given.heic:
        as_heic(given.folder, given.heic, given.heic_shrink)
    if given.huge:
        make_huge(made[0], given.huge, given.megapixels)
    print(f"{len(made)} photos in {given.folder}, {sum(path.stat().st_size for path in made) / 1e6:.0f} MB")
