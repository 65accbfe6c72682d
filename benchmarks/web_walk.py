"""A new user's first minutes: from a folder of photos to ten people with names, by the keys of the page alone.

    python benchmarks/web_walk.py LFW [--people 20] [--photos 20] [--browser /usr/bin/chromium]

LFW holds images/PERSON/*.jpg, of which the people with most photos are taken, all into one folder, as a camera leaves
them. Each command and each name is an action; the keys of a name count apart from those that lead to it. The seconds
are the machine's: whoever looks and types needs more."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))
from facesearch import Gallery
from tests.web.trial import BROWSER, DESK, Served, browsing, entered, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

_FACESEARCH = str(Path(sys.executable).with_name("facesearch"))
_NAMED = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--photos", type=int, default=20, help="of each")
    parser.add_argument("--browser")
    given = parser.parse_args()
    if given.browser:
        os.environ[BROWSER] = given.browser
    with tempfile.TemporaryDirectory() as work:
        os.environ["FACESEARCH_HOME"] = str(Path(work) / "home")
        folder = _folder(given.lfw / "images", Path(work) / "Pictures", given.people, given.photos)
        _walk(folder)


def _folder(images: Path, folder: Path, people: int, photos: int) -> Path:
    folder.mkdir()
    most = sorted((each for each in images.iterdir() if each.is_dir()), key=lambda each: -len(list(each.iterdir())))
    for person in most[:people]:
        for photo in sorted(person.iterdir())[:photos]:
            shutil.copy(photo, folder)
    return folder


def _walk(folder: Path) -> None:
    began = time.perf_counter()
    subprocess.run([_FACESEARCH, "index", str(folder)], check=True, capture_output=True)
    indexed = time.perf_counter()
    with browsing() as browser:
        ready = time.perf_counter()  # a user's browser is running
        with serving("default") as served:
            page = entered(browser.new_context(viewport=DESK), served)  # type: ignore[arg-type]
            page.locator("[role=grid] img[src]").nth(_NAMED - 1).wait_for()
            seen = time.perf_counter()
            keys, letters = _name(page)
            named = time.perf_counter()
            _report(served)
    print(f"index of {len(list(folder.iterdir()))} photos {indexed - began:.1f} s, first faces {seen - ready:.1f} s,")
    print(f"ten names {named - seen:.1f} s; {2 + _NAMED} actions, {keys} keys and {letters} letters of names")


def _name(page: "Page") -> tuple[int, int]:
    """Names the ten largest groups after who is in most of their photos; how many keys, and letters of names."""
    groups = [each for each in Gallery.open("default").people() if not each.name][:_NAMED]
    names = [_who(each.id) for each in groups]
    page.keyboard.press("ArrowRight")
    keys = 1
    for name in names:
        page.keyboard.press("Enter")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        keys += 2
    page.locator("#saving").wait_for(state="hidden")
    return keys, sum(map(len, names))


def _who(group: int) -> str:
    photos = [Path(each.photo).stem.rsplit("_", 1)[0] for each in Gallery.open("default").faces_of(f"@{group}")]
    return Counter(photos).most_common(1)[0][0].replace("_", " ")


def _report(served: Served) -> None:
    people = [each for each in Gallery.open(served.gallery).people() if each.name]
    faces = [(each.name, face) for each in people for face in Gallery.open(served.gallery).faces_of(f"@{each.id}")]
    right = sum(Path(face.photo).stem.startswith((name or "").replace(" ", "_")) for name, face in faces)
    print(f"{len(people)} people have names; {len(faces)} faces, of which {right} with the name of their photo")


if __name__ == "__main__":
    main()
