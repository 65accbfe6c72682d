"""The codes of faces that are gone, overwritten with zeros where they lie: FAISS takes no faces out of an index that
compares the best again. What is left of a face is its id and a code that is like nobody's; a search that finds it
leaves it out, for no such face is stored."""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.vectors.index import Ids, import_faiss

_AT_ONCE = 1 << 20  # bytes that are compared at once
_PROBE = 64  # bytes of an array by which its place in a file is looked for

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Codes:
    """An array of FAISS's, (n,), what stands before it in a file, and the parts of it that change: from which byte
    on, and what is to be there."""

    array: Bytes
    before: bytes
    changes: list[tuple[int, Bytes]]


def erase(index: Any, gone: Ids) -> bool:
    """Overwrites the codes of these faces in an index in memory; whether its type allows that."""
    found = _codes_of(index, gone)
    if found is None:
        return False
    for codes in found:
        for start, new in codes.changes:
            codes.array[start : start + len(new)] = new
    return True


def erase_in_file(path: Path, index: Any, gone: Ids) -> bool:
    """As `erase`, in the file that the index was read from; whether that was possible. Nothing is written where not
    each of the codes is found in it. The file keeps its size and its time: who has it open, or is about to open it,
    finds the same faces in it but for those that are gone. Raises OSError."""
    found = _codes_of(index, gone)
    if found is None or not hasattr(os, "pwrite"):  # Windows has no such call
        return False
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            places = _places(mapped, found)
        if places is None:
            return False
        status = path.stat()
        for codes, place in zip(found, places, strict=True):
            for start, new in codes.changes:
                _write(file.fileno(), new.tobytes(), place + start)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(file.fileno())
    return True


def _codes_of(index: Any, gone: Ids) -> list[_Codes] | None:
    """All arrays of codes in which these faces are, in the order in which FAISS writes them."""
    faiss = import_faiss()
    inner = faiss.downcast_index(index.index)
    if not isinstance(inner, faiss.IndexRefine):
        return None
    again = faiss.downcast_index(inner.refine_index)
    lists = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    if not isinstance(again, faiss.IndexFlatCodes) or not isinstance(lists, faiss.BlockInvertedLists):
        return None
    is_gone = np.isin(faiss.vector_to_array(index.id_map), gone)  # (n,), by the place in the index
    return [*_in_lists(faiss, lists, is_gone), _in_a_row(faiss, again, np.flatnonzero(is_gone))]


def _in_a_row(faiss: Any, codes: Any, rows: NDArray[np.intp]) -> _Codes:
    """The codes that lie one after the other in the order of the faces."""
    array = faiss.rev_swig_ptr(codes.codes.data(), codes.codes.size())
    zeros = np.zeros(codes.code_size, np.uint8)
    return _Codes(array, _count(array), [(row * codes.code_size, zeros) for row in rows.tolist()])


def _in_lists(faiss: Any, lists: Any, is_gone: NDArray[np.bool_]) -> Iterator[_Codes]:
    """The codes in each list that has such a face. They lie in blocks of 32 faces, a face's bits apart from each
    other, so that a block changes as a whole. The faces stand before their codes."""
    packer, size = lists.packer, lists.block_size
    zeros = np.zeros(packer.code_size, np.uint8)
    for each in range(lists.nlist):
        count = lists.list_size(each)
        if not count:
            continue
        faces = faiss.rev_swig_ptr(lists.get_ids(each), count)
        found = np.flatnonzero(is_gone[faces])
        if not len(found):
            continue
        array = faiss.rev_swig_ptr(lists.get_codes(each), -(-count // packer.nvec) * size)
        changes = []
        for number in np.unique(found // packer.nvec).tolist():
            block = array[number * size : (number + 1) * size].copy()
            for face in found[found // packer.nvec == number].tolist():
                packer.pack_1(zeros, face % packer.nvec, block[None])
            changes.append((number * size, block))
        yield _Codes(array, _count(faces) + faces.tobytes() + _count(array), changes)


def _count(array: NDArray[Any]) -> bytes:
    """How many values an array has, as FAISS writes it before them."""
    return len(array).to_bytes(8, "little")


def _places(mapped: mmap.mmap, found: list[_Codes]) -> list[int] | None:
    """Where each of the arrays lies in a file; None where one does not."""
    places: list[int] = []
    at = 0
    for codes in found:
        place = _place(mapped, codes, at)
        if place is None:
            return None
        places.append(place)
        at = place + len(codes.array)
    return places


def _place(mapped: mmap.mmap, codes: _Codes, at: int) -> int | None:
    probe = (codes.before + codes.array[:_PROBE].tobytes())[:_PROBE]
    size = len(codes.before) + len(codes.array)
    while (at := mapped.find(probe, at)) >= 0 and at + size <= len(mapped):
        place = at + len(codes.before)
        if mapped[at:place] == codes.before and _is_at(mapped, place, codes.array):
            return place
        at += 1
    return None


def _is_at(mapped: mmap.mmap, place: int, array: Bytes) -> bool:
    parts = range(0, len(array), _AT_ONCE)
    return all(
        mapped[place + at : place + at + len(part)] == part.tobytes()
        for at, part in ((at, array[at : at + _AT_ONCE]) for at in parts)
    )


def _write(file: int, new: bytes, place: int) -> None:
    while new:
        written = os.pwrite(file, new, place)
        new, place = new[written:], place + written
