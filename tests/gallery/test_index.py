"""FAISS behind the stamp: exact where it says so, measured where it is not, made again when it does not belong."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from facesearch.arrays import Embeddings
from facesearch.errors import FaceSearchError
from facesearch.gallery.records.settings import IndexStamp
from facesearch.gallery.vectors import file as vectors_file
from facesearch.gallery.vectors import index as vectors
from facesearch.gallery.vectors.erasing import erase, erase_in_file
from facesearch.gallery.vectors.file import belongs, build_in_memory, open_index, sync, without_removed
from facesearch.gallery.vectors.index import NONE, choose_recipe, import_faiss
from facesearch.models.cards import IndexRecipe, index_recipes

_DIM = 32


class _Rows(dict[int, np.ndarray]):
    """Embeddings by id, and the ids that were deleted, in this order."""

    def __init__(self, rows: Iterable[tuple[int, np.ndarray]]) -> None:
        super().__init__(rows)
        self.removed: list[int] = []

    def __delitem__(self, face: int) -> None:
        super().__delitem__(face)
        self.removed.append(face)

    def take(self, face: int) -> np.ndarray:
        row = self[face]
        del self[face]
        return row


class Faces:
    """A source in memory: embeddings by id."""

    def __init__(self, rows: Embeddings, first: int = 1) -> None:
        self.rows = _Rows((first + i, row) for i, row in enumerate(rows))

    def count(self) -> int:
        return len(self.rows)

    def newest(self) -> int:
        return max(self.rows, default=0)

    def newest_removed(self) -> int:
        return len(self.rows.removed)

    def removed_after(self, n: int) -> np.ndarray:
        return np.array(sorted(set(self.rows.removed[n:]) - set(self.rows)), np.int64)

    def ids(self) -> np.ndarray:
        return np.array(sorted(self.rows), np.int64)

    def embeddings(self, dim: int, after: int = 0) -> Iterator[tuple[np.ndarray, Embeddings]]:
        ids = [i for i in sorted(self.rows) if i > after]
        for start in range(0, len(ids), 700):
            part = ids[start : start + 700]
            yield np.array(part, np.int64), np.array([self.rows[i] for i in part])

    def embeddings_of(self, ids: Sequence[int], dim: int) -> tuple[np.ndarray, Embeddings]:
        found = [i for i in ids if i in self.rows]
        return np.array(found, np.int64), np.array([self.rows[i] for i in found], np.float32).reshape(-1, dim)


def _people(count: int, each: int = 4, seed: int = 0) -> Embeddings:
    """Unit rows around `count` directions, as several photos of each person are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((count, 1, _DIM))
    rows = (centres + 0.3 * rng.standard_normal((count, each, _DIM))).reshape(-1, _DIM)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _noisy(faces: Faces, count: int) -> Embeddings:
    """Other photos of some people of the gallery."""
    rng = np.random.default_rng(2)
    rows = np.array([faces.rows[i] for i in rng.choice(sorted(faces.rows), count, replace=False)])
    rows = rows + 0.03 * rng.standard_normal(rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _recipe(name: str) -> tuple[IndexRecipe, ...]:
    """The shipped recipes with this one for any count."""
    (chosen,) = (recipe for recipe in index_recipes() if recipe.name == name)
    flat = index_recipes()[0]
    never = msgspec.structs.replace(flat, up_to_faces=-1)
    return never, msgspec.structs.replace(chosen, up_to_faces=None)


def _exact(faces: Faces, queries: Embeddings, k: int) -> np.ndarray:
    ids = faces.ids()
    rows = np.array([faces.rows[int(i)] for i in ids])
    return np.asarray(ids[np.argsort(-(queries @ rows.T), axis=1)[:, :k]])


def _synced(path: Path, faces: Faces, stamp: IndexStamp | None, recipes: Sequence[IndexRecipe]) -> IndexStamp:
    new = sync(path, stamp, faces, "model", _DIM, recipes, lambda _: None)
    assert new is not None
    return new


@pytest.mark.parametrize(
    ("count", "name"),
    [(0, "flat"), (100_000, "flat"), (100_001, "ivf-pq"), (10**8, "ivf-pq")],
)
def test_the_recipe_follows_from_the_count(count: int, name: str) -> None:
    assert choose_recipe(count, index_recipes()).name == name


def test_flat_is_exact(tmp_path: Path) -> None:
    faces, path = Faces(_people(300)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, index_recipes())
    assert (stamp.recipe, stamp.count, stamp.newest_id, stamp.recall) == ("flat", 1200, 1200, None)
    index = open_index(path, stamp, faces, _DIM, index_recipes())
    assert index is not None
    queries = _people(20, seed=1)
    similarities, ids = index.search(queries, 7)
    np.testing.assert_array_equal(ids, _exact(faces, queries, 7))
    assert (np.diff(similarities, axis=1) <= 0).all()
    np.testing.assert_allclose(
        similarities[:, 0], [queries[i] @ faces.rows[int(ids[i, 0])] for i in range(len(ids))], atol=1e-6
    )


@pytest.mark.parametrize("name", ["ivf-pq"])
def test_an_approximate_index_measures_and_keeps_its_recall(tmp_path: Path, name: str) -> None:
    faces, path = Faces(_people(1500)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, _recipe(name))
    assert stamp.recipe == name
    assert stamp.recall is not None
    assert 0.97 <= stamp.recall <= 1
    index = open_index(path, stamp, faces, _DIM, _recipe(name))
    assert index is not None
    queries = _noisy(faces, 200)
    found = index.search(queries, 1)[1][:, 0]
    assert (found == _exact(faces, queries, 1)[:, 0]).mean() >= 0.97


def test_a_poor_index_is_measured_as_poor(tmp_path: Path) -> None:
    """The measured recall is no constant: one list of many probed finds little."""
    never, ivf = _recipe("ivf-pq")
    poor = msgspec.structs.replace(ivf, search={"nprobe": 1}, probed=0, lists_per_root=8)
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((3000, _DIM)).astype(np.float32)  # without people, neighbours are anywhere
    faces = Faces(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    recall = _synced(tmp_path / "faces.faiss", faces, None, (never, poor)).recall
    assert recall is not None
    assert recall < 0.8


def test_what_is_found_has_its_exact_similarities(tmp_path: Path) -> None:
    faces, path = Faces(_people(1000)), tmp_path / "faces.faiss"
    index = open_index(path, _synced(path, faces, None, _recipe("ivf-pq")), faces, _DIM, _recipe("ivf-pq"))
    assert index is not None
    query = _people(1, 1, seed=5)
    similarities, ids = index.search(query, 5)
    expected = [float(query[0] @ faces.rows[int(i)]) for i in ids[0]]
    np.testing.assert_allclose(similarities[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["flat", "ivf-pq"])
def test_new_and_deleted_faces_are_followed(tmp_path: Path, name: str) -> None:
    recipes = index_recipes() if name == "flat" else _recipe(name)
    faces, path = Faces(_people(800)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, recipes)
    queries = np.array([faces.rows.take(i) for i in range(1, 9)])
    faces.rows.update(Faces(_people(10, seed=9), first=5000).rows)
    again = _synced(path, faces, stamp, recipes)
    index = open_index(path, again, faces, _DIM, recipes)
    assert index is not None
    target = faces.rows[5003]
    assert index.search(target[None], 1)[1][0, 0] == 5003
    assert not np.isin(index.search(queries, 50)[1], range(1, 9)).any()
    assert again.count == faces.count()
    assert sync(path, again, faces, "model", _DIM, recipes, lambda _: None) is None


def test_an_index_with_many_deleted_faces_is_built_again(tmp_path: Path) -> None:
    faces, path, recipes = Faces(_people(500)), tmp_path / "faces.faiss", _recipe("ivf-pq")
    stamp = _synced(path, faces, None, recipes)
    for i in range(1, 601):
        del faces.rows[i]
    assert _synced(path, faces, stamp, recipes).count == faces.count()


def _codes(path: Path, faces: Sequence[int]) -> list[bytes]:
    """What the file holds of these faces, the first of which is 1: their codes of 8 bits a number, and of 4 bits."""
    faiss: Any = import_faiss()
    index = faiss.read_index(str(path))
    again = faiss.downcast_index(faiss.downcast_index(index.index).refine_index)
    exact = faiss.vector_to_array(again.codes).reshape(index.ntotal, -1)
    lists = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    found = {}
    for each in range(lists.nlist):
        ids = faiss.rev_swig_ptr(lists.get_ids(each), lists.list_size(each)).tolist()
        blocks = -(-len(ids) // lists.packer.nvec)
        packed = faiss.rev_swig_ptr(lists.get_codes(each), blocks * lists.block_size).reshape(blocks, -1)
        found.update({face + 1: lists.packer.unpack_1(packed, i).tobytes() for i, face in enumerate(ids)})
    return [exact[face - 1].tobytes() + found[face] for face in faces]


def test_codes_of_deleted_faces_are_overwritten_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_file, "_MMAP_FROM", 0)  # as those of large files are
    monkeypatch.setattr(vectors_file, "_HASHED_UP_TO", 0)
    faces, path, recipes = Faces(_people(800)), tmp_path / "faces.faiss", _recipe("ivf-pq")
    stamp = _synced(path, faces, None, recipes)
    gone = [3, 4, 77, *range(1000, 1400), 3200]
    kept = sorted(set(range(1, 3201)) - set(gone))
    before, queries = _codes(path, kept), _noisy(faces, 300)
    assert all(any(code) for code in _codes(path, gone))
    for face in gone:
        del faces.rows[face]
    fresh = without_removed(path, stamp, faces)
    assert fresh is not None
    assert not any(any(code) for code in _codes(path, gone))
    assert _codes(path, kept) == before
    assert belongs(path, fresh)
    assert path.stat().st_size == stamp.size
    assert path.stat().st_mtime_ns == fresh.mtime_ns != stamp.mtime_ns  # a copy of before is another file
    assert (fresh.count, fresh.newest_id) == (faces.count(), 3199)
    assert sync(path, fresh, faces, "model", _DIM, recipes, lambda _: None) is None
    index = open_index(path, fresh, faces, _DIM, recipes)
    assert index is not None
    found = index.search(queries, 3)[1]
    assert not np.isin(found, gone).any()
    assert (found[:, 0] == _exact(faces, queries, 1)[:, 0]).mean() > 0.99
    os.utime(path, ns=(stamp.mtime_ns, stamp.mtime_ns))
    again = without_removed(path, stamp, faces)  # by the next, where the first was killed before it noted it
    assert again is not None
    assert again.sha256 == fresh.sha256


def test_codes_of_deleted_faces_are_overwritten_when_an_index_is_extended(tmp_path: Path) -> None:
    faces, path, recipes = Faces(_people(800)), tmp_path / "faces.faiss", _recipe("ivf-pq")
    stamp = _synced(path, faces, None, recipes)
    del faces.rows[77]
    faces.rows.update(Faces(_people(1, seed=9), first=5000).rows)
    _synced(path, faces, stamp, recipes)
    assert not any(_codes(path, [77])[0])
    assert any(_codes(path, [78])[0])


def test_a_file_in_which_a_code_is_not_found_is_not_written(tmp_path: Path) -> None:
    faces, path = Faces(_people(800)), tmp_path / "faces.faiss"
    _synced(path, faces, None, _recipe("ivf-pq"))
    index = import_faiss().read_index(str(path))
    before = path.read_bytes()
    assert erase(index, np.array([12]))  # in memory alone
    assert not erase_in_file(path, index, np.array([12, 13]))
    assert path.read_bytes() == before


def test_no_centre_of_a_cluster_is_a_face_or_that_of_few(tmp_path: Path) -> None:
    """Of embeddings far from all others, and of copies of one, training alone makes centres."""
    rows = _people(800)
    rows[1000:1016] = rows[1000]
    faces, path = Faces(rows), tmp_path / "faces.faiss"
    _synced(path, faces, None, _recipe("ivf-pq"))
    faiss: Any = import_faiss()
    index = faiss.read_index(str(path))
    clusters = faiss.extract_index_ivf(index)
    centres = faiss.downcast_index(clusters.quantizer).reconstruct_n(0, clusters.nlist)  # (lists, d)
    points = faiss.downcast_index(faiss.downcast_index(index.index).base_index).chain.at(0).apply(rows)
    nearest, _ = faiss.knn(centres, points, 1)  # squared distances
    assert clusters.nlist == 226
    assert nearest.min() > 0.05  # of faces that lie 0.6 apart on the average where they are one person's


def test_a_file_of_an_earlier_facesearch_with_faces_as_centres_is_built_anew_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces, path, recipes = Faces(_people(800)), tmp_path / "faces.faiss", _recipe("ivf-pq")
    with monkeypatch.context() as patched:
        patched.setattr(vectors, "_move_centres", lambda *_: None)
        stamp = dataclasses.replace(_synced(path, faces, None, recipes), removed=None)
    built: list[str] = []
    fresh = sync(path, stamp, faces, "model", _DIM, recipes, built.append)
    assert fresh is not None
    assert len(built) == 1
    assert sync(path, fresh, faces, "model", _DIM, recipes, built.append) is None


@pytest.mark.parametrize("name", ["flat", "ivf-pq"])
def test_faces_that_are_gone_take_the_place_of_none_that_is_there(tmp_path: Path, name: str) -> None:
    recipes = index_recipes() if name == "flat" else _recipe(name)
    faces, path = Faces(_people(160, each=20)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, recipes)
    queries = np.array([faces.rows.take(i) for i in range(1, 3200, 200)] + [faces.rows.take(2)])
    for i in range(3, 10):
        del faces.rows[i]
    index = open_index(path, stamp, faces, _DIM, recipes)  # it lags
    assert index is not None
    similarities, ids = index.search(queries, 12)
    assert np.isfinite(similarities).all()
    np.testing.assert_array_equal(ids, _exact(faces, queries, 12))


def test_faces_newer_than_the_file_are_found(tmp_path: Path) -> None:
    faces, path = Faces(_people(200)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, index_recipes())
    faces.rows.update(Faces(_people(10, seed=9), first=9000).rows)
    index = open_index(path, stamp, faces, _DIM, index_recipes())
    assert index is not None
    assert len(index) == 840
    queries = np.array([faces.rows[9000], faces.rows[7]])
    np.testing.assert_array_equal(index.search(queries, 6)[1], _exact(faces, queries, 6))


def test_fewer_faces_than_asked_for(tmp_path: Path) -> None:
    faces = Faces(_people(1, 3))
    similarities, ids = build_in_memory(faces, _DIM, index_recipes()).search(_people(2, 1), 5)
    assert (ids[:, 3:] == NONE).all()
    assert np.isneginf(similarities[:, 3:]).all()
    assert sorted(ids[0, :3].tolist()) == [1, 2, 3]
    empty = build_in_memory(Faces(_people(0)), _DIM, index_recipes())
    assert (empty.search(_people(1, 1), 4)[1] == NONE).all()


def test_a_file_that_is_not_the_stamped_one_is_not_opened(tmp_path: Path) -> None:
    faces, path = Faces(_people(50)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, index_recipes())
    whole = path.read_bytes()

    def opens() -> bool:
        return open_index(path, stamp, faces, _DIM, index_recipes()) is not None

    assert opens()
    path.write_bytes(whole)  # touched: the checksum decides
    assert opens()
    path.write_bytes(whole[:-100])
    assert not opens()
    path.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    assert not opens()
    path.unlink()
    assert not opens()
    assert not belongs(path, stamp)
    assert _synced(path, faces, stamp, index_recipes()).count == faces.count()


def test_a_large_file_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facesearch.gallery.vectors.file._MMAP_FROM", 1)
    queries = _people(5, seed=1)
    for name in ("flat", "ivf-pq"):
        recipes = index_recipes() if name == "flat" else _recipe(name)
        faces, path = Faces(_people(600)), tmp_path / f"{name}.faiss"
        index = open_index(path, _synced(path, faces, None, recipes), faces, _DIM, recipes)
        assert index is not None
        np.testing.assert_array_equal(index.search(queries, 1)[1], _exact(faces, queries, 1))


def test_a_disk_that_refuses_the_file_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, path = Faces(_people(50)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, index_recipes())
    before = path.read_bytes()
    faces.rows.update(Faces(_people(1), first=900).rows)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facesearch.files.os.fsync", full)
    with pytest.raises(FaceSearchError, match="No space left"):
        sync(path, stamp, faces, "model", _DIM, index_recipes(), lambda _: None)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["faces.faiss"]


def test_another_model_means_another_index(tmp_path: Path) -> None:
    faces, path = Faces(_people(50)), tmp_path / "faces.faiss"
    stamp = _synced(path, faces, None, index_recipes())
    assert sync(path, stamp, faces, "model", _DIM, index_recipes(), lambda _: None) is None
    assert sync(path, stamp, faces, "other", _DIM, index_recipes(), lambda _: None) is not None


def _with_few_clusters(**facts: object) -> tuple[IndexRecipe, ...]:
    """As many as the root of the count: FAISS reads no small file of many."""
    never, ivf = _recipe("ivf-pq")
    return never, msgspec.structs.replace(ivf, lists_per_root=1, **facts)


def _clusters_in(path: Path) -> Any:
    import faiss

    return faiss.extract_index_ivf(faiss.read_index(str(path)))


@pytest.mark.parametrize(("share", "probed"), [(0.1, 10), (0.4, 16)])
def test_a_search_looks_into_a_share_of_the_clusters_and_into_no_fewer_than_the_least(
    tmp_path: Path, share: float, probed: int
) -> None:
    import faiss

    recipes = _with_few_clusters(probed=share, search={"nprobe": 10})
    faces, path = Faces(_people(370)), tmp_path / "faces.faiss"  # 38 clusters
    index = open_index(path, _synced(path, faces, None, recipes), faces, _DIM, recipes)
    assert index is not None
    assert faiss.extract_index_ivf(index._index).nprobe == probed


def test_an_index_that_has_outgrown_its_clusters_is_built_again(tmp_path: Path) -> None:
    faces, path, recipes = Faces(_people(100)), tmp_path / "faces.faiss", _with_few_clusters()
    stamp = _synced(path, faces, None, recipes)
    faces.rows.update(Faces(_people(275, seed=1), first=401).rows)  # 1,500: 39 clusters are not twice as many as 20
    stamp = _synced(path, faces, stamp, recipes)
    assert _clusters_in(path).nlist == 20
    faces.rows.update(Faces(_people(50, seed=2), first=1501).rows)
    _synced(path, faces, stamp, recipes)
    assert _clusters_in(path).nlist == 41


def test_recall_is_measured_again_only_where_the_index_has_changed_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces, path, recipes = Faces(_people(260)), tmp_path / "faces.faiss", _with_few_clusters()
    stamp = _synced(path, faces, None, recipes)
    measured: list[int] = []

    def measure(*_: object) -> float:
        measured.append(1)
        return 0.5

    monkeypatch.setattr(vectors_file, "_measured_recall", measure)
    faces.rows.update(Faces(_people(1, seed=1), first=2001).rows)
    stamp = _synced(path, faces, stamp, recipes)
    assert (stamp.recall != 0.5, measured) == (True, [])
    faces.rows.update(Faces(_people(40, seed=2), first=3001).rows)
    assert _synced(path, faces, stamp, recipes).recall == 0.5
