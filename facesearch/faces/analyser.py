"""Views of photos to faces with embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from facesearch.arrays import Chips, Embeddings
from facesearch.errors import Note
from facesearch.faces.detector import Detector
from facesearch.faces.embedder import Embedder
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.faces.quality import qualities
from facesearch.faces.second_look import look_again
from facesearch.faces.yunet import YunetDetector
from facesearch.geometry.chips import Aligner
from facesearch.geometry.face import Box, Face, Point
from facesearch.home import cores
from facesearch.models.cards import DetectorCard, EmbedderCard
from facesearch.models.device import Device, Precision, device_of
from facesearch.models.engines import Engine
from facesearch.models.export import exported_to, is_strange, prepare
from facesearch.models.serving import serve
from facesearch.photos.view import View

_MOST_MAGNIFIED = 1.25  # a chip's pixels for one of what it is cut from, where the photo has more of them


@dataclass(frozen=True, slots=True)
class Analysed:
    """The faces of one photo, surest first, and their embeddings, (faces, dim). `pictures` are for who makes some of
    the decoded photo: one a face, empty where a
    face has none; perhaps not of the last ones."""

    faces: list[Face]
    embeddings: Embeddings
    pictures: tuple[bytes, ...] = ()


class Analyser:
    """Photos in, faces and embeddings out. Safe to use from several threads at once."""

    def __init__(self, detector: Detector, embedder: Embedder) -> None:
        self.detector, self.embedder = detector, embedder

    @classmethod
    def load(
        cls,
        detector: DetectorCard,
        embedder: EmbedderCard,
        device: Device = "auto",
        threads: int = 0,
        note: Note = lambda _: None,
        precision: Precision = "auto",
    ) -> "Analyser":
        """Gets the networks running. `threads` is how many cores one call on the CPU may use, 0 for all; `precision`
        is in which numbers it may compute.
        Raises FaceSearchError when an engine, a model or the asked device is not there."""
        chosen = device_of(embedder, device)
        # On a GPU Keras needs no export; but what strangers made is tried first, in a process of its own.
        prepare([detector, embedder] if chosen == "cpu" else [embedder] * is_strange(embedder), note)
        made = _embedder(embedder, detector.name, chosen, threads, precision)
        return cls(load_detector(detector, device, threads, note, precision), made)

    @classmethod
    def of_prepared(
        cls, detector: DetectorCard, embedder: EmbedderCard, device: Device, threads: int, precision: Precision
    ) -> "Analyser":
        """As `load`, where the files of the networks are there, and those of the weights need not be."""
        made = _embedder(embedder, detector.name, device_of(embedder, device), threads, precision)
        return cls(_detector(detector, device_of(detector, device), threads, precision), made)

    @property
    def engine(self) -> Engine:
        """What embeds; where it can run the detector's networks too, it does."""
        return self.embedder.engine

    @property
    def max_side(self) -> int:
        """In which size, at most, a photo is to be looked at; 0 where in its own."""
        return self.detector.card.max_side

    def analyse(self, views: Sequence[View]) -> list[Analysed]:
        """One result a photo, with all its faces."""
        return self.embed(views, self.find(views))

    def find(self, views: Sequence[View]) -> list[list[Face]]:
        """The faces of each photo, surest first, in pixels of the whole photo."""
        return find_faces(self.detector, views)

    def embed(self, views: Sequence[View], faces: Sequence[Sequence[Face]]) -> list[Analysed]:
        """These faces of each photo, in their order, now with their quality; all are embedded together."""
        if not views:
            return []
        chips = [cut_out(view, each, self.embedder.aligner) for view, each in zip(views, faces, strict=True)]
        known = [_with_quality(each, cut) for each, cut in zip(faces, chips, strict=True)]
        embeddings = self.embedder.embed(np.concatenate(chips))
        rows = np.split(embeddings, np.cumsum([len(each) for each in known])[:-1])
        return [Analysed(*each) for each in zip(known, rows, strict=True)]


def _with_quality(faces: Sequence[Face], chips: Chips) -> list[Face]:
    return [replace(face, quality=float(q)) for face, q in zip(faces, qualities(faces, chips), strict=True)]


def find_faces(detector: Detector, views: Sequence[View]) -> list[list[Face]]:
    """The faces of each photo, surest first, in pixels of the whole photo."""
    photos = [view.pixels for view in views]
    found = look_again(detector, photos, [not view.knows_up for view in views], detector.detect(photos))
    return [[_in_whole_photo(face, view) for face in faces] for faces, view in zip(found, views, strict=True)]


def _in_whole_photo(face: Face, view: View) -> Face:
    if view.shrink == (1, 1):
        return face
    (x, y), (width, height) = view.shrink, view.size
    box = np.array(face.box) * [x, y, x, y]
    inside = Box(*np.clip(box, 0, [width, height, width, height]).tolist())
    a, b, c, d, e = (Point(point.x * x, point.y * y) for point in face.landmarks)
    return Face(inside, face.score, (a, b, c, d, e))


def cut_out(view: View, faces: Sequence[Face], aligner: Aligner) -> Chips:
    """One chip a face, (n, chip_px, chip_px, 3), each from a version of the photo that has the pixels for it, should
    the photo have them."""
    chips = aligner.cut(view.pixels, faces, view.shrink)
    enough = aligner.shrinks(faces) * _MOST_MAGNIFIED
    blurred = np.flatnonzero(enough < max(view.shrink)).tolist()
    if blurred and view.data:
        chips[blurred] = view.cut([faces[i] for i in blurred], aligner, float(enough[blurred].min()))
    return chips


def load_embedder(
    card: EmbedderCard,
    detector: str,
    device: Device = "auto",
    threads: int = 0,
    note: Note = lambda _: None,
    precision: Precision = "auto",
) -> Embedder:
    """As Analyser.load, for the embedder alone; `detector` is the name of that which found the faces."""
    chosen = device_of(card, device)
    if chosen == "cpu" or is_strange(card):
        prepare([card], note)
    return _embedder(card, detector, chosen, threads, precision)


def _embedder(
    card: EmbedderCard, detector: str, device: Literal["cpu", "gpu"], threads: int, precision: Precision
) -> Embedder:
    (network,) = serve(card, device, threads or cores(), precision).values()
    return Embedder(network, card, detector)


def load_detector(
    card: DetectorCard,
    device: Device = "auto",
    threads: int = 0,
    note: Note = lambda _: None,
    precision: Precision = "auto",
) -> Detector:
    """As Analyser.load, for the detector alone."""
    chosen = device_of(card, device)
    if chosen == "cpu":
        prepare([card], note)
    return _detector(card, chosen, threads, precision)


def _detector(card: DetectorCard, device: Literal["cpu", "gpu"], threads: int, precision: Precision) -> Detector:
    if card.network == "yunet":
        return YunetDetector(exported_to(card) / "detector.onnx", card)
    return MtcnnDetector(serve(card, device, threads or cores(), precision), card)
