"""The page at 100,000 made-up faces with photos behind them: what a user waits for, and what its parts take.

    python benchmarks/web.py [--faces 100000] [--groups 30000] [--rounds 3] [--browser /usr/bin/chromium]

Makes a gallery in a temporary home, with small photos that are links to a few files, and opens its page anew for each
round: with a browser, which is seen from outside as a user sees it, and without one, by HTTP. Prints a table of
medians. Thumbnails are made in the first round and kept for the others, which is said where it counts."""

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from web_by_http import measure_http
from web_in_browser import measure_browser

from tests.web.galleries import crowd
from tests.web.trial import BROWSER, browsing, serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--browser")
    given = parser.parse_args()
    if given.browser:
        os.environ[BROWSER] = given.browser
    with tempfile.TemporaryDirectory() as work:
        os.environ["FACESEARCH_HOME"] = str(Path(work) / "home")
        crowd("crowd", given.faces, given.groups, Path(work) / "photos")
        _show(_rounds(given.rounds), f"{given.faces:,} faces, {given.groups:,} groups")


def _rounds(count: int) -> dict[str, list[float]]:
    """By what was measured, in the order of measuring, a figure a round."""
    found: dict[str, list[float]] = defaultdict(list)
    with browsing() as browser:
        for round_ in range(count):
            with serving("crowd") as served:
                for what, value in measure_browser(browser, served, round_):
                    found[what].append(value)
            with serving("crowd") as served:
                for what, value in measure_http(served, round_):
                    found[what].append(value)
    return found


def _show(found: dict[str, list[float]], of: str) -> None:
    print(f"| {of} | median | least | most |\n|---|---|---|---|")
    for what, values in found.items():
        shown = " | ".join(f"{value:,.4g}" for value in (statistics.median(values), min(values), max(values)))
        print(f"| {what} | {shown} |")


if __name__ == "__main__":
    main()
