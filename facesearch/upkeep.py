"""What keeps a gallery sound, and makes it forget."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from facesearch.errors import FaceSearchError, GalleryError, PhotoError
from facesearch.gallery import Gallery
from facesearch.index import belongs, ids_in
from facesearch.photos import load, looks_like_photo, printable, walk
from facesearch.records import Forgotten, Outcome, PhotoFile, RunSummary, Status
from facesearch.salvage import faults, salvage
from facesearch.store import KnownPhoto, Store
from facesearch.stream import chunks

_AT_ONCE = 1000  # photos
_BACKUP = "backup-"


@dataclass(frozen=True, slots=True)
class Soundness:
    """What `check` found. `faults` are half sentences; of a gallery that is damaged `photos` and `faces` may be None.
    `new`, `changed` and `gone` are photos that differ on disk from what the gallery knows, None when it was not
    asked for."""

    gallery: str
    faults: tuple[str, ...]
    photos: int | None = None
    faces: int | None = None
    new: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None
    gone: tuple[str, ...] | None = None

    @property
    def differences(self) -> int:
        """How many photos the next `index` would have to do with."""
        return sum(len(paths or ()) for paths in (self.new, self.changed, self.gone))


@dataclass(frozen=True, slots=True)
class Repaired:
    """What `repair` did. `faults` is what was wrong before, `backup` holds what was there, `photos` and `faces` could
    be kept; `runs` looked again at the folders. Nothing of it happened to a gallery that was sound."""

    faults: tuple[str, ...]
    backup: Path | None = None
    photos: int = 0
    faces: int = 0
    runs: tuple[RunSummary, ...] = ()


def check(gallery: Gallery, photos: bool = False) -> Soundness:
    """Whether all that a gallery holds is as it was stored; with `photos`, how what is on disk differs from it.
    Nothing is written. Raises GalleryError when there is no gallery or a newer facesearch wrote it."""
    if not gallery.database.exists():
        with gallery.reading():  # says that there is none
            pass
    found = tuple(faults(gallery.database))
    if found:
        return Soundness(gallery.name, found)
    with gallery.reading() as (store, _), store.snapshot():
        found = tuple(_faults_of_vectors(gallery, store))
        counts = sum(store.counts().values()), store.faces.count()
        differences = _differences(store) if photos else (None, None, None)
    return Soundness(gallery.name, found, *counts, *differences)


def _faults_of_vectors(gallery: Gallery, store: Store) -> Iterator[str]:
    stamp = store.stamp()
    if stamp is None or not gallery.vectors.exists():
        return  # the next query makes it
    ids = ids_in(gallery.vectors, stamp)
    if ids is None:
        yield f"{gallery.vectors.name} is not the file that belongs to the database"
        return
    stored = store.faces.ids()
    lacking = np.setdiff1d(stored[stored <= stamp.newest_id], ids)
    if len(lacking):
        yield f"{gallery.vectors.name} lacks {len(lacking):,} faces, of which {lacking[0]} is the first"


def _differences(store: Store) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    new: list[str] = []
    changed: list[str] = []
    gone: list[str] = []
    for root in store.roots():
        if not os.path.exists(root):  # noqa: PTH110 (paths may hold bytes that are no UTF-8)
            gone.append(root)
            continue
        for part in chunks(walk(root), _AT_ONCE):
            known = store.known([file.path for file in part])
            for file in part:
                has = known.get(file.path)
                if has is None or has.status == Status.MISSING:
                    new += [file.path] * looks_like_photo(file.path)
                elif not has.agrees_with(file) and not _is_only_touched(store, has, file):
                    changed.append(file.path)
        gone += (path for path in store.present(root) if not os.path.exists(path))  # noqa: PTH110
    return tuple(new), tuple(changed), tuple(gone)


def _is_only_touched(store: Store, has: KnownPhoto, file: PhotoFile) -> bool:
    """Whether ctime alone is another, as when rights or links change, and the content is as it was."""
    if (has.size, has.mtime_ns) != (file.size, file.mtime_ns):
        return False
    try:
        photo = load(file)
    except PhotoError:
        return False
    return photo is not None and store.has_content(has, photo.digest)


def repair(gallery: Gallery, on_outcome: Callable[[Outcome], None] = lambda outcome: None) -> Repaired:
    """Makes a damaged gallery whole: what was there is copied aside, what can still be read becomes a new database,
    and the folders are looked at again for the rest. A gallery that is sound is left as it is.

    Raises GalleryError when there is no gallery or a newer facesearch wrote it, GalleryLockedError while another
    process writes, FaceSearchError when the disk refuses."""
    gallery.refuse_other_models()
    before = check(gallery)
    if not before.faults:
        return Repaired(())
    with gallery.locked():
        found = tuple(faults(gallery.database))
        backup = _backed_up(gallery) if found else None
        if backup:
            _replace_with_what_is_saved(gallery)
    with gallery.writing() as store:
        settings, roots = store.settings(), store.roots()
        stamp = store.stamp()
        if stamp is None or not belongs(gallery.vectors, stamp):
            gallery.vectors.unlink(missing_ok=True)
        if settings:
            gallery.sync(store, settings)
        kept = sum(store.counts().values()), store.faces.count()
    runs = tuple(_indexed_again(gallery, roots, on_outcome)) if backup else ()
    return Repaired(found or before.faults, backup, *kept, runs)


def _backed_up(gallery: Gallery) -> Path:
    """A new directory in the gallery's with its database and what belongs to that."""
    to = gallery.directory / f"{_BACKUP}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    try:
        to.mkdir(mode=0o700)
        for file in sorted(gallery.directory.glob(f"{gallery.database.name}*")):
            shutil.copy2(file, to)
    except OSError as error:
        raise FaceSearchError(
            f"{to} cannot be written ({error.strerror}), and without a backup nothing is repaired; free some space "
            "and run it again."
        ) from error
    return to


def _replace_with_what_is_saved(gallery: Gallery) -> None:
    """The new database takes the old one's place when it is whole; from the first step on the backup holds all."""
    anew = gallery.directory / f"{gallery.database.stem}.part"  # whatever ends so is removed at the next start
    if not salvage(gallery.database, anew):
        gallery.note(
            "The gallery's settings cannot be read any more: the usual ones of its model were taken, or of the "
            "default model, should that be lost too. Others must be given by making the gallery anew."
        )
    for log in ("-wal", "-shm"):  # they belong to the old one, and SQLite would apply them to the new one
        gallery.database.with_name(gallery.database.name + log).unlink(missing_ok=True)
    anew.replace(gallery.database)


def _indexed_again(
    gallery: Gallery, roots: Sequence[str], on_outcome: Callable[[Outcome], None]
) -> Iterator[RunSummary]:
    """The folders are looked at again, with names where photos under them have names of their folders."""
    for root in roots:
        with Store.open(gallery.database) as store:
            named = store.names_of_folders(root)
        try:
            yield gallery.index([root], people_from="folder" if named else "none", on_outcome=on_outcome)
        except FaceSearchError as error:
            if isinstance(error, GalleryError):
                raise
            gallery.note(f"{error} Index it again when it is there.")


def forget(gallery: Gallery, what: str) -> Forgotten:
    """Deletes all faces that have this name, or all faces of the photo with this path and of its copies: from the
    database, from its log and from the file of vectors. The photos are not looked at again until one is named
    itself to `index`. Raises FaceSearchError when the gallery knows neither."""
    path = os.path.abspath(what)  # noqa: PTH100 (keeps bytes that are no UTF-8)
    with gallery.reading() as (store, _):
        is_photo = bool(store.known([path]))
        if not is_photo and not store.has_person(what):
            raise FaceSearchError(
                f"The gallery '{gallery.name}' knows neither a person nor a photo {printable(what)}; give a name, or "
                "the path of a photo."
            )
    if is_photo:
        return _forgotten(gallery, lambda store: store.forget_photo(path))
    return _forgotten(gallery, lambda store: store.forget_person(what))


def forget_missing(gallery: Gallery) -> Forgotten:
    """As `forget`, for all photos that are no longer on disk."""
    return _forgotten(gallery, Store.forget_missing)


def _forgotten(gallery: Gallery, delete: Callable[[Store], Forgotten]) -> Forgotten:
    with gallery.reading() as (_, settings):
        pass
    with gallery.writing() as store:
        gallery.vectors.unlink(missing_ok=True)  # first, for nothing would tell later that it was to go
        with store.atomic():
            done = delete(store)
        store.scrub()
        gallery.sync(store, settings)
    backups = sorted(gallery.directory.glob(f"{_BACKUP}*"))
    if backups:
        gallery.note(f"Backups still hold what was there before: {', '.join(map(str, backups))}; delete them too.")
    return done
