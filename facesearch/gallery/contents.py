"""What may lie in a gallery's folder: its files, backups, and what an interrupted step left."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

DATABASE = "faces.db"
VECTORS = "faces.faiss"
THUMBNAILS = "thumbnails.db"  # small pictures of faces, a cache
LOCK = "faces.lock"
SHEET = "sheet.jpg"  # the contact sheet that was shown last; `forget` deletes it
LOGS = (f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal")
WORK = ".repair.part"  # a folder in which `repair` makes a new database
SET_ASIDE = "old"  # in that folder: the log of the database that is to be replaced
BACKUP = "backup-"

OF_THUMBNAILS = (THUMBNAILS, f"{THUMBNAILS}-journal")
_LASTING = {DATABASE, VECTORS, LOCK, SHEET, *LOGS, *OF_THUMBNAILS}
# The file of vectors while it is written; a database that an earlier facesearch's `repair` was making; files.PART;
# SQLite's temporary files, and its note of a transaction over several databases.
_UNFINISHED = re.compile(
    r"faces\.part(-wal|-shm|-journal)?|\.[0-9a-f]{8}\.part|etilqs_[0-9A-Za-z]+|faces\.db-mj[0-9A-F]+"
)
_UNFINISHED_FOLDERS = re.compile(r"\.repair\.part|\.backup-[0-9TZ.]+\.part")
_BACKUPS = re.compile(r"backup-[0-9TZ.]+")


def backups(folder: Path) -> list[Path]:
    """The folders in which `repair` left what was there before."""
    return sorted(path for path in folder.glob(f"{BACKUP}*") if path.is_dir())


def unknown(folder: Path) -> tuple[str, ...]:
    """The names of what lies in a gallery's folder and is not a part of it. It is never deleted."""
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return tuple(name for name in found if not _is_known(folder / name))


def unfinished(folder: Path) -> list[Path]:
    """What an interrupted step of whichever process left in the folder."""
    return [path for path in sorted(folder.iterdir()) if _is_unfinished(path)]


def remove_unfinished(folder: Path) -> None:
    """Removes what an interrupted step left. A `repair` whose new database is still in its work folder was cut off
    before it took effect, so the log that it had set aside goes back beside the old database. For the one writer."""
    work = folder / WORK
    if not work.is_symlink() and (work / DATABASE).exists():
        for log in LOGS:
            if (work / SET_ASIDE / log).exists() and not (folder / log).exists():
                (work / SET_ASIDE / log).replace(folder / log)
    for path in unfinished(folder):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_known(path: Path) -> bool:
    if path.name in _LASTING or _is_unfinished(path):
        return True
    return bool(_BACKUPS.fullmatch(path.name)) and path.is_dir()


def _is_unfinished(path: Path) -> bool:
    if path.is_symlink():
        return False
    pattern = _UNFINISHED_FOLDERS if path.is_dir() else _UNFINISHED
    return bool(pattern.fullmatch(path.name))
