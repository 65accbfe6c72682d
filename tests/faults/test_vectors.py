"""A file of vectors that is not the one that belongs to the database: it is found out before FAISS reads a byte of
it, made again, and the answers are the same."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from facesearch import Gallery
from facesearch.gallery.upkeep.checking import check
from facesearch.gallery.vectors import file as vectors_file


@pytest.fixture
def gallery(home: Path, victim: Any, few: Any) -> Gallery:
    assert victim(home, few.folder)["code"] == 7
    return Gallery.open(device="cpu")


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _of(dim: int, ids: list[int]) -> bytes:
    built = faiss.IndexIDMap(faiss.IndexFlatIP(dim))
    rows = np.eye(len(ids), dim, dtype=np.float32)
    built.add_with_ids(rows, np.array(ids, np.int64))
    return bytes(faiss.serialize_index(built))


_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut to half": lambda data: data[: len(data) // 2],
    "cut by a byte": lambda data: data[:-1],
    "empty": lambda data: b"",
    "one bit in its header": lambda data: _flipped(data, 9),
    "one bit in a vector": lambda data: _flipped(data, len(data) // 2),
    "one bit at its end": lambda data: _flipped(data, len(data) - 1),
    "longer": lambda data: data + b"\0",
    "another gallery's": lambda data: _of(128, [1, 2, 3, 4, 5]),
    "of another dimension": lambda data: _of(64, [1, 2, 3, 4, 5]),
    "a header that asks for all memory": lambda data: data[:13] + b"\xff\xff\xff\xff\xff\xff\xff\x7f" + data[21:],
    "no index": lambda data: b"#!/bin/sh\n" * 300,
}


@pytest.mark.parametrize("what", _DAMAGES)
def test_a_damaged_file_is_found_out_and_made_again(
    what: str, gallery: Gallery, few: Any, victim: Any, home: Path, trusted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trusted.dump(home)
    asked = next(path for path in few.files if "Abdullah_Gul_0002" in path)
    first = victim(home, query=asked, do="check")["query"]["matches"]
    good = gallery.vectors.read_bytes()
    stat = gallery.vectors.stat()
    bad = _DAMAGES[what](good)
    gallery.vectors.write_bytes(bad)
    os.utime(gallery.vectors, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # not even its time gives it away
    assert any("is not the file that belongs to the database" in fault for fault in check(gallery).faults)
    assert gallery.vectors.read_bytes() == bad

    read: list[bytes] = []
    reader = faiss.read_index

    def noting(path: str, *words: Any) -> Any:
        read.append(Path(path).read_bytes())
        return reader(path, *words)

    monkeypatch.setattr(faiss, "read_index", noting)
    with gallery.reading() as (db, settings), gallery.searching(db, settings) as searched:
        _, embeddings = db.faces.embeddings_of([1], settings.dim)
        similarities, ids = searched.search(embeddings, 1)
    assert (ids[0, 0], len(searched)) == (1, 6)
    assert similarities[0, 0] == pytest.approx(1, abs=1e-5)
    assert bad not in read  # FAISS has seen the one that was made again, at most
    assert gallery.vectors.read_bytes() == good
    monkeypatch.undo()
    assert victim(home, query=asked, do="check")["query"]["matches"] == first
    trusted.whole(home, few, expected)


def test_a_file_from_before_is_found_out(gallery: Gallery, few: Any, home: Path, victim: Any, trusted: Any) -> None:
    old = gallery.vectors.read_bytes()
    expected = trusted.dump(home)
    other = home / "other"
    shutil.copytree(few.folder / "Abdullah_Gul", other / "Abdullah_Gul")
    assert victim(home, other)["code"] == 0
    gallery.vectors.write_bytes(old)
    assert check(gallery).faults
    with gallery.reading() as (db, settings), gallery.searching(db, settings) as searched:
        assert len(searched) == 8
    assert check(gallery).faults == ()
    trusted.sound(home, expected)


def test_faiss_may_not_take_more_than_the_file_has(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a file agree with its stamp and lie all the same."""
    with gallery.reading() as (db, _):
        stamp = db.stamp.read()
    assert stamp is not None
    data = bytearray(gallery.vectors.read_bytes())
    at = data.index((6 * 128).to_bytes(8, "little"))  # how many numbers follow
    data[at : at + 8] = (1 << 40).to_bytes(8, "little")
    gallery.vectors.write_bytes(data)
    before = faiss.get_deserialization_vector_byte_limit()
    assert vectors_file._read(gallery.vectors, stamp, 0) is None
    assert faiss.get_deserialization_vector_byte_limit() == before
