"""A process that indexes on a failing disk, many times over: each line of JSON it is given is a run in a fork of its
own, which answers with a line of JSON. The networks' answers are remembered from real ones, so a run takes little.

    python -m tests.faults.victim REMEMBERED"""

import contextlib
import importlib
import json
import mmap
import os
import pickle
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss  # noqa: F401 (before the forks)
import numpy as np

from facesearch.errors import FaceSearchError
from facesearch.faces.analyser import Analysed
from facesearch.faces.embedder import aligner_of
from facesearch.flow import stages
from facesearch.gallery.gallery import Gallery
from facesearch.geometry.face import Face
from facesearch.libraries import hidden
from facesearch.models.cards import embedder_card
from facesearch.models.engines import Engine
from facesearch.photos.view import View, decode_view
from tests.faults import failing

_SECONDS = 60  # for a run, at most
_BYTES = 8 << 30


class Remembered:
    """What the networks found in each photo, by its pixels. It counts the photos that it is asked about."""

    max_side = 1500
    engine = Engine("none", "float32")

    def __init__(self, found: dict[bytes, Analysed], count: mmap.mmap) -> None:
        self._found, self._count = found, count

    def analyse(self, views: Sequence[View]) -> list[Analysed]:
        return self.embed(views, self.find(views))

    def find(self, views: Sequence[View]) -> list[list[Face]]:
        self._count[:8] = (int.from_bytes(self._count[:8], "little") + len(views)).to_bytes(8, "little")
        return [self._found[key_of(view.pixels)].faces for view in views]

    def embed(self, views: Sequence[View], faces: Sequence[Sequence[Face]]) -> list[Analysed]:
        known = [self._found[key_of(view.pixels)] for view in views]
        rows = [[there.faces.index(face) for face in each] for there, each in zip(known, faces, strict=True)]
        return [
            Analysed(list(each), there.embeddings[row]) for there, each, row in zip(known, faces, rows, strict=True)
        ]


class Projected:
    """In place of a second network: each chip's embedding follows from its pixels, fast."""

    def __init__(self) -> None:
        self.aligner = aligner_of(embedder_card("dlib-resnet"), "mtcnn")
        self._matrix = np.random.default_rng(0).normal(size=(300, 128)).astype(np.float32)

    def embed(self, chips: np.ndarray) -> np.ndarray:
        small = chips[:, 7::15, 7::15].reshape(len(chips), -1).astype(np.float32) - 127.5
        raw = small @ self._matrix
        return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


class Here:
    """Decodes in this process: decoders of their own take longer to start than a whole run lasts."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None: ...

    def stop(self) -> None: ...

    def start_one(self) -> None: ...

    def decode(self, data: bytes, max_side: int, size: object = None) -> View:
        return decode_view(data, max_side)


def key_of(pixels: np.ndarray) -> bytes:
    import hashlib

    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


def main(remembered: Path) -> None:
    found = pickle.loads(remembered.read_bytes())
    for line in sys.stdin:
        count = mmap.mmap(-1, 8)
        come, go = os.pipe()
        child = os.fork()
        if not child:
            os.close(come)
            with os.fdopen(go, "w") as to:
                run(json.loads(line), Remembered(found, count), to)
                to.flush()
                os._exit(0)
        os.close(go)
        with os.fdopen(come) as answers:
            said = answers.read()
        _, status = os.waitpid(child, 0)
        answer = json.loads(said) if said.endswith("}") else {}
        _import(answer.pop("imported", ()))
        answer["ended"] = os.waitstatus_to_exitcode(status)
        answer["analysed"] = int.from_bytes(count[:8], "little")
        print(json.dumps(answer), flush=True)


def _import(names: Iterable[str]) -> None:
    """What one fork had to import first, all later ones find: it takes longer than the run itself."""
    with hidden("pandas"):  # as facesearch does
        for name in names:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def run(order: dict[str, Any], analyser: Remembered, to: Any) -> None:
    known = set(sys.modules)
    os.environ["FACESEARCH_HOME"] = order["home"]
    if not order.get("decoders"):
        stages.__dict__["Decoders"] = Here
    signal.alarm(_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    disk = failing.Disk(order.get("at", 0), order.get("how", "kill"), order.get("lasting", False))
    notes: list[str] = []
    gallery = Gallery.open(device="cpu", note=notes.append)
    gallery._load = lambda settings, threads=0: analyser  # type: ignore[assignment, method-assign, return-value]
    failing.install(disk, order.get("has_wal", True))
    answer: dict[str, Any] = {"said": None, "code": 0}
    with _noting(answer):
        if order.get("do", "index") == "index":
            summary = gallery.index(
                order["paths"], threads=1, batch=2, people_from="folder", retry_failed=order.get("retry", False)
            )
            answer |= {"photos": summary.photos, "code": 7 if summary.failing else 0}
        elif order["do"] == "check":
            answer["faults"] = gallery.check().faults
        elif order["do"] == "repair":
            answer["faults"] = gallery.repair().faults
        elif order["do"] == "migrate":
            gallery._analysers.__dict__["load_embedder"] = lambda settings: Projected()
            answer["set_aside"] = gallery.migrate(order["what"], threads=1, batch=2).set_aside
        elif order["do"] == "decide":
            verb, *arguments = order["what"]
            answer["faces"] = getattr(gallery, verb)(*arguments).faces
        elif order["do"] == "forget":
            answer["faces"] = gallery.forget(order["what"]).faces
    if order.get("query"):
        asked: dict[str, Any] = {"said": None, "code": 0}
        with _noting(asked):
            asked["matches"] = [match.photo for match in gallery.query(order["query"], k=3, group=False).matches]
        answer["query"] = asked
    answer |= {
        "steps": disk.steps,
        "kinds": disk.kinds,
        "notes": notes,
        "imported": [name for name in sys.modules if name not in known],
    }
    to.write(json.dumps(answer))


@contextlib.contextmanager
def _noting(answer: dict[str, Any]) -> Iterator[None]:
    try:
        yield
    except FaceSearchError as error:
        answer |= {"said": str(error), "code": error.exit_code}
    except BaseException as error:
        answer |= {"said": f"{type(error).__name__}: {error}", "code": -1}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
