"""Faces in photos by YuNet (Wu et al. 2023), a small network that finds boxes and landmarks in one pass, run by
OpenCV.

It knows faces from about 10 to 300 pixels, so a large photo is looked at in several sizes."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Pixels
from facesearch.errors import ModelError
from facesearch.geometry.boxes import non_maximum_suppression
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import DetectorCard

_SMALLEST = 20  # pixels: a face that it finds surely, with good landmarks
_LARGEST_SIDE = 640  # pixels: of a photo in which it finds even a face that fills it
_SHRINK = 4  # from one size to the next
_CANDIDATES = 5000  # before overlaps are removed


class YunetDetector:
    """Finds faces of at least the card's `min_face_px` pixels. Safe to use from several threads at once."""

    def __init__(self, path: Path, card: DetectorCard) -> None:
        """`path` is the network's ONNX file. Raises ModelError when OpenCV cannot read it."""
        self._path, self.card = path, card
        self._of_thread = threading.local()
        self._network()

    def detect(self, photos: Sequence[Pixels]) -> list[list[Face]]:
        """The faces of each photo, surest first. Photos may have any sizes."""
        return [self._detect(photo) for photo in photos]

    def _detect(self, photo: Pixels) -> list[Face]:
        rows = np.concatenate([self._look(photo, scale) for scale in self._scales(photo)])
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1).astype(np.float64)
        large = (rows[:, 2:4].max(axis=1) >= self.card.min_face_px) if len(rows) else np.zeros(0, bool)
        rows, boxes = rows[large], boxes[large]
        kept = non_maximum_suppression(boxes, rows[:, 14].astype(np.float32), self.card.overlaps[0])
        return [_face(rows[i], boxes[i], photo) for i in kept]

    def _scales(self, photo: Pixels) -> Iterator[float]:
        """How much the photo is shrunk for each look: small faces first, then whatever fills the photo."""
        scale = min(1.0, _SMALLEST / self.card.min_face_px)
        yield scale
        while max(photo.shape[:2]) * scale > _LARGEST_SIDE:
            scale /= _SHRINK
            yield scale

    def _look(self, photo: Pixels, scale: float) -> NDArray[np.float32]:
        """One row a face, (n, 15), in pixels of the photo: left, top, width, height, five landmarks, confidence."""
        height, width = photo.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        # The network was trained on blue, green, red.
        small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA) if scale < 1 else photo
        network = self._network()
        network.setInputSize(size)
        _, found = network.detect(np.ascontiguousarray(small[..., ::-1]))
        rows = np.empty((0, 15), np.float32) if found is None else np.array(found, np.float32)
        rows[:, 0:14:2] *= width / size[0]
        rows[:, 1:14:2] *= height / size[1]
        return rows

    def _network(self) -> cv2.FaceDetectorYN:
        """A network of this thread's own, as it remembers the size of its input."""
        if not hasattr(self._of_thread, "network"):
            (confidence,), (overlap,) = self.card.thresholds, self.card.overlaps
            try:
                self._of_thread.network = cv2.FaceDetectorYN.create(
                    str(self._path), "", (320, 320), confidence, overlap, _CANDIDATES
                )
            except cv2.error as error:
                raise ModelError(
                    f"{self._path} is not a network that OpenCV can read; add or pull it again."
                ) from error
        network: cv2.FaceDetectorYN = self._of_thread.network
        return network


def _face(row: NDArray[np.float32], box: NDArray[np.float64], photo: Pixels) -> Face:
    height, width = photo.shape[:2]
    inside = Box(*np.clip(box, 0, [width, height, width, height]).tolist())
    # Its order is ours: what it calls the right eye is the person's, which is on the picture's left.
    a, b, c, d, e = (Point(*point) for point in row[4:14].reshape(5, 2).astype(np.float64).tolist())
    return Face(inside, float(row[14]), (a, b, c, d, e))
