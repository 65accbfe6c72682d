"""The one writer of files that must survive."""

import hashlib
from pathlib import Path

import pytest

from facesearch.files import PART, remove_unfinished, sha256_of, whole_file, write_whole


def test_a_new_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "faces"
    path.write_bytes(b"old")
    seen: list[bytes] = []
    with whole_file(path, before_replacing=lambda: seen.append(path.read_bytes())) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o077 == 0


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "faces"
    write_whole(path, b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"new", "not bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (f".0123abcd{PART}", f"holiday{PART}", "faces.db"):
        (tmp_path / name).write_bytes(b"half")
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.db", f"holiday{PART}"]


def test_the_sha256_is_that_of_all_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "weights").write_bytes(data)
    assert sha256_of(tmp_path / "weights") == hashlib.sha256(data).hexdigest()
