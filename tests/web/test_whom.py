"""Whom what is said on the page is about: who is shown, whatever becomes of the lists; and that the keyboard
stays where the user has it."""

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.web.opened import Opened

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Route


def _tile(there: Opened, faces: int) -> "Locator":
    return there.grid.get_by_role("gridcell", name=f"{faces} faces")


def _names(there: Opened) -> dict[int, str]:
    """Of those who have one."""
    return {each.id: each.name for each in there.gallery.people() if each.name}


def _panel(there: Opened) -> "Locator":
    return there.page.get_by_role("complementary", name="Who this is")


def _waiting(there: Opened, path: str | re.Pattern[str]) -> "list[Route]":
    """What is asked of this path, which waits until it is let go."""
    found: list[Route] = []
    there.page.route(path, lambda route: found.append(route))
    return found


def _refuse(there: Opened, waiting: "list[Route]") -> None:
    """Refuses what waits first, once it has come: the page shows what it asks for before it asks."""
    while not waiting:
        there.page.wait_for_timeout(20)
    waiting[0].fulfill(status=423, json={"error": "locked", "message": "Another process writes."})


def test_who_is_clicked_is_named_and_not_who_was_selected_before(there: Opened) -> None:
    _tile(there, 36).click(modifiers=["Control"])
    expect(_panel(there).get_by_text("1 selected")).to_be_visible()
    _tile(there, 28).click()
    expect(_panel(there).get_by_text("1 selected")).to_be_hidden()
    there.keys("=Ann", "Enter")
    there.is_saved()
    assert _names(there) == {2: "Ann"}


def test_who_is_selected_is_shown_and_named_wherever_the_keys_are(there: Opened) -> None:
    _tile(there, 36).wait_for()
    there.keys("ArrowRight", " ", "ArrowRight")
    expect(_panel(there).get_by_text("1 selected")).to_be_visible()
    expect(_panel(there)).to_contain_text("36 faces")
    there.keys("n", "=Ann", "Enter")
    there.is_saved()
    assert _names(there) == {1: "Ann"}
    expect(_panel(there)).to_contain_text("28 faces")


def test_a_name_is_typed_to_its_end_for_whom_it_was_begun_where_another_write_is_refused(there: Opened) -> None:
    there.watched.expected = "423 (Locked)"
    _tile(there, 36).wait_for()
    waiting = _waiting(there, "**/api/people/1/name")
    there.keys("ArrowRight", "Enter", "=Ann", "Enter", "Enter", "=Bo")
    expect(_panel(there)).to_contain_text("28 faces")
    _refuse(there, waiting)
    _tile(there, 36).wait_for()
    expect(_panel(there)).to_contain_text("28 faces")
    there.keys("=b", "Enter")
    there.is_saved()
    assert _names(there) == {2: "Bob"}


def test_a_name_is_typed_to_its_end_for_whom_it_was_begun_where_they_leave_the_list(there: Opened) -> None:
    _tile(there, 36).wait_for()
    there.keys("ArrowRight", "Enter", "=Bo")
    there.gallery.hide(["@1"])
    _tile(there, 36).wait_for(state="detached")
    expect(_panel(there)).to_contain_text("36 faces")
    there.keys("=b", "Enter")
    there.is_saved()
    assert there.gallery.person("@1").name == "Bob"
    assert _names(there).keys() <= {1}


def test_who_has_not_arrived_is_not_shown_as_somebody_else(there: Opened) -> None:
    _tile(there, 36).click()
    _waiting(there, re.compile(r"list=groups&first=100"))
    there.go("/people")
    there.page.get_by_role(
        "button", name="Faces alone"
    ).wait_for()  # the last part, without which the end is elsewhere
    there.keys("ArrowRight", "End", "ArrowUp", "n", "=An")
    expect(_panel(there)).to_contain_text("Loading")
    there.page.unroute_all()  # what waits passes, and what is asked for from now on
    expect(_panel(there)).to_contain_text("No name yet")
    expect(there.page.get_by_role("combobox", name="Name")).to_have_value("An")


def test_who_types_elsewhere_goes_on_there_when_a_person_has_arrived(there: Opened) -> None:
    _waiting(there, re.compile(r"/api/people/1/faces\?first=0"))
    there.page.goto(there.served.origin + "/people/1?face=30")
    there.page.get_by_role("heading", name="Loading").wait_for()
    there.keys("/", "=Hip")
    there.page.unroute_all()
    expect(there.page.get_by_role("heading", level=1)).to_have_text("No name yet")
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("=po")
    expect(there.page.locator(":focus")).to_have_value("Hippo")


def test_what_is_refused_late_draws_nothing_on_another_page(there: Opened) -> None:
    there.watched.expected = "423 (Locked)"
    there.go("/people/1")
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    waiting = _waiting(there, "**/api/people/1/name")
    there.keys("n", "=Ann", "Enter")
    expect(there.page.get_by_role("heading", level=1)).to_have_text("Ann")
    there.page.get_by_role("link", name="Log").click()
    expect(there.page).to_have_title(re.compile("Log"))
    _refuse(there, waiting)
    there.page.get_by_role("region", name="Notices").get_by_text("Not done").wait_for()
    expect(there.page).to_have_title(re.compile("Log"))


def test_the_keyboard_stays_at_the_button_that_was_pressed(there: Opened) -> None:
    there.go("/people/1")
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    select = there.page.get_by_role("button", name="Select", exact=True)
    select.click()
    there.page.get_by_role("button", name="Hide").focus()
    there.keys("Enter")
    there.is_saved()
    expect(there.page.locator(":focus")).to_contain_text("Show again")
    expect(select).to_have_attribute("aria-pressed", "true")
