"""What the user says reaches the gallery once and in order, whatever fails on the way, and can be taken back."""

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.web.opened import Opened

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Route

# Two names are given that somebody has; what is to be asked about cannot be read. Then one that may be given.
_UNDECIDED = """async () => {
  const { send } = await import("/static/frame/queue.js");
  const { get } = await import("/static/frame/api.js");
  const name = (id, name, decide) => send({ path: `/api/people/${id}/name`, body: { name }, words: name, decide });
  await name(1, "Ann");
  const unread = await name(2, "Ann", () => get("/api/people/999999"));
  return { unread, after: await name(3, "Cleo") };
}"""

_NAME = """async ([id, name]) => {
  const { send } = await import("/static/frame/queue.js");
  await send({ path: `/api/people/${id}/name`, body: { name }, words: `Named ${name}` });
}"""

_SHOWN_ELSEWHERE = """async () => {
  const { send, undoLast } = await import("/static/frame/queue.js");
  const { navigate } = await import("/static/frame/router.js");
  let moved = 0;
  const write = { path: "/api/people/1/name", body: { name: "Ann" }, words: "Named", revert: () => (moved += 1) };
  await send(write);
  navigate("/log");
  undoLast();
  return moved;
}"""


# Whether a write has begun in the very task of the key that gave the name.
_ENTERS = """async () => {
  const key = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(key);
  for (let i = 0; i < 20; i += 1) await null;
  return document.getElementById("saving").textContent;
}"""


def _names(there: Opened) -> list[str]:
    return sorted(each.name for each in there.gallery.people() if each.name)


def _unanswered(route: "Route", reached: "list[Route]") -> None:
    """The first write is done, and the page that sent it never hears of it."""
    if reached:
        return route.continue_()
    route.fetch()
    return reached.append(route)


def _notices(there: Opened) -> "Locator":
    return there.page.get_by_role("region", name="Notices")


def test_what_cannot_be_decided_holds_nothing_up(there: Opened) -> None:
    there.watched.expected = "Failed to load resource"
    said = there.page.evaluate(_UNDECIDED)
    assert said["unread"] is None
    assert said["after"]["change"]
    assert _names(there) == ["Ann", "Cleo"]
    expect(_notices(there).locator(".failed")).to_contain_text("999999")


def test_a_write_whose_answer_was_lost_is_done_once_and_taken_back_by_u(there: Opened) -> None:
    there.watched.expected = "Failed to load resource"
    there.page.evaluate(_NAME, [2, "Before"])
    lost: list[Route] = []

    def lose(route: "Route") -> None:
        lost.append(route)
        if len(lost) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    there.page.route("**/api/people/1/name", lose)
    there.page.evaluate(_NAME, [1, "Ann"])
    assert len(lost) == 2
    assert _names(there) == ["Ann", "Before"]
    there.keys("u")
    there.is_saved()
    assert _names(there) == ["Before"]


def test_a_page_that_is_loaded_again_learns_what_became_of_the_write_on_its_way(there: Opened) -> None:
    reached: list[Route] = []
    there.page.route("**/api/people/*/name", lambda route: _unanswered(route, reached))
    for person, name in ((1, "Ann"), (2, "Bob")):
        there.page.evaluate(f"() => void ({_NAME})([{person}, '{name}'])")
    there.until(lambda: len(reached) == 1)
    there.page.reload()
    there.is_saved()
    assert [each.verb for each in there.gallery.log(20)] == ["name"]  # once, and the one behind it was never sent
    there.keys("u")
    there.is_saved()
    assert _names(there) == []


def test_what_was_refused_while_the_page_was_left_is_said(there: Opened) -> None:
    there.watched.expected = "409 (Conflict)"
    there.page.evaluate(_NAME, [1, "Ann"])
    reached: list[Route] = []
    there.page.route("**/api/people/2/name", lambda route: _unanswered(route, reached))
    there.page.evaluate(f"() => void ({_NAME})([2, 'Ann'])")
    there.until(lambda: len(reached) == 1)
    there.page.reload()
    expect(_notices(there).locator(".failed")).to_contain_text("Not done: Named Ann")
    expect(_notices(there).get_by_role("button", name="Try again")).to_have_count(0)  # it would be refused again


def test_what_was_on_its_way_long_ago_is_asked_for_no_more(there: Opened) -> None:
    there.watched.expected = "Failed to load resource"
    there.page.route("**/api/people/1/name", lambda route: route.abort())
    there.page.evaluate(f"() => void ({_NAME})([1, 'Ann'])")
    expect(there.page.locator("#saving")).to_have_text("Saving")
    there.page.add_init_script("Date.now = ((now) => () => now() + 120_000)(Date.now)")
    there.page.reload()
    there.is_saved()
    there.page.unroute_all()
    there.page.evaluate(_NAME, [2, "Bob"])
    assert _names(there) == ["Bob"]


def test_what_is_taken_back_while_it_is_on_its_way_stays_so_where_the_page_is_left(there: Opened) -> None:
    reached: list[Route] = []
    there.page.route("**/api/people/1/name", lambda route: _unanswered(route, reached))
    there.page.evaluate(f"() => void ({_NAME})([1, 'Ann'])")
    there.until(lambda: len(reached) == 1)
    there.keys("u")
    assert _names(there) == ["Ann"]
    there.page.reload()
    there.until(lambda: _names(there) == [])
    there.is_saved()
    assert _names(there) == []


def test_a_name_given_in_a_dialog_is_on_its_way_at_once(there: Opened) -> None:
    there.go("/people/1")
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("n", "=Ann")
    assert there.page.evaluate(_ENTERS) == "Saving"
    there.is_saved()
    assert _names(there) == ["Ann"]


def test_an_undo_that_is_refused_can_be_said_again(there: Opened) -> None:
    there.watched.expected = "423 (Locked)"
    there.page.evaluate(_NAME, [1, "Ann"])
    there.page.evaluate(_NAME, [2, "Bob"])
    with there.gallery.writing():
        there.keys("u", "u")
        expect(_notices(there).locator(".failed")).to_contain_text("Nor 1 change before it")
    expect(_notices(there).locator(".failed")).to_have_count(1)
    there.keys("u")
    there.is_saved()
    assert _names(there) == ["Ann"]
    there.keys("u")
    there.is_saved()
    assert _names(there) == []


def test_the_button_of_a_notice_takes_back_what_the_notice_names(there: Opened) -> None:
    there.page.evaluate(_NAME, [1, "Ann"])
    undo = _notices(there).get_by_role("button", name=re.compile("Undo"))
    undo.focus()
    waiting: list[Route] = []
    there.page.route("**/api/people/2/name", lambda route: waiting.append(route))
    there.page.evaluate(f"() => void ({_NAME})([2, 'Bob'])")
    there.page.get_by_text("Saving").wait_for()
    undo.click()
    waiting[0].continue_()
    there.is_saved()
    assert _names(there) == ["Bob"]


def test_a_page_that_was_left_is_moved_no_more(there: Opened) -> None:
    assert there.page.evaluate(_SHOWN_ELSEWHERE) == 0
    there.is_saved()
    assert _names(there) == []


def test_a_page_that_could_not_be_read_is_shown_when_the_server_is_back(there: Opened) -> None:
    there.watched.expected = "Failed to load resource"
    with there.page.expect_response("**/static/log/log.js"):
        there.go("/people")
    there.served.kill()
    there.page.get_by_role("link", name="Log").click()
    expect(there.page.get_by_role("heading", level=1)).to_contain_text("cannot be reached")
    there.page.evaluate("() => (window.isStill = true)")
    there.served.start()
    expect(there.page.get_by_role("heading", level=1)).to_have_text("Log")
    assert there.page.evaluate("() => window.isStill")


def test_nothing_is_written_to_another_gallery_at_the_same_port(there: Opened) -> None:
    there.watched.expected = "Failed to load resource"
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.page.route("**/api/*", lambda route: route.continue_(headers=_of_another(route)))
    there.page.route("**/api/people/*/name", lambda route: route.continue_(headers=_of_another(route)))
    there.keys("ArrowRight", "Enter", "=Ann", "Enter")
    expect(there.page.locator("#banner")).to_contain_text("this page shows another")
    expect(there.page.locator("#saving")).to_have_text("Saving")
    assert _names(there) == []
    there.page.unroute_all()
    there.is_saved()
    assert _names(there) == ["Ann"]


def _of_another(route: "Route") -> dict[str, str]:
    return {**route.request.headers, "facesearch-gallery": "another"}


def test_the_log_tells_what_was_done_again_from_what_was_taken_back(there: Opened) -> None:
    there.page.evaluate(_NAME, [1, "Ann"])
    there.page.get_by_role("link", name="Log").click()
    rows = there.page.get_by_role("main").get_by_role("listitem")
    for press, told in (
        ("Undo", "Taken back: @1 named Ann."),
        ("Do it again", "Done again: @1 named Ann."),
        ("Undo", "Taken back: @1 named Ann."),
    ):
        rows.first.get_by_role("button", name=press).click()
        there.is_saved()
        expect(rows.first).to_contain_text(told.removesuffix("."))
        assert _names(there) == (["Ann"] if press == "Do it again" else [])
