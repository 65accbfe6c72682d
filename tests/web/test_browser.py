"""The page as somebody uses it: in a browser, by keys, a mouse and a finger."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.made_galleries import rows
from tests.web.opened import Opened, copied, opened
from tests.web.trial import PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_printed_address_leads_to_the_people_and_is_not_kept_in_the_browser(there: Opened) -> None:
    there.page.get_by_role("heading", level=1, name="People").wait_for()
    assert "token" not in there.page.url
    assert there.page.evaluate("document.cookie") == ""
    assert there.page.evaluate("[...performance.getEntriesByType('navigation')].length") == 1


def test_the_hundred_largest_people_are_named_by_keys_alone_and_all_is_taken_back(there: Opened) -> None:
    before = rows(there.gallery)
    groups = [each.id for each in there.gallery.people()][:100]
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight")
    for i in range(100):
        there.keys("Enter", f"=P{i}", "Enter")
    there.is_saved()
    named = {each.id: each.name for each in there.gallery.people() if each.name}
    assert named == {group: f"P{i}" for i, group in enumerate(groups)}
    for _ in range(100):
        there.keys("u")
    there.is_saved()
    assert rows(there.gallery) == before, there.page.get_by_role("region", name="Notices").inner_text()


def test_ten_mistakes_are_corrected_by_keys_and_all_is_taken_back(there: Opened) -> None:
    before = rows(there.gallery)
    there.go("/people/1")
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    for keys in (
        ("End", " ", "p"),  # the least sure face is not theirs
        ("End", "Shift+ArrowLeft", "Shift+ArrowLeft", "p"),  # nor are three more
        ("Home", "m", "=Moved", "Enter"),  # the first is somebody else
        ("ArrowRight", "m", "=Moved", "~Moved", "ArrowDown", "Enter"),  # who has the second, too
        ("ArrowRight", "f"),  # no face
        ("ArrowRight", "c"),  # what shows them best
        ("n", "=Ann", "Enter"),
    ):
        there.keys(*keys)
        there.is_saved()
    there.go("/people")
    there.grid.get_by_role("gridcell", name="Ann").wait_for()
    there.grid.get_by_role("gridcell", name="Group without a name").first.wait_for()  # a list of its own
    there.keys("ArrowDown", "ArrowDown")
    for keys in ((" ", "ArrowRight", " ", "j"), ("ArrowRight", "i"), ("ArrowRight", "h")):
        there.keys(*keys)
        there.is_saved()
    verbs = [each.verb for each in reversed(there.gallery.log(20))]
    assert verbs == ["part", "part", "move", "move", "not-a-face", "cover", "name", "join", "ignore", "hide"]
    assert {each.name: each.faces for each in there.gallery.people() if each.name} == {"Ann": 29, "Moved": 2}
    for _ in verbs:
        there.keys("u")
        there.is_saved()
    assert rows(there.gallery) == before, there.page.get_by_role("region", name="Notices").inner_text()


def test_questions_are_answered_by_keys(there: Opened) -> None:
    there.go("/questions")
    before = rows(there.gallery)
    asked = there.gallery.questions(6)
    there.page.get_by_text("12 to go").wait_for()
    there.keys("y", "n", "s", "i", "u")
    there.is_saved()
    assert [each.words for each in there.gallery.log(1)]
    first, second = asked[0], asked[1]
    people = {each.id for each in there.gallery.people()}
    assert len({first.person_a.id, first.person_b.id} & people) == 1  # type: ignore[union-attr]
    assert {second.person_a.id, second.person_b.id} <= people | {first.person_a.id, first.person_b.id}  # type: ignore[union-attr]
    there.keys("u", "u")
    there.is_saved()
    assert {**rows(there.gallery), "strangers": []} == before


def test_a_person_is_added_to_a_photo_by_keys(there: Opened) -> None:
    together = next(each for each in there.gallery.faces_of("@1") if "together" in each.photo)
    there.go(f"/photos/{together.photo_id}")
    there.page.get_by_role("button", name="face 3 of 3").wait_for()
    there.keys("a", *["ArrowLeft"] * 16, "Shift+ArrowRight", "Enter", "=Grandmother", "Enter")
    there.page.get_by_role("complementary").get_by_role("button", name="Grandmother").wait_for()
    there.is_saved()
    assert len(rows(there.gallery)["marks"]) == 1
    there.keys("u")
    there.page.get_by_role("complementary").get_by_role("button", name="Grandmother").wait_for(state="detached")
    there.is_saved()
    assert rows(there.gallery)["marks"] == []


def test_back_returns_to_the_same_person_and_face(there: Opened) -> None:
    for person, name in ((1, "Ann"), (2, "Bob"), (3, "Cid")):
        there.gallery.name_person(f"@{person}", name)
    there.grid.get_by_role("gridcell", name="Cid").wait_for()
    there.keys("ArrowRight", "ArrowRight", "Enter")
    there.page.wait_for_url("**/people/2")
    there.grid.get_by_role("gridcell", name="Face").nth(5).wait_for()
    there.keys("ArrowRight", "ArrowRight", "ArrowRight")
    expect(there.grid).to_have_attribute("aria-activedescendant", re.compile("-2$"))
    there.keys("Enter")
    there.page.wait_for_url("**/photos/*")
    there.page.go_back()
    there.grid.get_by_role("gridcell", name="Face").nth(5).wait_for()
    expect(there.grid).to_have_attribute("aria-activedescendant", re.compile("-2$"))
    there.page.go_back()
    there.grid.get_by_role("gridcell", name="Cid").wait_for()
    assert there.active.startswith("Bob")
    there.page.reload()
    there.grid.get_by_role("gridcell", name="Cid").wait_for()
    expect(there.grid).to_have_attribute("aria-activedescendant", re.compile("-1$"))
    assert there.active.startswith("Bob")


def test_letters_are_no_keys_while_a_name_is_typed(there: Opened) -> None:
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Enter", "=uijx?/", "Escape")
    assert not there.gallery.log(1)
    assert there.page.get_by_role("dialog").count() == 0
    there.keys("?")
    there.page.get_by_role("dialog", name="Keys").wait_for()


def test_a_name_that_is_there_is_asked_about(there: Opened) -> None:
    there.gallery.name_person("@1", "Ann")
    there.grid.get_by_role("gridcell", name="Ann").wait_for()
    there.grid.get_by_role("gridcell", name="Group without a name").first.wait_for()  # a list of its own
    there.keys("ArrowDown", "ArrowDown", "Enter", "=ann")
    there.page.get_by_role("option", name="Ann").wait_for()
    there.keys("Enter")
    there.page.get_by_role("button", name="The same person (36 faces)").click()
    there.is_saved()
    assert [(each.name, each.faces) for each in there.gallery.people() if each.name] == [("Ann", 36 + 28)]
    there.keys("Enter", "=Ann")
    there.page.get_by_role("option", name="Ann").wait_for()
    there.keys("Enter")
    there.page.get_by_role("button", name="Another").click()
    there.is_saved()
    assert [each.name for each in there.gallery.people() if each.name] == ["Ann", "Ann"]


def test_a_name_may_run_from_right_to_left(there: Opened) -> None:
    there.gallery.name_person("@1", "فاطمة")
    tile = there.grid.get_by_role("gridcell", name="فاطمة")
    tile.wait_for()
    assert tile.evaluate("(element) => getComputedStyle(element, '::after').unicodeBidi") == "plaintext"
    there.go("/people/1")
    heading = there.page.get_by_role("heading", level=1).get_by_text("فاطمة")
    assert heading.evaluate("(element) => getComputedStyle(element).direction") == "rtl"
    assert there.page.evaluate("getComputedStyle(document.body).direction") == "ltr"


def test_a_name_is_text_whatever_is_in_it(there: Opened) -> None:
    name = "<img src=x onerror=alert(1)>'\"&amp;"
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Enter", f"={name}", "Enter")
    there.grid.get_by_role("gridcell", name=name).wait_for()
    there.is_saved()
    for path in ("/people/1", "/log", "/questions"):
        there.go(path)
        assert there.page.locator("img[src='x']").count() == 0
    assert there.gallery.person("@1").name == name


def test_nothing_moves_for_who_wants_no_motion(there: Opened) -> None:
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Enter", "=Ann", "Enter", "?")
    there.page.get_by_role("dialog").wait_for()
    assert (
        there.page.evaluate("document.getAnimations().filter((each) => each.effect.getTiming().duration > 1).length")
        == 0
    )


def test_somebody_is_named_with_a_finger_on_a_phone(
    browser: "Browser", family_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(family_home, tmp_path / "home", monkeypatch)
    with opened(browser, "family", viewport=PHONE, has_touch=True, is_mobile=True) as there:
        there.grid.get_by_role("gridcell", name="Group without a name, 36 faces").tap()
        box = there.page.get_by_role("complementary").get_by_role("combobox")
        box.tap()
        box.fill("Ann")
        there.keys("Enter")
        expect(there.grid.get_by_role("gridcell", name="Ann, 36 faces")).to_be_visible()
        there.is_saved()
        assert there.gallery.person("@1").name == "Ann"


def test_a_box_is_drawn_around_a_person_with_the_mouse(there: Opened) -> None:
    together = next(each for each in there.gallery.faces_of("@1") if "together" in each.photo)
    there.go(f"/photos/{together.photo_id}")
    photo = there.page.get_by_role("img", name="together")
    there.page.get_by_role("button", name="Add a person").click()
    seen = photo.bounding_box()
    assert seen is not None
    x, y, width, height = (seen[side] for side in ("x", "y", "width", "height"))
    there.page.mouse.move(x + 0.26 * width, y + 0.05 * height)
    there.page.mouse.down()
    there.page.mouse.move(x + 0.40 * width, y + 0.25 * height, steps=4)
    there.page.mouse.up()
    there.keys("Enter", "=Grandfather", "Enter")
    there.page.get_by_role("complementary").get_by_role("button", name="Grandfather").wait_for()
    there.is_saved()
    ((_, _, left, top, right, bottom, _),) = rows(there.gallery)["marks"]
    assert [left, top, right, bottom] == pytest.approx([195, 12.5, 300, 62.5], abs=3)  # of 750 x 250 pixels


def test_what_was_just_said_is_taken_back_without_waiting(there: Opened) -> None:
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys(
        "ArrowRight", *["Enter", "=A", "Enter"], "u", *["Enter", "=B", "Enter"], *["Enter", "=C", "Enter"], "u"
    )
    there.is_saved()
    assert [each.name for each in there.gallery.people() if each.name] == ["B"]
    there.keys("u", "u", "u")
    there.is_saved()
    assert [each.name for each in there.gallery.people() if each.name] == []
