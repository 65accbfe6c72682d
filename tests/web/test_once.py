"""A write that is sent again because its answer was lost is done once; one of another gallery's page is refused."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from starlette.testclient import TestClient

from facesearch import Gallery
from facesearch.web.app import make_app
from facesearch.web.once import Once
from facesearch.web.service import served
from tests import made_galleries

_PATIENCE = 60  # seconds


def test_an_answer_is_given_again_and_nothing_is_done_twice(gallery: Gallery) -> None:
    with served(gallery) as service, TestClient(make_app(service)) as page:

        def name(who: int, write: str) -> int | None:
            words = {"facesearch-write": write}
            change: int | None = page.post(f"/api/people/{who}/name", json={"name": "Ann"}, headers=words).json()[
                "change"
            ]
            return change

        first = name(1, "a")
        assert first is not None
        assert name(1, "a") == first
        assert name(1, "b") is None  # another one finds that all was so before


def test_who_asks_while_it_is_done_waits_for_its_answer() -> None:
    once, asked, may_end = Once(), Event(), Event()

    def does() -> str:
        asked.set()
        assert may_end.wait(_PATIENCE)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.answer, ("a", "/"), does)
        assert asked.wait(_PATIENCE)
        second = pool.submit(once.answer, ("a", "/"), pytest.fail)
        may_end.set()
        assert (first.result(_PATIENCE), second.result(_PATIENCE)) == ("done", "done")


def test_what_failed_may_be_tried_again() -> None:
    once = Once()
    with pytest.raises(ZeroDivisionError):
        once.answer(("a", "/"), lambda: 1 / 0)
    assert once.answer(("a", "/"), lambda: 2) == 2


def test_few_answers_are_kept() -> None:
    once = Once()
    for i in range(1_000):
        once.answer((str(i), "/"), lambda: None)
    assert once.answer(("999", "/"), lambda: "again") is None
    assert once.answer(("0", "/"), lambda: "again") == "again"


def test_a_call_of_a_page_of_another_gallery_is_refused(gallery: Gallery) -> None:
    with served(gallery) as service, TestClient(make_app(service)) as page:
        answer = page.get("/api/state", headers={"facesearch-gallery": "an%20other"})
        assert (answer.status_code, answer.json()["error"]) == (409, "other_gallery")
        assert "an other" in answer.json()["message"]
        assert page.get("/api/state", headers={"facesearch-gallery": gallery.name}).status_code == 200


@pytest.fixture
def gallery(home: object) -> Gallery:
    """Two people without a name."""
    made = made_galleries.made(photos=[f"/p/{number}.jpg" for number in range(4)])
    made_galleries.group(made, [1, 2], [3, 4])
    return made
