"""A threshold learned from photos without names: faces in one photo are different people, and faces at one place in
two photos of a burst are most likely one person."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.flow import stages
from facesearch.flow.pace import Pace
from facesearch.gallery.records.settings import Calibration
from facesearch.gallery.tables.faces import PhotoFaces
from facesearch.photos.file import PhotoFile

_LEAST_BEYOND = 3  # pairs of strangers that must reach a threshold, or it would hang on a single one
_MOST_OF_A_PHOTO = 45  # pairs: ten faces; a photo of a crowd shall not decide alone
_MOST_STRANGERS = 2_000_000
_MOST_BURSTS = 500  # pairs of photos that are looked at again
_SAME_PLACE = 0.5  # intersection over union of two boxes
_NEAR_DUPLICATE = 0.95  # correlation of two photos as small grey pictures
_SMALL = 32  # pixels: the side of those
_SURE = 0.95  # one-sided confidence of the bound on the FAR


@dataclass(slots=True)
class Evidence:
    """Judged values of pairs of faces that share a photo, how many photos those were, and the pairs of photos that
    may be near-duplicates, each with the judged values of the faces at the same place."""

    strangers: list[NDArray[np.float32]] = field(default_factory=list)
    photos: int = 0
    bursts: list[tuple[str, str, NDArray[np.float32]]] = field(default_factory=list)


def gather(photos: Iterable[PhotoFaces]) -> Evidence:
    """Reads photos in the order of their paths."""
    rng = np.random.default_rng(0)
    evidence = Evidence()
    count = 0
    before: PhotoFaces | None = None
    for photo in photos:
        if len(photo.boxes) > 1 and count < _MOST_STRANGERS:
            evidence.strangers.append(_within(photo, rng))
            evidence.photos += 1
            count += len(evidence.strangers[-1])
        if before is not None and len(evidence.bursts) < _MOST_BURSTS and _may_be_burst(before, photo):
            similarities = _at_one_place(before, photo)
            if len(similarities):
                evidence.bursts.append((before.path, photo.path, similarities))
        before = photo
    return evidence


def calibrate(evidence: Evidence, far: float, model: str, card_threshold: float | None) -> Calibration:
    """The judged value that the share `far` of the strangers reach. Raises FaceSearchError when they are too few to
    tell. Of the pairs of photos that may be a burst those count that look alike."""
    from scipy.stats import beta  # half a second, which other commands shall not wait for

    strangers = np.sort(np.concatenate([np.empty(0, np.float32), *evidence.strangers]).astype(np.float64))
    _refuse_few(len(strangers), far)
    threshold = float(np.quantile(strangers, 1 - far))
    beyond = int((strangers >= threshold).sum())
    likely = np.concatenate([np.empty(0, np.float32), *_near_duplicates(evidence.bursts)])
    return Calibration(
        model=model,
        threshold=threshold,
        far=far,
        far_at_most=float(beta.ppf(_SURE, beyond + 1, len(strangers) - beyond)),
        strangers=len(strangers),
        photos=evidence.photos,
        likely=len(likely),
        likely_accepted=float((likely >= threshold).mean()) if len(likely) else None,
        card_threshold=card_threshold,
        card_far=None if card_threshold is None else float((strangers >= card_threshold).mean()),
    )


def _refuse_few(count: int, far: float) -> None:
    needed = round(_LEAST_BEYOND / far)
    if count >= needed:
        return
    within_reach = next((f for f in (0.001, 0.01) if far < f and count >= _LEAST_BEYOND / f), None)
    advice = f", or ask for --far {within_reach:g}" if within_reach else ""
    pairs = "pair of faces shares" if count == 1 else "pairs of faces share"
    raise FaceSearchError(
        f"Only {count:,} {pairs} a photo, and a threshold that 1 in {round(1 / far):,} strangers reach "
        f"needs {needed:,}; index more photos of several people{advice}."
    )


def _within(photo: PhotoFaces, rng: np.random.Generator) -> NDArray[np.float32]:
    """The judged values of the pairs of faces in a photo."""
    first, second = np.triu_indices(len(photo.boxes), 1)
    if len(first) > _MOST_OF_A_PHOTO:
        some = rng.choice(len(first), _MOST_OF_A_PHOTO, replace=False)
        first, second = first[some], second[some]
    similarities = np.einsum("ij,ij->i", photo.embeddings[first], photo.embeddings[second])
    return np.asarray(similarities - (photo.shifts[first] + photo.shifts[second]) / 2)


def _may_be_burst(a: PhotoFaces, b: PhotoFaces) -> bool:
    """Whether one photo follows the other in a folder and they are of one size."""
    return a.size == b.size and os.path.dirname(a.path) == os.path.dirname(b.path)


def _at_one_place(a: PhotoFaces, b: PhotoFaces) -> NDArray[np.float32]:
    """The judged values of the faces whose boxes overlap each other, and each other only."""
    low = np.maximum(a.boxes[:, None, :2], b.boxes[None, :, :2])
    high = np.minimum(a.boxes[:, None, 2:], b.boxes[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a.boxes, b.boxes)]
    overlap = shared > 0
    together = shared >= _SAME_PLACE * (areas[0][:, None] + areas[1][None] - shared)
    alone = (overlap.sum(axis=1, keepdims=True) == 1) & (overlap.sum(axis=0, keepdims=True) == 1)
    first, second = np.nonzero(together & alone)
    similarities = np.einsum("ij,ij->i", a.embeddings[first], b.embeddings[second])
    return np.asarray(similarities - (a.shifts[first] + b.shifts[second]) / 2)


def _near_duplicates(bursts: Sequence[tuple[str, str, NDArray[np.float32]]]) -> Iterator[NDArray[np.float32]]:
    """The judged values in those pairs of photos that look alike."""
    small: dict[tuple[int, int], NDArray[np.float64]] = {}
    jobs = (
        stages.Job((number, place), PhotoFile(path, 0, 0))
        for number, burst in enumerate(bursts)
        for place, path in enumerate(burst[:2])
    )
    work = stages.Work(lambda: _shrunk, Pace.of_machine("cpu"))
    rows: list[stages.Found[tuple[int, int], NDArray[np.float64]] | stages.Failed[tuple[int, int]]]
    for rows in stages.run(jobs, work):
        small |= {row.key: row.result for row in rows if isinstance(row, stages.Found)}
    for number, burst in enumerate(bursts):
        pair = small.get((number, 0)), small.get((number, 1))
        if pair[0] is not None and pair[1] is not None and _look_alike(pair[0], pair[1]):
            yield burst[2]


def _look_alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    if min(first.std(), second.std()) == 0:  # of a photo without any contrast nothing can be said
        return False
    return bool(np.corrcoef(first, second)[0, 1] >= _NEAR_DUPLICATE)


def _shrunk(photos: Sequence[stages.Decoded[tuple[int, int]]]) -> list[NDArray[np.float64]]:
    """Each photo as a small grey picture, (_SMALL * _SMALL,)."""
    size = (_SMALL, _SMALL)
    small = (cv2.resize(photo.view.pixels, size, interpolation=cv2.INTER_AREA) for photo in photos)
    return [np.asarray(each, np.float64).mean(axis=2).ravel() for each in small]
