"""Pictures that a user asks for by name: they are written whole or not at all, and never in place of a file that
facesearch has not drawn itself."""

import errno
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import folder_for, printable, write_whole

_MARK = b"Drawn by facesearch"
_SEARCHED = 4096  # bytes at both ends of a file: where the mark is
_PNG_HEAD = 33  # bytes: signature and IHDR
_COMMENT = b"\xff\xfe"  # in a JPEG
_MOST_COMMENT = 60_000  # bytes: the length of a JPEG's comment has 16 bits
_COMMENT_OF = re.compile(_MARK + rb" \(([ -~]*?)\)")


def check_name(path: Path, option: str, is_drawable: bool, asked: Iterable[str | Path] = ()) -> None:
    """Raises UsageError when a picture cannot be written there, for want of a format (`is_drawable`) or a folder, or
    must not be: see `refuse_taken`. `option` is the one that named it."""
    if not is_drawable:
        raise UsageError(f"{option} cannot draw '{path.name}'; end it with .png or .jpg.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path.absolute().parent} is not a folder; make it, or give {option} another place.")
    refuse_taken(path, option, asked)


def refuse_taken(path: Path, option: str, asked: Iterable[str | Path] = ()) -> None:
    """Raises UsageError when a picture must not be written there: the name is that of a photo that was asked about,
    or of any file that facesearch has not drawn. (What it has drawn carries a mark, and is replaced.)"""
    found = _lstat(path)
    if found is None:
        return
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a file that {option} could write; give it a name of its own.")
    if any(_is_same(path, photo) for photo in asked):
        raise UsageError(f"{path} is a photo that was asked about; give {option} a name of its own.")
    if not is_ours(path):
        raise UsageError(f"{path} is there already, and facesearch has not drawn it; give {option} another name.")


def is_ours(path: Path) -> bool:
    """Whether facesearch has drawn what is there, as far as its mark tells."""
    try:
        with path.open("rb") as file:
            head = file.read(_SEARCHED)
            file.seek(max(0, path.stat().st_size - _SEARCHED))
            return _MARK in head or _MARK in file.read()
    except OSError:
        return False


def write(path: Path, data: bytes, comment: str = "") -> None:
    """Writes the picture with its mark, and in a JPEG or PNG a comment of at most 60,000 letters of ASCII behind it,
    by the user's umask; folders above it are made. Raises FaceSearchError when the disk refuses it, or when a file is
    there that is not ours."""
    try:
        if os.path.lexists(path) and (path.is_symlink() or not is_ours(path)):
            raise FileExistsError(errno.EEXIST, "a file that facesearch has not drawn is there")
        folder_for(path)
        write_whole(path, marked(data, comment), private=False)
    except OSError as error:
        raise FaceSearchError(f"{path} cannot be written: {error.strerror}.") from error


def comment_of(path: Path) -> str:
    """What was written behind the mark of a picture that facesearch has drawn; empty where there is none. Raises
    FaceSearchError when the file cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_MOST_COMMENT + _SEARCHED)
    except OSError as error:
        raise FaceSearchError(f"{printable(str(path))} cannot be read ({error.strerror}).") from error
    found = _COMMENT_OF.search(head)
    return found[1].decode("ascii") if found else ""


def marked(data: bytes, comment: str = "") -> bytes:
    """The picture with a comment that says who drew it, and this one; formats without a place for it stay as they
    are, and are then never replaced."""
    if data.startswith(b"\xff\xd8"):
        words = _words(comment)
        return data[:2] + _COMMENT + struct.pack(">H", len(words) + 2) + words + data[2:]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        text = b"tEXtSoftware\0" + _words(comment)
        return data[:_PNG_HEAD] + struct.pack(">I", len(text) - 4) + text + _crc(text) + data[_PNG_HEAD:]
    if data.startswith(b"%PDF"):
        return data + b"%" + _MARK + b"\n"
    if data.lstrip().startswith(b"<?xml"):
        return data + b"<!-- " + _MARK + b" -->\n"
    return data


def _words(comment: str) -> bytes:
    text = comment.encode("ascii")
    assert len(text) <= _MOST_COMMENT
    return _MARK + (b" (" + text + b")" if text else b"")


def _crc(chunk: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(chunk))


def _lstat(path: Path) -> os.stat_result | None:
    """None where there is not a file. Raises UsageError for a name that cannot be a file's."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; choose another name.") from error


def _is_same(path: Path, photo: str | Path) -> bool:
    with suppress(OSError, ValueError):
        return path.samefile(photo)
    return False
