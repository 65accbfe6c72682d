"""Draws the pictures of docs/web.md, of faces that may be shown to anybody: the portrait that facesearch ships and
one that matplotlib ships, both in the public domain, and altered copies of them that stand for other people.

    python benchmarks/web_pictures.py docs

They are what a real browser shows of a gallery that is made for it, in a home of its own."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from facesearch.arrays import Pixels
from tests.portraits import SIDE, sources
from tests.web.galleries import family
from tests.web.trial import browsing, serving

_FACE = 105.0  # pixels: height of a face in a photo
_SIZES = (21, 17, 14, 11, 9, 8, 7, 6, 6, 5, 5, 4, 4, 3, 3, *[2] * 12)  # faces of each person
_NAMES = ("Eileen Collins", "Grace Hopper", "Ellen Colby", "Gracia Hope", "Helen Coll", "Greta Happer")
# Where a face is bent, in how wide a circle, and how much: the least and the most, in heights of a face.
_BUMP = (-0.4, -0.4, 0.2, -0.04, -0.04), (0.4, 0.4, 0.35, 0.04, 0.04)
_WHOSE = "010110011010"  # which of the portraits a person comes from
_TYPED = "Ei"
_WINDOW = {"width": 1120, "height": 720}
_QUALITY = 82  # of a JPEG
_SOURCES = sources()


def portrait(person: int, number: int) -> Pixels:
    """A photo, (SIDE, SIDE, 3): each person has a face bent in a way of their own, but for 0 and 1, who are the
    portraits as they are; each photo has its light, its colours and its turn."""
    drawn, photo = np.random.default_rng(person), np.random.default_rng((person, number))
    v, u = (np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2) / _FACE
    turned = np.radians(photo.uniform(-8, 8))
    x, y = u * np.cos(turned) - v * np.sin(turned), u * np.sin(turned) + v * np.cos(turned)
    x = x * (-1 if number % 2 else 1)
    if person > 1:
        x, y = x * drawn.uniform(0.84, 1.18), y * drawn.uniform(0.9, 1.1)
        for left, top, breadth, right, down in drawn.uniform(*_BUMP, (6, 5)):
            bump = np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * breadth**2))
            x, y = x + right * bump, y + down * bump
    source = _SOURCES[int(_WHOSE[person % len(_WHOSE)])]
    across, below = ((m + at * source.height).astype(np.float32) for m, at in zip(source.middle, (x, y), strict=True))
    cut = cv2.remap(source.pixels, across, below, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(float)
    if photo.random() < 0.15:
        cut = cut.mean(2, keepdims=True).repeat(3, 2)
    tinted = cut * np.exp(drawn.normal(0, 0.05, 3) + photo.normal(0, 0.03, 3)) * np.exp(photo.normal(0, 0.1))
    return np.asarray(np.clip(tinted, 0, 255), np.uint8)


def draw(folder: Path) -> None:
    """Names some people as a user does, and keeps what the page shows."""
    with serving("family") as served, browsing() as browser:
        page = browser.new_context(viewport=_WINDOW, device_scale_factor=1.5).new_page()  # type: ignore[arg-type]
        page.goto(served.address)
        page.get_by_role("gridcell").first.click()
        for name in _NAMES:
            page.keyboard.press("Enter")
            page.keyboard.type(name)
            page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        page.keyboard.type(_TYPED)
        page.wait_for_timeout(5000)
        page.screenshot(path=folder / "web-people.jpg", quality=_QUALITY)
        page.goto(f"{served.origin}/questions")
        page.wait_for_timeout(3000)
        page.screenshot(path=folder / "web-questions.jpg", quality=_QUALITY)


def main() -> None:
    """Reads the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    with tempfile.TemporaryDirectory() as work:
        os.environ["FACESEARCH_HOME"] = f"{work}/home"
        family("family", Path(work, "photos"), _SIZES, portrait)
        draw(folder)


if __name__ == "__main__":
    main()
