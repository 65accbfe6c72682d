"""A gallery remembers which networks made its embeddings, and not only how they were called."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from facesearch.errors import ModelError
from facesearch.models.cards import BoxAlignment, EmbedderCard, Threshold, detector_card, embedder_card, shipped
from facesearch.models.identity import identity_of
from facesearch.models.weight_files import digest_of

Cli = Callable[..., Any]


def _identity(home: Path) -> str:
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn:
        return str(conn.execute("SELECT identity FROM settings").fetchone()[0])


def _change_card(home: Path, old: str, new: str) -> Path:
    """The card of the default model with other facts, under its name."""
    text = (shipped("models") / "dlib-resnet.toml").read_text()
    assert old in text
    path = home / "models" / "dlib-resnet.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scale = 256.0", "scale = 255.0"),
        ("mirrored = true", "mirrored = false"),
        ("[46.33, 44.93]", "[46.33, 45.93]"),
        ("55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30", "0" * 64),
    ],
)
def test_another_network_under_the_same_name_is_refused(
    old: str, new: str, cli: Cli, home: Path, astronaut_file: Path, tmp_path: Path
) -> None:
    assert cli("index", astronaut_file).code == 0
    before = (home / "indexes" / "default" / "faces.db").read_bytes()
    own = _change_card(home, old, new)
    shutil.copy(astronaut_file, tmp_path / "another.jpg")
    for words in (("index", tmp_path / "another.jpg"), ("query", astronaut_file), ("calibrate",), ("repair",)):
        said = cli(*words)
        assert (said.code, said.err.count("\n")) == (6, 1), said.err
        assert "another network" in said.err
    assert (home / "indexes" / "default" / "faces.db").read_bytes() == before
    own.unlink()
    assert cli("query", astronaut_file).code == 0


def test_what_decides_no_embedding_may_change(cli: Cli, home: Path, astronaut_file: Path) -> None:
    assert cli("index", astronaut_file).code == 0
    _change_card(home, "similarity = 0.929", "similarity = 0.95")
    assert json.loads(cli("query", astronaut_file, "--json").out)["threshold"] == 0.95
    assert cli("index", astronaut_file).code == 0


def test_a_gallery_of_before_is_taken_over(cli: Cli, home: Path, astronaut_file: Path) -> None:
    assert cli("index", astronaut_file).code == 0
    expected = _identity(home)
    assert expected
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn, conn:
        conn.execute("ALTER TABLE settings DROP COLUMN identity")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'identity_of_the_models'")
    assert cli("query", astronaut_file).code == 0
    assert cli("index", astronaut_file).code == 0
    assert _identity(home) == expected


def test_a_damaged_note_of_the_networks_refuses_nothing(cli: Cli, home: Path, astronaut_file: Path) -> None:
    assert cli("index", astronaut_file).code == 0
    expected = _identity(home)
    for damaged in (expected[:-1] + "x", "x" + expected[1:], "é", b"\xff", 7):
        with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn, conn:
            conn.execute("UPDATE settings SET identity = ?", (damaged,))
        assert cli("query", astronaut_file).code == 0
        assert cli("index", astronaut_file).code == 0
        assert _identity(home) == expected


def test_a_gallery_without_a_face_takes_what_there_is(cli: Cli, home: Path, tmp_path: Path, write: Any) -> None:
    import numpy as np

    write(tmp_path / "wall" / "wall.png", np.full((64, 64, 3), 128, np.uint8))
    assert cli("index", tmp_path / "wall").code == 0
    before = _identity(home)
    _change_card(home, "mirrored = true", "mirrored = false")
    assert cli("index", tmp_path / "wall").code == 0
    assert _identity(home) != before


def test_the_identity_follows_each_fact_that_decides_an_embedding() -> None:
    card, finder = embedder_card("dlib-resnet"), detector_card("mtcnn")
    same = msgspec.structs.replace(
        card, name="other", title="x", accuracy={}, default=False, threshold=Threshold(0.5, 0.1, "here")
    )
    assert identity_of(same, finder) == identity_of(card, finder)
    other_weights = msgspec.structs.replace(finder.weights[0], sha256="0" * 64)
    others: list[tuple[EmbedderCard, Any]] = [
        (msgspec.structs.replace(card, **{fact: value}), finder)
        for fact, value in (
            ("network", "small"),
            ("dim", 64),
            ("chip_px", 151),
            ("mean", (1.0, 2.0, 3.0)),
            ("scale", 1.0),
            ("whitened", True),
            ("channels", "BGR"),
            ("mirrored", False),
            ("alignment", BoxAlignment(margin=32)),
            ("weights", (msgspec.structs.replace(card.weights[0], sha256="0" * 64),)),
        )
    ]
    others += [(card, detector_card("yunet"))]
    others += [(card, msgspec.structs.replace(finder, weights=(other_weights, *finder.weights[1:])))]
    found = {identity_of(*each) for each in [(card, finder), *others]}
    assert len(found) == 1 + len(others)


def test_weights_without_a_checksum_are_known_by_their_bytes(home: Path) -> None:
    card = embedder_card("facenet-20180402-114759")
    file = home / "models" / card.name / card.weights[0].path
    with pytest.raises(ModelError, match="are missing"):
        identity_of(card, detector_card("mtcnn"))
    file.parent.mkdir()
    found = set()
    for content in (b"one", b"two"):
        file.write_bytes(content)
        assert digest_of(card.weights[0], card.name) == digest_of(card.weights[0], card.name)
        found.add(identity_of(card, detector_card("mtcnn")))
    assert len(found) == 2
