"""Embeddings of data sets' photos, kept between runs: one file for each model and alignment, found by content."""

import contextlib
import hashlib
import zipfile
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.files import whole_file
from facesearch.geometry.face import Box
from facesearch.home import home, private_folder
from facesearch.models.cards import DetectorCard, EmbedderCard
from facesearch.models.identity import identity_of

_DIGEST = 16  # bytes
# Raised when the code changes in a way that changes embeddings: of detection, alignment, or of choosing a face.
_FORMAT = 3
_OF_THE_DETECTOR = ("min_face_px", "max_side", "proposal_side", "scale_factor", "thresholds", "overlaps")


class Entry(NamedTuple):
    """What is known of a photo: whether a face was found, its box, and its embedding, (dim,)."""

    found: bool
    box: Box
    embedding: NDArray[np.float32]


def key_of(embedder: EmbedderCard, detector: DetectorCard, expected: object) -> str:
    """Names all that shapes an embedding: which networks these are, how the detector looks, and where the face
    usually is, so that a change of any is never answered with what was computed before it. Raises ModelError when a
    file of weights is not there, FaceSearchError when it cannot be read."""
    how_it_looks = [getattr(detector, fact) for fact in _OF_THE_DETECTOR]
    facts = [_FORMAT, identity_of(embedder, detector), how_it_looks, expected]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]


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
