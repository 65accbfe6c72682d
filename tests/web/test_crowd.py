"""A hundred thousand faces on one page: what is in view is there, and nothing else is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.web.galleries import crowd
from tests.web.opened import Opened, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

_FACES, _GROUPS = 100_000, 30_000
_MOST_NODES = 200


@pytest.fixture(scope="module")
def many(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(tmp_path_factory.mktemp("crowd")))
        crowd("crowd", _FACES, _GROUPS)
        with opened(browser, "crowd") as found:
            found.watched.expected = "Failed to load resource"  # no photo is behind a face
            yield found


def _nodes(grid: "Locator") -> int:
    found: int = grid.evaluate("(grid) => grid.querySelectorAll('*').length")
    return found


def test_all_groups_can_be_scrolled_through_with_few_nodes(many: Opened) -> None:
    many.go("/people")
    expect(many.page.get_by_role("button", name="Groups 30,000")).to_be_visible()
    cells = many.grid.get_by_role("gridcell", name="Group without a name")
    cells.nth(1).wait_for()
    seen = many.grid.evaluate(
        """async (grid) => {
          let most = 0;
          for (let i = 0; i < 60; i += 1) {
            grid.scrollTop = (grid.scrollHeight * i) / 60;
            await new Promise(requestAnimationFrame);
            most = Math.max(most, grid.querySelectorAll('*').length);
          }
          return most;
        }"""
    )
    assert seen <= _MOST_NODES
    cells.first.wait_for()
    assert _nodes(many.grid) <= _MOST_NODES


def test_the_last_group_is_a_key_away(many: Opened) -> None:
    many.go("/people")
    many.grid.get_by_role("gridcell", name="Group without a name").nth(1).wait_for()
    many.keys("ArrowRight", "End", "ArrowUp")
    last = many.grid.get_by_role("gridcell", name="Group without a name, 2 faces").last
    last.wait_for()
    count = int(many.grid.get_attribute("aria-rowcount") or 0)
    columns = int(many.grid.get_attribute("aria-colcount") or 0)
    assert count >= _GROUPS / columns
    many.keys("Home")
    many.grid.get_by_role("gridcell", name="Group without a name, 2,629 faces").wait_for()


def test_a_person_of_thousands_of_faces_is_seen_to_the_last(many: Opened) -> None:
    many.go("/people/1")
    many.grid.get_by_role("gridcell").nth(1).wait_for()
    many.keys("End")
    expect(many.grid).to_have_attribute("aria-activedescendant", "grid-1-0-2628")
    many.grid.get_by_role("gridcell", name="Face").last.wait_for()
    assert _nodes(many.grid) <= _MOST_NODES
