"""The default model on Labeled Faces in the Wild: accuracy on View 2, and the threshold for the card.

View 2 (Huang et al. 2007): ten folds of 300 pairs of one person and 300 of two; the threshold that is best on nine
folds is applied to the tenth. The card's threshold must not come from these pairs: it is the similarity that 1 in
1,000 pairs of strangers reach, among the people whom View 2 does not contain.

    python benchmarks/accuracy.py LFW          (the folder that holds images/ and pairs.txt)
    python benchmarks/accuracy.py LFW dlib     (the same network behind dlib's own detector and chips; needs dlib)
"""

import json
import multiprocessing
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.cards import default_embedder, detector_card, embedder_card
from facesearch.photos import read
from facesearch.pipeline import Analyser
from facesearch.records import Face, Pixels
from facesearch.serving import serve, weights_path
from facesearch.settings import cores

_FAR = 0.001
_BATCH = 32


def main(lfw: Path, aligner: str) -> None:
    pairs = _read_pairs(lfw / "pairs.txt")
    used = {name for a, b, _ in pairs for name in (a, b)}
    view2_people = {name[:-5] for name in used}
    outside = [
        photo.stem for photo in sorted((lfw / "images").glob("*/*.jpg")) if photo.stem[:-5] not in view2_people
    ]
    started = time.perf_counter()
    embed = _embed_as_dlib if aligner == "dlib" else _embed
    embeddings = embed(lfw / "images", sorted(used | set(outside)))
    seconds = time.perf_counter() - started
    accuracies, thresholds, similarities, same = _view2(pairs, embeddings)
    strangers, people = _strangers([name for name in outside if name in embeddings], embeddings)
    limit = float(np.quantile(strangers, 1 - _FAR))
    figures = {
        "model": default_embedder(),
        "aligner": aligner,
        "pairs": len(pairs),
        "photos_without_face": len(used) - len(used & embeddings.keys()),
        "accuracy": round(float(accuracies.mean()), 4),
        "accuracy_std": round(float(accuracies.std()), 4),
        "thresholds_of_folds": [round(float(t), 4) for t in (thresholds.min(), thresholds.max())],
        "card_threshold": round(limit, 4),
        "strangers": len(strangers),
        "people_outside_view2": people,
        "view2_false_accepts_at_card_threshold": round(float((similarities[~same] >= limit).mean()), 5),
        "view2_true_accepts_at_card_threshold": round(float((similarities[same] >= limit).mean()), 4),
        "seconds": round(seconds, 1),
    }
    print(json.dumps(figures, indent=2))


def _read_pairs(path: Path) -> list[tuple[str, str, bool]]:
    """Names of photos, fold after fold, and whether they show one person."""
    pairs = []
    for line in path.read_text().splitlines()[1:]:
        words = line.split()
        first, second = (words[0], words[1]), (words[-2] if len(words) == 4 else words[0], words[-1])
        names = [f"{person}_{int(number):04d}" for person, number in (first, second)]
        pairs.append((names[0], names[1], len(words) == 3))
    return pairs


def _embed(images: Path, names: list[str]) -> dict[str, NDArray[np.float32]]:
    """The embedding of each photo's face that is nearest to its centre: the one that the photo is named after."""
    card = embedder_card(default_embedder())
    detector = detector_card(card.detector)
    analyser = Analyser.load(detector, card, detector.min_face_px, note=print)
    embeddings = {}
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        photos = [read(str(images / name[:-5] / f"{name}.jpg")) for name in batch]
        for name, photo, found in zip(batch, photos, analyser.analyse(photos), strict=True):
            if found.faces:
                embeddings[name] = found.embeddings[_most_central(photo, found.faces)]
    return embeddings


def _embed_as_dlib(images: Path, names: list[str]) -> dict[str, NDArray[np.float32]]:
    """The same network on the chips that dlib's own detector and landmarks give, as face_recognition takes them: not
    averaged with the mirror image. Of several faces the most central one; the middle of the photo where none is."""
    card = embedder_card(default_embedder())
    network = serve(card, "cpu", cores())["embedder"]
    embeddings: dict[str, NDArray[np.float32]] = {}
    with multiprocessing.Pool(cores()) as pool:
        paths = [str(images / name[:-5] / f"{name}.jpg") for name in names]
        for start in range(0, len(names), 512):
            chips = np.stack(pool.map(_dlib_chip, paths[start : start + 512], chunksize=16))
            for first in range(0, len(chips), _BATCH):
                (rows,) = network(chips[first : first + _BATCH])
                rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
                embeddings.update(zip(names[start + first :], rows, strict=False))
    return embeddings


def _dlib_chip(path: str) -> Pixels:
    import dlib

    folder = weights_path(embedder_card(default_embedder()).weights[0])
    assert folder is not None
    photo = read(path)
    height, width = photo.shape[:2]
    found = list(_once(dlib.get_frontal_face_detector)(photo, 1))
    found = found or [dlib.rectangle(width // 4, height // 4, 3 * width // 4, 3 * height // 4)]
    best = min(found, key=lambda r: np.hypot(r.left() + r.right() - width, r.top() + r.bottom() - height))
    landmarks = _once(dlib.shape_predictor, str(folder.with_name("shape_predictor_5_face_landmarks.dat")))
    return np.asarray(dlib.get_face_chip(photo, landmarks(photo, best), 150, 0.25))


@cache
def _once(make: Any, *given: str) -> Any:
    """What is made once in each process."""
    return make(*given)


def _most_central(photo: Pixels, faces: list[Face]) -> int:
    height, width = photo.shape[:2]

    def distance(i: int) -> float:
        box = faces[i].box
        return float(np.hypot(box.left + box.right - width, box.top + box.bottom - height))

    return min(range(len(faces)), key=distance)


def _view2(
    pairs: list[tuple[str, str, bool]], embeddings: dict[str, NDArray[np.float32]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Accuracy and threshold of each fold, and the similarities of all pairs; a pair with a photo in which no face
    was found counts as wrong whatever it is."""
    same = np.array([same for _, _, same in pairs])
    similarities = np.array(
        [
            float(embeddings[a] @ embeddings[b]) if a in embeddings and b in embeddings else (-1.0 if same else 1.0)
            for a, b, same in pairs
        ]
    )
    folds = np.arange(len(pairs)) // (len(pairs) // 10)
    accuracies, thresholds = [], []
    for fold in range(10):
        rest = folds != fold
        candidates = np.unique(similarities[rest])
        true = np.searchsorted(np.sort(similarities[rest & same]), candidates)
        false = np.searchsorted(np.sort(similarities[rest & ~same]), candidates)
        threshold = candidates[np.argmax((rest & same).sum() - true + false)]
        thresholds.append(threshold)
        accuracies.append(((similarities >= threshold) == same)[~rest].mean())
    return np.array(accuracies), np.array(thresholds), similarities, same


def _strangers(names: list[str], embeddings: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], int]:
    """Similarities of all pairs of different people among these photos, and the count of people."""
    people = np.array([name[:-5] for name in names])
    rows = np.array([embeddings[name] for name in names])
    first, second = np.triu_indices(len(rows), 1)
    different = people[first] != people[second]
    return (rows @ rows.T)[first[different], second[different]], len(set(people))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "facesearch")
