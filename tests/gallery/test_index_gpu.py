"""Search on a GPU: which recipe fits, and the way to it. On the CPU the index itself stands in for what FAISS makes
of it on a GPU; what a real one finds is compared where there is one."""

from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
from msgspec import structs

from facesearch.evaluation.synthetic import DIM, Identities
from facesearch.gallery.vectors import gpu as vectors_gpu
from facesearch.gallery.vectors.file import build_in_memory
from facesearch.gallery.vectors.gpu import GpuIndex, choose, on_gpu
from facesearch.models.cards import index_recipes

_HAS_GPU = hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
_GB = 1 << 30


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A stand-in for FAISS on a GPU with 64 GB; the indexes that were moved there."""
    moved: list[Any] = []

    def move(resources: object, device: int, index: Any, options: Any) -> Any:
        assert options.useFloat16
        assert index.ntotal == 0  # what is moved empty never takes the CPU's memory
        moved.append(index)
        return index

    known = {name: getattr(faiss, name) for name in ("index_factory", "IndexIDMap", "ParameterSpace", "METRIC_L2")}
    stand_in = SimpleNamespace(
        **known,
        get_num_gpus=lambda: 1,
        StandardGpuResources=object,
        GpuClonerOptions=SimpleNamespace,
        index_cpu_to_gpu=move,
    )
    monkeypatch.setattr(vectors_gpu, "import_faiss", lambda: stand_in)
    monkeypatch.setattr(vectors_gpu, "_free_memory", lambda: 64 * _GB)
    return moved


@pytest.mark.parametrize(
    ("count", "free", "name"),
    [
        (1_000_000, 1 * _GB, "gpu-flat"),  # 256 MB
        (100_000_000, 80 * _GB, "gpu-flat"),  # 25.6 GB
        (100_000_000, 16 * _GB, "gpu-ivf"),
        (100_000_000, 8 * _GB, None),
        (1_000_000, 0, None),
    ],
)
def test_the_most_exact_recipe_that_fits_is_chosen(count: int, free: int, name: str | None) -> None:
    recipe = choose(count, 128, free, index_recipes("gpu"))
    assert (recipe.name if recipe else None) == name


def test_what_the_gpu_answers_is_what_the_cpu_answers(gpu: list[Any]) -> None:
    faces = Identities(3000, 0.5)
    fallback = build_in_memory(faces, DIM, index_recipes())
    index = on_gpu(faces, DIM, index_recipes("gpu"), fallback)
    assert isinstance(index, GpuIndex)
    assert len(gpu) == 1
    assert len(index) == 3000
    _, queries = faces.queries(50)
    for k in (1, 10, 100):
        similarities, ids = index.search(queries, k)
        expected, expected_ids = fallback.search(queries, k)
        np.testing.assert_array_equal(ids, expected_ids)
        np.testing.assert_allclose(similarities, expected, atol=1e-6)


def test_more_faces_than_a_gpu_finds_come_from_the_cpu(gpu: list[Any]) -> None:
    faces = Identities(2500, 0.5)
    fallback = build_in_memory(faces, DIM, index_recipes())
    index = on_gpu(faces, DIM, index_recipes("gpu"), fallback)
    _, queries = faces.queries(3)
    np.testing.assert_array_equal(index.search(queries, 2400)[1], fallback.search(queries, 2400)[1])


def test_clusters_are_trained_where_the_faces_do_not_fit(gpu: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    count = 4500  # in a few more lists than are looked into
    monkeypatch.setattr(vectors_gpu, "_free_memory", lambda: int(count * DIM * 1.2))
    faces = Identities(count, 0.5)
    fallback = build_in_memory(faces, DIM, index_recipes())
    recipes = [structs.replace(recipe, dims=min(recipe.dims, 16)) for recipe in index_recipes("gpu")]  # shorter codes
    index = on_gpu(faces, DIM, recipes, fallback)
    assert isinstance(index, GpuIndex)
    assert gpu[0].nlist == round(4 * count**0.5)
    assert gpu[0].nprobe == 256
    _, queries = faces.queries(100)
    similarities, ids = index.search(queries, 1)
    expected, expected_ids = fallback.search(queries, 1)
    same = ids == expected_ids
    assert same.mean() >= 0.97
    np.testing.assert_allclose(similarities[same], expected[same], atol=1e-6)


def test_clusters_of_an_index_on_disk_are_found_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Any] = []

    def move(index: Any) -> Any:
        trained.append(index)
        return index

    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", move, raising=False)
    faces = Identities(4000, 0.5)
    (recipe,) = (each for each in index_recipes() if each.name == "ivf-pq")
    index = build_in_memory(faces, DIM, [recipe])
    assert [each.d for each in trained] == [recipe.dims]  # among the principal components
    _, queries = faces.queries(200)
    expected = build_in_memory(faces, DIM, index_recipes()).search(queries, 1)[1]
    assert (index.search(queries, 1)[1] == expected).mean() >= 0.97


def test_without_a_gpu_or_memory_the_cpu_goes_on(gpu: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    faces = Identities(100, 0.5)
    fallback = build_in_memory(faces, DIM, index_recipes())
    monkeypatch.setattr(vectors_gpu, "_free_memory", lambda: 0)
    assert on_gpu(faces, DIM, index_recipes("gpu"), fallback) is fallback
    monkeypatch.undo()
    if not _HAS_GPU:
        assert on_gpu(faces, DIM, index_recipes("gpu"), fallback) is fallback


@pytest.mark.skipif(not _HAS_GPU, reason="no GPU that FAISS can use")
def test_a_real_gpu_answers_as_the_cpu_does() -> None:
    faces = Identities(200_000, 0.5)
    fallback = build_in_memory(faces, DIM, index_recipes()[:1])
    _, queries = faces.queries(500)
    expected, expected_ids = fallback.search(queries, 10)
    for recipe, least in zip(index_recipes("gpu"), (0.999, 0.97), strict=True):
        index = on_gpu(faces, DIM, [recipe], fallback)
        assert isinstance(index, GpuIndex)
        similarities, ids = index.search(queries, 10)
        assert (ids[:, 0] == expected_ids[:, 0]).mean() >= least
        np.testing.assert_allclose(similarities[:, 0], expected[:, 0], atol=1e-3)
