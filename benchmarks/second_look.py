"""What a second look finds, and its cost: pictures without people, LFW lying on its side, faces that fill the photo.

    python benchmarks/second_look.py LFW PHOTOS

PHOTOS are the real photographs of the tests; the parts of them that show no person are used."""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facesearch.arrays import Embeddings, Pixels
from facesearch.faces.analyser import Analyser, cut_out, find_faces
from facesearch.faces.choosing import most_central
from facesearch.geometry.face import Face
from facesearch.models.cards import default_embedder, detector_card, embedder_card
from facesearch.photos.view import View, read, whole_view

_EMPTY = {  # photos, and the columns from and to in which there is no person
    "8bit-sRGB.avif": (0, None),
    "IMG_2682.heic": (0, None),
    "book-beside-flowers.jpg": (0, None),
    "empty_gps.jpg": (0, None),
    "handwritten-notes.jpg": (0, None),
    "japanese-shop.jpg": (2100, None),
    "craft-beer.jpg": (0, 2200),
}
_CROPS, _LEAST_PX, _MOST_PX = 200, 800, 1280
_PEOPLE = 60
_AT_ONCE = 8  # photos
_TIGHT = 0.1  # of the box that is cut off on each side
_SIDE_OF_LFW = 250


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lfw", type=Path)
    parser.add_argument("photos", type=Path)
    given = parser.parse_args()
    card = embedder_card(default_embedder())
    assert card.threshold is not None
    analyser = Analyser.load(detector_card(card.detector), card, "cpu")
    _empty(analyser, given.photos)
    _people(analyser, given.lfw, card.threshold.similarity)


def _empty(analyser: Analyser, folder: Path) -> None:
    crops = _crops(folder)
    for size, pictures in (("800 to 1,280", crops), ("250", [_resized(crop, _SIDE_OF_LFW) for crop in crops])):
        first, spent = _first(analyser, pictures)
        print(
            f"{len(pictures)} pictures without people, {size} pixels: {_count(first)} show a face in the first look"
        )
        for knows_up in (True, False):
            again, more = _again(analyser, pictures, knows_up)
            kind = "the file says which way is up" if knows_up else "it does not"
            print(f"  {kind}: {_count(again)} show one in the end; {more / spent:.2f} times the processor's time")


def _crops(folder: Path) -> list[Pixels]:
    rng = np.random.default_rng(0)
    sources = [read(str(folder / name))[:, start:stop] for name, (start, stop) in _EMPTY.items()]
    return [_crop(sources[rng.integers(len(sources))], rng) for _ in range(_CROPS)]


def _crop(source: Pixels, rng: np.random.Generator) -> Pixels:
    side = int(rng.integers(_LEAST_PX, min(source.shape[:2]) + 1))
    y, x = int(rng.integers(source.shape[0] - side + 1)), int(rng.integers(source.shape[1] - side + 1))
    crop = source[y : y + side, x : x + side]
    return _resized(crop, _MOST_PX) if side > _MOST_PX else np.ascontiguousarray(crop)


def _resized(picture: Pixels, side: int) -> Pixels:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _first(analyser: Analyser, pictures: Sequence[Pixels]) -> tuple[list[list[Face]], float]:
    started, found = time.process_time(), list[list[Face]]()
    for start in range(0, len(pictures), _AT_ONCE):
        found += analyser.detector.detect(pictures[start : start + _AT_ONCE])
    return found, time.process_time() - started


def _again(analyser: Analyser, pictures: Sequence[Pixels], knows_up: bool) -> tuple[list[list[Face]], float]:
    started, found = time.process_time(), list[list[Face]]()
    views = [View(each, (each.shape[1], each.shape[0]), knows_up=knows_up) for each in pictures]
    for start in range(0, len(views), _AT_ONCE):
        found += find_faces(analyser.detector, views[start : start + _AT_ONCE])
    return found, time.process_time() - started


def _count(found: Sequence[list[Face]]) -> int:
    return sum(bool(faces) for faces in found)


def _people(analyser: Analyser, lfw: Path, threshold: float) -> None:
    files = sorted(lfw.rglob("*_*.jpg"))
    random.Random(1).shuffle(files)
    photos = [read(str(file)) for file in files[:_PEOPLE]]
    faces = [most_central((_SIDE_OF_LFW, _SIDE_OF_LFW), found) for found in _first(analyser, photos)[0]]
    upright = [_embedded(analyser, photo, [face])[0] for photo, face in zip(photos, faces, strict=True)]
    for quarters in (1, 2, 3):
        turned = [np.ascontiguousarray(np.rot90(photo, quarters)) for photo in photos]
        _compare(f"turned by {90 * quarters} degrees", analyser, turned, upright, threshold)
    tight = [_tight(photo, face) for photo, face in zip(photos, faces, strict=True)]
    _compare("faces that fill the photo", analyser, tight, upright, threshold)


def _tight(photo: Pixels, face: Face) -> Pixels:
    left, top, right, bottom = face.box
    cut = _TIGHT * (right - left)
    part = photo[round(top + cut) : round(bottom - cut), round(left + cut) : round(right - cut)]
    return np.asarray(cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)


def _compare(
    what: str, analyser: Analyser, pictures: Sequence[Pixels], upright: Sequence[Embeddings], threshold: float
) -> None:
    for name, found in (
        ("first look", _first(analyser, pictures)[0]),
        ("second look", _again(analyser, pictures, knows_up=False)[0]),
    ):
        known = sum(
            bool(faces) and float((_embedded(analyser, picture, faces) @ right).max()) >= threshold
            for picture, faces, right in zip(pictures, found, upright, strict=True)
        )
        print(f"{what}, {name}: a face in {_count(found)} of {len(pictures)}, recognised {known}")


def _embedded(analyser: Analyser, photo: Pixels, faces: Sequence[Face]) -> Embeddings:
    return analyser.embedder.embed(cut_out(whole_view(photo), faces, analyser.embedder.aligner))


if __name__ == "__main__":
    main()
