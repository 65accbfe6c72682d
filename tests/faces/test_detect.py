"""The cascade on real photos, against the package whose weights it uses."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from msgspec import structs

from facesearch.arrays import Pixels
from facesearch.faces import mtcnn
from facesearch.faces.analyser import Analyser, cut_out
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.geometry.face import Box, Face
from facesearch.models.cards import detector_card
from facesearch.models.serving import serve
from facesearch.photos.view import decode_view, read, whole_view
from tests.portraits import Faces


def iou(a: Box, b: Box) -> float:
    shared = Box(max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom)).area
    return shared / (a.area + b.area - shared)


@pytest.fixture(scope="module")
def detector(models_home: Path) -> MtcnnDetector:
    card = detector_card("mtcnn")
    return MtcnnDetector(serve(card, "cpu", 2), card)


def test_the_astronaut_is_found_where_she_is(detector: MtcnnDetector, astronaut: Pixels) -> None:
    ((face,),) = detector.detect([astronaut])
    assert iou(face.box, Box(145, 62, 234, 180)) > 0.8
    assert face.score > 0.99
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye.x < nose.x < right_eye.x
    assert max(left_eye.y, right_eye.y) < nose.y < min(left_mouth.y, right_mouth.y)
    assert left_mouth.x < right_mouth.x
    assert all(face.box.left < p.x < face.box.right and face.box.top < p.y < face.box.bottom for p in face.landmarks)


def test_faces_are_those_of_the_mtcnn_package(detector: MtcnnDetector, portraits: Faces) -> None:
    package = pytest.importorskip("mtcnn", reason="mtcnn's code needs TensorFlow").MTCNN()
    paths = _a_share(sorted(portraits.images.glob("*/*.jpg")), 60)
    photos = [read(str(path)) for path in paths]
    ours = detector.detect(photos)
    count = same = 0
    apart = []
    for photo, found in zip(photos, ours, strict=True):
        for theirs in package.detect_faces(photo, box_format="xyxy"):
            if theirs["confidence"] <= 0.95:
                continue
            count += 1
            best = max(found, key=lambda face: iou(face.box, Box(*theirs["box"])), default=None)
            if best is not None and iou(best.box, Box(*theirs["box"])) > 0.7:
                same += 1
                points = theirs["keypoints"]
                names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
                apart.append(
                    [np.subtract(ours, points[name]) for ours, name in zip(best.landmarks, names, strict=True)]
                )
    assert count >= 50
    assert same / count >= 0.98
    # The package rounds to whole pixels and shifts by one; beyond that the landmarks are the same.
    assert abs(np.median(apart, axis=0)).max() < 1.5


def test_a_batch_of_any_sizes_gives_what_each_photo_gives_alone(
    detector: MtcnnDetector, astronaut: Pixels, photo_of: Callable[..., Path]
) -> None:
    photos = [
        astronaut,
        read(str(photo_of("Tiger_Woods"))),
        np.ascontiguousarray(astronaut[:300, 40:]),
        read(str(photo_of("Angelina_Jolie"))),
        np.zeros((250, 250, 3), np.uint8),
    ]
    together = detector.detect(photos)
    alone = [detector.detect([photo])[0] for photo in photos]
    assert [len(faces) for faces in together] == [len(faces) for faces in alone]
    assert len(together[-1]) == 0
    for many, one in zip(together, alone, strict=True):
        for a, b in zip(many, one, strict=True):
            _assert_same(a, b)


def _a_share(paths: list[Path], count: int) -> list[Path]:
    """About so many of them, from all over."""
    return paths[:: max(1, len(paths) // count)][:count]


def _assert_same(a: Face, b: Face) -> None:
    np.testing.assert_allclose(a.box, b.box, atol=0.05)
    np.testing.assert_allclose(a.landmarks, b.landmarks, atol=0.05)


def test_a_large_photo_in_strips_gives_what_it_gives_whole(
    detector: MtcnnDetector, astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mtcnn, "_P_NET_PIXELS", 1 << 30)
    (whole,) = detector.detect([astronaut])
    monkeypatch.setattr(mtcnn, "_P_NET_PIXELS", 1 << 12)
    (strips,) = detector.detect([astronaut])
    for a, b in zip(whole, strips, strict=True):
        _assert_same(a, b)


def test_the_face_moves_with_the_photo(detector: MtcnnDetector, astronaut: Pixels) -> None:
    ((face,),) = detector.detect([astronaut])
    framed = cv2.copyMakeBorder(astronaut, 60, 0, 100, 0, cv2.BORDER_REPLICATE)
    found = detector.detect([np.asarray(framed, np.uint8)])[0][0]
    np.testing.assert_allclose(found.box, np.add(face.box, [100, 60, 100, 60]), atol=8)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (11, 11, 3), (19, 19, 3), (20, 20, 3), (12, 1000, 3)])
def test_a_photo_smaller_than_a_face_has_none(detector: MtcnnDetector, shape: tuple[int, ...]) -> None:
    assert detector.detect([np.full(shape, 90, np.uint8)]) == [[]]


def test_no_photos_have_no_faces(detector: MtcnnDetector) -> None:
    assert detector.detect([]) == []


def test_smaller_faces_than_asked_for_are_left_out(astronaut: Pixels) -> None:
    card = structs.replace(detector_card("mtcnn"), min_face_px=400)
    patient = MtcnnDetector(serve(card, "cpu", 2), card)
    assert patient.detect([astronaut]) == [[]]


def _large(astronaut: Pixels, kind: str) -> bytes:
    """3,600 x 2,400 pixels with her face in three sizes: 640, 320 and 80 pixels wide."""
    photo = np.full((2400, 3600, 3), 90, np.uint8)
    face = astronaut[20:240, 100:290]
    for times, left, top in ((7.0, 100, 100), (3.5, 1600, 300), (0.9, 2800, 1500)):
        size = (round(face.shape[1] * times), round(face.shape[0] * times))
        photo[top : top + size[1], left : left + size[0]] = cv2.resize(face, size, interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(kind, photo[..., ::-1])[1].tobytes()


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_a_large_photo_is_looked_at_in_small_and_its_faces_embedded_in_full(
    analyser: Analyser, astronaut: Pixels, kind: str
) -> None:
    """The faces are those of the whole photo, in its pixels, and so are their embeddings."""
    data = _large(astronaut, kind)
    small, full = analyser.analyse([decode_view(data, 1200), decode_view(data)])
    assert len(small.faces) == len(full.faces) == 3
    for i, face in enumerate(small.faces):
        j = max(range(3), key=lambda k: iou(face.box, full.faces[k].box))
        same = full.faces[j]
        width = same.box.right - same.box.left
        assert iou(face.box, same.box) > 0.85
        np.testing.assert_allclose(face.landmarks, same.landmarks, atol=0.05 * width)
        assert small.embeddings[i] @ full.embeddings[j] > 0.99


def test_a_chip_is_cut_from_a_version_that_has_its_pixels(analyser: Analyser, astronaut: Pixels) -> None:
    """Of a face 80 pixels wide, seen in 27, the chip is as sharp as from the whole photo; of a large one the small
    version is enough."""
    data = _large(astronaut, ".jpg")
    view = decode_view(data, 1200)
    (found,) = analyser.analyse([view])
    aligner = analyser.embedder.aligner
    chips = cut_out(view, found.faces, aligner)
    sharp = aligner.cut(decode_view(data).pixels, found.faces)
    blurred = aligner.cut(view.pixels, found.faces, view.shrink)
    for face, chip, best, worst in zip(found.faces, chips, sharp, blurred, strict=True):
        small = face.box.right - face.box.left < 100
        assert abs(chip.astype(int) - best).mean() < (1 if small else 4)
        assert (chip == worst).all() != small
    assert (cut_out(whole_view(decode_view(data).pixels), found.faces, aligner) == sharp).all()
