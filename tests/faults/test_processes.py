"""Many processes at one gallery: one writes, all others read one complete state."""

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch.gallery.database import Database
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.upkeep.checking import check
from facesearch.geometry.face import Face
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_DIM = 128
_LONG = 300  # seconds, for what takes a few on a machine with nothing else to do
_LOOKS = 12

# Until its standard input ends it stores photos with faces drawn at random, batch after batch, and every now and then
# the file of vectors anew.
_WRITER = """
import select, sys
import numpy as np
from facesearch.gallery.gallery import Gallery
from facesearch.geometry.face import Box, Face, Point
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.tables.runs import Done
from facesearch.gallery.records.settings import GallerySettings
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
settings = GallerySettings("dlib-resnet", "mtcnn", 128, 20.0, 1280)
chosen = np.random.default_rng(0)
face = Face(Box(0, 0, 9, 9), 1.0, (Point(1, 1),) * 5)
photo = 0
with Gallery.open().writing() as db:
    with db.transaction():
        if db.settings.read() is None:
            db.settings.write(settings)
        db.roots.add(["/photos"])
        run = db.runs.begin()
    while not select.select([sys.stdin], [], [], 0)[0]:
        with db.transaction():
            for _ in range(20):
                rows = chosen.normal(size=(2, 128)).astype(np.float32)
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                # Now and then a photo is stored anew: its faces go, and others come.
                path = f"/photos/{photo if photo % 7 else chosen.integers(photo + 1)}.jpg"
                db.photos.save(PhotoRow(PhotoFile(path, 1, 1), Status.OK, photo.to_bytes(16), size=(9, 9),
                                           faces=[face] * 2, embeddings=rows))
                photo += 1
            db.photos.delete_displaced()
        if photo % 100 == 0:
            Gallery.open().sync(db, settings)
    with db.transaction():
        db.runs.end(run, Done(photo, 2 * photo, photo, 1.0))
    Gallery.open().sync(db, settings)
print(photo)
"""


@contextmanager
def _writing(home: Path) -> "Iterator[subprocess.Popen[str]]":
    """A writer that has begun, and that writes until the end of the block."""
    command = [sys.executable, "-c", _WRITER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        deadline = time.monotonic() + _LONG
        while not _has_faces(home) and writer.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield writer


def _reader(home: str, seconds: float, number: int, together: Any, said: Any) -> None:
    """In every state that it meets all faces are found, each by its own embedding; notes what was not so. The time
    begins when all readers have started, which may take as long on a machine with much other work."""
    os.environ["FACESEARCH_HOME"] = home
    gallery = Gallery.open()
    chosen = np.random.default_rng(number)
    looks, wrong, states = 0, [], set()
    together.wait(_LONG)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with gallery.reading() as (db, settings), gallery.searching(db, settings) as index:
                ids = db.faces.ids()
                if not len(ids):
                    continue
                few = chosen.choice(ids, min(5, len(ids)), replace=False)
                asked, queries = db.faces.embeddings_of(few.tolist(), _DIM)
                similarities, found = index.search(queries, 1)
                matches = db.faces.matches({int(i): 1.0 for i in found[:, 0]})
                if (found[:, 0] != asked).any() or similarities.min() < 0.9999 or len(matches) != len(asked):
                    wrong.append(f"of {len(ids)} faces: {asked} gave {found[:, 0]}, {similarities[:, 0]}")
                looks += 1
                states.add(len(ids))
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
    said.put((looks, wrong, len(states)))


@pytest.mark.parametrize(
    ("readers", "seconds"), [(6, 4), pytest.param(50, 120, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_readers_see_one_complete_state(readers: int, seconds: int, home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    said, together = context.Queue(), context.Barrier(readers)
    with _writing(home) as writer:
        words = ((str(home), seconds, number, together, said) for number in range(readers))
        processes = [context.Process(target=_reader, args=each) for each in words]
        for process in processes:
            process.start()
        results = [said.get(timeout=seconds + _LONG) for _ in processes]
        for process in processes:
            process.join()
        out, _ = writer.communicate(timeout=_LONG)
    wrong = [sentence for _, sentences, _ in results for sentence in sentences]
    looks = sum(count for count, _, _ in results)
    print(f"{readers} readers, {seconds} s, {out.strip()} photos stored meanwhile: {looks} looks, {len(wrong)} wrong")
    assert wrong == []
    assert looks > readers
    assert max(states for _, _, states in results) > 1 or looks < 3 * readers
    assert writer.returncode == 0


def test_a_check_beside_a_writer_finds_nothing_wrong(home: Path) -> None:
    """The file of vectors is replaced again and again meanwhile."""
    with _writing(home) as writer:
        for _ in range(_LOOKS):
            assert check(Gallery.open()).faults == ()
        assert writer.poll() is None
        writer.communicate(timeout=_LONG)
    assert writer.returncode == 0


def _has_faces(home: Path) -> bool:
    try:
        with closing(sqlite3.connect(home / "indexes" / "default" / "faces.db")) as conn:
            return bool(conn.execute("SELECT count(*) FROM faces").fetchone()[0])
    except sqlite3.DatabaseError:
        return False


def test_readers_cannot_write_and_never_empty_the_log(home: Path, face: Face) -> None:
    gallery = Gallery.open()
    with gallery.writing() as db:
        with db.transaction():
            db.settings.write(GallerySettings("dlib-resnet", "mtcnn", _DIM, 20.0, 1280))
            db.photos.save(PhotoRow(PhotoFile("/a.jpg", 1, 1), Status.NO_FACE))
        log = gallery.database.with_name("faces.db-wal")
        before = log.read_bytes()
        assert before
        for _ in range(3):
            with Database.open(gallery.database) as reader:
                assert reader.photos.counts() == {"no_face": 1}
                with pytest.raises(sqlite3.OperationalError, match="readonly"):
                    reader._conn.execute("DELETE FROM photos")
        assert log.read_bytes() == before


@pytest.fixture
def face() -> Face:
    from facesearch.geometry.face import Box, Point

    return Face(Box(0, 0, 9, 9), 1.0, (Point(1, 1),) * 5)


def test_one_of_two_runs_is_told_who_writes(home: Path, album: Path, cli: Callable[..., Any]) -> None:
    command = [str(Path(sys.executable).with_name("facesearch")), "index", str(album), "--json"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = {run.pid: (run.communicate(timeout=120), run.returncode) for run in runs}
    codes = sorted(code for _, code in ends.values())
    assert codes in ([0, 8], [0, 0])  # the second where the first had ended before the other began
    for pid, ((out, err), code) in ends.items():
        if code == 8:
            (other,) = ends.keys() - {pid}
            assert "is being written by" in err
            assert f"process {other}, which started at" in err or "another process" in err
        else:
            assert json.loads(out)["gallery"] == "default"
