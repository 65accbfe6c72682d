"""What every implementation of a protocol keeps: detectors, networks, aligners and indexes."""

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from facesearch.arrays import Pixels
from facesearch.evaluation.synthetic import DIM, Identities
from facesearch.faces.detector import Detector
from facesearch.faces.mtcnn import MtcnnDetector
from facesearch.gallery.vectors import NONE
from facesearch.gallery.vectors_file import build_in_memory
from facesearch.geometry.chips import Aligner, ByBox, ByLandmarks
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import detector_card, embedder_card, index_recipes
from facesearch.models.engines import Network
from facesearch.models.engines.keras import KerasNetwork
from facesearch.models.serving import keras_models, serve

_FACE = Face(Box(30, 20, 70, 70), 1.0, (Point(40, 35), Point(60, 35), Point(50, 47), Point(42, 58), Point(58, 58)))
_TEMPLATE = np.array(_FACE.landmarks) * 0.5  # the photo at half its size
_ALIGNERS: list[Aligner] = [ByLandmarks(_TEMPLATE, np.ones(5), 48), ByBox(8, 48)]


@pytest.mark.parametrize("aligner", _ALIGNERS, ids=lambda aligner: type(aligner).__name__)
def test_an_aligner_gives_a_chip_a_face_and_says_how_much_it_shrinks(aligner: Aligner) -> None:
    photo: Pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    for faces in ([], [_FACE], [_FACE] * 3):
        chips = aligner.cut(photo, faces)
        assert chips.shape == (len(faces), aligner.chip_px, aligner.chip_px, 3)
        assert chips.dtype == np.uint8
        assert aligner.shrinks(faces).shape == (len(faces),)
        assert (aligner.shrinks(faces) > 0).all()
        assert all((chip == chips[0]).all() for chip in chips)


@pytest.fixture(params=["mtcnn"])
def detector(request: pytest.FixtureRequest, models_home: Path) -> Detector:
    card = detector_card(request.param)
    return MtcnnDetector(serve(card, "cpu", 2), card)


def test_a_detector_gives_a_list_a_photo_surest_first_within_the_photo(detector: Detector, astronaut: Pixels) -> None:
    two = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    photos = [astronaut, np.zeros((60, 90, 3), np.uint8), two]
    found = detector.detect(photos)
    assert [len(faces) for faces in found] == [1, 0, 2]
    for photo, faces in zip(photos, found, strict=True):
        scores = [face.score for face in faces]
        assert scores == sorted(scores, reverse=True)
        for face in faces:
            assert 0 < face.score <= 1
            assert -10 < face.box.left < face.box.right < photo.shape[1] + 10
            assert -10 < face.box.top < face.box.bottom < photo.shape[0] + 10
    assert detector.detect([]) == []


@pytest.mark.parametrize("engine", ["onnx", "keras"])
def test_a_network_gives_a_row_a_chip_whatever_the_batch(engine: str, models_home: Path) -> None:
    card = embedder_card("dlib-resnet")
    network: Network
    if engine == "keras":
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
        network = KerasNetwork(keras_models(card)["embedder"])
    else:
        network = serve(card, "cpu", 1)["embedder"]
    chips = np.random.default_rng(0).integers(0, 256, (3, card.chip_px, card.chip_px, 3)).astype(np.uint8)
    (together,) = network(chips)
    assert together.shape == (3, card.dim)
    assert together.dtype == np.float32
    alone = np.concatenate([network(chips[i : i + 1])[0] for i in range(3)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


_RECIPES = {recipe.name: recipe for recipe in index_recipes()}
_COUNT = 1500


@pytest.mark.parametrize("name", _RECIPES)
def test_an_index_gives_ids_by_falling_similarity_and_none_where_there_are_fewer(name: str) -> None:
    faces = Identities(_COUNT, 0.5)
    index = build_in_memory(faces, DIM, [structs.replace(_RECIPES[name], up_to_faces=None)])
    assert len(index) == _COUNT
    _, queries = faces.queries(5)
    for k in (1, 7, _COUNT + 5):
        similarities, ids = index.search(queries, k)
        assert similarities.shape == ids.shape == (5, k)
        assert (np.diff(similarities[:, :7], axis=1) <= 0).all()
        assert ((ids == NONE) == np.isneginf(similarities)).all()
    assert (ids == NONE)[:, -5:].all()
    assert len(set(ids[0][ids[0] != NONE].tolist())) == (ids[0] != NONE).sum()
