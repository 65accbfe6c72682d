"""Embeddings of data sets' photos, kept between runs: one file for each model and alignment, found by content."""

import contextlib
import hashlib
import zipfile
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.faces import embedder as embedding
from facesearch.faces import mtcnn, yunet
from facesearch.files import whole_file
from facesearch.geometry import chips
from facesearch.geometry.face import Box
from facesearch.home import home, private_folder
from facesearch.models import networks
from facesearch.models.cards import DetectorCard, EmbedderCard

_DIGEST = 16  # bytes


class Entry(NamedTuple):
    """What is known of a photo: whether a face was found, its box, and its embedding, (dim,)."""

    found: bool
    box: Box
    embedding: NDArray[np.float32]


def key_of(embedder: EmbedderCard, detector: DetectorCard, usual: object) -> str:
    """Names all that shapes an embedding: both cards, where the face usually is, and the code of every stage, so that
    a change of any is never answered with what was computed before it. (What a card says of accuracy and threshold
    shapes nothing.)"""
    facts = [msgspec.to_builtins(card) for card in (embedder, detector)]
    for fact in ("threshold", "accuracy", "title", "default"):
        facts[0].pop(fact, None)
    key = hashlib.sha256(msgspec.json.encode([facts, usual]))
    folder = Path(networks.__file__).parent
    code = [Path(str(module.__file__)) for module in (chips, mtcnn, embedding, yunet)]
    code.append(Path(__file__).with_name("portraits.py"))
    for path in (*code, *sorted(folder.glob("*.py"))):
        key.update(path.read_bytes())
    return key.hexdigest()[:16]


class Cache:
    """The entries of one key, by the digest of a photo's bytes. It is a convenience: a file that is damaged or of
    another key counts as none, and `save` replaces it."""

    def __init__(self, name: str, key: str, dim: int) -> None:
        """`name` is what a new key replaces: a model on a device, and the data set."""
        self._folder = home() / "cache"
        self._name, self._path, self._dim = name, self._folder / f"{name}-{key}.npz", dim
        self._entries: dict[bytes, Entry] = {}
        self._changed = False
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self._read()

    def get(self, digest: bytes) -> Entry | None:
        """What is known of the photo with these bytes."""
        return self._entries.get(digest)

    def put(self, digest: bytes, entry: Entry) -> bool:
        """Remembers a photo; whether it was new."""
        if digest in self._entries:
            return False
        self._entries[digest] = entry
        self._changed = True
        return True

    def save(self) -> None:
        """Writes what is new, whole or not at all, and deletes what earlier versions of the model or of the code
        left. Raises FaceSearchError when the disk refuses it."""
        if not self._changed:
            return
        entries = self._entries.values()
        try:
            private_folder(self._folder)
            with whole_file(self._path) as file:
                np.savez(
                    file,
                    digests=np.frombuffer(b"".join(self._entries), np.uint8).reshape(-1, _DIGEST),
                    found=np.array([entry.found for entry in entries], bool),
                    boxes=np.array([entry.box for entry in entries], np.float32),
                    embeddings=np.array([entry.embedding for entry in entries], np.float32),
                )
            for path in self._folder.glob(f"{self._name}-????????????????.npz"):
                if path != self._path:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise FaceSearchError(f"{self._path} cannot be written ({error.strerror}); free some space.") from error
        self._changed = False

    def _read(self) -> None:
        with np.load(self._path, allow_pickle=False) as file:
            digests, found, boxes, rows = (file[name] for name in ("digests", "found", "boxes", "embeddings"))
        if rows.shape != (len(digests), self._dim) or len(found) != len(digests) or len(boxes) != len(digests):
            raise ValueError("the arrays do not fit together")
        for digest, was_found, box, row in zip(digests, found, boxes.tolist(), rows, strict=True):
            self._entries[digest.tobytes()] = Entry(bool(was_found), Box(*box), row)
