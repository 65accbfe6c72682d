"""Addresses of photos that lie in no folder of this machine, such as s3://bucket/2024/a.jpg: text alone, nothing is
asked. An address stands as it is wherever a path stands; a slash parts its folders, on every system."""

import os
import re

from facesearch.errors import UsageError
from facesearch.files import without_secrets

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # of two letters or more: C:// is a disk
_AS_PATH = re.compile(r"(s3|s3a|gs|gcs|az|abfss?|memory|file):/(?!/)")  # what a `Path` makes of an address
_ONE_NAME = {"s3a": "s3", "gcs": "gs"}
ON_THE_WEB = ("http", "https", "ftp")
_OF_ACCOUNTS = ("az", "abfs", "abfss")  # Azure's addresses are CONTAINER@ACCOUNT.dfs.core.windows.net


def is_remote(path: str) -> bool:
    """Whether this is an address, and no path of this machine."""
    return _ADDRESS.match(path) is not None


def absolute(typed: str | os.PathLike[str]) -> str:
    """What somebody typed as a path that stays true wherever it is read: absolute, or an address without a slash at
    its end. Raises UsageError for an address that no photo can be read from."""
    text = os.fspath(typed)
    if not isinstance(typed, str) and (squeezed := _AS_PATH.match(text)):
        text = f"{squeezed[1]}://{text[squeezed.end() :]}"
    found = _ADDRESS.match(text)
    if not found:
        return os.path.abspath(text)
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme == "file":
        return _of_this_machine(text, rest)
    if scheme in ON_THE_WEB:
        raise UsageError(f"{without_secrets(text)} is a page's address, which nothing here opens; download it first.")
    inside = rest.rstrip("/")
    first = inside.partition("/")[0]
    if not first:
        raise UsageError(
            f"{without_secrets(text)} names no bucket; write {scheme}://BUCKET or {scheme}://BUCKET/FOLDER."
        )
    name, at, _ = first.rpartition("@")
    if at and (scheme not in _OF_ACCOUNTS or not name or ":" in name):
        raise UsageError(
            f"An address of {scheme}:// with a name or a password in it is not stored; leave out what stands before "
            "the @, and put it where the package that reads such addresses looks for it."
        )
    return f"{_ONE_NAME.get(scheme, scheme)}://{inside}"


def _of_this_machine(text: str, rest: str) -> str:
    if not rest.startswith("/"):
        raise UsageError(
            f"{without_secrets(text)} names no file of this machine; write file:///FOLDER, or the path alone."
        )
    return os.path.abspath(rest)


def is_absolute(path: str) -> bool:
    """Whether this is an absolute path or an address."""
    return is_remote(path) or os.path.isabs(path)


def separator(path: str) -> str:
    """What parts the folders of such a path."""
    return "/" if is_remote(path) else os.sep


def is_under(path: str, folder: str) -> bool:
    """Whether an absolute path or an address is a folder, or lies in it."""
    mark = separator(folder)
    return path == folder or path.startswith(folder.rstrip(mark) + mark)


def parts_inside(path: str, folder: str) -> list[str]:
    """The names that lead from a folder to what lies in it. Of an address those that are empty are left out."""
    if is_remote(folder):
        return [part for part in path[len(folder) :].split("/") if part]
    return os.path.relpath(path, folder).split(os.sep)


def name_of(path: str) -> str:
    """The last name in a path or an address."""
    return os.path.basename(path)


def folder_of(path: str) -> str:
    """The folder that a path or an address lies in; of an address without any, such as memory://1.jpg, all that has
    its scheme."""
    if is_remote(path) and "/" not in inside_of(path):
        return path[: -len(inside_of(path)) or None]
    return os.path.dirname(path)


def scheme_of(address: str) -> str:
    """The part of an address that says how it is read, such as s3."""
    scheme = address.partition("://")[0].lower()
    return _ONE_NAME.get(scheme, scheme)


def inside_of(address: str) -> str:
    """The part of an address behind its scheme: a bucket, and a key in it."""
    return address.partition("://")[2]
