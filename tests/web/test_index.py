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


@pytest.fixture(scope="module")
def indexed(
    models_home: Path, photo_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """The directory of a gallery of six photos, and their folder."""
    album = tmp_path_factory.mktemp("album") / "photos"
    for person in ("Abdullah_Gul", "Tiger_Woods"):
        (album / person).mkdir(parents=True)
        for number in (1, 2, 3):
            shutil.copy(photo_of(person, number), album / person)
    gallery = Gallery.open("web-index", "cpu")
    gallery.index([album])
    yield gallery.directory, album
    shutil.rmtree(gallery.directory)


@pytest.fixture
def album(home: Path, indexed: tuple[Path, Path]) -> Iterator[Path]:
    """The folder of that gallery, of which there is a copy. What comes into it is taken out again."""
    shutil.copytree(indexed[0], Gallery.open("default").directory)
    yield indexed[1]
    shutil.rmtree(indexed[1] / "more", ignore_errors=True)


@pytest.fixture
def page(album: Path) -> Iterator[TestClient]:
    """The gallery's page."""
    with served(Gallery.open("default", "cpu")) as service, TestClient(make_app(service)) as client:
        yield client


def _add(album: Path, count: int) -> None:
    """Adds so many photos, each with its own content."""
    (album / "more").mkdir()
    photo = next(album.rglob("*_0001.jpg")).read_bytes()
    for each in range(count):
        (album / "more" / f"{each}.jpg").write_bytes(photo + each.to_bytes(2, "big"))


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


def test_a_run_is_begun_and_shown_until_it_has_ended(page: TestClient, album: Path) -> None:
    _add(album, 1)
    begun = page.post("/api/index", json={})
    assert (begun.status_code, begun.json()["source"], begun.json()["ended"]) == (200, "page", None)
    assert page.post("/api/index", json={}).status_code == 423
    ended = _until(lambda: (run := _run(page)) and run["ended"] and run)
    assert ended["ended"]["error"] is None
    assert ended["ended"]["summary"]["photos"] == {"ok": 1, "unchanged": 6}
    assert (ended["done"], ended["faces"], ended["failed"]) == (7, 1, 0)
    assert Gallery.open("default", "cpu").facts().photos["ok"] == 7


def test_a_run_that_is_stopped_keeps_what_it_has_stored(page: TestClient, album: Path) -> None:
    _add(album, 300)
    assert page.post("/api/index", json={}).status_code == 200
    before = _until(lambda: (run := _run(page)) and run["done"] and run)
    assert before["ended"] is None
    assert page.post("/api/index/stop", json={}).status_code == 200
    ended = _until(lambda: (run := _run(page)) and run["ended"])
    assert ended == {"summary": None, "error": None}
    assert page.post("/api/index/stop", json={}).status_code == 404
    gallery = Gallery.open("default", "cpu")
    assert gallery.check().faults == ()
    assert 0 < gallery.facts().photos["ok"] < 306


def test_a_run_ends_well_when_the_page_is_killed(album: Path) -> None:
    gallery = Gallery.open("default", "cpu")
    _add(album, 300)
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
    face = 1
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
    album.rename(album.with_name("away"))
    assert page.post("/api/index", json={"retry_failed": True}).status_code == 200
    ended = _until(lambda: (run := _run(page)) and run["ended"])
    album.with_name("away").rename(album)
    assert str(album) in (ended["error"] or str(ended["summary"]))
