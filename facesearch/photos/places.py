"""What lies at a path, on this machine or at an address: os.path for both."""

import errno
import os
from collections.abc import Callable

from facesearch.photos import remote
from facesearch.photos.addresses import is_remote, name_of
from facesearch.photos.file import PhotoFile
from facesearch.photos.whereabouts import VANISHED


def examined(path: str) -> PhotoFile:
    """What is known of a file without reading it. Raises OSError where there is none, or where that cannot be told;
    an address that is no file's has none."""
    if not is_remote(path):
        return PhotoFile.from_stat(path, os.stat(path))
    entry = remote.file_at(path)
    if entry is None:
        raise OSError(errno.ENOENT, "there is no such object")
    return PhotoFile.from_entry(entry)


def is_file(path: str) -> bool:
    """As os.path.isfile."""
    if not is_remote(path):
        return os.path.isfile(path)
    return _holds(lambda: remote.file_at(path) is not None and not remote.is_folder(path))


def is_folder(path: str) -> bool:
    """As os.path.isdir."""
    return _holds(lambda: remote.is_folder(path)) if is_remote(path) else os.path.isdir(path)


def exists(path: str) -> bool:
    """As os.path.exists: what cannot be reached is not there."""
    if not is_remote(path):
        return os.path.exists(path)
    return _holds(lambda: remote.file_at(path) is not None or remote.is_folder(path))


def may_exist(path: str) -> bool:
    """Whether a file is there, or nobody can say: a folder that is not to be looked into, a disk that fails, a bucket
    that does not answer."""
    try:
        examined(path)
    except OSError as error:
        return error.errno not in VANISHED
    return True


def names_in(folder: str) -> list[str]:
    """The names of what lies in a folder; at an address those of files alone. Raises OSError."""
    if not is_remote(folder):
        return os.listdir(folder)
    return [name_of(entry.path) for entry in remote.files_in(folder, is_deep=False)]


def _holds(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError:
        return False
