"""What is changed while somebody looks: it is shown, and no key counts for what they have not seen."""

import json
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.web.opened import Opened

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

# Presses N at the moment in which another question is shown; gives how many are answered then.
_ON_CHANGE = """() => {
  window.pressed = new Promise((done) => {
    const place = document.querySelector(".question-place");
    const seen = new MutationObserver(() => {
      seen.disconnect();
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "n" }));
      done(document.querySelector(".question-count").textContent);
    });
    seen.observe(place, { childList: true });
  });
}"""
_QUESTIONS = "**/api/questions?*"


def _held_down(there: Opened, key: str, times: int = 5) -> None:
    for _ in range(times):
        there.page.keyboard.down(key)
    there.page.keyboard.up(key)


def test_a_key_that_is_held_answers_one_question(there: Opened) -> None:
    there.go("/questions").get_by_text("12 to go").wait_for()
    _held_down(there, "n")
    there.is_saved()
    assert [each.verb for each in there.gallery.log(5)] == ["answer"]
    there.page.get_by_text("1 answered, 11 to go").wait_for()


def test_an_arrow_that_is_held_goes_on(there: Opened) -> None:
    there.grid.get_by_role("gridcell").nth(5).wait_for()
    there.keys("ArrowRight")
    _held_down(there, "ArrowRight", 3)
    expect(there.grid).to_have_attribute("aria-activedescendant", re.compile("-3$"))


def _shown(page: "Page") -> list[str]:
    return [str(each.get_attribute("src")) for each in page.locator(".question-lead img").all()]


def test_what_was_answered_while_questions_were_fetched_is_not_asked_again(there: Opened) -> None:
    there.go("/questions").get_by_text("12 to go").wait_for()
    held: list[tuple[Route, str]] = []

    def hold(route: "Route") -> None:
        held.append((route, route.fetch().text()))

    def answer(route: "Route", text: str) -> None:
        route.fulfill(body=text, content_type="application/json")

    there.page.route(_QUESTIONS, hold)
    asked = [_shown(there.page)]
    there.keys("n")
    there.page.get_by_text("1 answered, 11 to go").wait_for()
    there.is_saved()
    asked.append(_shown(there.page))
    there.until(lambda: len(held) == 1)
    answer(*held[0])  # it knows nothing of the answer, which was sent after it was asked for
    there.until(lambda: len(held) == 2)  # it is taken, and more is asked for
    there.keys("s")
    asked.append(_shown(there.page))
    assert len({tuple(each) for each in asked}) == 3
    answer(*held[1])
    there.page.unroute_all(behavior="wait")


def test_the_question_that_is_looked_at_stays_when_its_people_are_asked_about_by_other_faces(there: Opened) -> None:
    there.go("/questions").get_by_text("12 to go").wait_for()
    second = there.gallery.questions(2)[1]
    other = there.gallery.faces_of(f"@{second.b.person}")[-1].face_id

    def by_other_faces(route: "Route") -> None:
        reply = route.fetch().json()
        for each in reply["questions"]:
            if each["b"]["face_id"] == second.b.face_id:
                each["b"]["face_id"] = other
        route.fulfill(json=reply)

    there.page.route(_QUESTIONS, by_other_faces)
    there.keys("y")
    there.is_saved()
    looked_at = _shown(there.page)
    assert f"/{second.b.face_id}/" in looked_at[1]
    with there.page.expect_response(_QUESTIONS):
        there.gallery.name_person(f"@{second.b.person}", "Ann")
    there.page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert _shown(there.page) == looked_at
    there.keys("n")
    assert _shown(there.page) != looked_at
    assert f"/{other}/" not in _shown(there.page)[1]  # nor are they asked about twice
    there.is_saved()
    there.page.unroute_all(behavior="wait")


def test_who_was_named_while_they_were_read_keeps_the_name(there: Opened) -> None:
    there.go("/people/1")
    held: list[tuple[Route, str]] = []
    there.page.route(re.compile(r"/api/people/1$"), lambda route: held.append((route, route.fetch().text())))
    there.gallery.hide(["@2"], True)  # by another process: the person is read anew
    there.until(lambda: len(held) == 1)
    there.keys("n", "=Ann", "Enter")
    there.until(lambda: there.gallery.person("@1").name == "Ann")
    there.until(lambda: len(held) == 2)
    held[0][0].fulfill(body=held[0][1], content_type="application/json")  # it knows nothing of the name
    there.page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert there.page.get_by_role("heading", level=1).inner_text() == "Ann"
    held[1][0].fulfill(body=held[1][1], content_type="application/json")
    there.page.unroute_all(behavior="wait")


def test_a_photo_that_was_read_before_a_write_does_not_show_what_was(there: Opened) -> None:
    face = there.gallery.faces_of("@1")[0]
    there.go(f"/photos/{face.photo_id}?face={face.face_id}")
    held: list[tuple[Route, str]] = []
    of_photo = re.compile(rf"/api/photos/{face.photo_id}(\?.*)?$")
    there.page.route(of_photo, lambda route: held.append((route, route.fetch().text())))
    there.gallery.hide(["@2"], True)  # by another process: the photo is read anew
    there.until(lambda: len(held) == 1)
    there.keys("n", "=Ann", "Enter")
    there.until(lambda: there.gallery.person("@1").name == "Ann")
    there.is_saved()
    said = there.page.locator("#main").inner_html()
    held[0][0].fulfill(body=held[0][1], content_type="application/json")  # it knows nothing of the name
    there.page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert there.page.locator("#main").inner_html() == said
    for route, text in held[1:]:
        route.fulfill(body=text, content_type="application/json")
    there.page.unroute_all(behavior="wait")


def test_a_key_does_not_answer_a_question_that_came_under_the_finger(there: Opened) -> None:
    there.go("/questions").get_by_text("12 to go").wait_for()
    there.page.evaluate(_ON_CHANGE)
    question = there.gallery.questions(1)[0]
    there.gallery.ignore([f"@{question.a.person}"])
    assert "0 answered" in there.page.evaluate("window.pressed")
    expect(there.page.get_by_text("0 answered")).to_be_visible()
    assert there.gallery.log(1)[0].verb == "ignore"


def test_the_end_of_the_questions_stays_as_it_is(there: Opened) -> None:
    there.page.route(_QUESTIONS, lambda route: route.fulfill(json={"total": 0, "questions": []}))
    there.go("/questions")
    there.page.get_by_role("link", name="Go to People").focus()
    with there.page.expect_response(_QUESTIONS):
        there.gallery.name_person("@1", "Ann")
    there.page.evaluate("new Promise((done) => setTimeout(done, 50))")
    expect(there.page.get_by_role("link", name="Go to People")).to_be_focused()
    there.page.unroute_all(behavior="wait")


def test_a_photo_that_was_fetched_ahead_shows_what_was_said_since(there: Opened) -> None:
    photos = [each.photo_id for each in there.gallery.faces_of("@1")]
    shown = json.loads(
        there.page.evaluate(f"fetch('/api/photos/{photos[0]}?person=1').then((reply) => reply.text())")
    )
    there.go("/people")
    go = "(path) => import('/static/frame/router.js').then(({ navigate }) => navigate(path))"
    with there.page.expect_response(f"**/api/photos/{shown['next']}?person=1"):
        there.page.evaluate(go, f"/photos/{photos[0]}?person=1")
    there.page.evaluate(go, "/people")
    there.grid.get_by_role("gridcell").nth(5).wait_for()
    there.gallery.name_person("@1", "Ann")
    there.grid.get_by_role("gridcell", name="Ann").wait_for()
    there.page.evaluate(go, f"/photos/{shown['next']}?person=1")
    expect(there.page.get_by_role("link", name="Ann")).to_be_visible()


def test_an_undo_far_below_in_the_log_is_shown(there: Opened) -> None:
    there.gallery.name_person("@1", "Ann")
    for i in range(205):
        there.gallery.hide(["@2"], i % 2 == 0)
    there.go("/log")
    rows = there.page.locator("[data-change]")
    first = there.page.locator("[data-change]", has_text="Ann").last
    for _ in range(10):
        if rows.count() == 206:
            break
        there.page.evaluate("document.getElementById('main').scrollTop = 1e9")
        there.page.evaluate("new Promise((done) => setTimeout(done, 100))")
    first.get_by_role("button").click()
    expect(first.get_by_text("Taken back")).to_be_visible()
    there.is_saved()
    assert not there.gallery.person("@1").name
    there.gallery.undo(there.gallery.log(1)[0].id)  # by another process
    expect(first.get_by_text("Taken back")).not_to_be_attached()
    assert there.gallery.person("@1").name == "Ann"
