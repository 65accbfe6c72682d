"""The page as somebody sees and uses it: in a browser, by keys, a mouse and a finger."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.made_galleries import rows
from tests.web_galleries import family
from tests.web_opened import Opened, copied, opened
from tests.web_trial import browsing

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a gallery that no test changes."""
    home = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(home))
        family("family", home / "photos")
    return home


@pytest.fixture
def there(browser: "Browser", made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """The page of a family that has not been named, on a home of its own."""
    copied(made_home, tmp_path / "home", monkeypatch)
    with opened(browser, "family") as found:
        yield found


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
    assert rows(there.gallery) == before
