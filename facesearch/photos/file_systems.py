"""Photos at addresses that fsspec knows beside s3://, such as gs:// or memory://, through what all of its file
systems have in common."""

import errno
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from facesearch import libraries
from facesearch.packages import how_to_install
from facesearch.photos.sources import Entry, Page, Read, holds_something

_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")
_TAGS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "sha256")
_FOLDER_MARK = "/"


class FileSystem:
    """One file system of fsspec's."""

    def __init__(self, scheme: str) -> None:
        """Raises OSError where nothing installed knows such addresses."""
        libraries.settle("s3fs")
        try:
            import fsspec

            self._fs = fsspec.filesystem(scheme, use_listings_cache=False)
        except ImportError as error:
            package = how_to_install("fsspec") if error.name == "fsspec" else str(error)
            raise OSError(errno.ENOSYS, f"{scheme}:// takes a package that is not installed ({package})") from error
        except ValueError as error:
            raise OSError(errno.ENOSYS, f"nothing here knows addresses of {scheme}://") from error
        self._scheme = scheme

    def holds(self, inside: str) -> bool:
        """See Source."""
        try:
            return self._kind(inside) == "directory" and holds_something(self, inside)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise

    def file(self, inside: str) -> Entry | None:
        """See Source."""
        try:
            facts = self._ask("info", inside)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return _entry(f"{self._scheme}://{inside}", facts) if facts["type"] == "file" else None

    def page(self, inside: str, is_deep: bool, place: object = None) -> Page:
        """See Source. A page is a folder, whose own files come before what lies in its folders."""
        *folders, folder = cast("list[str]", place) if place else [inside]
        entries, inner = [], []
        above = f"{folder}/" if folder else ""
        for facts in sorted(self._ask("ls", folder, detail=True), key=lambda facts: facts["name"]):
            name = facts["name"].rstrip(_FOLDER_MARK).rpartition(_FOLDER_MARK)[2]
            if facts["type"] == "directory":
                inner.append(above + name)
            elif facts["type"] == "file" and not facts["name"].endswith(_FOLDER_MARK):
                entries.append(_entry(f"{self._scheme}://{above}{name}", facts))
        folders += reversed(inner if is_deep else [])
        return Page(entries, folders or None)

    def read(self, inside: str, start: int, end: int) -> Read:
        """See Source."""
        facts = self._ask("info", inside)
        size = int(facts["size"])
        data = self._ask("cat_file", inside, start=start, end=min(end, size)) if size > start else b""
        return Read(data, size, _tag(facts))

    def _kind(self, inside: str) -> str:
        return str(self._ask("info", inside)["type"])

    def _ask(self, method: str, inside: str, **more: Any) -> Any:
        try:
            return getattr(self._fs, method)(f"{self._scheme}://{inside}", **more)
        except FileNotFoundError as error:
            raise OSError(errno.ENOENT, "there is no such object") from error
        except OSError as error:
            raise OSError(error.errno or errno.EIO, error.strerror or str(error)) from error
        except Exception as error:
            raise OSError(errno.EIO, f"{type(error).__name__}: {str(error)[:200]}") from error


def _entry(path: str, facts: Mapping[str, Any]) -> Entry:
    return Entry(path, int(facts["size"]), _seconds(facts) * 1_000_000_000, _tag(facts))


def _seconds(facts: Mapping[str, Any]) -> int:
    for name in _TIMES:
        when = facts.get(name)
        if isinstance(when, str):
            when = datetime.fromisoformat(when.replace("Z", "+00:00"))
        if when is not None:
            return int(when.timestamp() if isinstance(when, datetime) else when)
    return 0


def _tag(facts: Mapping[str, Any]) -> int:
    """A number of 63 bits for what tells one content from another; 0 where nothing does."""
    said = next((facts[name] for name in _TAGS if facts.get(name)), facts.get("created"))
    return int.from_bytes(hashlib.blake2b(str(said).encode(), digest_size=8).digest(), "big") >> 1 if said else 0
