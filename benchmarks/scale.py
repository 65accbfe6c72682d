"""Makes a gallery of many made-up faces, and measures what a command takes in it.

    python benchmarks/scale.py make 5000000          # rows, one face a photo; goes on where it was ended
    python benchmarks/scale.py finish                # the file of vectors, groups and own thresholds
    python benchmarks/scale.py commands PHOTO        # info, query, index of one more photo
    python benchmarks/scale.py recall 5000000        # of questions, by share of the clusters
    python benchmarks/scale.py writer 100000         # photos a second of the writer of `index`

All work on the gallery `scale` of the home; its models must be there. Every face is another identity's
(facesearch.evaluation.synthetic), in a photo of its own that is not on disk, so that a question has one right answer:
a second face of the same identity would be as right, and counts as wrong. That each is alone is what a grouping would
have found, and is stored as such, with own thresholds of 0: to compute both for millions is no part of this."""

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from memory import watched

from facesearch import Gallery
from facesearch.evaluation.synthetic import DIM, NOISE, QUERIES, Identities
from facesearch.faces.analyser import Analysed
from facesearch.flow.stages import Found
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.writer import Writer
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.tables.cohort import CohortStamp
from facesearch.gallery.tables.grouping import GroupingStamp
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.vectors.file import open_index
from facesearch.gallery.vectors.index import lists_of, set_parameters
from facesearch.geometry.face import Box, Face, Point
from facesearch.models.cards import detector_card, index_recipes
from facesearch.people.grouping import ALGORITHM
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status

_NAME = "scale"
_SETTINGS = GallerySettings("dlib-resnet", "mtcnn", DIM, 20.0, 1280)
_AT_ONCE = 256  # photos in a transaction
_WINDOW = 500_000  # photos, after which the rate is said
_COHORT = 8_000  # people, the most that a grouped gallery takes
_SHARES = (0.07, 0.1, 0.14, 0.16, 0.2, 0.25, 0.3)  # of the clusters
_ALONE = 200  # questions, one at a time
_FACE = Face(Box(10.0, 10.0, 110.0, 110.0), 0.99, (Point(45, 50), Point(75, 50), Point(60, 65), Point(50, 80), Point(70, 80)), 0.8)  # fmt: skip  # noqa: E501


def make(count: int) -> None:
    """Stores so many faces as `index` does, in transactions of 256 photos."""
    identities, rates = Identities(count, NOISE), list[int]()
    started = time.perf_counter()
    with Gallery.open(_NAME, "cpu").writing() as db:
        if db.settings.read() is None:
            with db.transaction():
                db.settings.write(_SETTINGS)
        first = stored = db.faces.newest()
        rows = _rows(identities, first)
        while part := list(islice(rows, _AT_ONCE)):
            with db.transaction():
                for row in part:
                    db.photos.save(row)
            stored += len(part)
            if (stored - first) // _WINDOW > len(rates) or stored == count:
                rates.append(round((stored - first) / (time.perf_counter() - started)))
                print(f"{stored:,} stored, {rates[-1]:,}/s since the start", file=sys.stderr, flush=True)
    _say(photos_per_second=rates, seconds=time.perf_counter() - started)


def _rows(identities: Identities, after: int) -> Iterator[PhotoRow]:
    for ids, rows in identities.embeddings(DIM, after):
        for number, row in zip(ids.tolist(), rows, strict=True):
            file = PhotoFile(f"/made/{number // 1000:05d}/{number:08d}.jpg", 1_000_000 + number, number, number)
            faces = {"faces": (_FACE,), "embeddings": row[None]}
            yield PhotoRow(file, Status.OK, _digest(number), size=(1024, 768), taken="", **faces)


def _digest(number: int) -> bytes:
    return hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest()


def finish() -> None:
    """Makes the file of vectors, and leaves groups and own thresholds as a run of `index` would have."""
    gallery = Gallery.open(_NAME, "cpu")
    started = time.perf_counter()
    with gallery.reading() as (_, settings), gallery.writing() as db:
        gallery.sync(db, settings)
        seconds = time.perf_counter() - started
        faces, newest = db.faces.count(), db.faces.newest()
        with db.transaction():
            db.groupings.write_stamp(GroupingStamp("careful", ALGORITHM, faces, newest))
            db.cohort.replace(
                np.linspace(1, newest, min(_COHORT, newest)).astype(np.int64), CohortStamp(0, 0, faces, 0.0)
            )
            db.connection.execute("INSERT INTO own_thresholds SELECT id, 0.0 FROM faces")
        stamp = db.stamp.read()
        assert stamp is not None
    _say(faces=faces, vectors_seconds=seconds, vectors_mb=stamp.size / 1e6, recall_that_info_prints=stamp.recall)


def commands(photo: Path) -> None:
    """Each command three times; the photo is indexed from a folder of its own, once, as one more."""
    folder = photo.parent / "one-more"
    folder.mkdir(exist_ok=True)
    for name, *words in (("info",), ("query", str(photo)), ("index", str(folder))):
        for attempt in range(3):
            (folder / f"{time.time_ns()}.jpg").write_bytes(photo.read_bytes() + bytes([attempt]))
            started = time.perf_counter()
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            process = subprocess.Popen(["facesearch", name, *words, "--gallery", _NAME], stdout=subprocess.DEVNULL)
            with watched(process.pid, every=0.05) as most:
                code = process.wait()
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            facts = {"command": name, "code": code, "seconds": round(time.perf_counter() - started, 2)}
            facts |= {"processor_seconds": round(processor, 2), "mb": round(most[0] / 1e6)}
            print(json.dumps(facts), flush=True)


def recall(count: int) -> None:
    """The share of questions whose nearest face is the one that exact search finds, and the time of one."""
    identities = Identities(count, NOISE)
    own, queries = identities.queries(QUERIES)
    best, truth = np.full(len(own), -np.inf, np.float32), np.zeros(len(own), np.int64)
    for ids, rows in identities.embeddings(DIM):
        similarities = queries @ rows.T  # (q, n)
        nearest = similarities.argmax(axis=1)
        values = similarities[np.arange(len(own)), nearest]
        truth = np.where(values > best, ids[nearest], truth)
        best = np.maximum(best, values)
    del identities
    gallery = Gallery.open(_NAME, "cpu")
    with gallery.reading() as (db, settings):
        stamp = db.stamp.read()
        assert stamp is not None
        index = open_index(gallery.vectors, stamp, db.faces, settings.dim, index_recipes())
        assert index is not None
        recipe = next(each for each in index_recipes() if each.name == stamp.recipe)
        lists = lists_of(index._index, recipe)
        for share in _SHARES:
            set_parameters(index._index, {"nprobe": max(1, round(share * lists))})
            found = index.search(queries, 10)[1][:, 0]
            times = []
            for query in queries[:_ALONE]:
                started = time.perf_counter()
                index.search(query[None], 10)
                times.append(time.perf_counter() - started)
            right = float((found == truth).mean())
            _say(lists=lists, probed=round(share * lists), share=share, recall1=right, one_ms=statistics.median(times) * 1e3)  # fmt: skip  # noqa: E501


def writer(count: int) -> None:
    """Stores so many more photos by the writer of `index`, 256 rows and 32 a time."""
    rng = np.random.default_rng(time.time_ns())
    with Gallery.open(_NAME, "cpu").writing() as db:
        stores = Writer(db, IndexOptions(), detector_card("mtcnn"))
        for at_once in (_AT_ONCE, 32):
            rows = [_found(int(number), rng) for number in rng.integers(1 << 40, 1 << 50, count)]
            started, processor = time.perf_counter(), time.process_time()
            for start in range(0, count, at_once):
                stores.write(rows[start : start + at_once])
            seconds, processor = time.perf_counter() - started, time.process_time() - processor
            _say(at_once=at_once, per_second=round(count / seconds), per_processor_second=round(count / processor))


def _found(number: int, rng: np.random.Generator) -> Found[None, Analysed]:
    row = rng.normal(size=(1, DIM)).astype(np.float32)
    file = PhotoFile(f"/more/{number // 1000:012d}/{number:016d}.jpg", number % 5_000_000, number, number)
    analysed = Analysed([_FACE], row / np.linalg.norm(row))
    return Found(None, file, _digest(number), (1024, 768), (1024, 768), "", 0.0, analysed)


def _say(**facts: object) -> None:
    """What was measured, as a line of JSON, with the most memory that this process held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({**facts, "peak_mb": round(most)}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    for step in ("make", "recall", "writer"):
        steps.add_parser(step).add_argument("count", type=int)
    steps.add_parser("finish")
    steps.add_parser("commands").add_argument("photo", type=Path)
    given = vars(parser.parse_args())
    globals()[given.pop("step")](**given)
