"""Search measured on made-up identities: what each kind of index costs and finds, beside exact search.

Identities are spread like embeddings of real faces: around a common direction, in fewer dimensions than there are
numbers. Each is enrolled once; a query is another face of one of them."""

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError, Note, UsageError
from facesearch.gallery.vectors.file import open_index, sync
from facesearch.gallery.vectors.index import FaceIndex
from facesearch.home import home, memory, private_folder
from facesearch.models.cards import IndexRecipe

DIM = 128
INTRINSIC = 32  # independent dimensions: those of the default model's embeddings act like about 30
STRANGERS = 0.84  # mean similarity of two identities: the default model's
NOISE = 0.5
QUERIES = 1000
_ONE_BY_ONE = 200  # queries
_K = 10
_AT_ONCE = 50_000  # faces made or read at once
_BYTES_A_FACE = 3 * 4 * DIM  # vectors, the index being built, what is read back


@dataclass(frozen=True, slots=True)
class Measured:
    """One recipe: seconds to build, write and check; bytes of the index on disk and, once read, in memory; the median
    milliseconds of a query alone, and queries a second of 1,000 at once; the share of queries whose nearest face
    (recall1), and of their ten nearest faces (recall10), that exact search finds and this one does too; and the share
    of queries whose own identity is found first (identified), which the noise bounds."""

    recipe: str
    build_seconds: float
    size: int
    one_ms: float
    per_second: float
    recall1: float
    recall10: float
    identified: float


class Identities:
    """`count` made-up faces, one an identity; a `Source` of an index. The same count and noise give the same faces.

    A face is the identity's vector plus noise whose length is `noise` times the vector's; both are normal in
    INTRINSIC dimensions. The common direction is as long as it must be for STRANGERS."""

    def __init__(self, count: int, noise: float) -> None:
        """Raises UsageError when so many do not fit in the memory."""
        self._count, self._noise = count, noise
        needed, there = count * _BYTES_A_FACE, memory()
        if there is not None and needed > there:
            raise UsageError(
                f"{count:,} identities need about {needed / 1e9:,.0f} GB of memory, and this machine has "
                f"{there / 1e9:,.0f}; take a smaller --n."
            )
        turned = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, INTRINSIC + 1)))[0]
        self._basis: NDArray[np.float32] = turned.astype(np.float32)
        self._rows = np.empty((count, DIM), np.float32)
        for start in range(0, count, _AT_ONCE):
            who, rng = self._who(start)
            self._rows[start : start + len(who)] = self._faces(who, rng)

    def queries(self, count: int) -> tuple[NDArray[np.int64], Embeddings]:
        """Other faces of identities drawn at random: ids of their enrolled faces, and embeddings, (count, DIM)."""
        asking = np.random.default_rng(0)
        chosen = np.sort(asking.choice(self._count, min(count, self._count), replace=False))
        rows = []
        for start in range(0, self._count, _AT_ONCE):
            who, _ = self._who(start)
            of_part = chosen[(chosen >= start) & (chosen < start + len(who))] - start
            rows.append(self._faces(who[of_part], asking))
        return chosen + 1, np.concatenate(rows)

    def _who(self, start: int) -> tuple[NDArray[np.float32], np.random.Generator]:
        """The vectors of the identities from `start` on, (at most _AT_ONCE, INTRINSIC), and what drew them."""
        rng = np.random.default_rng((1, start))
        return rng.normal(size=(min(_AT_ONCE, self._count - start), INTRINSIC)).astype(np.float32), rng

    def _faces(self, who: NDArray[np.float32], rng: np.random.Generator) -> Embeddings:
        moved = who + self._noise * rng.normal(size=who.shape).astype(np.float32)
        # Centred vectors have a squared length of about INTRINSIC * (1 + noise^2).
        squared = INTRINSIC * (1 + self._noise**2) * STRANGERS / (1 - STRANGERS)
        rows = moved @ self._basis[:, 1:].T + np.float32(np.sqrt(squared)) * self._basis[:, 0]
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    # As an index reads them

    def count(self) -> int:
        """How many there are."""
        return self._count

    def newest(self) -> int:
        """The greatest id."""
        return self._count

    def newest_removed(self) -> int:
        """None ever goes."""
        return 0

    def removed_after(self, _: int) -> NDArray[np.int64]:
        """None ever goes."""
        return np.empty(0, np.int64)

    def ids(self) -> NDArray[np.int64]:
        """1 to count."""
        return np.arange(1, self._count + 1)

    def embeddings(self, dim: int, after: int = 0) -> Iterable[tuple[NDArray[np.int64], Embeddings]]:
        """Ids and rows of (n, dim), in parts, of those after an id."""
        for start in range(after, self._count, _AT_ONCE):
            part = self._rows[start : start + _AT_ONCE, :dim]
            yield np.arange(start + 1, start + 1 + len(part)), part

    def embeddings_of(self, ids: Sequence[int], dim: int) -> tuple[NDArray[np.int64], Embeddings]:
        """The rows of these ids."""
        wanted = np.asarray(ids, np.int64)
        return wanted, self._rows[wanted - 1, :dim]


def measure(identities: Identities, recipes: Sequence[IndexRecipe], note: Note) -> Iterator[Measured]:
    """Each recipe in turn; the first is exact search, beside which the others are measured."""
    asked = identities.queries(QUERIES)
    truth: NDArray[np.int64] | None = None
    for recipe in recipes:
        note(f"Building the {recipe.name} index of {identities.count():,} faces.")
        measured, found = _measure(identities, recipe, asked, truth)
        truth = found if truth is None else truth
        yield measured


def _measure(
    identities: Identities,
    recipe: IndexRecipe,
    asked: tuple[NDArray[np.int64], Embeddings],
    truth: NDArray[np.int64] | None,
) -> tuple[Measured, NDArray[np.int64]]:
    own, queries = asked
    with tempfile.TemporaryDirectory(dir=private_folder(home() / "cache")) as folder:
        started = time.perf_counter()
        index, size = _built(identities, recipe, Path(folder))
        built = time.perf_counter() - started
        index.search(queries[:8], _K)  # the pages of a mapped file are read
        started = time.perf_counter()
        _, ids = index.search(queries, _K)
        together = time.perf_counter() - started
        alone = []
        for query in queries[:_ONE_BY_ONE]:
            started = time.perf_counter()
            index.search(query[None], _K)
            alone.append(time.perf_counter() - started)
    right = ids if truth is None else truth
    shared = [len(np.intersect1d(a, b)) for a, b in zip(ids, right, strict=True)]
    measured = Measured(
        recipe=recipe.name,
        build_seconds=built,
        size=size,
        one_ms=statistics.median(alone) * 1e3,
        per_second=len(queries) / together,
        recall1=float((ids[:, 0] == right[:, 0]).mean()),
        recall10=float(np.mean(shared)) / min(_K, identities.count()),
        identified=float((ids[:, 0] == own).mean()),
    )
    return measured, ids


def _built(identities: Identities, recipe: IndexRecipe, folder: Path) -> tuple[FaceIndex, int]:
    """The index, written and opened again as a gallery does it, and its size in bytes."""
    only = [msgspec.structs.replace(recipe, up_to_faces=None)]
    path = folder / "faces.faiss"
    stamp = sync(path, None, identities, "synthetic", DIM, only, lambda _: None)
    index = None if stamp is None else open_index(path, stamp, identities, DIM, only)
    if stamp is None or index is None:
        raise FaceSearchError(f"The {recipe.name} index cannot be read back from {folder}; check the disk.")
    return index, stamp.size
