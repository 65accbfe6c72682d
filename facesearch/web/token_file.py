"""The token of programs, in a file that its owner alone can read, as long as the server runs."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import printable, write_whole

_MARK = "facesearch-web-"  # begins each token, by which the file is known again
_LONGEST = 200  # bytes of such a file


@contextmanager
def token_in(path: Path) -> Iterator[str]:
    """A new token, which is in the file while the block runs. A file that an earlier server has left is replaced;
    at the end it is removed, unless it is another's by then. Raises UsageError where something else is there, and
    FaceSearchError where it cannot be written."""
    token = _MARK + secrets.token_urlsafe(32)
    line = f"{token}\n".encode()
    _write(path, line)
    try:
        yield token
    finally:
        with suppress(OSError):
            if _content(path) == line:
                path.unlink()


def _write(path: Path, line: bytes) -> None:
    try:
        if os.path.lexists(path):
            _check_ours(path)
            write_whole(path, line)
        else:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(line)
    except OSError as error:
        raise FaceSearchError(
            f"The token cannot be written to {printable(str(path))} ({error.strerror}); name another file."
        ) from error


def _check_ours(path: Path) -> None:
    if path.is_symlink() or not path.is_file() or not _content(path).startswith(_MARK.encode()):
        raise UsageError(
            f"{printable(str(path))} is there and no token of facesearch; name a file that does not exist yet."
        )


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)
