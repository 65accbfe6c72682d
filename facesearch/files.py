"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = ".part"  # in the name of every file that is not finished


@contextmanager
def whole_file(path: Path, private: bool = True) -> Iterator[BinaryIO]:
    """A file to write that takes its place at `path` when the block ends: synced, and renamed. If the block raises,
    what was at `path` stays. `private` files are their owner's alone; others follow the umask. Raises OSError."""
    unfinished = path.with_name(f".{secrets.token_hex(4)}{PART}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if private else 0o666)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 (a handle is no path)
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
