"""Search on the page: photos that are dropped, faces of the gallery, and the photos that show them."""

import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from facesearch import Gallery
from facesearch.gallery.records.people import PhotoFacts
from facesearch.web.app import make_app
from facesearch.web.service import served
from facesearch.web.uploads import UploadGoneError, Uploads
from tests import made_galleries


@pytest.fixture(scope="module")
def indexed(
    models_home: Path, photo_of: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The directory of a gallery of three people with three photos each."""
    album = tmp_path_factory.mktemp("album")
    for person in ("Abdullah_Gul", "Angelina_Jolie", "Tiger_Woods"):
        (album / person).mkdir()
        for number in (1, 2, 3):
            shutil.copy(photo_of(person, number), album / person)
    gallery = Gallery.open("web-search", "cpu")
    gallery.index([album], people_from="folder")
    yield gallery.directory
    shutil.rmtree(gallery.directory)


@pytest.fixture
def page(home: Path, indexed: Path) -> Iterator[TestClient]:
    """The page of a copy of that gallery."""
    shutil.copytree(indexed, Gallery.open("default").directory)
    with served(Gallery.open("default", "cpu")) as service, TestClient(make_app(service)) as client:
        yield client


@pytest.fixture
def without_photos(home: Path) -> Iterator[tuple[Gallery, TestClient]]:
    """A page, and its gallery of made-up faces."""
    gallery = made_galleries.made(photos={"/a/1.jpg": 2, "/a/2.jpg": 1, "/b/3.jpg": 1, "/b/4.jpg": 1})
    with served(gallery) as service, TestClient(make_app(service)) as client:
        yield gallery, client


def test_a_dropped_photo_finds_who_is_on_it_and_says_what_same_means(
    page: TestClient, photo_of: Callable[..., Path]
) -> None:
    found = page.post("/api/search?k=2", content=photo_of("Angelina_Jolie", 1).read_bytes())
    assert found.status_code == 200
    said = found.json()
    best = said["answer"]["matches"][0]
    assert (best["person"], best["label"], best["same"]) == ("Angelina_Jolie", "Angelina_Jolie", True)
    assert page.get(f"/api/photos/{best['photo_id']}").json()["photo"] == best["photo"]
    assert len(said["faces"]) == said["answer"]["query"]["faces"]
    assert {"threshold", "far", "learned", "cohort", "compared", "by_chance"} <= set(said["answer"])
    again = page.get(f"/api/search?upload={said['upload']}&face=1&k=2").json()
    assert again["answer"] == said["answer"]


def test_a_face_of_the_gallery_finds_the_others_and_not_itself(page: TestClient) -> None:
    gallery = Gallery.open("default", "cpu")
    (person,) = [each.id for each in gallery.people() if each.name == "Tiger_Woods"]
    face = gallery.faces_of(person)[0]
    said = page.get(f"/api/search?face_id={face.face_id}&k=50").json()["answer"]
    assert said["query"]["photo"] == face.photo
    assert said["matches"][0]["person"] == "Tiger_Woods"
    assert said["matches"][0]["faces"] == 2
    assert face.face_id not in [match["face_id"] for match in said["matches"]]


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        (b"", 415, "not_a_photo"),
        (b"<html><script>alert(1)</script>", 415, "not_a_photo"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "not_a_photo"),
        (b"\xff\xd8\xff\xe0" + bytes(100), 415, "not_a_photo"),
        (bytes((64 << 20) + 1), 413, "too_large"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_sentence(page: TestClient, data: bytes, status: int, error: str) -> None:
    refused = page.post("/api/uploads", content=data)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert refused.json()["message"].endswith(".")


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(page: TestClient) -> None:
    small = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1].tobytes()
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + small[24:29]
    bomb = small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]
    assert page.post("/api/uploads", content=bomb).status_code == 413


def test_a_photo_without_a_face_is_refused_and_yet_kept_to_be_shown(page: TestClient) -> None:
    grey = cv2.imencode(".png", np.full((90, 120, 3), 128, np.uint8))[1].tobytes()
    refused = page.post("/api/search", content=grey)
    said = refused.json()
    assert (refused.status_code, said["error"], said["faces"]) == (422, "no_face_in_upload", [])
    assert (said["width"], said["height"]) == (120, 90)
    assert page.get(f"/api/search?upload={said['upload']}").status_code == 422
    shown = page.get(f"/api/uploads/{said['upload']}/image")
    assert (shown.headers["content-type"], shown.content[8:12]) == ("image/webp", b"WEBP")


def test_many_photos_at_once_are_all_answered(page: TestClient, photo_of: Callable[..., Path]) -> None:
    photo = photo_of("Tony_Blair", 1).read_bytes()
    with ThreadPoolExecutor(12) as several:
        found = list(several.map(lambda _: page.post("/api/uploads", content=photo), range(12)))
    assert [each.status_code for each in found] == [200] * 12
    assert len({each.json()["upload"] for each in found}) == 12


def test_a_dropped_photo_is_written_nowhere(page: TestClient, home: Path, astronaut_file: Path) -> None:
    photo = astronaut_file.read_bytes()
    page.post("/api/search", content=photo)
    before = _files(home)
    said = page.post("/api/search", content=photo + b"more").json()
    assert page.get(f"/api/uploads/{said['upload']}/image").status_code == 200
    assert _files(home) == before


def _files(folder: Path) -> dict[Path, bytes]:
    """All that lies in a folder but SQLite's memory, which readers share."""
    there = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {path: path.read_bytes() for path in there}


def test_a_photo_that_nobody_asks_for_is_dropped_after_some_minutes(page: TestClient, astronaut_file: Path) -> None:
    now = [0.0]
    uploads = Uploads(Gallery.open("default", "cpu"), page.app.state.service.decoders, lambda: now[0])  # type: ignore[attr-defined]
    upload = uploads.add(astronaut_file.read_bytes())
    now[0] = 800.0
    assert uploads.get(upload.id) is upload
    now[0] = 1600.0  # it was asked for since
    assert uploads.get(upload.id) is upload
    now[0] = 3000.0
    with pytest.raises(UploadGoneError):
        uploads.get(upload.id)


def test_of_too_many_photos_the_one_asked_for_longest_ago_is_dropped(page: TestClient, astronaut_file: Path) -> None:
    photo = astronaut_file.read_bytes()
    decoders = page.app.state.service.decoders  # type: ignore[attr-defined]
    uploads = Uploads(Gallery.open("default", "cpu"), decoders, most_bytes=3 * len(photo) + 10)
    first, second, third = (uploads.add(photo + bytes(number)).id for number in range(3))
    assert uploads.get(first)
    fourth = uploads.add(photo).id
    assert [_is_kept(uploads, each) for each in (first, second, third, fourth)] == [True, False, True, True]


def _is_kept(uploads: Uploads, upload: int) -> bool:
    try:
        return bool(uploads.get(upload))
    except UploadGoneError:
        return False


def test_a_photo_has_its_faces_and_those_beside_it_in_the_order_of_paths(
    without_photos: tuple[Gallery, TestClient],
) -> None:
    gallery, page = without_photos
    first, _ = made_galleries.group(gallery, [1, 5], [2, 3])
    said = page.get("/api/photos/2").json()
    assert (said["photo"], said["previous"], said["next"]) == ("/a/2.jpg", 1, 3)
    assert [face["face_id"] for face in said["faces"]] == [3]
    assert (said["repeats"], said["marks"], said["status"]) == (False, [], "ok")
    assert page.get("/api/photos/1").json()["previous"] is None
    of_person = page.get(f"/api/photos/1?person={first}").json()
    assert (of_person["previous"], of_person["next"]) == (None, 4)
    assert page.get(f"/api/photos/4?person={first}").json()["previous"] == 1


def test_the_photos_of_a_person_lie_side_by_side_as_find_orders_them(home: Path) -> None:
    gallery = made_galleries.made(photos=[f"/p/{number}.jpg" for number in range(6)])
    (person,) = made_galleries.group(gallery, range(1, 7))
    with gallery.writing() as db, db.transaction():
        db.photos.note_dates([(1, "2020-01-01T00:00:00"), (4, "2024-01-01T00:00:00"), (5, "2024-01-01T00:00:00")])
    following: list[PhotoFacts] = [gallery.photo(4, person)]
    while following[-1].next is not None:
        following.append(gallery.photo(following[-1].next, person))
    assert [each.photo for each in following] == [each.photo for each in gallery.find([person]).photos]
    assert [each.previous for each in following] == [None, *(each.photo_id for each in following[:-1])]


@pytest.mark.parametrize("photo", ["99", "9223372036854775807", "9223372036854775808", "0"])
def test_a_photo_that_is_not_there_is_said_to_be_so(without_photos: tuple[Gallery, TestClient], photo: str) -> None:
    assert without_photos[1].get(f"/api/photos/{photo}").status_code == 404


def test_faces_are_moved_and_people_are_added_to_a_photo(without_photos: tuple[Gallery, TestClient]) -> None:
    gallery, page = without_photos
    (person,) = made_galleries.group(gallery, [1, 3])
    moved = page.post("/api/people/move", json={"faces": [4], "to": person})
    assert (moved.status_code, moved.json()["person"]) == (200, person)
    assert page.post("/api/people/move", json={"faces": [4], "to": "Ann"}).json()["people"] == 1
    there = {"box": [300, 300, 350, 350], "name": "Ann"}
    taken = page.post("/api/photos/2/people", json=there)
    assert (taken.status_code, taken.json()["error"]) == (409, "name_taken")
    marked = page.post("/api/photos/2/people", json=there | {"same": True})
    assert [mark["label"] for mark in page.get("/api/photos/2").json()["marks"]] == ["Ann"]
    assert page.post("/api/undo", json={"change": marked.json()["change"]}).status_code == 200
    assert page.get("/api/photos/2").json()["marks"] == []
    assert page.post("/api/photos/2/people", json=there | {"box": [1, 2, 3]}).status_code == 400
    assert page.post("/api/photos/2/people", json=there | {"box": [9, 9, 9, 9]}).status_code == 400


def test_two_faces_are_compared_as_the_gallery_judges_them(page: TestClient, photo_of: Callable[..., Path]) -> None:
    gallery = Gallery.open("default", "cpu")
    people = {each.name: [face.face_id for face in gallery.faces_of(each.id)] for each in gallery.people()}
    tiger, other = people["Tiger_Woods"], people["Abdullah_Gul"]
    same = page.get(f"/api/compare?a_face={tiger[0]}&b_face={tiger[1]}").json()
    assert (same["same"], same["pairs"]) == (True, 1)
    assert page.get(f"/api/compare?a_face={tiger[0]}&b_face={other[0]}").json()["same"] is False
    upload = page.post("/api/uploads", content=photo_of("Tiger_Woods", 1).read_bytes()).json()["upload"]
    told = page.get(f"/api/compare?a_upload={upload}&a_number=1&b_face={tiger[1]}").json()
    assert told["same"] is True
    assert (told["far"], told["learned"]) == (same["far"], same["learned"])
    for query, status in (
        ("a_face=1", 400),
        ("a_face=1&b_face=2&b_upload=3", 400),
        (f"a_face=1&b_upload={upload}&b_number=9", 400),
        ("a_face=1&b_upload=1", 404),
        ("a_face=1&b_face=999", 404),
    ):
        assert page.get(f"/api/compare?{query}").status_code == status


def test_where_a_model_is_missing_that_is_said_and_browsing_goes_on(
    page: TestClient, home: Path, astronaut_file: Path
) -> None:
    with Gallery.open("default", "cpu").writing() as db, db.transaction():
        db.connection.execute("UPDATE settings SET model = 'gone'")
    refused = page.post("/api/search", content=astronaut_file.read_bytes())
    assert (refused.status_code, refused.json()["error"]) == (503, "model")
    assert "gone" in refused.json()["message"]
    assert page.get("/api/people").json()["total"] == 3
    assert page.get("/api/photos/1").status_code == 200


def test_photos_of_other_formats_are_searched_for_too(page: TestClient, astronaut: Any) -> None:
    from PIL import Image

    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    for kind in ("HEIF", "WEBP", "PNG"):
        made = BytesIO()
        Image.fromarray(astronaut).save(made, kind)
        said = page.post("/api/uploads", content=made.getvalue())
        assert (said.status_code, len(said.json()["faces"])) == (200, 1), kind
    cut = made.getvalue()[: len(made.getvalue()) // 8]
    assert page.post("/api/uploads", content=cut).status_code == 415
