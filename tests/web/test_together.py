"""The page is not alone: other tabs, other processes, and a server that ends in the middle of what it does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import simplejpeg
from playwright.sync_api import expect

from facesearch import Gallery
from tests.portraits import portrait, sources
from tests.web.opened import Opened


def _named(gallery: Gallery) -> list[str]:
    return sorted(each.name for each in gallery.people() if each.name)


def test_two_tabs_agree(there: Opened) -> None:
    other = there.another_tab()
    theirs = other.get_by_role("grid")
    theirs.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight", "Enter", "=Ann", "Enter")
    expect(theirs.get_by_role("gridcell", name="Ann, 36 faces")).to_be_visible()
    there.keys("u")
    expect(theirs.get_by_role("gridcell", name="Ann, 36 faces")).not_to_be_attached()


def test_what_a_command_says_is_seen(there: Opened) -> None:
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.gallery.name_person("@1", "Ann")
    expect(there.grid.get_by_role("gridcell", name="Ann, 36 faces")).to_be_visible()


def test_a_server_killed_in_mid_write_loses_nothing_and_the_open_page_goes_on(there: Opened) -> None:
    there.watched.expected = "Failed to load resource"
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    there.keys("ArrowRight")
    for i in range(25):
        if i == 15:
            there.served.kill()
        there.keys("Enter", f"=P{i:02d}", "Enter")
    before = _named(there.gallery)
    assert before == [f"P{i:02d}" for i in range(len(before))]  # in the order in which they were said
    expect(there.page.locator("#banner")).to_contain_text("The server cannot be reached")
    there.served.start()
    there.is_saved()
    expect(there.page.locator("#banner")).to_be_hidden()
    assert _named(there.gallery) == [f"P{i:02d}" for i in range(25)]
    assert not there.gallery.check().faults


def test_a_write_that_fails_comes_back_as_a_notice_and_is_done_again(there: Opened) -> None:
    there.watched.expected = "423 (Locked)"
    there.grid.get_by_role("gridcell").nth(1).wait_for()
    with there.gallery.writing():
        there.keys("ArrowRight", "Enter", "=Ann", "Enter")
        notice = there.page.get_by_role("region", name="Notices")
        expect(notice).to_contain_text(re.compile("Not done: Named .Ann"))
        expect(there.grid.get_by_role("gridcell", name="Ann, 36 faces")).not_to_be_attached()
    assert _named(there.gallery) == []
    notice.get_by_role("button", name="Try again").click()
    expect(there.grid.get_by_role("gridcell", name="Ann, 36 faces")).to_be_visible()
    there.is_saved()
    assert _named(there.gallery) == ["Ann"]


def test_an_index_run_of_another_process_is_shown_and_not_fought(
    there: Opened, family_home: Path, tmp_path: Path, models_home: Path
) -> None:
    (tmp_path / "home" / "models").symlink_to(models_home / "models")
    there.go("/gallery")
    there.page.get_by_role("button", name="Look for new photos").wait_for()
    _more(family_home / "photos" / "new", 40)
    command = [str(Path(sys.executable).with_name("facesearch")), "index", "-g", "family"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        expect(there.page.get_by_text("Another facesearch indexes this gallery")).to_be_visible(timeout=30_000)
        expect(there.page.get_by_role("progressbar", name="Photos looked at")).to_be_visible()
        expect(there.page.get_by_role("button", name="Look for new photos")).to_be_hidden()
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said
    expect(there.page.get_by_role("button", name="Look for new photos")).to_be_visible()
    expect(there.page.get_by_text(f"{395 + 40} with faces")).to_be_visible()


def test_new_photos_are_indexed_from_the_page(
    there: Opened, family_home: Path, tmp_path: Path, models_home: Path
) -> None:
    (tmp_path / "home" / "models").symlink_to(models_home / "models")
    _more(family_home / "photos" / "new", 10)
    there.go("/gallery").get_by_role("button", name="Look for new photos").click()
    again = there.page.get_by_role("region", name="Index again")
    expect(again).to_contain_text("10 photos looked at", timeout=60_000)
    expect(there.page.get_by_text(f"{395 + 10} with faces")).to_be_visible()


def _more(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    drawn = sources()
    for i in range(count):
        (folder / f"{i}.jpg").write_bytes(simplejpeg.encode_jpeg(portrait(drawn, 269, i), 90))


@pytest.fixture(autouse=True)
def _clean(family_home: Path) -> None:
    """What a test has put beside the photos of all of them."""
    shutil.rmtree(family_home / "photos" / "new", ignore_errors=True)
