"""Many processes at one gallery: one writes, all others read one complete state."""

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesearch.gallery.database import Database
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.photos_table import PhotoRow
from facesearch.gallery.records import GallerySettings
from facesearch.gallery.upkeep import check
from facesearch.geometry.face import Face
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_DIM = 128

# It stores photos with faces drawn at random, batch after batch, and every now and then the file of vectors anew.
_WRITER = """
import sys, time
import numpy as np
from facesearch.gallery.gallery import Gallery
from facesearch.geometry.face import Box, Face, Point
from facesearch.gallery.photos_table import PhotoRow
from facesearch.gallery.runs_table import Done
from facesearch.gallery.records import GallerySettings
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
settings = GallerySettings("dlib-resnet", "mtcnn", 128, 20.0, 1280)
chosen = np.random.default_rng(0)
end = time.monotonic() + float(sys.argv[1])
face = Face(Box(0, 0, 9, 9), 1.0, (Point(1, 1),) * 5)
photo = 0
with Gallery.open().writing() as db:
    with db.transaction():
        if db.settings.read() is None:
            db.settings.write(settings)
        db.roots.add(["/photos"])
        run = db.runs.begin()
    while time.monotonic() < end:
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


def _reader(home: str, until: float, number: int, said: Any) -> None:
    """In every state that it meets all faces are found, each by its own embedding; notes what was not so."""
    os.environ["FACESEARCH_HOME"] = home
    gallery = Gallery.open()
    chosen = np.random.default_rng(number)
    looks, wrong, states = 0, [], set()
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
    ("readers", "seconds"), [(6, 8), pytest.param(50, 120, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_readers_see_one_complete_state(readers: int, seconds: int, home: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(seconds)], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not _has_faces(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    until = time.monotonic() + seconds
    processes = [context.Process(target=_reader, args=(str(home), until, number, said)) for number in range(readers)]
    for process in processes:
        process.start()
    results = [said.get(timeout=seconds + 300) for _ in processes]
    for process in processes:
        process.join()
    out, _ = writer.communicate(timeout=60)
    wrong = [sentence for _, sentences, _ in results for sentence in sentences]
    looks = sum(count for count, _, _ in results)
    print(f"{readers} readers, {seconds} s, {out.strip()} photos stored meanwhile: {looks} looks, {len(wrong)} wrong")
    assert wrong == []
    assert looks > readers
    assert max(states for _, _, states in results) > 1 or looks < 3 * readers
    assert writer.returncode == 0


def test_a_check_beside_a_writer_finds_nothing_wrong(home: Path) -> None:
    """The file of vectors is replaced again and again meanwhile."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, "6"], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not _has_faces(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    looks = 0
    while writer.poll() is None:
        assert check(Gallery.open()).faults == ()
        looks += 1
    writer.communicate(timeout=60)
    assert (writer.returncode, looks > 10) == (0, True)


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
