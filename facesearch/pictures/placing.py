"""Photos of an answer, copied or linked into a folder of the user's; nothing that is there is ever replaced."""

import errno
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import folder_for, new_file, printable
from facesearch.photos.addresses import absolute, is_remote, name_of
from facesearch.photos.file import open_regular, size_of
from facesearch.photos.places import examined

Way = Literal["copy", "link"]
_DONE = {"copy": "copied", "link": "linked"}
_NO_NAME = '\\:*?"<>|'  # signs that some disks take in no name
_BLOCK = 1 << 20  # bytes
_LONGEST_STEM, _LONGEST_SUFFIX = 60, 10  # characters of a key that name a copy: 4 bytes each at most, of 255
_MOST_OF_A_NAME = 100_000  # photos of one name in a folder


@dataclass(frozen=True, slots=True)
class Placed:
    """What was done: how many photos were copied or linked, how many were there already, and the photos that could
    not be read, with the reason of each."""

    new: int
    known: int
    failed: tuple[tuple[str, str], ...] = ()


def check_folder(folder: Path, option: str) -> None:
    """Raises UsageError for what is no folder, and cannot become one. `option` is the one that named it."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{printable(str(folder))} is not a folder; give {option} another place.")
    parent = folder.absolute().parent
    if not folder.exists() and not parent.is_dir():
        raise UsageError(f"{printable(str(parent))} is not a folder; make it, or give {option} another place.")
    if not os.access(folder if folder.exists() else parent, os.W_OK | os.X_OK):
        raise UsageError(f"{printable(str(folder))} may not be written; allow it, or give {option} another place.")


def place(photos: Iterable[str], folder: Path, way: Way) -> Placed:
    """Copies the photos, with their dates, or makes symbolic links to them. Names are kept; where one is taken by
    something else, a number is added. Raises FaceSearchError when the disk refuses, which says how much was done."""
    new = known = 0
    failed = []
    try:
        folder_for(folder / "photo")
        for photo in dict.fromkeys(map(absolute, photos)):
            reason = _why_unlinkable(photo) if way == "link" else None
            reason = reason or _why_unreadable(photo)
            if reason:
                failed.append((photo, reason))
            elif _placed(photo, folder, way):
                new += 1
            else:
                known += 1
    except OSError as error:
        raise FaceSearchError(
            f"{printable(str(folder))} takes no more ({error.strerror or error}); photos {_DONE[way]} before: "
            f"{new:,}; free some space or allow writing there, and run it again."
        ) from error
    return Placed(new, known, tuple(failed))


def _why_unlinkable(photo: str) -> str | None:
    return "no link leads to an address; copy it" if is_remote(photo) else None


def _why_unreadable(photo: str) -> str | None:
    try:
        if is_remote(photo):
            examined(photo)  # which does not read it
        else:
            open_regular(photo).close()
    except OSError as error:
        return error.strerror or str(error)
    except FaceSearchError as error:
        return str(error)
    return None


def _placed(photo: str, folder: Path, way: Way) -> bool:
    """Whether the photo is new there. Raises OSError."""
    stem, suffix = _name_of(photo)
    for number in range(1, _MOST_OF_A_NAME):
        target = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        try:
            _make(photo, target, way)
        except FileExistsError:
            if _is_there(photo, target, way):
                return False
            continue
        return True
    raise FileExistsError(errno.EEXIST, f"{_MOST_OF_A_NAME:,} files have the name {stem}{suffix}")


def _name_of(photo: str) -> tuple[str, str]:
    """The name that a photo's copy gets, and its ending: its own; a key may end in what is no file's name."""
    name = name_of(photo)
    if not is_remote(photo):
        return Path(name).stem, Path(name).suffix
    kept = Path("".join(sign if sign.isprintable() and sign not in _NO_NAME else "_" for sign in name).lstrip("."))
    return kept.stem[:_LONGEST_STEM] or "photo", kept.suffix[:_LONGEST_SUFFIX]


def _make(photo: str, target: Path, way: Way) -> None:
    if way == "link":
        target.symlink_to(photo)
        return
    with open_regular(photo) as source, new_file(target) as copy:
        shutil.copyfileobj(source, copy, _BLOCK)
    with suppress(OSError):  # some disks keep no dates
        written = examined(photo).mtime_ns
        os.utime(target, ns=(written, written))


def _is_there(photo: str, target: Path, way: Way) -> bool:
    """Whether what has the name is this photo's copy or link, or the photo itself."""
    with suppress(OSError):
        if way == "link" and target.is_symlink():
            return target.readlink() == Path(photo)
        if not is_remote(photo) and target.samefile(photo):
            return True
        return way == "copy" and not target.is_symlink() and _has_same_bytes(photo, target)
    return False


def _has_same_bytes(photo: str, target: Path) -> bool:
    with open_regular(photo) as source, open_regular(str(target)) as copy:
        if size_of(source) != size_of(copy):
            return False
        while block := source.read(_BLOCK):
            if block != copy.read(len(block)):
                return False
    return True
