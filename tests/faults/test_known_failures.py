"""What a gallery remembers of photos that could not be read: it lists them, keeps them through a repair, and looks at
them again when what ended their decoder is over."""

import importlib.metadata
import json
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facesearch import Gallery, packages
from facesearch.flow import stages
from facesearch.gallery.database import Database
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.upkeep.checking import check
from facesearch.gallery.upkeep.faults import faults
from facesearch.gallery.upkeep.salvage import salvage
from facesearch.packages import how_to_install
from facesearch.photos.file import PhotoFile
from facesearch.photos.pool import Decoders
from facesearch.photos.remedies import Remedies
from facesearch.photos.status import Cause, Status

_KILLED = """
import os, signal
from facesearch.photos import decoding_process
def decode(*words):
    os.kill(os.getpid(), signal.SIGKILL)
decoding_process.serve([decode])
"""


@pytest.fixture
def photo(tmp_path: Path, astronaut_file: Path) -> Path:
    """One photo in a folder of its own."""
    path = tmp_path / "photos" / "one.jpg"
    path.parent.mkdir()
    shutil.copy(astronaut_file, path)
    return path


def test_a_photo_whose_decoder_the_system_killed_is_tried_again(
    home: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = Gallery.open(device="cpu")
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "killed_decoder.py").write_text(_KILLED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"), prepend=os.pathsep)
    monkeypatch.setattr(stages, "Decoders", partial(Decoders, program="killed_decoder"))
    for _ in range(2):
        summary = gallery.index([photo.parent])
        assert summary.failing == {"crashed": 1}
        assert [each.cause for each in summary.failures] == [Cause.MACHINE]
    monkeypatch.setattr(stages, "Decoders", Decoders)
    again = gallery.index([photo.parent])
    assert (again.photos, again.failing) == ({"ok": 1}, {})


def test_all_failures_are_listed_for_people_and_programs(cli: Callable[..., Any], photo: Path) -> None:
    for i in range(12):
        (photo.parent / f"bad{i:02d}.jpg").write_bytes(b"")
    (photo.parent / "text.jpg").write_text("not a photo")
    first = cli("index", photo.parent, "--gallery", "other")
    assert first.code == 7
    assert "12 photos cannot be read: 12 unreadable." in first.err
    assert "facesearch info --failures --gallery other" in first.err
    again = json.loads(cli("index", photo.parent, "--gallery", "other", "--json").out)
    assert (again["photos"], again["failing"], len(again["failures"])) == ({"unchanged": 14}, {"unreadable": 12}, 12)
    assert sum(again["unsupported"].values()) == 1
    plain = cli("info", "--gallery", "other")
    assert plain.code == 0
    assert "12 photos cannot be read" in plain.err
    assert "facesearch info --failures --gallery other" in plain.err
    listed = cli("info", "--failures", "--gallery", "other")
    assert len(listed.out.splitlines()) == 13
    assert f"unreadable: {photo.parent / 'bad11.jpg'}: the file is empty (until the file changes)" in listed.out
    rows = json.loads(cli("info", "--failures", "--gallery", "other", "--json").out)["failures"]
    assert rows[0] == {
        "photo": str(photo.parent / "bad00.jpg"),
        "status": "unreadable",
        "reason": "the file is empty",
        "cause": "file",
    }
    assert len(rows) == 13


def test_a_damaged_gallery_keeps_the_causes_of_failures(tmp_path: Path) -> None:
    path = tmp_path / "faces.db"
    with Database.create(path) as db, db.transaction():
        file = PhotoFile("/a/large.jpg", 5, 6, 7)
        db.photos.save(PhotoRow(file, Status.TOO_LARGE, reason="it is large", cause=Cause.OPTION, needs="250.5"))
    assert list(faults(path)) == []
    salvage(path, tmp_path / "anew.db")
    with Database.open(tmp_path / "anew.db") as db:
        known = db.photos.known(["/a/large.jpg"])["/a/large.jpg"]
    assert (known.cause, known.needs, known.ctime_ns, known.reason) == (Cause.OPTION, "250.5", 7, "it is large")
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE photos SET cause = 'the moon'")
    assert list(faults(path)) == ["photo 1 failed for the unknown cause 'the moon'"]


def test_check_compares_the_content_where_only_ctime_changed(home: Path, photo: Path) -> None:
    gallery = Gallery.open(device="cpu")
    gallery.index([photo.parent])
    photo.chmod(0o600)
    assert check(gallery, photos=True).changed == ()
    before = photo.stat()
    data = bytearray(photo.read_bytes())
    data[-100] ^= 1
    photo.write_bytes(data)
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert check(gallery, photos=True).changed == (str(photo),)


def test_an_empty_photo_whose_rights_change_is_nothing_new(home: Path, photo: Path) -> None:
    gallery = Gallery.open(device="cpu")
    photo.write_bytes(b"")
    gallery.index([photo.parent])
    photo.chmod(0o600)
    summary = gallery.index([photo.parent])
    assert (summary.photos, summary.failing) == ({"unchanged": 1}, {"unreadable": 1})


@pytest.mark.parametrize(
    ("cause", "needs", "helps"),
    [
        (None, "", True),
        (Cause.FILE, "", False),
        (Cause.MACHINE, "", True),
        (Cause.OPTION, "200", True),
        (Cause.OPTION, "200.1", False),
        (Cause.OPTION, "", True),
        (Cause.PACKAGE, "json", True),
        (Cause.PACKAGE, "a_module_that_nobody_has", False),
        (Cause.PACKAGE, "os.path", False),
    ],
)
def test_what_may_help(cause: Cause | None, needs: str, helps: bool) -> None:
    assert Remedies(max_megapixels=200).may_help(cause, needs) is helps


@pytest.mark.parametrize("module", sorted(packages._COMMANDS))
def test_each_hint_installs_packages_that_facesearch_declares(module: str) -> None:
    """Not facesearch itself, which is on no index: what is typed must work."""
    command, *names = how_to_install(module).split(" ")[1:]
    declared = {re.split(r"[^\w-]", each)[0] for each in importlib.metadata.requires("facesearch") or ()}
    assert command == "install"
    assert names
    assert set(names) <= declared


def test_a_time_beyond_what_sqlite_holds_is_stored_as_the_last_that_it_does(tmp_path: Path) -> None:
    from facesearch.photos.file import _stored

    for time in (1 << 63, -(1 << 64), random.Random(0).getrandbits(80)):
        assert -(1 << 63) <= _stored(time) < 1 << 63
