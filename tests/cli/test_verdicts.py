"""Verify: by the card's threshold, by a gallery's, by one's own, or by none."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facesearch import verify
from facesearch.errors import GalleryError, UsageError
from facesearch.models.cards import shipped

Cli = Callable[..., Any]


@pytest.fixture
def unmeasured(home: Path) -> None:
    """The default model, of whose threshold nothing is known."""
    text = (shipped("models") / "dlib-resnet.toml").read_text()
    text = re.sub(r"\[threshold\].*?\n\n", "", text, flags=re.DOTALL)
    (home / "models" / "dlib-resnet.toml").write_text(text)


@pytest.fixture
def learned(home: Path, cli: Cli, astronaut_file: Path) -> float:
    """What a gallery has learned; it stands in for a calibration, which needs hundreds of photos."""
    assert cli("index", astronaut_file, "-g", "family").code == 0
    with closing(sqlite3.connect(home / "indexes" / "family" / "faces.db")) as conn, conn:
        conn.execute("INSERT INTO calibration VALUES (1, 0.995, 0.001, 5000, '2026-01-01', 1)")
    return 0.995


def test_a_model_without_a_threshold_says_how_similar_they_are(
    unmeasured: None, cli: Cli, photo_of: Callable[..., Path]
) -> None:
    pair = photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2)
    said = cli("verify", *pair)
    assert said.code == 6
    assert re.search(r"similarity 0\.\d{3}", said.out)
    assert "--threshold" in said.err
    assert "bench lfw --protocol strangers --save" in said.err
    told = json.loads(cli("verify", *pair, "--json").out)
    assert (told["same"], told["threshold"]) == (None, None)
    assert told["similarity"] > 0.9
    assert verify(*pair).same is None


def test_all_photos_of_a_person_need_a_threshold(unmeasured: None, cli: Cli, astronaut_file: Path) -> None:
    assert cli("index", astronaut_file).code == 0
    said = cli("query", astronaut_file, "--all")
    assert (said.code, said.out) == (6, "")
    assert "--threshold X" in said.err
    assert cli("query", astronaut_file, "--all", "--threshold", 0.9, "--paths").out == f"{astronaut_file}\n"


def test_a_threshold_of_ones_own_decides(unmeasured: None, cli: Cli, photo_of: Callable[..., Path]) -> None:
    pair = photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2)
    assert cli("verify", *pair, "--threshold", 0.5).code == 0
    said = cli("verify", *pair, "--threshold", 0.999, "--json")
    assert said.code == 1
    assert json.loads(said.out)["threshold"] == 0.999
    assert cli("verify", *pair, "--threshold", 1.5).code == 2
    assert cli("verify", *pair, "--threshold", "nan").code == 2
    assert verify(*pair, threshold=0.5).same is True
    with pytest.raises(UsageError, match="is not possible"):
        verify(*pair, threshold=2)


def test_a_gallery_judges_by_what_it_has_learned(cli: Cli, learned: float, photo_of: Callable[..., Path]) -> None:
    pair = photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2)
    assert cli("verify", *pair).code == 0
    said = cli("verify", *pair, "--gallery", "family")
    assert said.code == 1
    assert "threshold 0.995 (1 in 1,000 pairs of strangers of this gallery are this similar)" in said.out
    verdict = verify(*pair, gallery="family")
    assert (verdict.same, verdict.threshold, verdict.learned) == (False, learned, True)
    assert cli("verify", *pair, "--gallery", "family", "--threshold", 0.9).code == 0


def test_a_gallery_says_the_models(cli: Cli, learned: float, photo_of: Callable[..., Path]) -> None:
    pair = photo_of("Tiger_Woods", 1), photo_of("Tiger_Woods", 2)
    assert cli("verify", *pair, "--gallery", "family", "--model", "sface").code == 2
    assert cli("verify", *pair, "--gallery", "nobody").code == 5
    with pytest.raises(GalleryError):
        verify(*pair, gallery="nobody")
