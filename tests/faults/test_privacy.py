"""What is forgotten is gone from every file; nothing leaves this machine."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facesearch import Gallery
from facesearch.errors import FaceSearchError
from facesearch.gallery.database import Database
from facesearch.gallery.records.facts import Forgotten
from facesearch.gallery.upkeep.checking import check
from facesearch.gallery.upkeep.forgetting import forget, forget_missing
from facesearch.photos.view import read


@pytest.fixture
def gallery(home: Path, victim: Any, few: Any) -> Gallery:
    assert victim(home, few.folder)["code"] == 7
    return Gallery.open(device="cpu")


def _secrets(gallery: Gallery, where: str) -> list[bytes]:
    """What of these faces can be found in a file: their embeddings, as they are and a part of them, and landmarks."""
    with Database.open(gallery.database) as db:
        rows = db._conn.execute(
            "SELECT embedding, landmarks FROM faces JOIN photos ON photos.id = photo_id "
            f"LEFT JOIN people ON people.id = person_id WHERE {where}"
        ).fetchall()
    assert rows
    return [secret for embedding, landmarks in rows for secret in (embedding[:64], embedding[-64:], landmarks)]


def _bytes_of(gallery: Gallery) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(gallery.directory.rglob("*")) if path.is_file())


def _assert_gone(gallery: Gallery, secrets: list[bytes]) -> None:
    everything = _bytes_of(gallery)
    assert [secret for secret in secrets if secret in everything] == []
    assert check(gallery).faults == ()
    assert not list(gallery.directory.glob("*.part"))


def test_a_person_is_forgotten(gallery: Gallery, few: Any, victim: Any, home: Path) -> None:
    secrets = _secrets(gallery, "name = 'Abdullah_Gul'")
    kept = _secrets(gallery, "name != 'Abdullah_Gul'")
    assert all(secret in _bytes_of(gallery) for secret in secrets)
    assert forget(gallery, "Abdullah_Gul").photos == 2
    _assert_gone(gallery, [*secrets, b"Abdullah_Gul\0"])
    assert all(secret in _bytes_of(gallery) for secret in kept)
    assert gallery.facts().photos["forgotten"] == 2
    # A later run does not bring the faces back, nor does a copy, nor a look at what failed.
    (home / "more").mkdir()
    shutil.copy(few.folder / "Abdullah_Gul" / "Abdullah_Gul_0001.jpg", home / "more" / "copy.jpg")
    again = victim(home, few.folder, home / "more", retry=True)
    assert again["photos"] == {"unchanged": 7, "copied": 1}
    _assert_gone(gallery, secrets)
    assert few.is_untouched()
    with pytest.raises(FaceSearchError, match="knows neither a person nor a photo Abdullah_Gul"):
        forget(gallery, "Abdullah_Gul")


def test_a_photo_is_forgotten_and_comes_back_when_it_is_named(
    gallery: Gallery, few: Any, victim: Any, home: Path, trusted: Any
) -> None:
    expected = trusted.dump(home)
    photo = few.folder / "Angelina_Jolie" / "Angelina_Jolie_0001.jpg"
    secrets = _secrets(gallery, "path LIKE '%Angelina_Jolie_0001.jpg'")
    assert forget(gallery, str(photo)) == Forgotten(1, len(secrets) // 3)
    _assert_gone(gallery, secrets)
    assert victim(home, few.folder)["photos"] == {"unchanged": 7}
    _assert_gone(gallery, secrets)
    assert victim(home, photo)["photos"] == {"ok": 1}
    trusted.whole(home, few, expected)


def test_what_is_forgotten_stays_so_when_it_moves_or_goes_and_comes_back(
    home: Path, few: Any, victim: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(few.folder, folder)
    assert victim(home, folder)["code"] == 7
    gallery = Gallery.open(device="cpu")
    photo = folder / "Tiger_Woods" / "Tiger_Woods_0001.jpg"
    secrets = _secrets(gallery, "path LIKE '%Tiger_Woods_0001.jpg'")
    forget(gallery, str(photo))
    photo.rename(folder / "elsewhere.jpg")
    assert victim(home, folder)["photos"] == {"unchanged": 6, "moved": 1}
    (folder / "elsewhere.jpg").rename(tmp_path / "away.jpg")
    victim(home, folder)
    (tmp_path / "away.jpg").rename(folder / "back.jpg")
    assert victim(home, folder)["analysed"] == 0
    _assert_gone(gallery, secrets)


def test_what_is_missing_is_forgotten(home: Path, few: Any, victim: Any, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(few.folder, folder)
    victim(home, folder)
    gallery = Gallery.open(device="cpu")
    secrets = _secrets(gallery, "path LIKE '%Angelina%'")
    shutil.rmtree(folder / "Angelina_Jolie")
    assert victim(home, folder)["photos"]["missing"] == 2
    assert all(secret in _bytes_of(gallery) for secret in secrets)
    assert forget_missing(gallery).photos == 2
    _assert_gone(gallery, [*secrets, b"Angelina_Jolie"])
    assert forget_missing(gallery) == Forgotten(0, 0)


def test_the_command_says_what_it_forgot(cli: Callable[..., Any], gallery: Gallery, few: Any) -> None:
    assert cli("forget").code == 2
    assert cli("forget", "Tiger_Woods", "--missing").code == 2
    said = cli("forget", "Tiger_Woods", "--yes")
    assert (said.code, said.out) == (0, "Forgot 1 face in 1 photo.\n")
    (gallery.directory / "backup-1").mkdir()
    said = cli("forget", few.folder / "Abdullah_Gul" / "Abdullah_Gul_0001.jpg", "--yes", "--json")
    assert said.out.startswith('{"photos": 1, "faces": ')
    assert "Backups still hold what was there before" in said.err
    assert "backup-1" in said.err


_NO_SOCKETS = """
import sys
def refuse(event, words):
    if event.startswith("socket."):
        raise RuntimeError(f"{event} was asked for")
sys.addaudithook(refuse)
"""


def test_nothing_is_sent_anywhere(
    home: Path, album: Path, tmp_path: Path, photo_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the commands' own processes and in all that they start, no socket can be made."""
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "sitecustomize.py").write_text(_NO_SOCKETS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "no"))
    probe = subprocess.run([sys.executable, "-c", "import socket; socket.socket()"], capture_output=True, check=False)
    assert b"was asked for" in probe.stderr  # it works
    facesearch = str(Path(sys.executable).with_name("facesearch"))
    photo = str(photo_of("Tiger_Woods", 4))
    for words in (
        ("index", str(album), "--people-from", "folder"),
        ("query", photo),
        ("verify", photo, str(photo_of("Tiger_Woods", 5))),
        ("check", "--photos"),
        ("forget", "Tiger_Woods", "--yes"),
        ("info",),
    ):
        done = subprocess.run([facesearch, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        assert "was asked for" not in done.stderr


def test_who_was_forgotten_among_others_comes_back_when_that_is_asked_for(
    home: Path, astronaut: Any, photo_of: Callable[..., Path], tmp_path: Path, write: Callable[..., Path]
) -> None:
    """A photo of two people stays when one of them is forgotten."""
    other = cv2.resize(read(str(photo_of("Tiger_Woods", 1))), (384, 384))
    two = np.asarray(np.concatenate([astronaut, other], axis=1), np.uint8)
    photo = write(tmp_path / "photos" / "two.png", two)
    gallery = Gallery.open(device="cpu")
    assert gallery.index([photo.parent]).faces == 2
    with gallery.writing() as db, db.transaction():
        db._conn.execute("INSERT INTO people (name) VALUES ('Ann')")
        db._conn.execute("UPDATE faces SET person_id = 1 WHERE id = (SELECT min(id) FROM faces)")
    assert forget(gallery, "Ann").faces == 1
    assert gallery.index([photo.parent]).photos == {"unchanged": 1}
    assert gallery.facts().faces == 1
    again = gallery.index([photo.parent], again_forgotten=True)
    assert (again.photos, again.faces) == ({"ok": 1}, 2)
    assert gallery.index([photo.parent], again_forgotten=True).photos == {"unchanged": 1}
