"""The JSON interface of the page, through the application itself: what each call answers and how it refuses."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from facesearch import Gallery
from facesearch.web.app import make_app
from facesearch.web.replies.errors import Error
from facesearch.web.replies.people import Done, People
from facesearch.web.service import served
from tests import made_galleries

Json = dict[str, Any]
_JSON = {"content-type": "application/json"}


@pytest.fixture
def gallery(home: Path) -> Gallery:
    """Twelve photos of one face each: people @1 to @3 with faces 1 to 4, 5 to 7 and 8 to 9; 10 to 12 are nobody's."""
    return _three_people()


def _three_people() -> Gallery:
    made = made_galleries.made(photos=[f"/p/{number:02}.jpg" for number in range(12)])
    made_galleries.group(made, [1, 2, 3, 4], [5, 6, 7], [8, 9])
    made_galleries.suggest(made, "same", 4, 5)
    return made


@pytest.fixture(scope="module")
def unchanged(models_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A page of such a gallery, for calls that change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(tmp_path_factory.mktemp("home")))
        with served(_three_people()) as service, TestClient(make_app(service)) as client:
            yield client


@pytest.fixture
def page(gallery: Gallery) -> Iterator[TestClient]:
    """The page of that gallery."""
    with served(gallery) as service, TestClient(make_app(service)) as client:
        yield client


def done(page: TestClient, path: str, body: Json) -> Json:
    """Does something, which succeeds."""
    answer = page.post(path, json=body)
    assert answer.status_code == 200, answer.text
    msgspec.convert(answer.json(), Done)
    said: Json = answer.json()
    return said


def people(page: TestClient, which: str) -> list[tuple[int, str | None, int]]:
    """Id, name and number of faces of those of one list."""
    listed = page.get(f"/api/people?list={which}&n=500").json()
    msgspec.convert(listed, People)
    assert listed["total"] == len(listed["people"])
    return [(each["id"], each["name"], each["faces"]) for each in listed["people"]]


# Lists


def test_people_stand_in_four_lists(page: TestClient) -> None:
    done(page, "/api/people/2/name", {"name": "Ann"})
    done(page, "/api/people/ignore", {"people": [3]})
    done(page, "/api/people/hide", {"people": [1]})
    lists = {which: people(page, which) for which in ("named", "groups", "strangers", "hidden")}
    assert lists == {
        "named": [(2, "Ann", 3)],
        "groups": [],
        "strangers": [(3, None, 2)],
        "hidden": [(1, None, 4)],
    }


@pytest.mark.parametrize(
    ("part", "ids"),
    [
        ("first=0&n=2", [1, 2]),
        ("first=2&n=500", [3]),
        ("first=3", []),
        (f"first={2**31}", []),
        ("n=0", []),
        ("", [1, 2, 3]),
    ],
)
def test_a_list_is_read_in_parts(unchanged: TestClient, part: str, ids: list[int]) -> None:
    listed = unchanged.get(f"/api/people?list=groups&{part}").json()
    assert [each["id"] for each in listed["people"]] == ids
    assert listed["total"] == 3


@pytest.mark.parametrize("path", ["/api/people", "/api/faces", "/api/people/1/faces", "/api/people/1/photos"])
@pytest.mark.parametrize(
    "part",
    ["first=-1", "n=-1", "n=501", "n=x", "n=", "n=1e99", "first=99999999999999999999", "n=nan", "m=1", "n=1&n=1"],
)
def test_a_part_that_is_none_is_refused(unchanged: TestClient, path: str, part: str) -> None:
    refused(unchanged.get(f"{path}?{part}"), 400, "usage")


@pytest.mark.parametrize("path", ["/api/log?before=null", "/api/names?person=NULL", "/api/names?face=null&q=null"])
def test_nothing_is_said_by_leaving_it_out(unchanged: TestClient, path: str) -> None:
    refused(unchanged.get(path), 400, "usage")
    assert unchanged.get("/api/names?q=null").status_code == 200


def test_faces_of_somebody_have_their_photo_and_label_and_the_least_sure_come_last(page: TestClient) -> None:
    listed = page.get("/api/people/1/faces?first=1&n=2").json()
    assert listed["total"] == 4
    assert [(each["face_id"], each["photo_id"], each["label"]) for each in listed["faces"]] == [
        (2, 2, "@1"),
        (3, 3, "@1"),
    ]
    done(page, "/api/people/1/name", {"name": "Ann"})
    assert page.get("/api/faces/3").json()["label"] == "Ann"
    assert [each["photo_id"] for each in page.get("/api/people/1/photos").json()["photos"]] == [1, 2, 3, 4]


def test_faces_that_are_nobodys_are_listed_best_first(gallery: Gallery, page: TestClient) -> None:
    with gallery.writing() as db, db.transaction():
        db.connection.execute("UPDATE faces SET quality = id % 3 / 2.0")
    listed = page.get("/api/faces?first=0&n=2").json()
    assert (listed["total"], [each["face_id"] for each in listed["faces"]]) == (3, [11, 10])
    assert page.get("/api/faces?first=2").json()["faces"][0]["face_id"] == 12


def test_a_path_that_is_no_text_comes_through(gallery: Gallery, page: TestClient) -> None:
    with gallery.writing() as db:
        made_galleries.add(db, [os.fsdecode(b"/p/\xff.jpg")])
    assert page.get("/api/faces/13").json()["photo"] == "/p/\udcff.jpg"


# What is done


def test_all_that_can_be_said_is_one_change_each_and_can_be_taken_back(gallery: Gallery, page: TestClient) -> None:
    before = made_galleries.rows(gallery)
    assert done(page, "/api/people/1/name", {"name": "Ann"})["faces"] == 4
    assert done(page, "/api/faces/10/name", {"name": "Bob"})["words"].endswith("Bob")
    assert done(page, "/api/people/2/part", {"faces": [7]})["person"] == 2
    assert done(page, "/api/people/1/cover", {"face": 2})["person"] == 1
    assert done(page, "/api/people/move", {"faces": [4], "to": "Bob"})["faces"] == 1
    assert done(page, "/api/people/join", {"people": [2, 3]})["person"] == 2
    assert done(page, "/api/people/ignore", {"faces": [11]})["people"] == 0
    assert done(page, "/api/people/hide", {"people": [2], "hidden": True})["people"] == 1
    assert done(page, "/api/faces/not-a-face", {"faces": [12]})["faces"] == 1
    assert done(page, "/api/photos/1/collage", {})["change"]
    assert done(page, "/api/photos/3/people", {"box": [200, 200, 300, 300], "name": "Cid"})["person"]
    changes = page.get("/api/log").json()["changes"]
    assert len(changes) == 11
    for _ in changes:
        done(page, "/api/undo", {})
    after = made_galleries.rows(gallery)
    assert after["people"][:3] == before["people"]  # and those whom it made, without a face
    assert {table: rows for table, rows in after.items() if table != "people"} == {
        table: rows for table, rows in before.items() if table != "people"
    }


def test_a_question_is_answered_once(page: TestClient) -> None:
    asked = page.get("/api/questions").json()["questions"][0]
    assert (asked["kind"], asked["person_a"]["id"], asked["person_b"]["id"]) == ("same", 1, 2)
    answer = {"kind": asked["kind"], "a": asked["a"]["face_id"], "b": asked["b"]["face_id"], "reply": "yes"}
    assert done(page, "/api/questions/answer", answer)["person"] == 1
    assert page.get("/api/questions").json()["questions"] == []
    assert page.get("/api/people/2").json()["id"] == 1  # the id of who was joined still answers
    refused(page.post("/api/questions/answer", json=answer), 400, "usage")


def test_nothing_that_was_so_before_is_a_change(page: TestClient) -> None:
    done(page, "/api/people/1/name", {"name": "Ann"})
    again = done(page, "/api/people/1/name", {"name": " Ann "})
    assert (again["change"], again["words"], again["faces"]) == (None, None, 0)


def test_a_name_that_somebody_has_needs_a_decision(page: TestClient) -> None:
    done(page, "/api/people/1/name", {"name": "Ann"})
    taken = refused(page.post("/api/people/2/name", json={"name": "Ann"}), 409, "name_taken")
    assert taken["people"] == [1]
    assert done(page, "/api/people/2/name", {"name": "Ann", "other": True})["person"] == 2
    shared = refused(page.post("/api/people/3/name", json={"name": "Ann", "same": True}), 409, "ambiguous_name")
    assert shared["people"] == [1, 2]
    assert done(page, "/api/undo", {})["change"]
    assert done(page, "/api/people/2/name", {"name": "Ann", "same": True})["person"] == 1


def test_faces_are_moved_to_somebody_else_of_a_name(page: TestClient) -> None:
    done(page, "/api/people/1/name", {"name": "Ann"})
    other = done(page, "/api/people/move", {"faces": [5], "to": "Ann", "other": True})["person"]
    assert people(page, "named") == [(1, "Ann", 4), (other, "Ann", 1)]
    assert done(page, "/api/people/move", {"faces": [6], "to": 1})["person"] == 1
    refused(page.post("/api/people/move", json={"faces": [7], "to": 1, "other": True}), 400, "usage")


# How it refuses


def refused(answer: Any, status: int, kind: str) -> Json:
    """The answer refuses with a sentence, and has no more than that to say."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    said: Json = answer.json()
    error = msgspec.convert(said, Error)
    assert error.error == kind, error
    assert error.message.endswith(".")
    assert "Traceback" not in error.message
    assert "--" not in error.message  # who has a page types no option, and no command
    assert "facesearch people" not in error.message
    return said


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/api/people/99/name", {"name": "Ann"}, 404, "unknown_person"),
        ("/api/faces/99/name", {"name": "Ann"}, 404, "unknown_face"),
        (f"/api/people/{2**63}/name", {"name": "Ann"}, 404, "not_there"),
        ("/api/people/1/name", {"name": " "}, 400, "usage"),
        ("/api/people/1/name", {"name": "@17"}, 400, "usage"),
        ("/api/people/1/name", {"name": "A\u202enn"}, 400, "usage"),
        ("/api/people/1/name", {"name": "A" * 10_000}, 400, "usage"),
        ("/api/people/1/name", {"name": "A\x00"}, 400, "usage"),
        ("/api/people/1/name", {}, 400, "usage"),
        ("/api/people/1/name", {"name": 1}, 400, "usage"),
        ("/api/people/1/name", {"name": "Ann", "says": "x"}, 400, "usage"),
        ("/api/people/join", {"people": [1]}, 400, "usage"),
        ("/api/people/join", {"people": []}, 400, "usage"),
        ("/api/people/join", {"people": [1, 99]}, 404, "unknown_person"),
        ("/api/people/join", {"people": [1, 2**63]}, 400, "usage"),
        ("/api/people/join", {"people": [0, 1]}, 400, "usage"),
        ("/api/people/1/part", {"faces": [5]}, 400, "usage"),
        ("/api/people/1/part", {"faces": [99]}, 404, "unknown_face"),
        ("/api/people/1/part", {"faces": [1] * 10_001}, 400, "usage"),
        ("/api/people/1/cover", {"face": 5}, 400, "usage"),
        ("/api/people/move", {"faces": [1], "to": 99}, 404, "unknown_person"),
        ("/api/people/move", {"faces": [1], "to": None}, 400, "usage"),
        ("/api/people/ignore", {}, 400, "usage"),
        ("/api/people/ignore", {"unnamed_below": 0}, 400, "usage"),
        ("/api/people/hide", {"people": [99]}, 404, "unknown_person"),
        ("/api/faces/not-a-face", {"faces": [99]}, 404, "unknown_face"),
        ("/api/photos/99/collage", {}, 404, "unknown_photo"),
        ("/api/questions/answer", {"kind": "same", "a": 1, "b": 1, "reply": "no"}, 400, "usage"),
        ("/api/questions/answer", {"kind": "same", "a": 1, "b": 99, "reply": "no"}, 404, "unknown_face"),
        ("/api/questions/answer", {"kind": "same", "a": 1, "b": 2, "reply": "no"}, 400, "usage"),
        ("/api/questions/answer", {"kind": "same", "a": 1, "b": 5, "reply": "maybe"}, 400, "usage"),
        ("/api/undo", {}, 409, "nothing_to_undo"),
        ("/api/undo", {"change": 7}, 409, "nothing_to_undo"),
        ("/api/undo", {"change": 2**64}, 400, "usage"),
        ("/api/nobody", {}, 404, "not_there"),
        ("/api/people", {}, 405, "method"),
        ("/api/people/-1/name", {"name": "Ann"}, 404, "not_there"),
        ("/api/people/" + "9" * 5000 + "/name", {"name": "Ann"}, 404, "not_there"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(
    unchanged: TestClient, path: str, body: Json, status: int, kind: str
) -> None:
    gallery: Gallery = unchanged.app.state.service.gallery  # type: ignore[attr-defined]
    before = made_galleries.rows(gallery)
    refused(unchanged.post(path, content=msgspec.json.encode(body), headers=_JSON), status, kind)
    assert made_galleries.rows(gallery) == before


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"faces":' + b"[" * 100_000,
        b'{"x":' * 50_000,
        b'{"faces":[NaN]}',
        b'{"faces":[1e999]}',
        b'{"faces":[1.5]}',
        b'{"faces":["1"]}',
        b'{"faces":[true]}',
        b'{"faces":[18446744073709551616]}',
        b'{"faces":[' + b"9" * 100_000 + b"]}",
        b'{"faces":[1],"faces":',
        b'{"faces":null}',
        b'{"f\xff":1}',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b"null",
        b"1",
        b"",
        b"\x00",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_none_is_refused(unchanged: TestClient, body: bytes) -> None:
    refused(unchanged.post("/api/people/1/part", content=body, headers=_JSON), 400, "usage")


def test_half_a_character_is_no_name(unchanged: TestClient) -> None:
    answer = unchanged.post("/api/people/1/name", content=b'{"name":"\\ud800"}', headers=_JSON)
    refused(answer, 400, "usage")
    assert unchanged.get("/api/names?q=%ED%A0%80").status_code == 200
    assert unchanged.get("/api/names?q=%00%FF").status_code == 200


def test_people_who_were_told_apart_are_not_joined_unless_that_is_taken_back(page: TestClient) -> None:
    done(page, "/api/questions/answer", {"kind": "same", "a": 4, "b": 5, "reply": "no"})
    refused(page.post("/api/people/join", json={"people": [1, 2]}), 409, "not_same")
    done(page, "/api/people/join", {"people": [1, 2], "anyway": True})


def test_two_names_need_to_be_told_which_one_stays(page: TestClient) -> None:
    done(page, "/api/people/1/name", {"name": "Ann"})
    done(page, "/api/people/2/name", {"name": "Bob"})
    assert refused(page.post("/api/people/join", json={"people": [1, 2]}), 409, "two_names")["people"] == [1, 2]
    assert done(page, "/api/people/join", {"people": [1, 2], "into": 2})["person"] == 2


def test_a_change_that_another_builds_on_is_in_the_way(page: TestClient) -> None:
    named = done(page, "/api/people/1/name", {"name": "Ann"})
    later = done(page, "/api/people/1/name", {"name": "Eve"})
    said = refused(page.post("/api/undo", json={"change": named["change"]}), 409, "in_the_way")
    assert said["change"] == later["change"]


def test_while_another_process_writes_is_read_and_what_would_write_is_refused_at_once(
    gallery: Gallery, page: TestClient
) -> None:
    gallery.patience = 3600  # so who waits is found out
    with gallery.writing() as db:
        with db.transaction():
            db.runs.begin()
        refused(page.post("/api/people/1/name", json={"name": "Ann"}), 423, "gallery_locked")
        assert page.get("/api/people?list=groups").json()["total"] == 3
    done(page, "/api/people/1/name", {"name": "Ann"})


def test_what_another_process_writes_for_a_moment_is_waited_for(gallery: Gallery, page: TestClient) -> None:
    gallery.patience = 60  # on a machine with much other work a moment is longer
    with ThreadPoolExecutor(1) as other:
        with gallery.writing():
            named = other.submit(page.post, "/api/people/1/name", json={"name": "Ann"})
            assert page.get("/api/people?list=groups").json()["total"] == 3
        assert named.result().status_code == 200


def test_many_at_once_are_all_written(page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.web.service._WRITE_SECONDS", 60)
    with ThreadPoolExecutor(8) as several:
        names = list(
            several.map(lambda i: page.post(f"/api/faces/{10 + i % 3}/name", json={"name": f"N{i}"}), range(24))
        )
    assert [each.status_code for each in names] == [200] * 24
    assert len(page.get("/api/log?n=100").json()["changes"]) == 24


def test_a_gallery_that_is_gone_or_damaged_is_said_to_be_so(gallery: Gallery, page: TestClient) -> None:
    for each in gallery.directory.glob("faces.db*"):
        each.write_bytes(b"nothing of a database" * 500)
    refused(page.get("/api/people/1"), 503, "damaged_gallery")
    for each in gallery.directory.glob("faces.db*"):
        each.unlink()
    refused(page.get("/api/people/1"), 503, "gallery")


def test_faces_are_grouped_anew_and_what_was_said_stays(page: TestClient, gallery: Gallery) -> None:
    done(page, "/api/people/1/name", {"name": "Ann"})
    answer = page.post("/api/people/group", json={"mode": "eager", "again": True})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["mode"], answer.json()["faces"], answer.json()["people"]) == ("eager", 12, 1)
    assert {1, 2, 3, 4} <= {face.face_id for face in gallery.faces_of("Ann")}
    assert page.post("/api/people/group", json={"mode": "bold"}).status_code == 400
