"""A threshold learned without names, on group photos composed from portraits of several people."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch.arrays import Pixels
from facesearch.errors import FaceSearchError
from facesearch.gallery.calibration import Evidence, calibrate, gather
from facesearch.gallery.tables.faces import PhotoFaces
from facesearch.photos.view import read
from tests.portraits import Faces

Cli = Callable[..., Any]
Write = Callable[[Path, Pixels], Path]
_PER_PHOTO = 6  # people; every other photo of a group follows as the second of a burst
_GROUPS = 24


@pytest.fixture(scope="session")
def groups(portraits: Faces, write: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of six people each, some followed by a slightly moved and brighter one."""
    folder = tmp_path_factory.mktemp("groups")
    drawn = random.Random(0)
    people = sorted(path.name for path in portraits.images.iterdir())
    for group in range(_GROUPS):
        tiles = [read(str(portraits.photo(name)))[40:210, 40:210] for name in drawn.sample(people, _PER_PHOTO)]
        photo = np.concatenate([np.concatenate(tiles[:3], axis=1), np.concatenate(tiles[3:], axis=1)])
        write(folder / f"{group:02d}a.png", photo)
        if group % 2:
            moved = np.clip(np.roll(photo, (2, 3), axis=(0, 1)) * 1.05 + 3, 0, 255).astype(np.uint8)
            write(folder / f"{group:02d}b.png", moved)
    return folder


def test_calibrate_learns_from_group_photos_and_query_goes_by_it(
    cli: Cli, groups: Path, photo_of: Callable[..., Path]
) -> None:
    assert cli("index", groups).code == 0
    said = cli("calibrate", "--far", 0.01, "--json")
    assert said.code == 0, said.err
    learned = json.loads(said.out)
    photos = _GROUPS + _GROUPS // 2
    assert learned["photos"] == photos
    assert learned["strangers"] >= photos * 13  # of fifteen pairs in each photo nearly all
    assert 0.88 < learned["threshold"] < 0.95
    assert learned["far"] == 0.01
    assert learned["far_at_most"] > 0.01
    assert learned["likely"] >= _GROUPS // 2 * 5
    assert learned["likely_accepted"] == 1.0

    answer = json.loads(cli("query", photo_of("Tony_Blair", 1), "--json").out)
    assert answer["threshold"] == pytest.approx(learned["threshold"])
    shown = cli("query", photo_of("Tony_Blair", 1)).out
    assert f"judged from {learned['threshold']:.3f} on (1 in 100 pairs of strangers of this gallery" in shown
    assert re.search(r"same person from\s+0\.9\d\d, learned here", cli("info").out)
    assert json.loads(cli("info", "--json").out)["threshold"]["learned"]

    assert "by the card of dlib-resnet" in cli("calibrate", "--far", 0.01).out
    assert cli("calibrate", "--reset").code == 0
    assert json.loads(cli("query", photo_of("Tony_Blair", 1), "--json").out)["threshold"] == 0.929


def test_too_few_group_photos_are_refused(cli: Cli, album: Path, groups: Path) -> None:
    assert cli("index", groups).code == 0
    said = cli("calibrate", "--far", 0.0001)
    assert said.code == 3
    assert re.fullmatch(
        r"Only \d+ pairs of faces share a photo, and a threshold that 1 in 10,000 strangers reach needs 30,000; "
        r"index more photos of several people, or ask for --far 0\.01\.\n",
        said.err,
    )
    assert cli("index", album, "--gallery", "portraits").code == 0
    alone = cli("calibrate", "--gallery", "portraits", "--far", 0.05)
    assert alone.code == 3
    assert "index more photos of several people." in alone.err
    assert cli("calibrate", "--far", 0.7).code == 2
    assert cli("calibrate", "--gallery", "none").code == 5
    assert cli("calibrate", "--gallery", "none", "--reset").code == 5


def _photo(name: str, *faces: tuple[float, list[float]], size: tuple[int, int] = (100, 100)) -> PhotoFaces:
    """A photo whose faces are 20 pixels wide, each at a place, with its embedding."""
    boxes = np.array([[left, 0, left + 20, 20] for left, _ in faces], np.float64).reshape(-1, 4)
    rows = np.array([row for _, row in faces], np.float32)
    return PhotoFaces(name, size, boxes, rows, np.zeros(len(rows), np.float32))


def test_what_is_gathered_by_hand() -> None:
    x, y = [1.0, 0.0], [0.6, 0.8]
    evidence = gather(
        [
            _photo("/a/1.jpg", (0, x), (50, y)),
            _photo("/a/2.jpg", (5, x), (50, x), (80, y)),  # the first two are where those before were
            _photo("/a/3.jpg", (20, y)),  # no face was here before
            _photo("/b/1.jpg", (20, x)),  # another folder
            _photo("/b/2.jpg", (20, x), size=(90, 100)),  # another size
        ]
    )
    assert evidence.photos == 2
    np.testing.assert_allclose(np.concatenate(evidence.strangers), [0.6, 1.0, 0.6, 0.6], atol=1e-6)
    ((a, b, similarities),) = evidence.bursts
    assert (a, b) == ("/a/1.jpg", "/a/2.jpg")
    np.testing.assert_allclose(similarities, [1.0, 0.6], atol=1e-6)


def test_a_crowd_does_not_decide_alone() -> None:
    rng = np.random.default_rng(0)
    crowd: list[tuple[float, list[float]]] = [(30.0 * i, rng.normal(size=2).tolist()) for i in range(100)]
    evidence = gather([_photo("/crowd.jpg", *crowd)])
    assert len(evidence.strangers[0]) == 45


def _strangers(count: int) -> NDArray[np.float32]:
    return np.linspace(0, 1, count, dtype=np.float32)


def test_the_threshold_is_what_that_share_of_strangers_reaches(write: Write, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    one, alike, other = (
        str(write(tmp_path / f"{i}.png", pixels)) for i, pixels in enumerate((noise, noise // 2, 255 - noise))
    )
    bursts = [(one, alike, np.array([0.999, 0.2], np.float32)), (one, other, np.array([0.1], np.float32))]
    bursts.append((one, str(tmp_path / "gone.png"), np.array([0.1], np.float32)))
    learned = calibrate(Evidence([_strangers(10_001)], 7, bursts), 0.001, "model", 0.5)
    assert learned.threshold == pytest.approx(0.999)
    assert learned.card_far == pytest.approx(0.5, abs=1e-3)
    # Eleven of 10,001 reach it; at most 18.2 in 10,000 do, by the tables of the binomial distribution.
    assert learned.far_at_most == pytest.approx(18.2e-4, abs=1e-5)
    assert (learned.likely, learned.likely_accepted) == (2, 0.5)
    with pytest.raises(FaceSearchError, match="Only 2,999 pairs"):
        calibrate(Evidence([_strangers(2999)], 7, []), 0.001, "model", 0.5)
    assert calibrate(Evidence([_strangers(3000)], 7, []), 0.001, "model", 0.5).likely_accepted is None
