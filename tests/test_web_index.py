"""Indexing from the page: its own run, a run of another process, and the end of either."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from facesearch import Gallery
from facesearch.errors import GalleryLockedError
from facesearch.web.app import make_app
from facesearch.web.run import Runs
from facesearch.web.service import served

_PATIENCE = 60.0  # seconds


@pytest.fixture
def page(home: Path, album: Path) -> Iterator[TestClient]:
    """The page of a gallery of six photos."""

    Gallery.open("default", "cpu").index([album], exclude=["*_0003.jpg"])
    with served(Gallery.open("default", "cpu")) as service, TestClient(make_app(service)) as client:
        yield client


def _until(found: Callable[[], Any]) -> Any:
    """What is found, once it is there."""
    since = time.monotonic()
    while time.monotonic() - since < _PATIENCE:
        if value := found():
            return value
        time.sleep(0.05)
    pytest.fail("it did not happen")


def _run(page: TestClient) -> dict[str, Any] | None:
    run: dict[str, Any] | None = page.get("/api/state").json()["run"]
    return run


def test_a_run_is_begun_and_shown_until_it_has_ended(page: TestClient, album: Path, photo_of: Any) -> None:
    shutil.copy(photo_of("Tony_Blair", 1), album)
    begun = page.post("/api/index", json={})
    assert (begun.status_code, begun.json()["source"], begun.json()["ended"]) == (200, "page", None)
    assert page.post("/api/index", json={}).status_code == 423
    ended = _until(lambda: (run := _run(page)) and run["ended"] and run)
    assert ended["ended"]["error"] is None
    assert ended["ended"]["summary"]["photos"] == {"ok": 1, "unchanged": 6}
    assert (ended["done"], ended["faces"], ended["failed"]) == (7, 1, 0)
    assert Gallery.open("default", "cpu").facts().photos["ok"] == 7


def test_a_run_that_is_stopped_keeps_what_it_has_stored(page: TestClient, album: Path) -> None:
    for number in range(300):
        shutil.copy(next(album.rglob("*_0001.jpg")), album / f"{number}.jpg")
        with (album / f"{number}.jpg").open("ab") as photo:
            photo.write(bytes([number % 256, number // 256]))  # each its own content
    assert page.post("/api/index", json={}).status_code == 200
    before = _until(lambda: (run := _run(page)) and run["done"] and run)
    assert before["ended"] is None
    assert page.post("/api/index/stop", json={}).status_code == 200
    ended = _until(lambda: (run := _run(page)) and run["ended"])
    assert ended == {"summary": None, "error": None}
    assert page.post("/api/index/stop", json={}).status_code == 404
    gallery = Gallery.open("default", "cpu")
    assert gallery.check().faults == ()
    assert 0 < gallery.facts().photos["ok"] < 307


def test_a_run_ends_well_when_the_page_is_killed(home: Path, album: Path) -> None:
    gallery = Gallery.open("default", "cpu")
    gallery.index([album])
    for number in range(300):
        shutil.copy(next(album.rglob("*_0001.jpg")), album / f"{number}.jpg")
        with (album / f"{number}.jpg").open("ab") as photo:
            photo.write(bytes([number % 256, number // 256]))
    program = (
        "import sys, time; from facesearch import Gallery; from facesearch.web.run import Runs\n"
        "Runs(Gallery.open('default', 'cpu')).start(); print('begun', flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"begun\n"
    seen = Runs(gallery, clock=_ticks())
    other = _until(lambda: (run := seen.state()) and run.done and run)
    assert (other.source, other.total) == ("other", None)
    with pytest.raises(GalleryLockedError):
        seen.start()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    _until(lambda: not gallery.is_being_written())
    assert seen.state() is None
    assert gallery.check().faults == ()


def _ticks() -> Callable[[], float]:
    """A clock that is two seconds later whenever it is asked."""
    now = [0.0]

    def clock() -> float:
        now[0] += 2
        return now[0]

    return clock


def test_a_write_while_a_process_indexes_is_refused_and_reading_goes_on(page: TestClient) -> None:
    face = page.get("/api/faces").json()["faces"][0]["face_id"]
    writer = "from facesearch import Gallery\nwith Gallery.open().writing() as db, db.transaction():\n"
    writer += " db.runs.begin()\n import os; os.write(1, b'x')\n db.connection.commit(); input()"
    with subprocess.Popen([sys.executable, "-c", writer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        refused = page.post(f"/api/faces/{face}/name", json={"name": "Ann"})
        assert (refused.status_code, refused.json()["error"]) == (423, "gallery_locked")
        assert page.post("/api/index", json={}).status_code == 423
        assert page.get(f"/api/search?face_id={face}").status_code == 200
        assert (_run(page) or {})["source"] == "other"
        process.communicate(b"\n")
    assert _until(lambda: _run(page) is None)


def test_a_run_that_crashed_is_no_run(page: TestClient) -> None:
    with Gallery.open("default", "cpu").writing() as db, db.transaction():
        db.runs.begin()
    assert _run(page) is None
    assert page.post("/api/index", json={}).status_code == 200
    assert _until(lambda: (run := _run(page)) and run["ended"])["summary"]["faces"] == 0


def test_why_a_run_could_not_be_is_said(page: TestClient, album: Path) -> None:
    shutil.rmtree(album)
    assert page.post("/api/index", json={"retry_failed": True}).status_code == 200
    ended = _until(lambda: (run := _run(page)) and run["ended"])
    assert str(album) in (ended["error"] or str(ended["summary"]))
