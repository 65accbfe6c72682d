"""Files that are written whole or not at all, and their names as a terminal may show them."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = ".part"  # in the name of every file that is not finished
_others: int | None = None  # the user's umask, where this process has one of its own


def keep_private() -> None:
    """From now on all that this process and its children make is its owner's alone, but for what the user asked for:
    `whole_file` and `folder_for` follow the user's umask. For a process that belongs to facesearch alone."""
    global _others
    before = os.umask(0o077)
    if _others is None:
        _others = before


def folder_for(path: Path) -> None:
    """Makes the folder of a file that the user asked for, by the user's umask. Raises OSError."""
    folder = path.parent
    if not folder.is_dir():
        folder_for(folder)
        folder.mkdir(exist_ok=True)
        if _others is not None:
            folder.chmod(0o777 & ~_others)


@contextmanager
def whole_file(path: Path, private: bool = True) -> Iterator[BinaryIO]:
    """A file to write that takes its place at `path` when the block ends: synced, and renamed. If the block raises,
    what was at `path` stays. `private` files are their owner's alone; others follow the umask. Raises OSError."""
    unfinished = path.with_name(f".{secrets.token_hex(4)}{PART}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if private else 0o666)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 (a handle is no path)
            if not private and _others is not None:
                os.fchmod(handle, 0o666 & ~_others)
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes, private: bool = True) -> None:
    """Writes the bytes whole or not at all. Raises OSError."""
    with whole_file(path, private) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Returns when what was renamed in a folder is on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def printable(text: str) -> str:
    """Text that a terminal shows and does not obey: control characters and bytes that are no UTF-8 are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
