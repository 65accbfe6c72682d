"""All galleries of a home: which there are, another name for one, and the end of one."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facesearch.errors import FaceSearchError, GalleryError, Note, UsageError
from facesearch.files import printable, sync_folder
from facesearch.gallery import contents
from facesearch.gallery.database import Database
from facesearch.gallery.names.known import gallery_names
from facesearch.gallery.records.store import StoreStamp
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.stores import KEPT_BYTES, NOT_OURS, drop_collection
from facesearch.home import gallery_dir, valid_name


@dataclass(frozen=True, slots=True)
class GalleryEntry:
    """A gallery in the list of all: its model, photos, faces, names, folders and bytes on disk; when `index` ran last
    (ISO 8601, UTC). Of one that cannot be read `fault` says why, and the other facts are empty."""

    name: str
    directory: Path
    model: str = ""
    photos: int = 0
    faces: int = 0
    people: int = 0
    bytes_on_disk: int = 0
    roots: tuple[str, ...] = ()
    last_run: str | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ToDelete:
    """What would go with a gallery. `backups` are copies that `repair` left; `strange` files are not facesearch's and
    stay. `store` is the address of its vector store, whose collection goes too; empty without one."""

    gallery: GalleryEntry
    backups: tuple[Path, ...]
    strange: tuple[str, ...]
    store: str = ""


def galleries() -> Iterator[GalleryEntry]:
    """The galleries of this home by name, those that cannot be read too."""
    return map(_entry, gallery_names())


def rename(old: str, new: str, note: Note) -> None:
    """Gives a gallery another name. Raises GalleryError when there is none of the old name, UsageError when the new
    one is no name or is taken, GalleryLockedError while another process writes, FaceSearchError when the disk
    refuses."""
    storage, to = Storage(old, note), gallery_dir(valid_name(new, "gallery"))
    refuse_absent(storage)
    with storage.locked():
        refuse_taken(new, "")
        if sys.platform != "win32":  # where a folder with an open file can be renamed
            _rename(storage.directory, to)
    if sys.platform == "win32":
        _rename(storage.directory, to)


def to_delete(name: str, note: Note) -> ToDelete:
    """What `delete` would take away; nothing is written. Raises GalleryError when there is no such gallery."""
    storage = Storage(name, note)
    refuse_absent(storage)
    folder = storage.directory
    stamp = _store_of(storage)
    return ToDelete(
        _entry(name), tuple(contents.backups(folder)), contents.unknown(folder), stamp.address if stamp else ""
    )


def delete(name: str, note: Note) -> ToDelete:
    """Deletes a gallery: faces, names, backups. Photos are not touched, and what else lies in its folder stays.
    Killed at whatever step, the gallery is there whole or is not there. Raises GalleryError when there is no such
    gallery, GalleryLockedError while another process writes, FaceSearchError when the disk refuses."""
    storage = Storage(name, note)
    refuse_absent(storage)
    with storage.locked():
        gone = to_delete(name, note)
        _leave_store(storage)
        try:
            _delete_files(storage.directory)
        except OSError as error:
            raise FaceSearchError(
                f"{error.filename} cannot be deleted ({error.strerror}); see that nothing uses it, and run it again."
            ) from error
    with suppress(OSError):  # what is strange keeps the folder
        (storage.directory / contents.LOCK).unlink(missing_ok=True)
        _delete_folder(storage.directory)
    return gone


def refuse_absent(storage: Storage) -> None:
    """Raises GalleryError when there is no such gallery; a damaged one is there."""
    if not storage.database.exists():
        raise GalleryError(f"{storage.absent}.")


def refuse_taken(name: str, advice: str) -> None:
    """Raises UsageError when there is a gallery of that name, or something else in its place. `advice` says how to
    choose another name."""
    if os.path.lexists(gallery_dir(name)):
        raise UsageError(f"There is {gallery_dir(name)} already; choose another name{advice}.")


def _entry(name: str) -> GalleryEntry:
    storage = Storage(name, lambda _: None)
    on_disk = storage.bytes_on_disk()
    try:
        with Database.open(storage.database) as db:
            settings, run = db.settings.read(), db.runs.newest()
            return GalleryEntry(
                name,
                storage.directory,
                settings.model if settings else "",
                sum(db.photos.counts().values()) if settings else 0,
                db.faces.count() if settings else 0,
                db.people.count() if settings else 0,
                on_disk,
                db.roots.paths() if settings else (),
                run.started_at if settings and run else None,
            )
    except FaceSearchError as error:
        return GalleryEntry(name, storage.directory, bytes_on_disk=on_disk, fault=str(error))


def _rename(folder: Path, to: Path) -> None:
    try:
        folder.rename(to)
        sync_folder(to.parent)
    except OSError as error:
        raise FaceSearchError(
            f"{printable(str(folder))} cannot be renamed ({error.strerror}); see that nothing uses the gallery, and "
            "run it again."
        ) from error


def _store_of(storage: Storage) -> StoreStamp | None:
    """None also for a damaged database, which goes all the same."""
    try:
        with Database.open(storage.database) as db:
            return db.store.read()
    except FaceSearchError:
        return None


def _leave_store(storage: Storage) -> None:
    """Drops the faces in the gallery's vector store, or says that they stay."""
    stamp = _store_of(storage)
    if stamp is None:
        return
    try:
        is_dropped = drop_collection(stamp)
    except FaceSearchError as error:
        storage.note(f"{error} The faces that it holds of this gallery stay there, until its collection is dropped.")
        return
    storage.note(f"{stamp.address}: {KEPT_BYTES}" if is_dropped else f"{stamp.address} {NOT_OURS}, and stays.")


def _delete_files(folder: Path) -> None:
    """Deletes all that is the gallery's, but for its lock. The database goes first: SQLite throws a log away whose
    database is empty, and the next run deletes what has the name of an unfinished file."""
    doomed = folder / f".{os.urandom(4).hex()}.part"
    (folder / contents.DATABASE).rename(doomed)
    sync_folder(folder)
    doomed.unlink()
    for name in (*contents.LOGS, contents.VECTORS, contents.SHEET, *contents.OF_THUMBNAILS):
        (folder / name).unlink(missing_ok=True)
    for backup in contents.backups(folder):
        shutil.rmtree(backup)
    contents.remove_unfinished(folder)


def _delete_folder(folder: Path) -> None:
    if folder.is_symlink():  # what it leads to is the user's
        folder.unlink()
    else:
        folder.rmdir()
