"""Vectors for search: choose a recipe, build, save, open, search with FAISS.

The file is a cache: every vector comes from the database, keyed by its face's id, and deleting the file is always
safe. A stamp in the database says which file belongs to it."""

import contextlib
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.cards import IndexRecipe
from facesearch.errors import FaceSearchError
from facesearch.files import sync_folder
from facesearch.packages import how_to_install
from facesearch.records import Embeddings, IndexStamp

Ids: TypeAlias = NDArray[np.int64]
NONE = -1  # the id where there are fewer faces than were asked for

_HASHED_UP_TO = (
    512 << 20
)  # bytes: half a second; of a larger file size and time are believed, and `check` reads it all
_MMAP_FROM = 64 << 20  # bytes: a smaller file is read faster than it is mapped
_MOST_REMOVED = 0.1  # share of faces that are gone, from which an index that cannot forget is built again
_BLOCK = 1 << 20  # bytes
_SAMPLE = 500  # faces whose nearest neighbour is compared with exact search


class Source(Protocol):
    """Where the vectors come from: the database, or in a test a list."""

    def count(self) -> int: ...
    def newest(self) -> int: ...
    def ids(self) -> Ids: ...
    def embeddings(self, dim: int, after: int = 0) -> Iterable[tuple[Ids, Embeddings]]: ...
    def embeddings_of(self, ids: Sequence[int], dim: int) -> tuple[Ids, Embeddings]: ...


class Searchable(Protocol):
    """Faces that can be searched."""

    def __len__(self) -> int: ...

    def search(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """For each query, (m, dim), the k most similar faces: similarities (m, k), highest first, and ids (m, k);
        where there are fewer, the id is NONE and the similarity -inf."""
        ...


def choose_recipe(count: int, recipes: Sequence[IndexRecipe]) -> IndexRecipe:
    """The first recipe, of those ordered from few faces to many, that is meant for this many."""
    return next(recipe for recipe in recipes if recipe.up_to_faces is None or count <= recipe.up_to_faces)


class FaceIndex:
    """Faces to search: those in the file, and the few that are newer than it."""

    def __init__(self, index: Any, recipe: IndexRecipe, source: Source, dim: int, after: int) -> None:
        """`index` is FAISS's; `after` is the newest face in it: later ones are read from the source."""
        self._index, self._recipe, self._source, self._dim = index, recipe, source, dim
        newer = list(source.embeddings(dim, after))
        self._newer_ids = np.concatenate([ids for ids, _ in newer]) if newer else np.empty(0, np.int64)
        self._newer = np.concatenate([rows for _, rows in newer]) if newer else np.empty((0, dim), np.float32)

    def __len__(self) -> int:
        return int(self._index.ntotal) + len(self._newer)

    def search(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """As Searchable says."""
        wanted = min(k, max(int(self._index.ntotal), 1))
        if self._recipe.candidates:
            _set(self._index, {"k_factor_rf": max(self._recipe.candidates / wanted, 1.0)})
        similarities, ids = self._index.search(np.ascontiguousarray(queries, np.float32), wanted)
        if self._recipe.candidates:
            similarities = exact(self._source, self._dim, queries, ids)
        similarities = np.where(ids == NONE, -np.inf, similarities)
        if len(self._newer):
            similarities = np.concatenate([similarities, queries @ self._newer.T], axis=1)
            ids = np.concatenate([ids, np.tile(self._newer_ids, (len(queries), 1))], axis=1)
        return best(similarities, ids, k)


def exact(source: Source, dim: int, queries: Embeddings, ids: Ids) -> NDArray[np.float32]:
    """Exact similarities, (m, k), of the faces that were found for each query, from the stored embeddings; -inf for
    what is stored no longer."""
    stored, embeddings = source.embeddings_of(np.unique(ids[ids != NONE]).tolist(), dim)
    similarities = np.full(ids.shape, -np.inf, np.float32)
    if not len(stored):
        return similarities
    order = np.argsort(stored)
    places = np.minimum(np.searchsorted(stored, ids, sorter=order), len(stored) - 1)
    rows = order[places]
    for own, row, query in zip(similarities, rows, queries, strict=True):
        own[:] = embeddings[row] @ query
    return np.where(stored[rows] == ids, similarities, np.float32(-np.inf))


def sync(
    path: Path,
    stamp: IndexStamp | None,
    source: Source,
    model: str,
    dim: int,
    recipes: Sequence[IndexRecipe],
    note: Callable[[str], None],
    before_replacing: Callable[[], None] = lambda: None,
) -> IndexStamp | None:
    """Brings the file up to date with the source. Returns the stamp that the caller must store, or None when
    nothing changed. What can be added is added; else the index is built again from the stored embeddings.
    `before_replacing` is called when the new file is whole and about to take the place of the one before.
    Raises FaceSearchError when the disk refuses the file; the file before it is then still whole."""
    count = source.count()
    recipe = choose_recipe(count, recipes)
    usable = stamp is not None and (stamp.recipe, stamp.model) == (recipe.name, model) and belongs(path, stamp)
    if stamp is not None and usable and (stamp.count, stamp.newest_id) == (count, source.newest()):
        return None
    index = _extended(path, stamp, source, dim) if stamp is not None and usable else None
    if index is None:
        if count > _SAMPLE and recipe.up_to_faces != recipes[0].up_to_faces:
            note(f"Building the {recipe.name} index of {count:,} faces.")
        index = _built(recipe, source, dim, count)
    recall = None if recipe == recipes[0] else _measured_recall(index, recipe, source, dim)
    sha256 = _save(index, path, before_replacing)
    status = path.stat()
    return IndexStamp(
        recipe.name,
        model,
        count,  # without the faces that are gone and that the file still has
        source.newest(),
        status.st_size,
        status.st_mtime_ns,
        sha256,
        recall,
    )


def open_index(
    path: Path, stamp: IndexStamp, source: Source, dim: int, recipes: Sequence[IndexRecipe]
) -> FaceIndex | None:
    """The index in the file, mapped rather than read where it is large; None when the file is not the stamped
    one, or its recipe is not known any more."""
    recipe = next((recipe for recipe in recipes if recipe.name == stamp.recipe), None)
    if recipe is None or not belongs(path, stamp):
        return None
    faiss = import_faiss()
    index = _read(path, stamp, faiss.IO_FLAG_MMAP_IFC if stamp.size >= _MMAP_FROM else 0)
    if index is None:
        return None
    _set(index, recipe.search)
    return FaceIndex(index, recipe, source, dim, stamp.newest_id)


def build_in_memory(source: Source, dim: int, recipes: Sequence[IndexRecipe]) -> FaceIndex:
    """An index of all faces without a file, for when none can be written."""
    recipe = choose_recipe(source.count(), recipes)
    newest = source.newest()
    return FaceIndex(_built(recipe, source, dim, source.count()), recipe, source, dim, newest)


def belongs(path: Path, stamp: IndexStamp) -> bool:
    """Whether the file is the stamped one: its SHA-256 agrees, or of a large file at least its size and time."""
    try:
        status = path.stat()
        if status.st_size != stamp.size:
            return False
        is_believed = status.st_size > _HASHED_UP_TO and status.st_mtime_ns == stamp.mtime_ns
        return is_believed or sha256_of(path) == stamp.sha256
    except OSError:
        return False


def ids_in(path: Path, stamp: IndexStamp) -> Ids | None:
    """The ids of the faces in the file, ascending; None when it is not the stamped one in every byte."""
    try:
        index = _read(path, stamp, 0) if sha256_of(path) == stamp.sha256 else None
    except OSError:
        return None
    return None if index is None else np.sort(_ids_of(index))


def _read(path: Path, stamp: IndexStamp, flags: int) -> Any:
    """FAISS's index; None where FAISS cannot read it, as one of another version. No header may ask for more memory
    than the file has."""
    faiss = import_faiss()
    limits = faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()
    try:
        faiss.set_deserialization_vector_byte_limit(stamp.size)
        faiss.set_deserialization_loop_limit(stamp.size)
        return faiss.read_index(str(path), flags)
    except RuntimeError:
        return None
    finally:  # they are the whole program's
        faiss.set_deserialization_vector_byte_limit(limits[0])
        faiss.set_deserialization_loop_limit(limits[1])


def import_faiss() -> Any:
    """The module. Raises FaceSearchError with what to install where it is absent."""
    try:
        import faiss
    except ImportError as error:
        raise FaceSearchError(f"FAISS is not installed; install it with: {how_to_install('faiss')}") from error
    return faiss


def gpus(faiss: Any) -> int:
    """How many GPUs FAISS can use: none in the build for the CPU."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def _built(recipe: IndexRecipe, source: Source, dim: int, count: int) -> Any:
    faiss = import_faiss()
    factory, lists = plan(recipe, dim, count)
    # Among vectors of length 1 the nearest is the most similar; unlike the inner product, the distance stays what it
    # is when the principal components are taken of centred vectors.
    metric = faiss.METRIC_L2 if recipe.candidates else faiss.METRIC_INNER_PRODUCT
    inner = faiss.index_factory(dim, factory, metric)
    if not inner.is_trained:
        clusters = faiss.extract_index_ivf(inner)
        clusters.cp.min_points_per_centroid = 1  # else FAISS prints warnings of its own
        if gpus(faiss):  # the longest part
            trainer = faiss.index_cpu_to_all_gpus(faiss.IndexFlatL2(clusters.d))
            clusters.clustering_index = trainer
        inner.train(sampled(source, dim, min(count, lists * recipe.train_per_list)))
    index = faiss.IndexIDMap(inner)
    add(index, source, dim, after=0)
    _set(index, recipe.search)
    return index


def plan(recipe: IndexRecipe, dim: int, count: int) -> tuple[str, int]:
    """FAISS's description of an index of so many faces, and how many clusters it has."""
    lists = max(1, round(recipe.lists_per_root * math.sqrt(count)))
    dims = min(recipe.dims, dim) // 2 * 2
    return recipe.factory.format(lists=lists, dims=dims, codes=dims // 2), lists


def _extended(path: Path, stamp: IndexStamp, source: Source, dim: int) -> Any:
    """The index in the file without the faces that are gone and with those that are new; None when it cannot
    forget faces and too many are gone (search leaves those out, but they cost time)."""
    index = _read(path, stamp, 0)
    if index is None:
        return None
    gone = np.setdiff1d(_ids_of(index), source.ids())
    if len(gone):
        try:
            index.remove_ids(gone)
        except RuntimeError:  # not every type can forget
            if len(gone) > _MOST_REMOVED * index.ntotal:
                return None
    add(index, source, dim, after=stamp.newest_id)
    return index


def _ids_of(index: Any) -> Ids:
    return np.asarray(import_faiss().vector_to_array(index.id_map), np.int64)


def add(index: Any, source: Source, dim: int, after: int) -> None:
    """Adds the source's faces that are newer than `after`."""
    for ids, rows in source.embeddings(dim, after):
        index.add_with_ids(rows, ids)


def _set(index: Any, parameters: Mapping[str, float]) -> None:
    space = import_faiss().ParameterSpace()
    for name, value in parameters.items():
        space.set_index_parameter(index, name, value)


def sampled(source: Source, dim: int, count: int) -> Embeddings:
    """Embeddings of `count` faces drawn at random, always the same ones."""
    ids = np.random.default_rng(0).choice(source.ids(), count, replace=False)
    return source.embeddings_of(ids.tolist(), dim)[1]


def _measured_recall(index: Any, recipe: IndexRecipe, source: Source, dim: int) -> float:
    """recall@1: the share of sampled faces whose most similar other face the index finds, as exact search does."""
    ids = source.ids()
    sample = np.random.default_rng(1).choice(ids, min(_SAMPLE, len(ids)), replace=False)
    own, queries = source.embeddings_of(sample.tolist(), dim)
    best = np.full(len(own), -np.inf, np.float32)
    for part_ids, rows in source.embeddings(dim):
        similarities = queries @ rows.T
        similarities[own[:, None] == part_ids] = -np.inf
        best = np.maximum(best, similarities.max(axis=1))
    found, found_ids = FaceIndex(index, recipe, source, dim, source.newest()).search(queries, 2)
    others = np.where(found_ids == own[:, None], -np.inf, found).max(axis=1)
    # An equally similar face is as good; a little tolerance stands for another order of summation.
    return float((others >= best - 1e-5).mean())


def best(similarities: NDArray[np.float32], ids: Ids, k: int) -> tuple[NDArray[np.float32], Ids]:
    """The k most similar of what was found for each query, as Searchable gives them."""
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    similarities = np.take_along_axis(similarities, order, axis=1)
    ids = np.where(np.isfinite(similarities), np.take_along_axis(ids, order, axis=1), NONE)
    short = k - ids.shape[1]
    if short > 0:
        ids = np.pad(ids, ((0, 0), (0, short)), constant_values=NONE)
        similarities = np.pad(similarities, ((0, 0), (0, short)), constant_values=-np.inf)
    return np.asarray(similarities, np.float32), ids


def _save(index: Any, path: Path, before_replacing: Callable[[], None]) -> str:
    """Writes the file whole or not at all: a temporary file, synced, renamed. The SHA-256 of what was written."""
    faiss = import_faiss()
    unfinished = path.with_suffix(".part")
    digest = hashlib.sha256()

    def write(block: bytes) -> None:
        file.write(block)
        digest.update(block)

    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            faiss.write_index(index, faiss.PyCallbackIOWriter(write, _BLOCK))
            file.flush()
            os.fsync(file.fileno())
        before_replacing()
        unfinished.replace(path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        raise FaceSearchError(f"{path} cannot be written ({error}); free some space and run it again.") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
