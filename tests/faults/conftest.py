"""What must hold after every fault, and a process in which faults happen."""

import hashlib
import json
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import faiss
import numpy as np
import pytest

from facesearch.faces.analyser import Analyser
from facesearch.gallery.tables.sqlite import faces_of_photo
from facesearch.photos.view import decode_view
from facesearch.photos.walk import walk

_CHECKOUT = Path(__file__).parents[2]
_LASTING = {"faces.db", "faces.faiss", "faces.lock"}
_WHILE_OPEN = {"faces.db-wal", "faces.db-shm", "faces.db-journal"}

Dump = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Album:
    """A few photos, and what their files were when they were made."""

    folder: Path
    files: dict[str, tuple[bytes, int]]

    @classmethod
    def of(cls, folder: Path) -> "Album":
        return cls(folder, {file.path: _print_of(file.path) for file in walk(str(folder))})

    def is_untouched(self) -> bool:
        return self.files == {file.path: _print_of(file.path) for file in walk(str(self.folder))}


def _print_of(path: str) -> tuple[bytes, int]:
    return hashlib.sha256(Path(path).read_bytes()).digest(), Path(path).stat().st_mtime_ns


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory, photo_of: Callable[..., Path]) -> Album:
    """Five photos of three people, one without a face, one that is cut short."""
    folder = tmp_path_factory.mktemp("few")
    for person, numbers in (("Abdullah_Gul", (1, 2)), ("Angelina_Jolie", (1, 2)), ("Tiger_Woods", (1,))):
        (folder / person).mkdir()
        for number in numbers:
            shutil.copy(photo_of(person, number), folder / person)
    grey = np.full((64, 64, 3), 128, np.uint8)
    cv2.imwrite(str(folder / "Tiger_Woods" / "wall.png"), grey)
    whole = photo_of("Tiger_Woods", 2).read_bytes()
    (folder / "Tiger_Woods" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    return Album.of(folder)


class Victim:
    """Indexes in forks of a process of its own, whose disk fails where it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, home: Path, *paths: object, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"home": str(home), "paths": list(map(str, paths))} | order) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said


@pytest.fixture(scope="session")
def victim(few: Album, analyser: Analyser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    found = {}
    for path in few.files:
        if not path.endswith("cut.jpg"):
            view = decode_view(Path(path).read_bytes(), analyser.max_side)
            key = hashlib.blake2b(view.pixels.tobytes(), digest_size=16).digest()
            (found[key],) = analyser.analyse([view])
    remembered = tmp_path_factory.mktemp("remembered") / "found"
    remembered.write_bytes(pickle.dumps(found))
    command = [sys.executable, "-m", "tests.faults.victim", str(remembered)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_CHECKOUT
    ) as process:
        yield Victim(process)
        assert process.stdin is not None
        process.stdin.close()


def dump(home: Path) -> Dump:
    """All that a gallery knows of its photos, by path, without the numbers that SQLite gave them."""
    with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn:
        photos = conn.execute("SELECT id, path, status, reason, size, mtime_ns, digest, width, height FROM photos")
        return sorted(
            (path, *rest, *_faces_of(conn, photo)) for photo, path, *rest in photos.fetchall()
        )  # fmt: skip


def _faces_of(conn: sqlite3.Connection, photo: int) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT box_left, box_top, box_right, box_bottom, score, landmarks, embedding, checksum, name FROM faces "
        "LEFT JOIN people ON people.id = person_id WHERE photo_id = ? ORDER BY faces.id",
        (photo,),
    ).fetchall()


def assert_sound(home: Path, before: Dump = []) -> None:  # noqa: B006 (never changed)
    """What holds at any time, whatever happened: the database is whole, every face has its number, and what was
    there is there, byte by byte."""
    directory = home / "indexes" / "default"
    if not (directory / "faces.db").exists():
        assert not before
        return
    with closing(sqlite3.connect(directory / "faces.db")) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'faces'").fetchone():
            assert not before
            return
        wrong = f"SELECT path FROM photos WHERE face_count != {faces_of_photo(conn)}"
        if "face_count" in [row[1] for row in conn.execute("PRAGMA table_info(photos)")]:
            assert conn.execute(wrong).fetchall() == []
        _assert_vectors_belong(conn, directory / "faces.faiss")
        if not before:
            return
    now = {row[0]: row for row in dump(home)}
    assert [now.get(row[0]) for row in before] == before


def _assert_vectors_belong(conn: sqlite3.Connection, path: Path) -> None:
    """If the file is the stamped one, it holds the stored embeddings by their ids, up to the newest that it knows."""
    stamp = conn.execute("SELECT sha256, newest_id FROM index_stamp").fetchone()
    if not stamp or not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != stamp[0]:
        return
    index: Any = faiss.read_index(str(path))
    ids = faiss.vector_to_array(index.id_map).tolist()
    flat: Any = faiss.downcast_index(index.index)
    rows = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(-1, flat.d)
    stored = dict(conn.execute("SELECT id, embedding FROM faces WHERE id <= ?", (stamp[1],)).fetchall())
    assert sorted(ids) == sorted(stored)
    assert all(row.tobytes() == stored[i] for i, row in zip(ids, rows, strict=True))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def assert_whole(home: Path, album: Album, clean: Dump) -> None:
    """What holds after a run that came to its end: it is as if nothing had happened."""
    assert_sound(home)
    now = dump(home)
    assert [row[0] for row in now] == sorted(album.files)
    assert now == clean
    directory = home / "indexes" / "default"
    assert {path.name for path in directory.iterdir()} == _LASTING
    with closing(sqlite3.connect(directory / "faces.db")) as conn:
        newest, stamped = conn.execute("SELECT (SELECT max(id) FROM faces), newest_id FROM index_stamp").fetchone()
        sha256 = conn.execute("SELECT sha256 FROM index_stamp").fetchone()[0]
    assert newest == stamped
    assert hashlib.sha256((directory / "faces.faiss").read_bytes()).hexdigest() == sha256
    assert album.is_untouched()


@dataclass(frozen=True)
class Trusted:
    """The checks, as a fixture hands them out."""

    sound: Callable[..., None]
    whole: Callable[..., None]
    dump: Callable[[Path], Dump]
    album: Callable[[Path], Album]


@pytest.fixture(scope="session")
def trusted() -> Trusted:
    return Trusted(assert_sound, assert_whole, dump, Album.of)


@pytest.fixture(autouse=True)
def sound_afterwards(tmp_path: Path) -> Iterator[None]:
    """Whatever a test has done to the gallery of its own home."""
    yield
    if (tmp_path / "home" / "indexes" / "default" / "faces.db").exists():
        assert_sound(tmp_path / "home")
