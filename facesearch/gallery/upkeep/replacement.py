"""A damaged database is copied aside and replaced by a new one. Whatever step the process is killed at, the old one
or the new one is there whole, with the log that belongs to it and no other."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from facesearch.errors import FaceSearchError
from facesearch.files import sync_folder
from facesearch.gallery.contents import BACKUP, DATABASE, LOGS, SET_ASIDE, VECTORS, WORK, remove_unfinished

_COPIES = 3  # of the database at once: the backup, the new one, and a copy of the old one that `salvage` changes


def replace_database(folder: Path, make: Callable[[Path, Path], None]) -> Path:
    """Replaces a gallery's database. `make` gets the path of the old one and the path at which it is to make the new
    one; that folder is free for its other files. Returns the folder of the backup. Raises FaceSearchError when the
    disk refuses; the gallery is then as it was."""
    _refuse_a_link(folder / DATABASE)
    _refuse_without_room(folder)
    backup = folder / f"{BACKUP}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    copies, work = folder / f".{backup.name}.part", folder / WORK
    with _undone_unless_replaced(folder, backup):
        with _explained(copies, "and without a backup nothing is repaired"):
            copies.mkdir(mode=0o700)
            _copy(folder, copies)
            work.mkdir(mode=0o700)
        make(folder / DATABASE, work / DATABASE)
        with _explained(work, "so nothing was repaired"):
            _sync(work / DATABASE)
            copies.rename(backup)
            _set_logs_aside(folder, work / SET_ASIDE)
            (work / DATABASE).replace(folder / DATABASE)
            sync_folder(folder)
    return backup


def copy_database(database: Path, to: Path) -> Path:
    """A copy of a database and its logs in a new folder, which may be changed. Raises FaceSearchError."""
    with _explained(to, "so nothing was repaired"):
        to.mkdir(mode=0o700)
        _copy(database.parent, to)
    return to / DATABASE


def _refuse_a_link(database: Path) -> None:
    if database.is_symlink():
        raise FaceSearchError(
            f"{database} is a link to {database.resolve()}, and a database is not repaired through a link; put the "
            "file itself in its place, or let the gallery's folder be the link, and run it again."
        )


def _refuse_without_room(folder: Path) -> None:
    stored = sum(file.stat().st_size for file in _files(folder))
    vectors = folder / VECTORS
    needed = _COPIES * stored + (vectors.stat().st_size if vectors.exists() else 0)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FaceSearchError(
            f"A repair takes up to {needed / 1e6:,.1f} MB in {folder} for a backup and a new database, and "
            f"{free / 1e6:,.1f} MB are free; free some space and run it again."
        )


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in (DATABASE, *LOGS) if (folder / name).exists()]


def _copy(folder: Path, to: Path) -> None:
    for file in _files(folder):
        shutil.copy2(file, to)
        _sync(to / file.name)
    sync_folder(to)


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _set_logs_aside(folder: Path, to: Path) -> None:
    """Moves the old database's logs away, and syncs that, before the new database takes its place: SQLite would apply
    them to it. If it never does, `contents.remove_unfinished` moves them back."""
    to.mkdir(mode=0o700)
    for log in LOGS:
        if (folder / log).exists():
            (folder / log).replace(to / log)
    sync_folder(to)
    sync_folder(to.parent)
    sync_folder(folder)


@contextmanager
def _undone_unless_replaced(folder: Path, backup: Path) -> Iterator[None]:
    """Leaves only what is whole: the old database as it was, or the new one and the backup."""
    try:
        yield
    except BaseException:
        was_replaced = backup.exists() and not (folder / WORK / DATABASE).exists()
        remove_unfinished(folder)
        if not was_replaced:
            shutil.rmtree(backup, ignore_errors=True)
        raise
    remove_unfinished(folder)


@contextmanager
def _explained(path: Path, consequence: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FaceSearchError(
            f"{path} cannot be written ({error.strerror}), {consequence}; free some space and run it again."
        ) from error
