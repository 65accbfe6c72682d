"""Files that are written whole or not at all, their SHA-256, and their names as a terminal may show them."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = ".part"  # in the name of every file that is not finished
_others: int | None = None  # the user's umask, where this process has one of its own


def keep_private() -> None:
    """From now on all that this process and its children make is its owner's alone, but for files that the user asked
    for: `whole_file` and `folder_for` can follow the user's umask. For a process that belongs to facesearch alone."""
    global _others
    before = os.umask(0o077)
    if _others is None:
        _others = before


def umask_of_user() -> int:
    """The umask for a program that is not facesearch's own and is started by it; -1 leaves it as it is."""
    return -1 if _others is None else _others


def folder_for(path: Path) -> None:
    """Makes the folder of a file that the user asked for, with the rights of the user's umask. Raises OSError."""
    folder = path.parent
    if not folder.is_dir():
        folder_for(folder)
        folder.mkdir(exist_ok=True)
        if _others is not None:
            folder.chmod(0o777 & ~_others)


@contextmanager
def whole_file(
    path: Path, private: bool = True, before_replacing: Callable[[], None] = lambda: None
) -> Iterator[BinaryIO]:
    """A file to write that takes its place at `path` when the block ends: synced, and renamed. If the block raises,
    what was at `path` stays. `private` files are their owner's alone; others follow the umask. `before_replacing` is
    called when the new file is on the disk and the old one is still in its place. Raises OSError."""
    unfinished = path.with_name(f".{os.urandom(4).hex()}{PART}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(unfinished, flags, 0o600 if private else 0o666)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 (a handle is not a path)
            if not private and _others is not None:
                unfinished.chmod(0o666 & ~_others)
            yield file
            file.flush()
            os.fsync(file.fileno())
        before_replacing()
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, with the rights of the user's umask, at a path where nothing is yet. If the block raises, it
    is removed. Raises FileExistsError where something is there, and OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 (a handle is not a path)
            if _others is not None:
                path.chmod(0o666 & ~_others)
            yield file
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def write_whole(path: Path, data: bytes, private: bool = True) -> None:
    """Writes the bytes whole or not at all. Raises OSError."""
    with whole_file(path, private) as file:
        file.write(data)


def remove_unfinished(folder: Path) -> None:
    """Removes what writers that were killed have left in a folder in which nobody writes now. Raises OSError."""
    for path in folder.glob(f".*{PART}"):
        if path.is_file():
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Returns when what was renamed in a folder is on the disk, on systems that open folders: Windows does not.
    Raises OSError."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits, read block by block. Raises OSError."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without_secrets(address: str) -> str:
    """An address as it may be shown: without a password before the @, and without what a signed one has behind the
    question mark."""
    return printable(re.sub(r"://[^/]*@", "://", re.split(r"[?#]", address)[0]))


def printable(text: str) -> str:
    """Text that a terminal shows and does not execute: control characters and bytes that are not UTF-8 are
    escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(c: str) -> str:
    is_byte = "\udc80" <= c <= "\udcff"  # as Python has a byte of a path that is not UTF-8
    return f"\\x{ord(c) - 0xDC00:02x}" if is_byte else c.encode("unicode_escape").decode()
