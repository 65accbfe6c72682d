"""A gallery in one file: its database as it was at one moment, whoever reads or writes it, and what tells later that
it is whole. The file of vectors is not in it, for it is made from the database.

The file is a ZIP archive that any program opens. What restores it reads two entries by their names, stored as they
are and of the announced size, so that a stranger's archive can neither write elsewhere nor grow."""

import hashlib
import secrets
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from facesearch.errors import FaceSearchError, GalleryError, Note, UsageError
from facesearch.files import PART, folder_for, printable, sha256_of, sync_folder, whole_file
from facesearch.gallery import contents
from facesearch.gallery.database import Database
from facesearch.gallery.galleries import refuse_absent, refuse_taken
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.schema import triggers_of_migrations
from facesearch.gallery.tables.sqlite import explained, has_table, now, to_read, triggers
from facesearch.gallery.upkeep.faults import faults
from facesearch.home import gallery_dir, gallery_words, valid_name

_FORMAT = 1
_MANIFEST = "backup.json"
_MOST_MANIFEST = 16_384  # bytes; ours have 400
_AT_ONCE = 1 << 20  # bytes
_PAGES = 2_000  # of SQLite's, 8 MB: an interruption waits for so many

_NOT_OURS = (
    zipfile.BadZipFile,
    msgspec.MsgspecError,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)

OnProgress = Callable[[int, int], None]


class NotABackupError(FaceSearchError):
    """The file is no backup of a gallery, or not as it was written."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says of itself. `made` is ISO 8601 in UTC, `size` the database's in bytes, and `sha256` has 64
    hexadecimal digits."""

    format: int
    gallery: str
    made: str
    model: str
    photos: int
    faces: int
    people: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written or restored: the file, the gallery that it became or came from, and its manifest."""

    file: Path
    gallery: str
    manifest: Manifest


def back_up(storage: Storage, file: Path, on_progress: OnProgress = lambda done, total: None) -> Backup:
    """Writes a gallery into one new file, its owner's alone. Others may read and write the gallery meanwhile: what
    they store after the start is not in it. `on_progress` hears how many pages of the database, of how many, are
    copied.

    Raises GalleryError when there is no gallery or it is damaged, UsageError when the file is there already,
    FaceSearchError when the disk refuses it."""
    refuse_absent(storage)
    if str(file) == "-":
        raise UsageError("A backup is written into a file, not to standard output; name a file.")
    if file.exists() or file.is_symlink():
        raise UsageError(f"{printable(str(file))} is there already, and nothing is written over; name a new file.")
    copy = file.with_name(f".{secrets.token_hex(4)}{PART}")
    try:
        folder_for(file)
        with _removed(copy), whole_file(file, before_replacing=lambda: _refuse_file(file)) as archive:
            copy.touch(0o600, exist_ok=False)
            _copy_database(storage.database, copy, on_progress)
            manifest = _manifest(storage, copy)
            _write(archive, copy, manifest)
    except OSError as error:
        raise FaceSearchError(
            f"{printable(str(file))} cannot be written ({error.strerror}); name another place."
        ) from error
    return Backup(file, storage.name, manifest)


def restore(file: Path, name: str | None, note: Note) -> Backup:
    """Makes a gallery of a backup, with the name that it had or another one. Nothing is written over.

    Raises NotABackupError for a file that is none or is damaged, UsageError when there is such a gallery already or
    the name is none, GalleryError when a newer facesearch wrote it, FaceSearchError when the disk refuses."""
    if name is not None:
        refuse_taken(valid_name(name, "gallery"), " with --as NAME")
    try:
        with _archive(file) as archive:
            manifest = _read_manifest(file, archive)
            chosen = valid_name(name or manifest.gallery, "gallery")
            refuse_taken(chosen, " with --as NAME")
            _refuse_without_room(manifest)
            _restore_into(Storage(chosen, note), archive, manifest, file)
    except OSError as error:
        raise FaceSearchError(
            f"{printable(str(error.filename or file))} cannot be used ({error.strerror}); name a file that "
            "facesearch galleries backup wrote, or see that the home can be written."
        ) from error
    return Backup(file, chosen, manifest)


def _copy_database(database: Path, copy: Path, on_progress: OnProgress) -> None:
    """Copies what is stored at this moment. While the snapshot is held nothing that is written meanwhile makes SQLite
    begin again."""
    with explained(database), closing(to_read(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()

        def progress(_: int, remaining: int, total: int) -> None:
            on_progress(total - remaining, total)

        source.backup(target, pages=_PAGES, progress=progress)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log


def _manifest(storage: Storage, copy: Path) -> Manifest:
    if found := next(faults(copy), None):
        which = gallery_words(storage.name)
        raise GalleryError(
            f"The gallery '{storage.name}' is damaged ({found}), so no backup was made; try: "
            f"facesearch repair{which}."
        )
    with Database.open(copy) as db:
        settings = db.settings.read()
        if settings is None:
            raise GalleryError(
                f"The gallery '{storage.name}' is still empty; run: facesearch index "
                f"PHOTOS{gallery_words(storage.name)}."
            )
        counts = sum(db.photos.counts().values()), db.faces.count(), db.people.count()
    size, digest = copy.stat().st_size, sha256_of(copy)
    return Manifest(_FORMAT, storage.name, now(), settings.model, *counts, size, digest)


def _write(into: IO[bytes], copy: Path, manifest: Manifest) -> None:
    with zipfile.ZipFile(into, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        archive.write(copy, contents.DATABASE)


def _refuse_file(file: Path) -> None:
    """Raises UsageError where a file has come meanwhile."""
    if file.exists() or file.is_symlink():
        raise UsageError(f"{printable(str(file))} has just come into being, and nothing is written over.")


class _Careful:
    """A file of which never more than a block is read at once: an archive says itself how long its list is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, _AT_ONCE + 1) if size >= 0 else _AT_ONCE + 1)
        if len(data) > _AT_ONCE:
            raise zipfile.BadZipFile("its list is too long")
        return data


@contextmanager
def _archive(file: Path) -> Iterator[zipfile.ZipFile]:
    if file.exists() and not file.is_file():  # opening a pipe would wait for whoever writes to it
        raise NotABackupError(f"{printable(str(file))} is no file; name one that facesearch galleries backup wrote.")
    with _as_sentence(file), file.open("rb") as opened, zipfile.ZipFile(_Careful(opened)) as archive:
        yield archive


@contextmanager
def _as_sentence(file: Path) -> Iterator[None]:
    try:
        yield
    except _NOT_OURS as error:
        raise NotABackupError(
            f"{printable(str(file))} is no backup of a gallery, or is damaged ({printable(str(error))}); nothing was "
            "restored. facesearch galleries backup FILE makes one."
        ) from error


def _read_manifest(file: Path, archive: zipfile.ZipFile) -> Manifest:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if sorted(entries) != sorted((_MANIFEST, contents.DATABASE)) or len(archive.infolist()) != len(entries):
        raise zipfile.BadZipFile(f"it must hold {_MANIFEST} and {contents.DATABASE} alone")
    for entry in entries.values():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise zipfile.BadZipFile(f"{entry.filename} is packed")
    if entries[_MANIFEST].file_size > _MOST_MANIFEST:
        raise zipfile.BadZipFile(f"{_MANIFEST} is too long")
    text = archive.read(_MANIFEST)
    version = msgspec.json.decode(text)
    if isinstance(version, dict) and isinstance(version.get("format"), int) and version["format"] > _FORMAT:
        raise GalleryError(f"{printable(str(file))} was written by a newer facesearch; upgrade this one.")
    manifest = msgspec.json.decode(text, type=Manifest)
    if entries[contents.DATABASE].file_size != manifest.size:
        raise zipfile.BadZipFile("its database is not of the size that it says")
    return manifest


def _refuse_without_room(manifest: Manifest) -> None:
    folder = gallery_dir(manifest.sha256)
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < manifest.size:
        raise FaceSearchError(
            f"The gallery takes {manifest.size / 1e6:,.1f} MB in {folder}, and {free / 1e6:,.1f} MB are free; free "
            "some space and run it again."
        )


def _restore_into(storage: Storage, archive: zipfile.ZipFile, manifest: Manifest, file: Path) -> None:
    """The database takes its place when it is known to be whole; else the folder goes as it came."""
    was_there = storage.directory.exists()
    try:
        with storage.locked():
            unfinished = storage.directory / f".{secrets.token_hex(4)}{PART}"
            with _removed(unfinished):
                if _unpack(archive, unfinished) != manifest.sha256:
                    raise zipfile.BadZipFile("its database is not as it was written")
                _refuse_strange(unfinished, file)
                store = _without_store(unfinished)
                unfinished.rename(storage.database)
            sync_folder(storage.directory)
        if store:
            storage.note(
                f"The gallery that was backed up had a vector store, {printable(store)}, which stays that gallery's; "
                f"for one of this gallery's own: facesearch store add ADDRESS{gallery_words(storage.name)}."
            )
    except BaseException:
        if not was_there and not storage.database.exists():
            shutil.rmtree(storage.directory, ignore_errors=True)
        raise


def _without_store(database: Path) -> str:
    """Has the gallery know no vector store: what that holds is another gallery's, and an archive may name any server.
    Returns where it was; empty where it had none."""
    with closing(sqlite3.connect(database)) as conn:
        try:
            if not has_table(conn, database, "store"):  # an earlier facesearch's
                return ""
            with conn:
                row = conn.execute("DELETE FROM store RETURNING address").fetchone()
        except sqlite3.DatabaseError as error:
            raise zipfile.BadZipFile(str(error)) from error
    return str(row[0]) if row else ""


def _unpack(archive: zipfile.ZipFile, to: Path) -> str:
    """Writes the database, and returns its SHA-256. The archive does not give more than it announced."""
    digest = hashlib.sha256()
    with archive.open(contents.DATABASE) as packed, whole_file(to) as file:
        while block := packed.read(_AT_ONCE):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _refuse_strange(database: Path, file: Path) -> None:
    """Raises NotABackupError for a database that is damaged, or that a gallery would not have: one that computes
    anything but what ours do."""
    with closing(to_read(database)) as conn:
        try:
            odd = conn.execute(
                "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index', 'trigger') OR "
                "sql LIKE 'CREATE VIRTUAL%'"
            ).fetchone()
            strange = triggers(conn).items() - triggers_of_migrations().items()
        except sqlite3.DatabaseError as error:
            raise zipfile.BadZipFile(str(error)) from error
    if odd or strange:
        name = odd[0] if odd else min(strange)[0]
        raise zipfile.BadZipFile(f"its database holds {name}, which no gallery does")
    if found := next(faults(database), None):
        raise NotABackupError(f"The gallery in {printable(str(file))} is damaged ({found}); nothing was restored.")


@contextmanager
def _removed(path: Path) -> Iterator[None]:
    """The file is gone at the end, whatever happens."""
    try:
        yield
    finally:
        for each in (path, *(path.with_name(f"{path.name}-{log}") for log in ("journal", "wal", "shm"))):
            with suppress(OSError):
                each.unlink(missing_ok=True)
