"""Search on a GPU, for many questions at once: all faces of the database in its memory, by a recipe that fits.

What the GPU finds is compared again with the stored embeddings, so similarities are as exact as on the CPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError
from facesearch.gallery.vectors.index import (
    Ids,
    Searchable,
    Source,
    add,
    best,
    exact,
    gpus,
    import_faiss,
    plan,
    sampled,
)
from facesearch.models.cards import IndexRecipe

_MOST_NEIGHBOURS = 2048  # that FAISS finds on a GPU for one question
_SHARE = 0.7  # of the GPU's free memory: the networks need the rest


def choose(count: int, dim: int, free: int, recipes: Sequence[IndexRecipe]) -> IndexRecipe | None:
    """The first recipe whose vectors, `count` of `dim` numbers, fit in `free` bytes; None where none does."""
    fits = (recipe for recipe in recipes if count * dim * recipe.bytes_a_number <= free * _SHARE)
    return next(fits, None)


def on_gpu(source: Source, dim: int, recipes: Sequence[IndexRecipe], fallback: Searchable) -> Searchable:
    """All faces of the source on the first GPU; `fallback`, which searches on the CPU, where no GPU that FAISS can
    use has the memory for them. Raises FaceSearchError where it turns out only then that it has not."""
    faiss = import_faiss()
    if not gpus(faiss):
        return fallback
    count = source.count()
    resources = faiss.StandardGpuResources()
    recipe = choose(count, dim, _free_memory(), recipes)
    if recipe is None or not count:
        return fallback
    try:
        index = _built(faiss, resources, source, dim, count, recipe)
    except RuntimeError as error:  # FAISS has no class of its own for this
        raise FaceSearchError(
            f"The GPU's memory does not hold the {count:,} faces of the gallery after all; end what else runs on it, "
            "or take --device cpu."
        ) from error
    return GpuIndex(index, resources, recipe, source, dim, fallback)


def _built(faiss: Any, resources: Any, source: Source, dim: int, count: int, recipe: IndexRecipe) -> Any:
    factory, lists = plan(recipe, dim, count)
    # Among vectors of length 1 the nearest is the most similar.
    index = _moved(faiss, resources, faiss.index_factory(dim, factory, faiss.METRIC_L2), recipe)
    if not index.is_trained:
        index.train(sampled(source, dim, min(count, lists * recipe.train_per_list)))
    by_id = faiss.IndexIDMap(index)
    add(by_id, source, dim, after=0)
    return by_id


class GpuIndex:
    """Faces in a GPU's memory."""

    def __init__(
        self, index: Any, resources: Any, recipe: IndexRecipe, source: Source, dim: int, fallback: Searchable
    ) -> None:
        """`index` is FAISS's and lives in `resources`; `fallback` answers what asks for too many faces."""
        self._index, self._resources = index, resources
        self._recipe, self._source, self._dim, self._fallback = recipe, source, dim, fallback

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, queries: Embeddings, k: int) -> tuple[NDArray[np.float32], Ids]:
        """As FaceIndex.search."""
        wanted = min(max(k, self._recipe.candidates), len(self))
        if wanted > _MOST_NEIGHBOURS:
            return self._fallback.search(queries, k)
        _, ids = self._index.search(np.ascontiguousarray(queries, np.float32), wanted)
        return best(exact(self._source, self._dim, queries, ids), ids, k)


def _free_memory() -> int:
    """Bytes on the first GPU that no process has taken."""
    import subprocess

    asked = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id=0"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout
        return int(said.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0


def _moved(faiss: Any, resources: Any, empty: Any, recipe: IndexRecipe) -> Any:
    """An index without faces, on the first GPU, with vectors and lookup tables in 16 bits."""
    for name, value in recipe.search.items():
        faiss.ParameterSpace().set_index_parameter(empty, name, value)
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    return faiss.index_cpu_to_gpu(resources, 0, empty, options)
