"""Folders and names: what is gone can leave, what is only away stays, and each root stands for itself."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facesearch import Gallery
from facesearch.people.names import as_asked, of_folder
from facesearch.photos.whereabouts import whereabouts

Cli = Callable[..., Any]


@pytest.fixture
def pictures(tmp_path: Path, astronaut_file: Path) -> Path:
    """Two folders with one photo each, whose contents differ."""
    folder = tmp_path / "pictures"
    for number, name in enumerate(("kept", "other")):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.jpg").write_bytes(astronaut_file.read_bytes() + bytes(number))
    return folder


def _statuses(home: Path) -> dict[str, str]:
    with sqlite3.connect(home / "indexes" / "default" / "faces.db") as conn:
        return dict(conn.execute("SELECT path, status FROM photos"))


def _forget(cli: Cli, *words: object) -> Any:
    return json.loads(cli("forget", *words, "--json").out)


def test_a_root_that_is_gone_leaves_when_the_user_says_so(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures / "kept", pictures / "other").code == 0
    shutil.rmtree(pictures / "other")
    found = cli("check", "--photos", "--json")
    assert json.loads(found.out)["roots_gone"] == [str(pictures / "other")]
    assert "forget --missing" in cli("check", "--photos").err
    refused = cli("forget", "--missing")
    assert refused.code == 2
    assert "--yes" in refused.err
    shown = _forget(cli, "--missing", "--dry-run")
    assert [(root["root"], root["photos"]) for root in shown["gone_roots"]] == [(str(pictures / "other"), 1)]
    assert len(_statuses(home)) == 2
    assert _forget(cli, "--missing", "--yes")["photos"] == 1
    assert cli("check", "--photos").code == 0
    assert list(_statuses(home)) == [str(pictures / "kept" / "a.jpg")]


def test_a_folder_is_forgotten_with_all_photos_under_it(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures).code == 0
    assert cli("forget", pictures).code == 2
    assert _forget(cli, pictures, "--dry-run")["photos"] == 2
    assert _forget(cli, pictures, "--yes")["photos"] == 2
    assert _statuses(home) == {}


def test_a_root_whose_photos_were_found_elsewhere_leaves_by_itself(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures / "kept").code == 0
    (pictures / "kept").rename(pictures / "moved")
    assert cli("index", pictures / "moved").code == 0
    assert cli("check", "--photos").code == 0
    assert list(_statuses(home)) == [str(pictures / "moved" / "a.jpg")]


@pytest.mark.parametrize("how", ["empty", "dangling"])
def test_photos_that_are_only_away_are_not_forgotten(how: str, cli: Cli, home: Path, pictures: Path) -> None:
    disk = pictures.parent / "disk"
    (pictures / "other").rename(disk)
    (pictures / "other").symlink_to(disk) if how == "dangling" else disk.rename(pictures / "other")
    assert cli("index", pictures).code == 0
    before = _statuses(home)
    if how == "dangling":
        disk.rename(pictures.parent / "unplugged")
    else:
        (pictures / "other" / "a.jpg").unlink()
    said = cli("index", pictures)
    assert (said.code, said.err.count("may only be away")) == (0, 1)
    assert _forget(cli, "--missing", "--yes")["photos"] == 0
    assert _statuses(home) == before


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_photo_that_cannot_be_looked_at_is_away(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").touch()
    path = str(tmp_path / "a.jpg")
    real = os.stat

    def failing(of: Any, *words: Any, **named: Any) -> os.stat_result:
        if of == path:
            raise OSError(code, os.strerror(code))
        return real(of, *words, **named)

    assert whereabouts([path], str(tmp_path)).gone == (path,)
    monkeypatch.setattr(os, "stat", failing)
    found = whereabouts([path], str(tmp_path))
    assert (found.gone, [(away.folder, away.photos) for away in found.away]) == ((), [(str(tmp_path), 1)])


@pytest.mark.skipif(not shutil.which("setpriv") or os.name != "posix", reason="no setpriv, which binds root to modes")
def test_a_folder_that_can_be_listed_but_not_entered_keeps_its_photos(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures).code == 0
    before = _statuses(home)
    (pictures / "other").chmod(0o400)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command: list[str | Path] = [*bound, Path(sys.executable).with_name("facesearch")]
    try:
        said = subprocess.run([*command, "index", pictures], capture_output=True, text=True, check=False)
        gone = subprocess.run(
            [*command, "forget", "--missing", "--yes", "--json"], capture_output=True, text=True, check=False
        )
    finally:
        (pictures / "other").chmod(0o700)
    assert (said.returncode, said.stderr.count("photos there stay known")) == (0, 1), said.stderr
    assert json.loads(gone.stdout)["photos"] == 0
    assert _statuses(home) == before


def test_one_root_that_fails_does_not_end_the_run(cli: Cli, home: Path, pictures: Path) -> None:
    (pictures / "note.txt").write_text("no photo")
    said = cli("index", pictures / "kept", pictures / "note.txt", pictures / "absent", pictures / "other", "--json")
    assert said.code == 7
    failed = [each["root"] for each in json.loads(said.out)["roots_failed"]]
    assert failed == [str(pictures / "note.txt"), str(pictures / "absent")]
    assert len(_statuses(home)) == 2
    said = cli("index", pictures / "kept", pictures / "absent")
    assert (said.code, said.err.count(str(pictures / "absent"))) == (7, 1)


def test_when_all_roots_fail_nothing_is_written(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures / "absent", pictures / "gone").code == 3
    assert not (home / "indexes").exists()


def test_what_was_forgotten_comes_back_when_it_is_asked_for(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures).code == 0
    assert _forget(cli, pictures / "kept" / "a.jpg", "--yes")["photos"] == 1
    assert "--again-forgotten" in cli("index", pictures / "kept").err
    assert _statuses(home)[str(pictures / "kept" / "a.jpg")] == "forgotten"
    assert cli("index", "--again-forgotten", pictures / "kept").code == 0
    assert set(_statuses(home).values()) == {"ok"}


def test_a_folder_whose_name_is_not_utf_8_is_one_like_others(cli: Cli, home: Path, pictures: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(pictures) + b"/caf\xe9"))
    try:
        (pictures / "kept").rename(folder)
    except OSError:
        pytest.skip("this file system knows no such names")
    photo = folder / "a.jpg"
    assert cli("index", folder, pictures / "other", "--people-from", "folder").code == 0
    assert set(_statuses(home).values()) == {"ok"}
    found = json.loads(cli("query", photo, "--in", folder, "--all", "--json").out)
    assert found["matches"][0]["photo"] == str(photo)
    photo.rename(folder / "b.jpg")
    assert json.loads(cli("index", "--json").out)["photos"]["moved"] == 1
    assert _forget(cli, folder / "b.jpg", "--yes")["photos"] == 1
    assert _forget(cli, folder, "--yes")["roots"] == [str(folder)]
    assert not any(path.startswith(str(folder)) for path in _statuses(home))


def test_what_was_forgotten_stays_so_when_its_file_changes(cli: Cli, home: Path, pictures: Path) -> None:
    photo = pictures / "kept" / "a.jpg"
    assert cli("index", pictures).code == 0
    assert _forget(cli, photo, "--yes")["photos"] == 1
    photo.write_bytes(photo.read_bytes() + b"a tag at its end")
    assert cli("index", pictures).code == 0
    assert _statuses(home)[str(photo)] == "forgotten"
    assert cli("index", photo).code == 0  # named itself, it is wanted back
    assert _statuses(home)[str(photo)] == "ok"


def test_a_name_that_is_a_person_and_a_folder_must_be_said_which(
    cli: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("index", pictures, "--people-from", "folder").code == 0
    monkeypatch.chdir(pictures)
    refused = cli("forget", "kept", "--yes")
    assert refused.code == 2
    assert "--person or --photo" in refused.err
    assert _forget(cli, "kept", "--person", "--dry-run")["faces"] == 1
    assert _forget(cli, "kept", "--photo", "--yes")["photos"] == 1


def test_two_spellings_are_one_person_and_two_bytes_are_two() -> None:
    composed = unicodedata.normalize("NFC", "André")
    apart = unicodedata.normalize("NFD", composed)
    assert of_folder(f"/a/{apart}/1.jpg") == of_folder(f"/a/{composed}/1.jpg") == as_asked(apart)
    latin = {of_folder(os.fsdecode(b"/a/Andr" + byte + b"/1.jpg")) for byte in (b"\xe8", b"\xe9")}
    assert latin == {"Andr\\xe8", "Andr\\xe9"}
    assert of_folder("/a/Andr\\xe9/1.jpg") not in latin


def test_what_somebody_reads_is_forgotten_with_the_next_command(cli: Cli, home: Path, pictures: Path) -> None:
    assert cli("index", pictures).code == 0
    gallery = Gallery.open()
    with gallery.reading() as (store, _), store.snapshot(), pytest.MonkeyPatch.context() as patched:
        patched.setattr("facesearch.gallery.upkeep.forgetting.BUSY_SECONDS", 0)
        left = cli("forget", pictures / "kept" / "a.jpg", "--yes")
        assert left.code == 3
        assert "found no longer" in left.err
    assert json.loads(cli("check", "--json").out)["unfinished"]
    assert cli("forget", "nobody of that name", "--yes").code == 0
    assert not json.loads(cli("check", "--json").out)["unfinished"]


def test_a_gallery_of_a_newer_facesearch_is_refused_by_every_command(
    cli: Cli, home: Path, pictures: Path, tmp_path: Path
) -> None:
    assert cli("index", pictures).code == 0
    with sqlite3.connect(home / "indexes" / "default" / "faces.db") as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('facesearch', 'x', '')"
        )
        conn.execute("ALTER TABLE settings RENAME COLUMN model TO network")
        conn.execute("ALTER TABLE photos RENAME COLUMN status TO state")
    photo = pictures / "kept" / "a.jpg"
    for words in (
        ("index", pictures),
        ("query", photo),
        ("query", pictures),
        ("calibrate",),
        ("check", "--photos"),
        ("repair",),
        ("forget", "--missing", "--yes"),
        ("forget", photo, "--yes"),
        ("info",),
        ("info", "--failures"),
    ):
        said = cli(*words)
        assert said.code == 5, (words, said)
        assert "newer facesearch" in said.err, (words, said)


def test_a_time_in_a_far_year_is_stored(cli: Cli, pictures: Path) -> None:
    far = 10_413_792_000  # the year 2300, in seconds
    os.utime(pictures / "kept" / "a.jpg", (far, far))
    assert cli("index", pictures).code == 0
    assert "Nothing is new" in cli("index", pictures).out
    assert cli("check", "--photos").code == 0
