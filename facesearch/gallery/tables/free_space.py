"""Zeros in the free space of a database's file, where SQLite leaves copies of rows: a page that was split or joined
keeps what it held in the middle, where nothing is stored any more, also with `secure_delete`.

Rewriting the file would do it too, but takes as long as writing all of it and as much free disk again. This reads the
file once, in a process of its own (`python -m facesearch.gallery.tables.free_space FILE`): to close a file takes away
all locks that a process has on it, SQLite's as well.

Bytes are written past SQLite, which is safe for three reasons. The program has the right to write, and the log is
empty, so that every reader sees the file itself and nobody changes a page meanwhile. Only bytes that belong to no row
change, and always to zero: whoever reads the page then, or after half of it was written, finds the same rows. And the
last step is a change of the database, which makes every other connection read its pages anew.

The format of pages: https://www.sqlite.org/fileformat2.html."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FaceSearchError
from facesearch.gallery.tables.sqlite import BUSY_SECONDS

DONE, NOT_UNDERSTOOD, FAILED = 0, 3, 4  # exit codes of the program; 1 and 2 are Python's own

_BLOCK = 16 << 20  # bytes read at once
_HEADER = 100  # bytes at the start of the file, in its first page
_TREE = (2, 5, 10, 13)  # the first byte of a page of rows: inner pages of indexes and tables, leaves of both
_MOST_PAGES = 1 << 25  # the first byte of any other page is that of a page's number, and must be none of those
_PENDING = 1 << 30  # where in the file SQLite's locks are; the page there holds nothing

Numbers = NDArray[np.int64]


class NotUnderstoodError(Exception):
    """The file is not as expected, so that nothing can be said of its free space."""


class InUseError(Exception):
    """Somebody reads what was there before, or writes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the file's header says: the size of a page in bytes, how many there are, and the numbers of those that are
    free, counted from 1 and ascending: `trunks` list others in their first bytes, `leaves` hold nothing."""

    page: int
    pages: int
    trunks: Numbers
    trunks_used: Numbers  # bytes
    leaves: Numbers


def sweep_apart(path: Path) -> bool:
    """Runs the program; whether it could begin, and tell what is free in the file. Raises FaceSearchError while
    somebody uses the file, and when the disk refuses."""
    if not hasattr(os, "pwrite"):  # Windows
        return False
    command = [sys.executable, "-P", "-m", __name__, str(path.absolute())]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError:  # the system starts no process
        return False
    if done.returncode == FAILED or done.returncode < 0:  # as by a signal
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise FaceSearchError(f"{path} could not be overwritten where nothing is stored any more ({said[-1]}).")
    return done.returncode == DONE


def sweep(path: Path) -> int:
    """Overwrites the free space with zeros and notes that nothing is left to do; how many pages were not clean.
    Raises NotUnderstoodError, InUseError and what SQLite and the disk raise. The log must be empty."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as conn:
        conn.execute("PRAGMA secure_delete = ON")
        conn.execute("BEGIN IMMEDIATE")
        file = os.open(path, os.O_RDWR)
        try:
            log = path.with_name(f"{path.name}-wal")
            if conn.execute("PRAGMA journal_mode").fetchone()[0] != "wal" or (log.exists() and log.stat().st_size):
                raise InUseError(f"{log} is not empty")
            swept = _sweep(file)
            conn.execute("ROLLBACK")
        finally:
            conn.close()  # before the file, whose end takes its locks
            os.close(file)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as conn, conn:
        conn.execute("PRAGMA secure_delete = ON")
        conn.execute("DELETE FROM unfinished")
    return swept


def _sweep(file: int) -> int:
    layout, parent, swept = _layout(file), os.getppid(), 0
    at_once = max(_BLOCK // layout.page, 1)
    for first in range(0, layout.pages, at_once):
        if os.getppid() != parent:  # who asked for it is gone, and so is the right to write
            raise InUseError("nobody waits for it")
        pages = min(at_once, layout.pages - first)
        block = _read(file, first * layout.page, pages * layout.page)
        dirty = list(_dirty(block, first, layout))
        for start, end in dirty:
            _write_zeros(file, first * layout.page + start, end - start)
        swept += len({start // layout.page for start, _ in dirty})
    if swept:
        os.fsync(file)
    return swept


def _layout(file: int) -> Layout:
    header = _read(file, 0, _HEADER)
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    reserved, pages, grows_itself = header[20], int.from_bytes(header[28:32], "big"), any(header[52:56])
    size = os.fstat(file).st_size
    if not header.startswith(b"SQLite format 3\0") or reserved or grows_itself or page < 512 or pages * page != size:
        raise NotUnderstoodError("its header is of another kind")
    if pages >= _MOST_PAGES:
        raise NotUnderstoodError("it has too many pages")
    return Layout(page, pages, *_free_pages(file, page, pages, header))


def _free_pages(file: int, page: int, pages: int, header: bytes) -> tuple[Numbers, Numbers, Numbers]:
    trunk, listed = (int.from_bytes(header[at : at + 4], "big") for at in (32, 36))
    trunks: dict[int, int] = {}
    leaves = [np.empty(0, np.int64)]
    while trunk:
        if trunk in trunks or not 1 < trunk <= pages:
            raise NotUnderstoodError("its list of free pages is not whole")
        numbers = np.frombuffer(_read(file, (trunk - 1) * page, page), ">u4").astype(np.int64)
        count = int(numbers[1])
        if count > page // 4 - 2:
            raise NotUnderstoodError("its list of free pages is not whole")
        trunks[trunk] = 8 + 4 * count
        leaves.append(numbers[2 : 2 + count])
        trunk = int(numbers[0])
    found = np.concatenate(leaves)
    if len(found) + len(trunks) != listed or (len(found) and (found.min() < 2 or found.max() > pages)):
        raise NotUnderstoodError("its list of free pages is not whole")
    numbers = np.array(sorted(trunks), np.int64)
    return numbers, np.array([trunks[each] for each in numbers.tolist()], np.int64), np.sort(found)


def _dirty(block: bytes, first: int, layout: Layout) -> Iterator[tuple[int, int]]:
    """The parts of a block, from start to end, that no row needs and that are not all zeros. So many pages lie before
    it as `first` says."""
    page = layout.page
    rows = np.frombuffer(block, np.uint8).reshape(-1, page)
    free = _among(layout.leaves, first, len(rows))
    trunks = _among(layout.trunks, first, len(rows))
    used = layout.trunks_used[np.searchsorted(layout.trunks, trunks + first + 1)]
    parts = [np.stack([free * page, (free + 1) * page], axis=1)]
    parts += [np.stack([trunks * page + used, (trunks + 1) * page], axis=1)]
    holds_rows = np.ones(len(rows), bool)
    holds_rows[free] = holds_rows[trunks] = False
    holds_rows[_among(np.array([_PENDING // page + 1]), first, len(rows))] = False
    where = np.flatnonzero(holds_rows)
    header = np.where(where + first == 0, _HEADER, 0)
    is_tree = np.isin(rows[where, header], _TREE)
    parts += _of_trees(rows, where[is_tree], header[is_tree])
    zeros = bytes(page)
    for start, end in np.concatenate(parts).tolist():
        if not block.startswith(zeros[: end - start], start):
            yield start, end


def _among(numbers: Numbers, first: int, count: int) -> Numbers:
    """Which of `count` pages after the first ones are among those with these numbers, which ascend: as they lie in
    the block, counted from 0."""
    start, end = np.searchsorted(numbers, [first + 1, first + 1 + count])
    return numbers[start:end] - 1 - first


def _of_trees(rows: NDArray[np.uint8], where: Numbers, header: Numbers) -> list[Numbers]:
    """The free parts of those pages that hold rows: the gap between the places of the cells and the cells, and what
    was freed between cells, each after the four bytes that chain them."""
    page = rows.shape[1]
    kind, cells = rows[where, header], _short(rows, where, header + 3)
    start = header + np.where(kind < 8, 12, 8) + 2 * cells
    end = _short(rows, where, header + 5)
    end[end == 0] = 65536
    if (start > end).any() or (end > page).any():
        raise NotUnderstoodError("a page is not whole")
    parts = [np.stack([where * page + start, where * page + end], axis=1)]
    freed, least = _short(rows, where, header + 1), end
    while (chained := freed > 0).any():
        where, freed, least = where[chained], freed[chained], least[chained]
        if (freed < least).any() or (freed > page - 4).any():
            raise NotUnderstoodError("a page is not whole")
        size = _short(rows, where, freed + 2)
        if (size < 4).any() or (freed + size > page).any():
            raise NotUnderstoodError("a page is not whole")
        parts.append(np.stack([where * page + freed + 4, where * page + freed + size], axis=1))
        freed, least = _short(rows, where, freed), freed + size
    return parts


def _short(rows: NDArray[np.uint8], where: Numbers, at: Numbers) -> Numbers:
    """The numbers of two bytes at these places of these pages."""
    high, low = rows[where, at].astype(np.int64), rows[where, at + 1].astype(np.int64)
    return (high << 8) | low


def _read(file: int, offset: int, size: int) -> bytes:
    found = os.pread(file, size, offset)
    if len(found) != size:
        raise NotUnderstoodError("it ends too early")
    return found


def _write_zeros(file: int, offset: int, size: int) -> None:
    zeros = bytes(size)
    while zeros:
        written = os.pwrite(file, zeros, offset)
        offset, zeros = offset + written, zeros[written:]


def main() -> int:
    """The program. Its exit code says how it ended, and its output why."""
    try:
        sweep(Path(sys.argv[1]))
    except NotUnderstoodError:
        return NOT_UNDERSTOOD
    except (InUseError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
