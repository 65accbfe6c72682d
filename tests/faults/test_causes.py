"""A photo that could not be read is tried again when that may help, and is never silent."""

import ctypes
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facesearch import Gallery
from facesearch.gallery.database import Database
from facesearch.gallery.records.run import Outcome
from facesearch.photos import file as photo_file
from facesearch.photos.status import Cause, Status

Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def gallery(home: Path) -> Gallery:
    return Gallery.open(device="cpu")


@pytest.fixture
def photo(tmp_path: Path, astronaut_file: Path) -> Path:
    """One photo in a folder of its own."""
    path = tmp_path / "photos" / "one.jpg"
    path.parent.mkdir()
    shutil.copy(astronaut_file, path)
    return path


def _outcomes(gallery: Gallery, photo: Path, **words: Any) -> list[Outcome]:
    outcomes: list[Outcome] = []
    gallery.index([photo.parent], on_outcome=outcomes.append, **words)
    return outcomes


def _said(gallery: Gallery, photo: Path, **words: Any) -> tuple[str, str, str | None, Cause | None]:
    (outcome,) = _outcomes(gallery, photo, **words)
    return outcome.status, outcome.done, outcome.reason, outcome.cause


# In the machine: tried again in every run


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM])
def test_what_the_machine_refuses_is_tried_again_in_every_run(
    number: int, gallery: Gallery, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    asked = []

    def refuse(path: Any, *words: Any, **more: Any) -> int:
        if str(path) == str(photo):
            asked.append(path)
            raise OSError(number, os.strerror(number), path)
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", refuse)
    reason = f"cannot be opened: {os.strerror(number)}"
    assert _said(gallery, photo) == (Status.UNREADABLE, "indexed", reason, Cause.MACHINE)
    assert _said(gallery, photo) == (Status.UNREADABLE, "unchanged", reason, Cause.MACHINE)
    assert len(asked) == 2
    assert gallery.facts().failing == {"unreadable": 1}
    monkeypatch.setattr(os, "open", real)
    assert _said(gallery, photo) == (Status.OK, "indexed", None, None)
    assert gallery.facts().failing == {}


def _as_anybody() -> None:
    """From the next program on root obeys permissions too, as it does without two of its capabilities."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # DAC_OVERRIDE, DAC_READ_SEARCH
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # 24: from the bounding set


@pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_read_once_it_may_be(home: Path, photo: Path) -> None:
    def index() -> "subprocess.CompletedProcess[str]":
        command = [str(Path(sys.executable).with_name("facesearch")), "index", str(photo.parent)]
        return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=_as_anybody)

    photo.chmod(0)
    for _ in range(2):
        done = index()
        assert done.returncode == 7, done
        assert "1 photo cannot be read: 1 unreadable." in done.stderr
        assert "Permission denied" in done.stderr
    photo.chmod(0o644)
    done = index()
    assert done.returncode == 0, done
    faces = Gallery.open().facts().faces
    photo.chmod(0)  # its ctime is another now: it is to be read, and cannot be
    done = index()
    assert done.returncode == 7, done
    assert "what is known of it is kept" in done.stderr
    assert Gallery.open().facts().faces == faces


def test_what_is_known_of_a_photo_that_cannot_be_read_for_now_is_kept(
    gallery: Gallery, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.index([photo.parent])
    faces = gallery.facts().faces
    os.utime(photo, (1, 1))
    real = os.open

    def refuse(path: Any, *words: Any, **more: Any) -> int:
        if str(path) == str(photo):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *words, **more)

    monkeypatch.setattr(os, "open", refuse)
    summary = gallery.index([photo.parent])
    assert summary.failing == {"unreadable": 1}
    assert gallery.facts().photos == {"ok": 1}
    assert gallery.facts().faces == faces
    monkeypatch.setattr(os, "open", real)
    assert gallery.index([photo.parent]).photos == {"unchanged": 1}


# In an option or a package: when that has changed


def test_a_photo_that_was_too_large_is_read_when_the_limit_is_raised(gallery: Gallery, photo: Path) -> None:
    with Image.open(photo) as image:
        image.resize((1600, 1600)).save(photo)  # 2.56 megapixels
    status, _, reason, cause = _said(gallery, photo, max_megapixels=1)
    assert (status, cause) == (Status.TOO_LARGE, Cause.OPTION)
    assert reason == "3 megapixels, more than the 1 that are read"
    assert _said(gallery, photo, max_megapixels=2.5)[:2] == (Status.TOO_LARGE, "unchanged")
    assert gallery.index([photo.parent], max_megapixels=2.5).failing == {"too_large": 1}
    assert _said(gallery, photo, max_megapixels=2.6)[:2] == (Status.OK, "indexed")


_WITHOUT_HEIC = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "pi_heif":
            raise ModuleNotFoundError("No module named 'pi_heif'", name=name)
sys.meta_path.insert(0, Refuse())
"""


def test_heic_is_read_once_its_package_is_there(
    photo: Path, tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    with Image.open(photo) as image:
        image.save(photo.with_name("phone.heic"))
    photo.unlink()
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(_WITHOUT_HEIC)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    for _ in range(2):
        done = process("index", photo.parent)
        assert done.returncode == 7, done
        assert "HEIC needs one more package: pip install pi-heif" in done.stderr
    assert "(until the package is installed)" in process("info", "--failures").stdout
    monkeypatch.delenv("PYTHONPATH") if before is None else monkeypatch.setenv("PYTHONPATH", before)
    done = process("index", photo.parent)
    assert done.returncode == 0, done
    assert "1 new face" in done.stdout


# In the file: when that has changed


def test_a_damaged_photo_waits_until_it_changes(gallery: Gallery, photo: Path, astronaut_file: Path) -> None:
    photo.write_bytes(astronaut_file.read_bytes()[:4000])
    assert _said(gallery, photo)[3] == Cause.FILE
    assert _said(gallery, photo)[:2] == (Status.UNREADABLE, "unchanged")
    assert gallery.index([photo.parent]).failing == {"unreadable": 1}
    shutil.copy(photo, photo.with_name("copy.jpg"))
    assert gallery.index([photo.parent]).photos == {"unchanged": 1, "copied": 1}
    assert gallery.facts().failing == {"unreadable": 2}
    photo.write_bytes(astronaut_file.read_bytes())
    assert gallery.index([photo.parent]).photos == {"unchanged": 1, "ok": 1}


def test_content_that_changes_under_the_same_size_and_time_is_seen(
    gallery: Gallery, photo: Path, photo_of: Callable[..., Path]
) -> None:
    size = photo.stat().st_size
    first = photo.read_bytes()
    gallery.index([photo.parent])
    before = photo.stat()
    other = photo_of("Tiger_Woods", 1).read_bytes()
    photo.write_bytes(other + bytes(size - len(other)))
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (photo.stat().st_size, photo.stat().st_mtime_ns) == (size, before.st_mtime_ns)
    assert photo.read_bytes() != first
    assert gallery.index([photo.parent]).photos == {"ok": 1}


def test_a_photo_whose_rights_or_links_changed_is_not_embedded_again(gallery: Gallery, photo: Path) -> None:
    gallery.index([photo.parent])
    photo.chmod(0o600)
    assert gallery.index([photo.parent]).photos == {"unchanged": 1}
    os.link(photo, photo.parents[1] / "hard link")
    assert gallery.index([photo.parent]).photos == {"unchanged": 1}


def test_a_gallery_of_before_is_taken_over(gallery: Gallery, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows neither causes nor ctimes: what it holds is not read again for that, and its failures are, once."""
    broken = photo.with_name("broken.jpg")
    broken.write_bytes(b"\xff\xd8\xff")
    gallery.index([photo.parent])
    with closing(sqlite3.connect(gallery.database)) as conn, conn:
        for column in ("cause", "needs", "ctime_ns"):
            conn.execute(f"ALTER TABLE photos DROP COLUMN {column}")
        conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'causes_of_failures'")
    assert [each.cause for each in gallery.unread()] == [None]
    real, read = photo_file.open_regular, []

    def opened(path: str) -> Any:
        read.append(path)
        return real(path)

    monkeypatch.setattr(photo_file, "open_regular", opened)
    summary = gallery.index([photo.parent])
    assert (summary.photos, summary.failing) == ({"unchanged": 2}, {"unreadable": 1})
    assert read == [str(broken)]
    assert gallery.index([photo.parent]).failing == {"unreadable": 1}
    assert read == [str(broken)]
    with Database.open(gallery.database) as db:
        assert db.photos.known([str(photo)])[str(photo)].ctime_ns == photo.stat().st_ctime_ns


# What is of another kind is counted, and fails nothing


def test_files_of_other_kinds_are_counted_and_fail_nothing(cli: Callable[..., Any], photo: Path) -> None:
    photo.with_name("text.jpg").write_text("not a photo")
    photo.with_name("film.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    for _ in range(2):
        said = cli("index", photo.parent)
        assert said.code == 0
        assert "1 file is of a kind that nothing here reads" in said.err
    assert "text.jpg" in cli("info", "--failures").out


def test_a_failure_is_said_in_every_run_of_its_own_folder_alone(
    cli: Callable[..., Any], photo: Path, tmp_path: Path, astronaut_file: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    assert cli("index", photo.parent, tmp_path / "bad").code == 7
    assert cli("index", tmp_path / "bad").code == 7
    assert cli("index", photo.parent).code == 0
    assert cli("index", photo.parent, tmp_path / "bad", "--retry-failed").code == 7


def test_a_photo_that_is_cut_off_is_found_and_says_so(gallery: Gallery, photo: Path) -> None:
    """Its face is in the upper half, and is the face of the whole photo."""
    data = photo.read_bytes()
    gallery.index([photo.parent])
    photo.with_name("cut.jpg").write_bytes(data[: len(data) * 7 // 10])
    (cut,) = [outcome for outcome in _outcomes(gallery, photo) if outcome.path.endswith("cut.jpg")]
    assert (cut.status, cut.faces) == (Status.OK, 1)
    assert (cut.reason or "").startswith("cut off after")
    answer = gallery.query(photo, k=2, group=False)
    assert {Path(match.photo).name for match in answer.matches} == {"one.jpg", "cut.jpg"}
    assert min(match.similarity for match in answer.matches) > 0.99


def test_a_photo_comes_through_a_pipe(photo: Path, home: Path) -> None:
    command = [str(Path(sys.executable).with_name("facesearch")), "verify", "-", str(photo)]
    done = subprocess.run(command, input=photo.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done
    assert b"similarity 1.000" in done.stdout
    done = subprocess.run(command, input=b"not a photo", capture_output=True, check=False)
    assert done.returncode == 3, done
