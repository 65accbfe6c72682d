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
    from playwright.sync_api import Browser, Locator, Route


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


def _counted(there: Opened, page: str) -> "Locator":
    """What the bar says of a page."""
    return there.page.get_by_role("navigation", name="Pages").get_by_role("link", name=page)


def test_the_bar_follows_the_page_before_the_server_is_asked(there: Opened) -> None:
    expect(_counted(there, "Questions")).to_have_text("Questions12")
    held: list[Route] = []
    there.page.route("**/api/gallery", lambda route: held.append(route))
    there.keys("ArrowRight")
    for name in ("Ann", "Bob", "Cid"):
        there.keys("Enter", f"={name}", "Enter")
    expect(_counted(there, "People")).to_have_text("People3")
    expect(there.page.get_by_role("button", name="Named")).to_have_text("Named3")
    there.keys("u", "u", "u")
    expect(_counted(there, "People")).to_have_text("People")
    there.page.get_by_role("link", name="Questions").click()
    there.page.get_by_text("12 to go").wait_for()
    there.keys("n", "n")
    there.page.get_by_text("The question before: No, not the same person.").wait_for()
    there.keys("s")
    there.page.get_by_text("2 answered, 1 skipped, 9 to go").wait_for()
    there.page.get_by_text("The question before: Skipped.").wait_for()
    expect(_counted(there, "Questions")).to_have_text("Questions10")
    there.is_saved()
    there.page.unroute("**/api/gallery")
    for each in held:
        each.continue_()


def test_the_bar_counts_people_as_their_page_does_without_who_is_hidden(there: Opened) -> None:
    for person, name in ((1, "Ann"), (2, "Bob")):
        there.gallery.name_person(f"@{person}", name)
    there.gallery.hide(["@2"])
    expect(_counted(there, "People")).to_have_text("People1")
    there.go("/people/3")
    there.keys("n", "=Cid", "Enter")
    expect(_counted(there, "People")).to_have_text("People2")
    there.keys("h")
    expect(_counted(there, "People")).to_have_text("People1")
    there.is_saved()


def test_an_address_that_is_none_leads_back_to_people(there: Opened) -> None:
    there.watched.expected = "404"
    for path in ("/nothing", "/people/99999", "/photos/99999"):
        there.go(path)
        expect(there.page.get_by_role("button", name="Try again")).to_have_count(0)
        there.page.get_by_role("main").get_by_role("link", name="Go to People").click()
        there.page.get_by_role("heading", level=1, name="People").wait_for()
        there.grid.get_by_role("gridcell").nth(1).wait_for()
    missing = there.context.request.get(f"{there.served.origin}/nothing", headers={"accept": "*/*"})
    assert (missing.status, missing.headers["content-type"]) == (404, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("far", "compared", "said"),
    [(0.000446, 1000, "about 0.4 of them"), (0.0123, 1000, "about 12.3 of them"), (1e-6, 1000, "fewer than 0.1 of")],
)
def test_what_happens_by_chance_is_said_as_the_command_line_says_it(
    there: Opened, far: float, compared: int, said: str
) -> None:
    answer = {"threshold": 0.4, "far": far, "learned": False, "compared": compared, "cohort": 0}
    sentences = "(answer) => import('/static/texts.js').then((texts) => texts.searchTexts.whySentences(answer))"
    assert said in " ".join(there.page.evaluate(sentences, answer))


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
