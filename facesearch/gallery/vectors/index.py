"""Vectors for search: choose a recipe, build, save, open, search with FAISS.

The file is a cache: every vector comes from the database, keyed by its face's id, and deleting the file is always
safe. A stamp in the database says which file belongs to it."""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError
from facesearch.models.cards import IndexRecipe
from facesearch.packages import how_to_install

Ids: TypeAlias = NDArray[np.int64]
NONE = -1  # the id where there are fewer faces than were asked for
_LEAST_IN_CENTRE = (
    16  # faces whose mean a cluster's centre is: that of one is this face, and stays when it is forgotten
)


class Source(Protocol):
    """Where the vectors come from: the database, or in a test a list. Deletions are numbered: `newest_removed` is the
    latest's number, and `removed_after` says which faces went after one."""

    def count(self) -> int: ...
    def newest(self) -> int: ...
    def newest_removed(self) -> int: ...
    def removed_after(self, n: int) -> Ids: ...
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


Search: TypeAlias = Callable[[Embeddings, int], Ids]  # the ids of the k nearest faces of each of m, (m, k)


class FaceIndex:
    """Faces to search: those in the file, and the few that are newer than it."""

    def __init__(
        self, index: Any, recipe: IndexRecipe, source: Source, dim: int, after: int, gone: Ids | None = None
    ) -> None:
        """`index` is FAISS's, of `dim` numbers a face; `after` is the newest face in it: later ones are read from the
        source. `gone` are faces in it that are stored no longer."""
        self._index, self._recipe, self._source, self._dim = index, recipe, source, dim
        self._gone = np.empty(0, np.int64) if gone is None else gone
        newer = list(source.embeddings(dim, after))  # pairs of (n,) and (n, dim)
        self._newer_ids = np.concatenate([ids for ids, _ in newer]) if newer else np.empty(0, np.int64)
        self._newer = np.concatenate([rows for _, rows in newer]) if newer else np.empty((0, dim), np.float32)

    def __len__(self) -> int:
        return int(self._index.ntotal) + len(self._newer)

    def search(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """As Searchable says."""
        similarities, ids = self._found(np.ascontiguousarray(queries, np.float32), k)
        if len(self._newer):
            similarities = np.concatenate([similarities, queries @ self._newer.T], axis=1)  # (m, wanted + newer)
            ids = np.concatenate([ids, np.tile(self._newer_ids, (len(queries), 1))], axis=1)  # the same
        return best(similarities, ids, k)

    def _found(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """What the index finds, (m, k or more): k faces that are stored wherever it has so many, for who gets fewer
        takes them for all. Faces that are gone stand among them with similarity -inf."""
        whole = max(int(self._index.ntotal), 1)
        wanted = min(k + len(self._gone), whole)
        while True:
            similarities, ids = self._nearest(queries, wanted)
            is_short = np.isfinite(similarities).sum(axis=1) < min(k, whole)
            if wanted == whole or not (is_short & (ids[:, -1] != NONE)).any():
                return similarities, ids
            wanted = min(2 * wanted, whole)

    def _nearest(self, queries: Embeddings, wanted: int) -> tuple[NDArray[np.float32], Ids]:
        if self._recipe.candidates:
            set_parameters(self._index, {"k_factor_rf": max(self._recipe.candidates / wanted, 1.0)})
        similarities, ids = self._index.search(queries, wanted)  # (m, wanted) both
        if self._recipe.candidates:
            similarities = exact(self._source, self._dim, queries, ids)
        elif len(self._gone):
            similarities = np.where(np.isin(ids, self._gone), -np.inf, similarities)
        return np.where(ids == NONE, -np.inf, similarities), ids


def exact(source: Source, dim: int, queries: Embeddings, ids: Ids) -> NDArray[np.float32]:
    """Exact similarities, (m, k), of the faces that were found for each query, from the stored embeddings; -inf for
    what is stored no longer."""
    stored, embeddings = source.embeddings_of(distinct(ids), dim)
    similarities = np.full(ids.shape, -np.inf, np.float32)
    if not len(stored):
        return similarities
    order = np.argsort(stored)  # (n,)
    places = np.minimum(np.searchsorted(stored, ids, sorter=order), len(stored) - 1)  # (m, k), into `order`
    rows = order[places]  # (m, k), into `embeddings`
    for own, row, query in zip(similarities, rows, queries, strict=True):
        own[:] = embeddings[row] @ query  # (k, dim) @ (dim,)
    return np.where(stored[rows] == ids, similarities, np.float32(-np.inf))


def distinct(ids: Ids) -> list[int]:
    """The faces among them, each once, in the order of their ids. numpy.unique would import numpy.ma, which takes
    longer than all of a search."""
    return sorted(set(ids[ids != NONE].tolist()))


def import_faiss() -> Any:
    """The module. Raises FaceSearchError with what to install where it is absent."""
    try:
        import faiss
    except ImportError as error:
        raise FaceSearchError(f"FAISS is not installed; install it with: {how_to_install('faiss')}") from error
    return faiss


def import_faiss_meanwhile() -> None:
    """Begins to import it on a thread, for a caller who first runs networks, which need Python little. Who imports it
    then waits for the rest, or hears why it cannot be."""

    def begin() -> None:
        with suppress(FaceSearchError):
            import_faiss()

    threading.Thread(target=begin).start()


def gpus(faiss: Any) -> int:
    """How many GPUs FAISS can use: none in the build for the CPU."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def build(recipe: IndexRecipe, source: Source, dim: int, count: int) -> Any:
    """FAISS's index of all `count` faces of the source, trained on a sample where the recipe needs it."""
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
        sample = sampled(source, dim, min(count, lists * recipe.train_per_list))
        inner.train(sample)
        _move_centres(faiss, inner, sample)
    index = faiss.IndexIDMap(inner)
    add(index, source, dim, after=0)
    set_search(index, recipe)
    return index


def _move_centres(faiss: Any, index: Any, sample: Embeddings) -> None:
    """Makes each cluster's centre the mean of those faces of the sample that it was trained on, (n, dim), that are
    nearest to it, of 16 at the least where there are so many. The codes are of the faces themselves, and not of how
    they differ from a centre, so that a centre may move."""
    quantizer = faiss.downcast_index(faiss.extract_index_ivf(index).quantizer)
    heads = np.ascontiguousarray(sample[:, :2]).view(np.uint64)[:, 0]
    sample = sample[np.unique(heads, return_index=True)[1]]  # copies of a photo have the same face: each counts once
    points = _as_clustered(faiss, index, sample)  # (n, d)
    centres = quantizer.reconstruct_n(0, quantizer.ntotal)  # (lists, d)
    nearest = quantizer.assign(points, 1)[:, 0]  # (n,)
    counts = np.bincount(nearest, minlength=len(centres))
    some = np.flatnonzero(counts)
    starts = (np.cumsum(counts) - counts)[some]
    few = counts < _LEAST_IN_CENTRE
    _, found = faiss.knn(centres[few], points, min(_LEAST_IN_CENTRE, len(points)))  # (few, 16)
    centres[some] = np.add.reduceat(points[np.argsort(nearest)], starts, axis=0) / counts[some, None]
    centres[few] = points[found].mean(axis=1)
    quantizer.reset()
    quantizer.add(centres)


def _as_clustered(faiss: Any, index: Any, rows: Embeddings) -> Embeddings:
    """What an index forms clusters of: embeddings, (n, dim), or their principal components."""
    if isinstance(index, faiss.IndexRefine):
        index = faiss.downcast_index(index.base_index)
    if isinstance(index, faiss.IndexPreTransform):
        for i in range(index.chain.size()):
            rows = index.chain.at(i).apply(rows)
    return rows


def plan(recipe: IndexRecipe, dim: int, count: int) -> tuple[str, int]:
    """FAISS's description of an index of so many faces, and how many clusters it has."""
    lists = max(1, round(recipe.lists_per_root * math.sqrt(count)))
    dims = min(recipe.dims, dim) // 2 * 2
    return recipe.factory.format(lists=lists, dims=dims, codes=dims // 2), lists


def add(index: Any, source: Source, dim: int, after: int) -> None:
    """Adds the source's faces that are newer than `after`."""
    for ids, rows in source.embeddings(dim, after):
        index.add_with_ids(rows, ids)


def set_search(index: Any, recipe: IndexRecipe) -> None:
    """Sets what the recipe says of a search, for an index that has as many clusters as it has."""
    probed = math.ceil(recipe.probed * lists_of(index, recipe))
    least = recipe.search.get("nprobe", 0)
    set_parameters(index, {**recipe.search, "nprobe": max(probed, least)} if probed else recipe.search)


def lists_of(index: Any, recipe: IndexRecipe) -> int:
    """How many clusters an index has that was made after this recipe; 0 where it has none."""
    return int(import_faiss().extract_index_ivf(index).nlist) if recipe.lists_per_root else 0


def set_parameters(index: Any, parameters: Mapping[str, float]) -> None:
    """Sets parameters of the search by FAISS's names for them."""
    space = import_faiss().ParameterSpace()
    for name, value in parameters.items():
        space.set_index_parameter(index, name, value)


def sampled(source: Source, dim: int, count: int) -> Embeddings:
    """Embeddings, (count, dim), of faces drawn at random, the same ones each time."""
    ids = np.random.default_rng(0).choice(source.ids(), count, replace=False)
    return source.embeddings_of(ids.tolist(), dim)[1]


def best(similarities: NDArray[np.float32], ids: Ids, k: int) -> tuple[NDArray[np.float32], Ids]:
    """The k most similar of what was found for each query, (m, any) both, as Searchable gives them."""
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]  # (m, at most k)
    similarities = np.take_along_axis(similarities, order, axis=1)
    ids = np.where(np.isfinite(similarities), np.take_along_axis(ids, order, axis=1), NONE)
    short = k - ids.shape[1]
    if short > 0:
        ids = np.pad(ids, ((0, 0), (0, short)), constant_values=NONE)  # (m, k)
        similarities = np.pad(similarities, ((0, 0), (0, short)), constant_values=-np.inf)
    return np.asarray(similarities, np.float32), ids
