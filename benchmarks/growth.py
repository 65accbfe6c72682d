"""Photos a second while a gallery grows: one `index` of a large folder, timed in windows of equally many photos.

python benchmarks/growth.py FOLDER [--window 5000]"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

from facesearch import Gallery
from facesearch.gallery.records.run import Outcome


def main(folder: Path, window: int) -> None:
    times = [time.perf_counter()]
    seen = 0

    def count(_: Outcome) -> None:
        nonlocal seen
        seen += 1
        if seen % window == 0:
            times.append(time.perf_counter())

    Gallery.open("growth", "cpu").index([folder], on_outcome=count)
    rates = [window / (after - before) for before, after in pairwise(times)]
    print(json.dumps({"photos_per_second": [round(rate, 1) for rate in rates]}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--window", type=int, default=5000)
    main(**vars(parser.parse_args()))
