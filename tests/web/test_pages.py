"""Each page of the web page for everybody: looked at by axe-core, in light and dark, on a desk and on a phone, heard
as a screen reader hears it, and photographed for whoever wants to look."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from facesearch import Gallery
from tests.web.galleries import family
from tests.web.opened import Opened, opened
from tests.web.trial import DESK, PHONE, SCREENSHOTS, browsing

if TYPE_CHECKING:
    from playwright.sync_api import Page

_KEPT = Path(__file__).parents[1] / "data" / "web"
_WRITE = "FACESEARCH_TEST_WRITE"  # set it to keep what is seen now
_SIZES = (12, 8, 6, 5, 4, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2)
_ARABIC, _HEBREW, _LONG = "فاطمة الزهراء", "דָּוִד בֶּן־גּוּרְיוֹן", "Wolfeschlegelsteinhausenbergerdorff " * 2 + "Jr."
_NAMES = ("Ann", _ARABIC, "Zoë 👩‍🚀", _HEBREW, _LONG.strip())
PAGES = {
    "people": "/people",
    "person": "/people/1",
    "questions": "/questions",
    "photo": "/photos/{photo}",
    "search": "/search",
    "log": "/log",
    "gallery": "/gallery",
}
ZOOMED = {"width": DESK["width"] // 2, "height": DESK["height"] // 2}  # what 200 % leaves of a desk


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """A gallery with people named in four scripts, a stranger and somebody hidden."""
    home = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch, browsing() as browser:
        patch.setenv("FACESEARCH_HOME", str(home))
        gallery = family("family", home / "photos", _SIZES)
        _say(gallery)
        with opened(browser, "family") as found:
            yield found


def _say(gallery: Gallery) -> None:
    for person, name in enumerate(_NAMES, 1):
        gallery.name_person(f"@{person}", name)
    gallery.ignore(["@12"])
    gallery.hide(["@13"])


def _path(shown: Opened, page: str) -> str:
    """Of a photo that shows three people."""
    together = next(each for each in shown.gallery.faces_of("@1") if "together" in each.photo)
    return PAGES[page].format(photo=_photo_id(shown, together.face_id))


def _photo_id(shown: Opened, face: int) -> int:
    answer: dict[str, Any] = shown.context.request.get(f"{shown.served.origin}/api/faces/{face}").json()
    return int(answer["photo_id"])


@pytest.fixture(params=list(PAGES))
def page(request: pytest.FixtureRequest, shown: Opened) -> "Page":
    """One page after the other, on a desk, in light, when all of it is there."""
    found = shown.page
    found.set_viewport_size(DESK)  # type: ignore[arg-type]
    found.emulate_media(color_scheme="light")
    shown.go(_path(shown, request.param))
    is_there(found)
    return found


def is_there(page: "Page") -> None:
    """Waits until nothing is loaded any more and no picture is missing."""
    page.wait_for_load_state("networkidle")
    page.evaluate(
        "() => Promise.all([...document.images].filter((image) => image.checkVisibility()).map((image) => "
        "image.complete || new Promise((done) => { image.onload = image.onerror = done })))"
    )


_LOOKS = [("light", DESK), ("dark", DESK), ("light", PHONE), ("dark", PHONE), ("light", ZOOMED)]


def _look(page: "Page", scheme: str, size: dict[str, int]) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size(size)  # type: ignore[arg-type]
    is_there(page)


def test_it_is_for_everybody_and_photographed(page: "Page", request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = Path(os.environ.get(SCREENSHOTS, tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    name = request.node.callspec.params["page"]
    for scheme, size in _LOOKS:
        _look(page, scheme, size)
        page.screenshot(path=folder / f"{name}-{scheme}-{size['width']}.png")
        assert _complaints(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate("document.querySelector('main').scrollWidth") <= size["width"]
        assert page.evaluate(_CUT) == []


def _complaints(page: "Page") -> list[Any]:
    """Of axe-core, and about which elements."""
    from axe_playwright_python.sync_playwright import Axe

    answer = Axe().run(page).response
    assert answer["passes"]  # it has looked
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in answer["violations"]]


# What can be pressed and is seen, but not wholly within the window's width, without being in something that scrolls.
_CUT = """() => [...document.querySelectorAll('a, button, input, h1, h2')].filter((element) => {
  if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
  if (element.closest('.skip, .unseen') || scrollsAcross(element)) return false;
  const { left, right, width } = element.getBoundingClientRect();
  return width > 0 && (left < -0.5 || right > innerWidth + 0.5);
  function scrollsAcross(inner) {
    const outer = inner.parentElement;
    if (!outer) return false;
    const isWider = outer.scrollWidth > outer.clientWidth + 1;
    return (isWider && /auto|scroll/.test(getComputedStyle(outer).overflowX)) || scrollsAcross(outer);
  }
}).map((element) => element.outerHTML.slice(0, 120))"""


def test_it_is_heard_as_before(page: "Page", request: pytest.FixtureRequest) -> None:
    """The tree that a screen reader is given. Where it has changed on purpose: FACESEARCH_TEST_WRITE=1 pytest ..."""
    kept = _KEPT / f"{request.node.callspec.params['page']}.txt"
    page.mouse.move(0, 0)
    heard = _lasting(page.locator("body").aria_snapshot())
    if os.environ.get(_WRITE):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(heard)
    assert heard == kept.read_text()


_VARYING = (
    (r"\b\d{1,2}:\d\d\s[AP]M", "TIME"),
    (r"/\S*/photos(?=/|\b)", "PHOTOS"),
    (r"/\S*/indexes(?=/|\b)", "HOME"),
    (r"127\.0\.0\.1:\d+", "HERE"),
    (r"[\d.,]+ [kMG]?B\b", "BYTES"),
)


def _lasting(heard: str) -> str:
    """Without times, folders and sizes of this run."""
    for pattern, word in _VARYING:
        heard = re.sub(pattern, word, heard)
    return heard.strip() + "\n"
