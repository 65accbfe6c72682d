"""What is forgotten leaves no byte, also in a database that is too large to be rewritten for it."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from facesearch.gallery import removal
from facesearch.gallery.database import Database
from facesearch.gallery.forgetting import LeftBehindError, forget
from facesearch.gallery.free_space import NotUnderstoodError, sweep, sweep_apart
from facesearch.gallery.photos_table import PhotoRow
from facesearch.gallery.records import GallerySettings
from facesearch.gallery.storage import Storage
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from tests.made_up_gallery import DETECTOR, MODEL, face

_PEOPLE, _EACH = 24, 15  # people, and photos of each; every photo shows two of their faces


@pytest.fixture
def never_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a database is, it is looked through, and its free space is overwritten."""
    monkeypatch.setattr(removal, "_REWRITTEN_UP_TO", -1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    return tmp_path


def _made(dim: int = 128) -> Storage:
    """A gallery whose photos come in no order of their paths, and whose faces get their people later: rows grow, and
    pages are split in the middle."""
    storage, rng = Storage("default", lambda _: None), np.random.default_rng(0)
    order = rng.permutation(_PEOPLE * _EACH)
    with storage.writing() as db:
        with db.transaction():
            db.settings.write(GallerySettings(MODEL, DETECTOR, dim, 20.0))
        for part in np.array_split(order, 10):
            with db.transaction():
                for each in part.tolist():
                    rows = rng.standard_normal((2, dim)).astype(np.float32)
                    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                    faces = [face(float(left)) for left in rng.random(2)]
                    file = PhotoFile(_path(*divmod(each, _EACH)), 1, 1)
                    row = PhotoRow(file, Status.OK, rng.bytes(32), size=(99, 99), faces=faces, embeddings=rows)
                    db.photos.save(row)
        for who in rng.permutation(_PEOPLE).tolist():
            with db.transaction():
                db.connection.execute(
                    "UPDATE faces SET person_id = ?, named_by = 'user' WHERE photo_id IN (SELECT id FROM photos WHERE "
                    "path LIKE ?)",
                    (db.people.id_of(_name(who)), f"%/{_name(who)}/%"),
                )
        storage.sync(db, GallerySettings(MODEL, DETECTOR, dim, 20.0))
    return storage


def _name(who: int) -> str:
    return f"Person {who:03d} Surname"


def _path(who: int, photo: int) -> str:
    return f"/photos/{who % 3}/d{'long' * (who % 8 * 20)}/{_name(who)}/photo {photo:04d} of {who:03d}.jpg"


def _traces(storage: Storage) -> dict[str, list[bytes]]:
    """By path what may be found of a photo in a file: the end of its path, its content's digest, and of its faces the
    places and parts of the embeddings."""
    with Database.open(storage.database) as db:
        rows = db.connection.execute(
            "SELECT path, digest, box_left, embedding FROM photos JOIN faces ON photo_id = photos.id"
        ).fetchall()
    found: dict[str, list[bytes]] = {}
    for path, digest, left, embedding in rows:
        parts = [embedding[at : at + 8] for at in range(0, len(embedding), 56)]
        found.setdefault(path, [path[-22:].encode(), digest[:8]]).extend([struct.pack(">d", left), *parts])
    return found


def _found(storage: Storage, traces: list[bytes]) -> list[bytes]:
    everything = b"\0".join(path.read_bytes() for path in storage.directory.rglob("*") if path.is_file())
    return [trace for trace in traces if trace in everything]


def _of(traces: dict[str, list[bytes]], paths: set[str], remembered: set[str]) -> list[bytes]:
    """All traces of photos, or of those that are remembered as forgotten the ones of their faces."""
    return [trace for path in sorted(paths) for trace in traces[path][2 * (path in remembered) :]]


def _forgotten(storage: Storage) -> set[str]:
    with Database.open(storage.database) as db:
        return {path for (path,) in db.connection.execute("SELECT path FROM photos WHERE status = 'forgotten'")}


@pytest.mark.parametrize("dim", [128, 1200])  # a page holds five rows, or a row needs two pages
def test_no_byte_of_photos_people_and_folders_stays(home: Path, never_rewritten: None, dim: int) -> None:
    storage, rng = _made(dim), np.random.default_rng(1)
    traces = _traces(storage)
    gone: set[str] = set()
    photos = [_path(who, who % _EACH) for who in rng.permutation(_PEOPLE)[:4].tolist()]
    for what in (*photos, _name(5), f"/photos/1/d{'long' * 20}", _name(20)):
        forget(storage, what)
        gone |= {path for path in traces if what in (path, path.split("/")[-2]) or path.startswith(f"{what}/")}
        assert _found(storage, _of(traces, gone, _forgotten(storage))) == []
    with closing(sqlite3.connect(storage.database)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = _of(traces, traces.keys() - gone, set())
    assert len(kept) > 1000
    assert _found(storage, kept) == kept


def test_sqlite_itself_leaves_bytes(home: Path, never_rewritten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would fail without what overwrites them."""
    monkeypatch.setattr(removal, "sweep_apart", lambda _: True)
    storage = _made()
    traces = _traces(storage)
    forget(storage, "/photos/1")
    gone = {path for path in traces if path.startswith("/photos/1/")}
    assert _found(storage, _of(traces, gone, set())) != []
