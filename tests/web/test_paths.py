"""A path that was slipped into the database is no way out of the gallery's folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from facesearch import Gallery
from facesearch.gallery.database import Database
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.status import Status
from tests.made_galleries import embedding, face
from tests.made_up_gallery import SETTINGS
from tests.web.raw import Client
from tests.web.trial import serving


@pytest.fixture
def places(tmp_path: Path, astronaut_file: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths in a gallery that looks after one folder: a photo in it, the same photo elsewhere by three ways, and a
    file that is no photo."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    for folder in ("in", "out", "in-too"):
        (tmp_path / folder).mkdir()
        shutil.copy(astronaut_file, tmp_path / folder / "a.jpg")
    (tmp_path / "in" / "secret.jpg").write_text("root:x:0:0")
    ways = ("in/a.jpg", "out/a.jpg", "in/../out/a.jpg", "in-too/a.jpg", "in/secret.jpg")
    paths = [f"{tmp_path}/{way}" for way in ways]
    with Gallery.open().writing() as db, db.transaction():
        db.settings.write(SETTINGS)
        db.roots.add([str(tmp_path / "in")])
        for path in [*paths, "a.jpg"]:
            _save(db, path, astronaut_file)
    return paths


def _save(db: Database, path: str, content: Path) -> None:
    loaded = load(PhotoFile(str(content), 1, 1))
    assert loaded is not None
    faces, rows = [face(100)], np.array([embedding(path, 0)])
    file = PhotoFile(path, 1, 1)
    db.photos.save(PhotoRow(file, Status.OK, loaded.digest, size=(512, 512), faces=faces, embeddings=rows))


def test_only_what_was_indexed_below_the_gallerys_folders_is_shown(
    places: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "in")
    with serving("default", "--token-file", str(tmp_path / "token")) as served:
        token = (tmp_path / "token").read_text().strip()
        program = Client(served.port, (f"Authorization: Bearer {token}",))
        for kind in ("photos", "faces"):
            shown = program.get(f"/api/{kind}/1/image")
            assert (shown.status, shown.body[:4]) == (200, b"RIFF")
            for number in range(2, len(places) + 2):
                given = program.get(f"/api/{kind}/{number}/image")
                assert given.status == 410, (kind, number)
                assert b"root:" not in given.body
