"""A photo that is dropped or pasted on the page of searches, with real networks and real faces."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
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


def test_a_photo_that_fails_takes_the_place_of_the_one_before(
    searching: Opened, photo_of: Callable[..., Path], tmp_path: Path
) -> None:
    searching.watched.expected = "4"  # 415 and 422, of which the browser complains
    found = searching.page.get_by_role("region", name="What was found")
    asked = searching.page.get_by_role("region", name="The photo that is asked about")
    shown = asked.get_by_role("img", name="Your photo")
    grey, text = tmp_path / "grey.jpg", tmp_path / "notes.txt"
    cv2.imwrite(str(grey), np.full((90, 120, 3), 128, np.uint8))
    text.write_text("not a photo")
    _give(searching, "drop", photo_of("Tiger_Woods", 3))
    expect(found).to_contain_text("Same person")
    before = shown.get_attribute("src") or ""

    _give(searching, "drop", grey)
    expect(found).to_have_text(
        "No face was found in this photo. Try one where the face is larger, or less turned away."
    )
    expect(shown).not_to_have_attribute("src", before)
    assert shown.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 120
    expect(asked).not_to_contain_text("1 face")
    expect(asked.get_by_role("button")).to_have_count(0)

    _give(searching, "drop", text)
    expect(found).to_contain_text("Choose another file")
    expect(shown).to_have_count(0)
    assert "upload" not in searching.page.url
    _give(searching, "drop", photo_of("Tiger_Woods", 3))
    expect(found).to_contain_text("Same person")
    expect(asked).to_contain_text("1 face.")


def test_what_is_no_photo_is_said(searching: Opened, tmp_path: Path) -> None:
    searching.watched.expected = "415"
    text = tmp_path / "notes.txt"
    text.write_text("not a photo")
    _give(searching, "drop", text)
    found = searching.page.get_by_role("region", name="What was found")
    expect(found).to_contain_text("Choose another file", timeout=60_000)
