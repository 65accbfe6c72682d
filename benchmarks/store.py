"""A vector store beside a gallery of made-up faces: how fast it is filled, what it finds beside exact search, and how
long that takes.

    python -m benchmarks.store 200000 [--index hnsw] [--folder FOLDER] [--at milvus://HOST:19530/NAME]

Without --at it starts the real Milvus of the package `milvus`, in FOLDER, and also says what that keeps in memory and
on the disk, and how long it takes from `kill -9` to the first answer. The faces are those of `bench search`; a
question is another face of an enrolled person. All goes the way of `store add` and `query`, but for the networks."""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.cluster.milvus import IndexKind
from facesearch.cluster.milvus_errors import StoreError
from facesearch.evaluation.synthetic import DIM, Identities
from facesearch.gallery.gallery import Gallery
from facesearch.gallery.storage import Storage
from facesearch.gallery.store import stores
from facesearch.gallery.tables.photos import PhotoRow
from facesearch.gallery.vectors.index import Searchable
from facesearch.gallery.vectors.store_index import answered_by
from facesearch.photos.file import PhotoFile
from facesearch.photos.status import Status
from tests.cluster.milvus_server import Milvus, milvus
from tests.made_up_gallery import SETTINGS, face

_NOISE = 0.5  # as `bench search`
_QUESTIONS, _K = 1000, 10
_AT_ONCE = 50  # questions beside all faces
_A_TRANSACTION = 10_000  # photos


def main(count: int, index: IndexKind, folder: Path | None, at: str | None) -> None:
    """Prints a JSON object a step, so that what is measured is not lost with what is not."""
    faces = Identities(count, _NOISE)
    _, questions = faces.queries(_QUESTIONS)
    truth = _exact(faces, questions)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        os.environ["FACESEARCH_HOME"] = f"{own}/home"
        storage = _gallery(faces)
        with _server(at, Path(own) / "server") as (server, address):
            _say(server_mb_empty=_memory(server))
            _say(**_filled(storage, address, index))
            _say(**_asked(storage, questions, truth))
            _say(server_mb=_memory(server), disk_mb=round(_disk(server)))
            if server:
                _say(**_killed(server, storage, questions))
            stores.drop(storage)


def _gallery(faces: Identities) -> Storage:
    """A gallery with a photo a face."""
    storage, gallery = Storage("made-up", _note), Gallery.open("made-up", "cpu")
    with gallery.writing() as db:
        with db.transaction():
            db.settings.write(SETTINGS)
        for ids, rows in faces.embeddings(DIM):
            for start in range(0, len(ids), _A_TRANSACTION):
                with db.transaction():
                    for number, row in zip(ids[start:], rows[start : start + _A_TRANSACTION], strict=False):
                        db.photos.save(_photo(int(number), row))
    return storage


def _photo(number: int, row: NDArray[np.float32]) -> PhotoRow:
    file = PhotoFile(f"/photos/{number}.jpg", 1, 1)
    return PhotoRow(file, Status.OK, str(number).encode(), size=(400, 300), faces=[face()], embeddings=row[None])


def _note(text: str) -> None:
    _say(note=text)


@contextmanager
def _server(at: str | None, folder: Path) -> Iterator[tuple[Milvus | None, str]]:
    if at is not None:
        yield None, at
        return
    with milvus(folder) as server:
        yield server, f"{server.address}/made_up"


def _exact(faces: Identities, questions: Embeddings) -> NDArray[np.int64]:
    """The ids of the nearest faces, (m, _K), nearest first."""
    rows = np.concatenate([part for _, part in faces.embeddings(DIM)])
    found = []
    for start in range(0, len(questions), _AT_ONCE):
        similarities = questions[start : start + _AT_ONCE] @ rows.T
        nearest = np.argpartition(-similarities, _K, axis=1)[:, :_K]
        order = np.argsort(-np.take_along_axis(similarities, nearest, axis=1), axis=1)
        found.append(np.take_along_axis(nearest, order, axis=1) + 1)
    return np.concatenate(found)


def _filled(storage: Storage, address: str, index: IndexKind) -> dict[str, Any]:
    """All faces sent, and then in the index of the store."""
    sent = begin = time.perf_counter()

    def progress(_: int, __: int) -> None:
        nonlocal sent
        sent = time.perf_counter()

    stores.add(storage, address, index)
    done = stores.sync(storage, on_progress=progress)
    return {
        "faces": done.faces,
        "index": index,
        "sent_s": round(sent - begin, 1),
        "faces_per_s": round(done.sent / (sent - begin)),
        "indexed_s": round(time.perf_counter() - sent, 1),
    }


def _asked(storage: Storage, questions: Embeddings, truth: NDArray[np.int64]) -> dict[str, Any]:
    with storage.reading() as (db, settings), storage.searching(db, settings) as index:
        assert answered_by(index)
        index.search(questions[:8], _K)
        found, seconds = zip(*(_one(index, question) for question in questions), strict=True)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]
    return {
        "recall_1": float(np.mean([a[0] == b[0] for a, b in zip(found, truth, strict=True)])),
        "recall_10": round(float(np.mean(shared)) / _K, 4),
        "p50_ms": round(statistics.median(seconds) * 1e3, 2),
        "p99_ms": round(float(np.quantile(seconds, 0.99)) * 1e3, 2),
        "least_ms": round(min(seconds) * 1e3, 2),
        "load": os.getloadavg()[0],
    }


def _one(index: Searchable, question: NDArray[np.float32]) -> tuple[NDArray[np.int64], float]:
    begin = time.perf_counter()
    _, ids = index.search(question[None], _K)
    return ids[0], time.perf_counter() - begin


def _killed(server: Milvus, storage: Storage, questions: Embeddings) -> dict[str, Any]:
    begin = time.perf_counter()
    server.kill()
    server.start()
    healthy = time.perf_counter() - begin
    while not _answers(storage, questions):
        time.sleep(0.2)
    return {"healthy_after_s": round(healthy, 1), "answers_after_s": round(time.perf_counter() - begin, 1)}


def _answers(storage: Storage, questions: Embeddings) -> bool:
    try:
        with storage.reading() as (db, settings), storage.searching(db, settings) as index:
            index.search(questions[:1], _K)
            return answered_by(index) is not None
    except StoreError:
        return False


def _memory(server: Milvus | None) -> int:
    """MB that the server holds."""
    if server is None:
        return 0
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) // 1000


def _disk(server: Milvus | None) -> float:
    """MB of its files."""
    files = server.folder.rglob("*") if server else ()
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def _say(**measured: Any) -> None:
    print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--index", choices=["hnsw", "ivf-sq8", "diskann"], default="hnsw")
    parser.add_argument("--folder", type=Path, help="where the server may write; your temporary folder if not given")
    parser.add_argument("--at", metavar="ADDRESS", help="a Milvus that is there; its collection is made anew")
    main(**vars(parser.parse_args()))
