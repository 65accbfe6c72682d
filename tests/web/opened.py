"""A page that is open in a browser, with a gallery of its own behind it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from facesearch import Gallery
from tests.web.trial import DESK, PATIENCE, Served, Watched, entered, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page


@dataclass(frozen=True, slots=True)
class Opened:
    """A browser's window on a page, and what it must not do."""

    page: "Page"
    context: "BrowserContext"
    served: Served
    watched: Watched

    @property
    def gallery(self) -> Gallery:
        """Seen from this process."""
        return Gallery.open(self.served.gallery, "cpu")

    @property
    def grid(self) -> "Locator":
        """Of people or faces."""
        return self.page.get_by_role("grid").first

    def go(self, path: str) -> "Page":
        """Shows an address, by loading it."""
        self.page.goto(self.served.origin + path)
        self.page.get_by_role("heading", level=1).first.wait_for()
        return self.page

    @property
    def active(self) -> str:
        """What is said of the tile that the keys are at."""
        tile = self.grid.get_attribute("aria-activedescendant") or "none"
        return self.page.locator(f"#{tile}").get_attribute("aria-label") or ""

    def is_saved(self) -> None:
        """Waits until no write waits any more."""
        self.page.locator("#saving").wait_for(state="hidden")

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something has come true in the gallery: a click that has begun nothing yet waits for nobody."""
        ends = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < ends:
            self.page.wait_for_timeout(50)

    def another_tab(self) -> "Page":
        """In the same browser, so of the same session."""
        page = self.context.new_page()
        self.watched.watch(page)
        page.goto(self.page.url)
        return page

    def keys(self, *keys: str) -> None:
        """Pressed one after the other. What begins with = is typed; what begins with ~ is waited for, until it is
        proposed."""
        for key in keys:
            if key[:1] == "~":
                self.page.get_by_role("option", name=key[1:]).wait_for()
            elif key[:1] == "=":
                self.page.keyboard.type(key[1:])
            else:
                self.page.keyboard.press(key)


@contextmanager
def opened(browser: "Browser", gallery: str, *words: str, **options: Any) -> Iterator[Opened]:
    """The page of a gallery in a window of its own. Afterwards nothing may have been complained about, nor asked of
    another host."""
    with serving(gallery, *words) as served:
        context = browser.new_context(**{"viewport": DESK, "reduced_motion": "reduce", **options})
        context.set_default_timeout(1000 * PATIENCE)
        watched = Watched(served.origin)
        page = entered(context, served, watched)
        yield Opened(page, context, served, watched)
        context.close()
    assert not watched.complaints, watched.complaints
    assert "Traceback" not in "".join(served.errors), served.errors


def copied(template: Path, to: Path, patch: pytest.MonkeyPatch) -> Path:
    """A home with the galleries of another, which is from now on the home."""
    shutil.copytree(template / "indexes", to / "indexes")
    to.chmod(0o700)
    patch.setenv("FACESEARCH_HOME", str(to))
    return to
