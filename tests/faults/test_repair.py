"""A repair that is killed or refused at any of its steps: the gallery is the old one or the new one, whole, with all
that its log held, and nothing is left beside it."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch import Gallery
from facesearch.errors import FaceSearchError
from facesearch.gallery.contents import unknown
from facesearch.gallery.upkeep.checking import check
from tests.faults import failing

_every = pytest.mark.parametrize("every", [61, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])

_DAMAGE = """
import os, signal, sqlite3, sys
conn = sqlite3.connect(sys.argv[1])
conn.execute("PRAGMA wal_autocheckpoint = 0")
conn.execute("UPDATE faces SET embedding = zeroblob(512) WHERE id = 1")
conn.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""
_FAULT = ["face 1 is not as it was stored"]


def _folder(home: Path) -> Path:
    return home / "indexes" / "default"


def _damage(home: Path) -> None:
    """One face is zeros, and that is in the log alone, as are the newest photos."""
    done = subprocess.run([sys.executable, "-c", _DAMAGE, _folder(home) / "faces.db"], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (_folder(home) / "faces.db-wal").stat().st_size


@pytest.fixture
def damaged(victim: Any, few: Any, tmp_path: Path) -> Path:
    """A gallery whose log holds the photos of the last batches, and a face that is damaged."""
    home = tmp_path / "damaged"
    home.mkdir()
    assert victim(home, few.folder / "Abdullah_Gul")["code"] == 0
    _damage(home)
    return home


@pytest.fixture
def expected(victim: Any, few: Any, trusted: Any, tmp_path: Path) -> Any:
    home = tmp_path / "expected"
    home.mkdir()
    assert victim(home, few.folder / "Abdullah_Gul")["code"] == 0
    return trusted.dump(home)


@pytest.fixture
def homes(damaged: Path, tmp_path: Path) -> Callable[[], Path]:
    numbers = iter(range(10**6))

    def new() -> Path:
        return Path(shutil.copytree(damaged, tmp_path / f"home{next(numbers)}"))

    return new


def _computed(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(row[0], row[1], *(face[:-1] for face in row[8:])) for row in rows]


def _assert_ends_well(home: Path, few: Any, victim: Any, trusted: Any, expected: Any) -> None:
    """Whatever happened to one repair, the next one ends it. Where the first was cut off between the new database
    and the photo that it had to leave out, that photo is new to the next run; one photo is looked at anew at most."""
    again = victim(home, do="repair")
    assert again["code"] == 0, again
    met = victim(home, few.folder / "Abdullah_Gul")
    assert met["code"] == 0, met
    assert again["analysed"] + met["analysed"] <= 1, (again, met)
    for backup in _folder(home).glob("backup-*"):
        assert {file.name for file in backup.iterdir()} >= {"faces.db"}
        shutil.rmtree(backup)
    assert victim(home, do="check")["faults"] == []
    assert _computed(trusted.dump(home)) == _computed(expected)
    assert {path.name for path in _folder(home).iterdir()} == {"faces.db", "faces.faiss", "faces.lock"}


@pytest.mark.skipif(not failing.is_possible(), reason="this Python hides its SQLite")
@_every
@pytest.mark.parametrize("how", ["kill", "torn"])
def test_killed_at_any_step_of_a_repair(
    how: str, every: int, few: Any, victim: Any, trusted: Any, homes: Any, expected: Any
) -> None:
    count = victim(homes(), do="repair")["steps"]
    old = new = 0
    for at in range(1, count + 1, every):
        home = homes()
        assert victim(home, do="repair", at=at, how=how)["ended"] == -9
        checked = victim(home, do="check")
        assert "faults" in checked, (at, checked)
        faults = checked["faults"]
        assert faults in ([], _FAULT), (at, faults)
        old += faults == _FAULT
        new += not faults
        assert len(list(_folder(home).glob("backup-*"))) == 1 or faults
        assert unknown(_folder(home)) == ()
        _assert_ends_well(home, few, victim, trusted, expected)
        shutil.rmtree(home)
    print(f"{how}: {old + new} of {count} steps, {old} times the old gallery, {new} times the new one")
    assert old
    assert new


@pytest.mark.skipif(not failing.is_possible(), reason="this Python hides its SQLite")
@_every
@pytest.mark.parametrize("how", ["full", "broken"])
def test_refused_at_any_step_of_a_repair(
    how: str, every: int, few: Any, victim: Any, trusted: Any, homes: Any, expected: Any
) -> None:
    count = victim(homes(), do="repair")["steps"]
    refused = 0
    for at in range(1, count + 1, every):
        home = homes()
        for _ in range(2):  # one that is tried again leaves no more behind
            failed = victim(home, do="repair", at=at, how=how, lasting=True)
            assert failed["code"] in (0, 3), (at, failed)
            if failed["code"]:
                assert str(home) in failed["said"]
            backups = list(_folder(home).glob("backup-*"))
            if failed["code"] and victim(home, do="check")["faults"] == _FAULT:
                refused += 1
                assert not backups
            assert len(backups) <= 1
        _assert_ends_well(home, few, victim, trusted, expected)
        shutil.rmtree(home)
    print(f"{how}: {count} steps, refused {refused} times with the old gallery as it was")
    assert refused


def _opened(home: Path, monkeypatch: pytest.MonkeyPatch) -> Gallery:
    monkeypatch.setenv("FACESEARCH_HOME", str(home))
    return Gallery.open(device="cpu")


def test_room_is_asked_for_before_a_repair_begins(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery = _opened(damaged, monkeypatch)
    before = sorted((path.name, path.read_bytes()) for path in _folder(damaged).iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(
        FaceSearchError, match=r"takes up to [0-9.]+ MB in .* and 0\.0 MB are free; free some"
    ) as said:
        gallery.repair()
    assert said.value.exit_code == 3
    after = sorted((path.name, path.read_bytes()) for path in _folder(damaged).iterdir())
    # Whoever read it may have noted so beside the log.
    assert [each for each in after if not each[0].endswith("-shm")] == [
        each for each in before if not each[0].endswith("-shm")
    ]


def test_a_database_that_is_a_link_is_not_written_over(
    damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = _opened(damaged, monkeypatch)
    target = tmp_path / "elsewhere.db"
    target.write_bytes(b"somebody's own file, no database" * 300)
    for path in _folder(damaged).glob("faces.db*"):
        path.unlink()
    gallery.database.symlink_to(target)
    with pytest.raises(
        FaceSearchError, match=r"is a link to .*elsewhere\.db, and a database is not repaired"
    ) as said:
        gallery.repair()
    assert said.value.exit_code == 3
    assert target.read_bytes() == b"somebody's own file, no database" * 300
    assert gallery.database.is_symlink()
    assert [path.name for path in tmp_path.glob("elsewhere*")] == ["elsewhere.db"]


def test_a_gallery_whose_folder_is_a_link_is_repaired_where_it_lies(
    damaged: Path, tmp_path: Path, few: Any, victim: Any, trusted: Any, expected: Any
) -> None:
    _folder(damaged).rename(tmp_path / "disk")
    _folder(damaged).symlink_to(tmp_path / "disk")
    assert victim(damaged, do="repair")["faults"] == _FAULT
    assert _folder(damaged).is_symlink()
    assert len(list((tmp_path / "disk").glob("backup-*"))) == 1
    _assert_ends_well(damaged, few, victim, trusted, expected)


def test_without_its_first_page_a_database_is_read_from_a_copy(
    victim: Any, few: Any, tmp_path: Path, trusted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own file stays as it was until the new one takes its place."""
    home = tmp_path / "first"
    home.mkdir()
    assert victim(home, few.folder)["code"] == 7
    whole = trusted.dump(home)
    database = _folder(home) / "faces.db"
    damaged = bytes(4096) + database.read_bytes()[4096:]
    database.write_bytes(damaged)
    gallery = _opened(home, monkeypatch)
    replaced: list[bytes] = []
    real = Path.replace

    def noting(self: Path, target: Path) -> Path:
        if Path(target) == database:
            replaced.append(database.read_bytes())
        return real(self, target)

    monkeypatch.setattr(Path, "replace", noting)
    done = gallery.repair()
    assert replaced == [damaged]
    assert done.photos == len(whole)
    assert check(gallery).faults == ()


def test_what_a_killed_repair_of_an_earlier_facesearch_left_is_removed(
    damaged: Path, few: Any, victim: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = _opened(damaged, monkeypatch)
    left = ("faces.part", "faces.part-wal", "faces.part-shm", "faces.part-journal", ".0123abcd.part", "etilqs_aB3")
    for name in left:
        (gallery.directory / name).write_bytes(b"embeddings")
    others = ("notes.txt", "holiday.part", "faces.db.old")
    for name in others:
        (gallery.directory / name).write_bytes(b"mine")
    assert set(unknown(gallery.directory)) == set(others)
    with gallery.writing():
        pass
    assert not [name for name in left if (gallery.directory / name).exists()]
    assert all((gallery.directory / name).read_bytes() == b"mine" for name in others)


def test_check_names_what_is_not_the_gallerys_own(cli: Callable[..., Any], victim: Any, few: Any, home: Path) -> None:
    import json

    assert victim(home, few.folder)["code"] == 7
    (_folder(home) / "notes.txt").write_text("mine")
    (_folder(home) / "faces.part-wal").write_text("left behind")
    said = cli("check", "--json")
    assert said.code == 0
    answer = json.loads(said.out)
    assert answer["other_files"] == ["notes.txt"]
    assert answer["unfinished"]
    assert "notes.txt" in said.err
    assert (_folder(home) / "notes.txt").exists()
