"""The file of vectors: built, extended, written, opened. It is a cache: every vector comes from the database."""

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.errors import FaceSearchError
from facesearch.files import sha256_of, whole_file
from facesearch.gallery.records.settings import IndexStamp
from facesearch.gallery.vectors.erasing import erase, erase_in_file
from facesearch.gallery.vectors.index import (
    FaceIndex,
    Ids,
    Source,
    add,
    build,
    choose_recipe,
    import_faiss,
    lists_of,
    plan,
    set_search,
)
from facesearch.models.cards import IndexRecipe

# Bytes: half a second. Of a larger file size and time are believed, and `check` reads it all.
_HASHED_UP_TO = 512 << 20
_MMAP_FROM = 64 << 20  # bytes: a smaller file is read faster than it is mapped
_MOST_REMOVED = 0.1  # share of faces that are gone, from which an index that cannot forget is built again
_MOST_OUTGROWN = 2  # times as many clusters as it has: four times as many faces as it was built of
_AS_MEASURED = 0.1  # share of faces that come or go before recall is measured again, at the most
_BLOCK = 1 << 20  # bytes
_SAMPLE = 500  # faces whose nearest neighbour is compared with exact search
_TOLERANCE = 1e-5  # of a similarity: FAISS sums in another order, in float32


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
    # An earlier facesearch's, which has followed no deletion by its number, has faces as centres of its clusters.
    usable = stamp is not None and stamp.removed is not None and belongs(path, stamp)
    usable = usable and stamp is not None and (stamp.recipe, stamp.model) == (recipe.name, model)
    if stamp is not None and usable and (stamp.count, stamp.newest_id) == (count, source.newest()):
        return None
    index = _extended(path, stamp, source, dim, recipe) if stamp is not None and usable else None
    before = stamp if index is not None else None
    if index is None:
        if count > _SAMPLE and recipe.up_to_faces != recipes[0].up_to_faces:
            note(f"Building the {recipe.name} index of {count:,} faces.")
        index = build(recipe, source, dim, count)
    recall = None if recipe == recipes[0] else _recall(index, before, recipe, source, dim)
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
        source.newest_removed(),
    )


def without_removed(path: Path, stamp: IndexStamp, source: Source) -> IndexStamp | None:
    """The stamp of the file after the codes of the faces that were deleted since were overwritten in it: a
    fraction of the time of writing it anew. None where the file is not the stamped one, or of a type in which that is
    not possible: it is then as it was. Raises FaceSearchError when the disk refuses."""
    if stamp.removed is None or not belongs(path, stamp):
        return None
    index = _mapped(path, stamp)
    if index is None:
        return None
    gone, newest = _gone(stamp, source), source.newest()
    try:
        if not erase_in_file(path, index, gone):
            return None
        sha256 = sha256_of(path)
        os.utime(path)  # a copy of the file as it was before has its size, too
        mtime_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise FaceSearchError(f"{path} cannot be written ({error.strerror}).") from error
    return dataclasses.replace(
        stamp,
        count=stamp.count - len(gone),
        newest_id=min(stamp.newest_id, newest),
        mtime_ns=mtime_ns,
        sha256=sha256,
        removed=source.newest_removed(),
    )


def open_index(
    path: Path, stamp: IndexStamp, source: Source, dim: int, recipes: Sequence[IndexRecipe]
) -> FaceIndex | None:
    """The index in the file, mapped rather than read where it is large; None when the file is not the stamped
    one, or its recipe is not known any more."""
    recipe = next((recipe for recipe in recipes if recipe.name == stamp.recipe), None)
    if recipe is None or not belongs(path, stamp):
        return None
    index = _mapped(path, stamp)
    if index is None:
        return None
    set_search(index, recipe)
    return FaceIndex(index, recipe, source, dim, stamp.newest_id, _gone(stamp, source))


def build_in_memory(source: Source, dim: int, recipes: Sequence[IndexRecipe]) -> FaceIndex:
    """An index of all faces without a file, for when none can be written."""
    recipe = choose_recipe(source.count(), recipes)
    newest = source.newest()
    return FaceIndex(build(recipe, source, dim, source.count()), recipe, source, dim, newest)


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


def _mapped(path: Path, stamp: IndexStamp) -> Any:
    """As `_read`, mapped rather than read where it is large."""
    return _read(path, stamp, import_faiss().IO_FLAG_MMAP_IFC if stamp.size >= _MMAP_FROM else 0)


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


def _extended(path: Path, stamp: IndexStamp, source: Source, dim: int, recipe: IndexRecipe) -> Any:
    """The index in the file without the faces that are gone and with those that are new; None when it cannot
    forget faces and too many are gone (search leaves those out, but they cost time), or when so many came that they
    want more clusters."""
    index = _read(path, stamp, 0)
    if index is None or plan(recipe, dim, source.count())[1] > _MOST_OUTGROWN * lists_of(index, recipe) > 0:
        return None
    gone = _gone(stamp, source)
    if len(gone) and not _is_without(index, gone):
        return None
    add(index, source, dim, after=stamp.newest_id)
    return None if index.ntotal - source.count() > _MOST_REMOVED * index.ntotal else index


def _is_without(index: Any, gone: Ids) -> bool:
    """Takes faces out of an index, or at least the bytes that say what they are like; whether that is possible."""
    try:
        index.remove_ids(gone)
    except RuntimeError:  # not every type can
        return erase(index, gone)
    return True


def _gone(stamp: IndexStamp, source: Source) -> Ids:
    """The faces in the file that were deleted since it was written. An earlier facesearch's database numbers the
    deletions from when this one first writes to it."""
    gone = source.removed_after(stamp.removed or 0)
    return gone[gone <= stamp.newest_id]


def _ids_of(index: Any) -> Ids:
    return np.asarray(import_faiss().vector_to_array(index.id_map), np.int64)


def _recall(index: Any, before: IndexStamp | None, recipe: IndexRecipe, source: Source, dim: int) -> float:
    """What `_measured_recall` says; of an index that was extended what was measured before, until it has grown or
    shrunk by some share: to measure reads every embedding."""
    set_search(index, recipe)
    if before is not None and before.recall is not None and _step(before.count) == _step(source.count()):
        return before.recall
    return _measured_recall(index, recipe, source, dim)


def _step(count: int) -> int:
    """The same number for counts that are nearly the same."""
    return int(math.log(max(count, 1)) / math.log1p(_AS_MEASURED))


def _measured_recall(index: Any, recipe: IndexRecipe, source: Source, dim: int) -> float:
    """recall@1: the share of sampled faces whose most similar other face the index finds, as exact search does."""
    ids = source.ids()
    sample = np.random.default_rng(1).choice(ids, min(_SAMPLE, len(ids)), replace=False)
    own, queries = source.embeddings_of(sample.tolist(), dim)  # (s,) and (s, dim)
    best = np.full(len(own), -np.inf, np.float32)
    for part_ids, rows in source.embeddings(dim):
        similarities = queries @ rows.T  # (s, n)
        similarities[own[:, None] == part_ids] = -np.inf
        best = np.maximum(best, similarities.max(axis=1))
    found, found_ids = FaceIndex(index, recipe, source, dim, source.newest()).search(queries, 2)  # (s, 2) both
    others = np.where(found_ids == own[:, None], -np.inf, found).max(axis=1)
    # An equally similar face is as good.
    return float((others >= best - _TOLERANCE).mean())


def _save(index: Any, path: Path, before_replacing: Callable[[], None]) -> str:
    """Writes the file whole or not at all. The SHA-256 of what was written."""
    faiss = import_faiss()
    digest = hashlib.sha256()
    try:
        with whole_file(path, before_replacing=before_replacing) as file:

            def write(block: bytes) -> None:
                file.write(block)
                digest.update(block)

            faiss.write_index(index, faiss.PyCallbackIOWriter(write, _BLOCK))
    except (OSError, RuntimeError) as error:  # the second is FAISS's for what its writer raises
        raise FaceSearchError(f"{path} cannot be written ({error}); free some space and run it again.") from error
    return digest.hexdigest()
