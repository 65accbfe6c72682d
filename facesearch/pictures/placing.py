"""Photos of an answer, copied or linked into a folder of the user's; nothing that is there is ever replaced."""

import errno
import filecmp
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import folder_for, new_file, printable
from facesearch.photos.file import open_regular

Way = Literal["copy", "link"]
_DONE = {"copy": "copied", "link": "linked"}
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
        for photo in dict.fromkeys(map(os.path.abspath, photos)):
            reason = _why_unreadable(photo)
            if reason:
                failed.append((photo, reason))
            elif _placed(Path(photo), folder, way):
                new += 1
            else:
                known += 1
    except OSError as error:
        raise FaceSearchError(
            f"{printable(str(folder))} takes no more ({error.strerror or error}); photos {_DONE[way]} before: "
            f"{new:,}; free some space or allow writing there, and run it again."
        ) from error
    return Placed(new, known, tuple(failed))


def _why_unreadable(photo: str) -> str | None:
    try:
        open_regular(photo).close()
    except OSError as error:
        return error.strerror or str(error)
    except FaceSearchError as error:
        return str(error)
    return None


def _placed(photo: Path, folder: Path, way: Way) -> bool:
    """Whether the photo is new there. Raises OSError."""
    for number in range(1, _MOST_OF_A_NAME):
        target = folder / (photo.name if number == 1 else f"{photo.stem}-{number}{photo.suffix}")
        try:
            _make(photo, target, way)
        except FileExistsError:
            if _is_there(photo, target, way):
                return False
            continue
        return True
    raise FileExistsError(errno.EEXIST, f"{_MOST_OF_A_NAME:,} files have the name {photo.name}")


def _make(photo: Path, target: Path, way: Way) -> None:
    if way == "link":
        target.symlink_to(photo)
        return
    with open_regular(str(photo)) as source, new_file(target) as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    with suppress(OSError):  # some disks keep no dates
        status = photo.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_there(photo: Path, target: Path, way: Way) -> bool:
    """Whether what has the name is this photo's copy or link, or the photo itself."""
    with suppress(OSError):
        if way == "link" and target.is_symlink():
            return target.readlink() == photo
        if target.samefile(photo):
            return True
        return way == "copy" and not target.is_symlink() and filecmp.cmp(photo, target, shallow=False)
    return False
