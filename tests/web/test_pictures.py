"""Pictures on the page: in which order they are made, for whom they are not, and what is said where there is none."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from facesearch import Gallery
from facesearch.gallery.tables.picture_sources import FaceSource, PhotoGoneError, PhotoSource
from facesearch.gallery.upkeep.forgetting import forget
from facesearch.geometry.face import Box
from facesearch.photos.encoding import is_picture
from facesearch.photos.status import Status
from facesearch.web import pictures
from facesearch.web.app import make_app
from facesearch.web.pictures import GivenUpError, Pictures
from facesearch.web.service import served
from tests.picture_galleries import MIDDLE, jpeg, noise, store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def page(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Of a gallery of one photo, 1, with the faces 1 and 2."""
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    gallery = Gallery.open("default", "cpu")
    (root / "a.jpg").write_bytes(jpeg(noise(1)))
    assert store(gallery, root, {"a.jpg": [MIDDLE, Box(200, 40, 300, 140)]}) == [1, 2]
    with served(gallery) as service, TestClient(make_app(service)) as client:
        yield client


@pytest.mark.parametrize(
    "address",
    ["/api/faces/1/image", "/api/faces/2/image?side=512", "/api/photos/1/image", "/api/photos/1/image?side=64"],
)
def test_what_is_sent_is_a_picture_of_our_own(page: TestClient, address: str) -> None:
    answer = page.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert is_picture(answer.content)
    assert page.get(address).content == answer.content


@pytest.mark.parametrize(
    ("address", "status", "kind"),
    [
        ("/api/faces/3/image", 404, "unknown_face"),
        ("/api/photos/2/image", 404, "unknown_photo"),
        ("/api/photos/0/image", 404, "unknown_photo"),
        (f"/api/faces/{2**63 - 1}/image", 404, "unknown_face"),
        (f"/api/faces/{2**63}/image", 404, "not_there"),
        ("/api/faces/1/image?side=8", 400, "usage"),
        ("/api/faces/1/image?side=513", 400, "usage"),
        ("/api/photos/1/image?side=99999999999999999999", 400, "usage"),
        ("/api/photos/1/image?path=/etc/passwd", 400, "usage"),
    ],
)
def test_what_there_is_not_is_said(page: TestClient, address: str, status: int, kind: str) -> None:
    answer = page.get(address)
    assert (answer.status_code, answer.json()["error"]) == (status, kind)


def test_a_photo_that_is_gone_or_another_one_says_so(page: TestClient, root: Path) -> None:
    (root / "a.jpg").write_bytes(jpeg(noise(2)))
    answer = page.get("/api/photos/1/image")
    assert (answer.status_code, answer.json()["error"]) == (410, "photo_gone")
    assert answer.json()["message"].endswith("a.jpg has changed since it was indexed; index again.")
    (root / "a.jpg").unlink()
    assert page.get("/api/faces/1/image").status_code == 410


def test_who_is_forgotten_is_not_shown_from_memory_either(page: TestClient, root: Path) -> None:
    gallery = Gallery.open("default", "cpu")
    pictures = [page.get(f"/api/faces/{face}/image{query}").content for face in (1, 2) for query in ("", "?side=224")]
    assert all(map(is_picture, pictures))
    forget(gallery, str(root / "a.jpg"))
    everything = b"".join(path.read_bytes() for path in gallery.directory.rglob("*") if path.is_file())
    assert not [picture for picture in pictures if picture[60:100] in everything]
    for address in ("/api/faces/1/image", "/api/faces/1/image?side=224"):
        assert page.get(address).status_code == 404
    assert page.get("/api/photos/1/image").json()["message"].endswith("was forgotten; nothing of it is shown.")


# The order


class _Slow:
    """In place of a gallery and of decoders: notes what is made, and makes nothing until it is let."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.begun, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def start_one(self) -> None:
        """There is none."""

    def make_face_pictures(self, faces: Sequence[FaceSource], side: int, decoders: object) -> list[bytes]:
        self.made.append([face.face_id for face in faces])
        self.begun.release()
        self.let.acquire()
        if faces[0].photo.status == Status.MISSING:
            raise PhotoGoneError("It is gone.")
        return [b"%d at %d" % (face.face_id, side) for face in faces]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[_Slow, Pictures]]:
    """Pictures that one thread makes, which is busy with face 0."""
    monkeypatch.setattr(pictures, "_AT_ONCE", 1)
    gallery = _Slow()
    made: Any = gallery
    with Pictures(made, made) as queue:
        yield gallery, queue
        gallery.let.release(1000)


def _face(face: int, photo: int | None = None, status: Status = Status.OK) -> FaceSource:
    source = PhotoSource(face if photo is None else photo, "/a.jpg", b"", status, (320, 240))
    return FaceSource(face, MIDDLE, source)


async def _stays() -> bool:
    return False


async def _asked(gallery: _Slow, queue: Pictures, *faces: FaceSource) -> list["asyncio.Task[bytes]"]:
    """The first is being made; the others wait, in this order."""
    tasks = []
    for face in faces:
        tasks.append(asyncio.create_task(queue.face(face, 112, _stays)))
        await asyncio.sleep(0)
        if len(tasks) == 1:
            await asyncio.to_thread(gallery.begun.acquire)
    return tasks


def test_what_was_asked_for_last_is_made_first(slow: tuple[_Slow, Pictures]) -> None:
    gallery, queue = slow

    async def ask() -> list[bytes]:
        tasks = await _asked(gallery, queue, *map(_face, range(4)))
        gallery.let.release(4)
        return await asyncio.gather(*tasks)

    assert asyncio.run(ask()) == [b"0 at 112", b"1 at 112", b"2 at 112", b"3 at 112"]
    assert gallery.made == [[0], [3], [2], [1]]


def test_faces_of_one_photo_are_made_together_and_each_hears_of_its_own(slow: tuple[_Slow, Pictures]) -> None:
    gallery, queue = slow

    async def ask() -> list[bytes]:
        tasks = await _asked(gallery, queue, _face(0), _face(1, 7), _face(2), _face(3, 7), _face(4, 7))
        gallery.let.release(9)
        return await asyncio.gather(*tasks)

    assert asyncio.run(ask())[1:] == [b"1 at 112", b"2 at 112", b"3 at 112", b"4 at 112"]
    assert gallery.made == [[0], [4, 1, 3], [2]]


def test_nothing_is_made_for_who_has_hung_up(slow: tuple[_Slow, Pictures]) -> None:
    gallery, queue = slow

    async def hung_up() -> bool:
        return True

    async def ask() -> None:
        tasks = await _asked(gallery, queue, _face(0), _face(1))
        with pytest.raises(GivenUpError):
            await queue.face(_face(2), 112, hung_up)
        gallery.let.release(9)
        await asyncio.gather(*tasks)

    asyncio.run(ask())
    assert gallery.made == [[0], [1]]


def test_of_too_many_the_oldest_are_given_up(slow: tuple[_Slow, Pictures], monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, queue = slow
    monkeypatch.setattr(pictures, "_MOST_WAITING", 2)

    async def ask() -> list[Any]:
        tasks = await _asked(gallery, queue, *map(_face, range(4)))
        gallery.let.release(9)
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(ask())
    assert [isinstance(each, GivenUpError) for each in found] == [False, True, False, False]
    assert gallery.made == [[0], [3], [2]]


def test_a_failure_reaches_who_asked_and_the_next_is_made(slow: tuple[_Slow, Pictures]) -> None:
    gallery, queue = slow

    async def ask() -> list[Any]:
        tasks = await _asked(gallery, queue, _face(0), _face(1), _face(2, status=Status.MISSING))
        gallery.let.release(9)
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, after, failed = asyncio.run(ask())
    assert after == b"1 at 112"
    assert isinstance(failed, PhotoGoneError)


def test_a_picture_that_was_made_a_moment_ago_is_not_made_again(slow: tuple[_Slow, Pictures]) -> None:
    gallery, queue = slow
    gallery.let.release(9)

    async def ask() -> list[bytes]:
        return [await queue.face(_face(0), 448, _stays) for _ in range(3)]

    assert set(asyncio.run(ask())) == {b"0 at 448"}
    assert gallery.made == [[0]]
