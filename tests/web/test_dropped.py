"""A photo that is dropped or pasted on the page of searches, with real networks and real faces."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from facesearch import Gallery
from tests.web.opened import Opened, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_GIVEN = """([event, data, name]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: name.endsWith('.jpg') ? 'image/jpeg' : 'text/plain' }));
  const init = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(
    event === 'paste'
      ? new ClipboardEvent('paste', { ...init, clipboardData: transfer })
      : new DragEvent('drop', { ...init, dataTransfer: transfer })
  );
}"""


@pytest.fixture
def searching(browser: "Browser", home: Path, album: Path) -> Iterator[Opened]:
    gallery = Gallery.open("default", "cpu")
    gallery.index([album])
    with opened(browser, "default") as found:
        found.go("/search")
        found.page.get_by_role("button", name="Choose a photo").wait_for()
        yield found


def _give(there: Opened, event: str, photo: Path) -> None:
    there.page.evaluate(_GIVEN, [event, base64.b64encode(photo.read_bytes()).decode(), photo.name])


def test_who_is_on_a_photo_is_said_and_why(
    searching: Opened, home: Path, photo_of: Callable[..., Path], tmp_path: Path
) -> None:
    found = searching.page.get_by_role("region", name="What was found")
    photo = photo_of("Tiger_Woods", 3)
    for event in ("drop", "paste"):
        _give(searching, event, photo)
        expect(found).to_contain_text("Same person", timeout=60_000)
        expect(found).to_contain_text("threshold")
        searching.go("/search")
    kept = [path for path in home.rglob("*") if path.is_file() and photo.read_bytes()[500:600] in path.read_bytes()]
    assert kept == []


def test_what_is_no_photo_is_said(searching: Opened, tmp_path: Path) -> None:
    searching.watched.expected = "415"
    text = tmp_path / "notes.txt"
    text.write_text("not a photo")
    _give(searching, "drop", text)
    found = searching.page.get_by_role("region", name="What was found")
    expect(found).to_contain_text("Choose another file", timeout=60_000)
