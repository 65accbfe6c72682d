"""What keeps a gallery sound: `check` and `repair`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from facesearch.errors import FaceSearchError, GalleryError, PhotoError
from facesearch.flow.stream import chunks
from facesearch.gallery import contents
from facesearch.gallery.agreement import refuse_other_networks
from facesearch.gallery.database import Database
from facesearch.gallery.records.run import RunSummary
from facesearch.gallery.records.settings import IndexStamp
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.stores import follow, wrong
from facesearch.gallery.tables.photos import KnownPhoto
from facesearch.gallery.upkeep.faults import faults
from facesearch.gallery.upkeep.replacement import replace_database
from facesearch.gallery.upkeep.salvage import salvage
from facesearch.gallery.vectors.file import belongs, ids_in
from facesearch.people.folders import people_from
from facesearch.photos.exclusions import Rules
from facesearch.photos.file import PhotoFile, load
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.status import ABSENT
from facesearch.photos.walk import walk
from facesearch.photos.whereabouts import Away, is_gone, whereabouts, why_away

IndexAgain: TypeAlias = Callable[[str, str], RunSummary]  # a root, and whence its people's names come

_AT_ONCE = 1000  # photos in one question to the database, which SQLite answers in parts of 500
_TRIES = 5  # with a gallery whose file of vectors is being replaced


@dataclass(frozen=True, slots=True)
class Soundness:
    """What `check` found. `faults` are half sentences; of a gallery that is damaged `photos` and `faces` may be None.
    `new`, `changed` and `gone` are photos that differ on disk from what the gallery knows, `roots_gone` folders that
    have vanished and `away` what cannot be seen at the moment, None when it was not asked for. `other_files` lie in
    the gallery's folder and are not a part of it; `unfinished` says that bytes of forgotten faces may be there.
    `store` says what is wrong with its vector store, which is no fault of the gallery; empty where nothing is."""

    gallery: str
    faults: tuple[str, ...]
    photos: int | None = None
    faces: int | None = None
    new: tuple[str, ...] | None = None
    changed: tuple[str, ...] | None = None
    gone: tuple[str, ...] | None = None
    roots_gone: tuple[str, ...] | None = None
    away: tuple[Away, ...] | None = None
    other_files: tuple[str, ...] = ()
    unfinished: bool = False
    store: str = ""

    @property
    def differences(self) -> int:
        """How many photos the next `index` would change, and folders `forget --missing` would."""
        return sum(len(paths or ()) for paths in (self.new, self.changed, self.gone, self.roots_gone))


@dataclass(frozen=True, slots=True)
class Repaired:
    """What `repair` did. `faults` is what was wrong before, `backup` holds what was there, `photos` and `faces` could
    be kept; `runs` looked again at the folders. Nothing of it happened to a gallery that was sound."""

    faults: tuple[str, ...]
    backup: Path | None = None
    photos: int = 0
    faces: int = 0
    runs: tuple[RunSummary, ...] = ()


def check(storage: Storage, photos: bool = False) -> Soundness:
    """Whether all that a gallery holds is as it was stored; with `photos`, how what is on disk differs from it.
    Nothing is written. Raises GalleryError when there is no gallery or a newer facesearch wrote it."""
    found = _soundness(storage, photos)
    return found if found.faults else replace(found, store=wrong(storage))


def _soundness(storage: Storage, photos: bool) -> Soundness:
    if not storage.database.exists():
        with storage.reading():  # says that there is none
            pass
    found = tuple(faults(storage.database))
    others = contents.unknown(storage.directory)
    if found:
        return Soundness(storage.name, found, other_files=others)
    for _ in range(_TRIES):
        sound, stamp = _checked(storage, photos, others)
        with storage.reading() as (db, _):
            # else the file was replaced meanwhile, or is being written where it lies
            if not sound.faults or (db.stamp.read() == stamp and not db.removal.is_unfinished()):
                break
    return sound


def _checked(storage: Storage, photos: bool, others: tuple[str, ...]) -> tuple[Soundness, IndexStamp | None]:
    """What a sound database says of its file of vectors and of the photos, and the stamp that it had then."""
    with storage.reading() as (db, _), db.snapshot():
        sound = Soundness(
            storage.name,
            tuple(_faults_of_vectors(storage, db)),
            sum(db.photos.counts().values()),
            db.faces.count(),
            other_files=others,
            unfinished=db.removal.is_unfinished() or bool(contents.unfinished(storage.directory)),
        )
        return _with_differences(sound, db) if photos else sound, db.stamp.read()


def _faults_of_vectors(storage: Storage, db: Database) -> Iterator[str]:
    stamp = db.stamp.read()
    if stamp is None or not storage.vectors.exists():
        return  # the next query makes it
    if db.removal.is_unfinished():
        return  # it is written where it lies, or that was cut off: the next that writes finishes it, or makes it anew
    ids = ids_in(storage.vectors, stamp)
    if ids is None:
        yield f"{storage.vectors.name} is not the file that belongs to the database"
        return
    stored = db.faces.ids()
    lacking = np.setdiff1d(stored[stored <= stamp.newest_id], ids)
    if len(lacking):
        yield f"{storage.vectors.name} lacks {len(lacking):,} faces, of which {lacking[0]} is the first"


def _with_differences(sound: Soundness, db: Database) -> Soundness:
    new: list[str] = []
    changed: list[str] = []
    gone: list[str] = []
    away: list[Away] = []
    roots_gone = tuple(root for root in db.roots.paths() if is_gone(root))
    for root in db.roots.paths():
        if root in roots_gone:
            continue
        if reason := why_away(root):
            away.append(Away(root, reason, len(db.removal.under(root))))
            continue
        unseen = _compare(root, db, new, changed)
        found = whereabouts(db.photos.present(root), root, unseen)
        gone += found.gone
        away += found.away
    return replace(
        sound, new=_once(new), changed=_once(changed), gone=_once(gone), roots_gone=roots_gone, away=tuple(away)
    )


def _once(paths: list[str]) -> tuple[str, ...]:
    """Each path once: one root may lie in another."""
    return tuple(dict.fromkeys(paths))


def _compare(root: str, db: Database, new: list[str], changed: list[str]) -> dict[str, str]:
    """Adds what differs under a root; returns what cannot be read there, each with the reason."""
    unseen: dict[str, str] = {}

    def cannot_see(path: str, error: OSError) -> None:
        unseen[path] = f"cannot be read ({error.strerror})"

    for part in chunks(walk(root, cannot_see, Rules(root, db.exclusions.read())), _AT_ONCE):
        known = db.photos.known([file.path for file in part])
        for file in part:
            has = known.get(file.path)
            if has is None or has.status in ABSENT:
                new += [file.path] * looks_like_photo(file.path)
            elif not has.agrees_with(file) and not _is_only_touched(db, has, file):
                changed.append(file.path)
    return unseen


def _is_only_touched(db: Database, has: KnownPhoto, file: PhotoFile) -> bool:
    """Whether ctime alone has changed, as by a change of rights or links, and the content has not."""
    if (has.size, has.mtime_ns) != (file.size, file.mtime_ns):
        return False
    try:
        photo = load(file)
    except PhotoError:
        return False
    return photo is not None and db.photos.has_content(has, photo.digest)


def repair(storage: Storage, index_again: IndexAgain) -> Repaired:
    """Makes a damaged gallery whole: what was there is copied aside, what can still be read becomes a new database,
    and the folders are indexed again for the rest. A gallery that is sound is left as it is.

    Raises GalleryError when there is no gallery or a newer facesearch wrote it, GalleryLockedError while another
    process writes, FaceSearchError when the disk refuses."""
    _refuse_other_networks(storage)
    before = _soundness(storage, photos=False)
    if not before.faults:
        return Repaired(())
    with storage.locked():
        found = tuple(faults(storage.database))
        backup = _replaced(storage) if found else None
    with storage.writing() as db:
        settings, roots = db.settings.read(), db.roots.paths()
        stamp = db.stamp.read()
        if stamp is None or not belongs(storage.vectors, stamp):
            with suppress(OSError):  # another file takes its place, or says why it cannot
                storage.vectors.unlink(missing_ok=True)
        if settings:
            storage.sync(db, settings)
            follow(storage, db, settings, may_fill=True)
        with suppress(FaceSearchError):  # pictures of faces that could not be kept; the next `forget` tries it again
            storage.thumbnails.sweep(db.pictures.faces)
        kept = sum(db.photos.counts().values()), db.faces.count()
    runs = tuple(_indexed_again(storage, roots, index_again)) if backup else ()
    return Repaired(found or before.faults, backup, *kept, runs)


def _replaced(storage: Storage) -> Path:
    """The folder with all that was there; what of it could be saved has taken its place."""
    had_settings: list[bool] = []
    backup = replace_database(storage.directory, lambda old, new: had_settings.append(salvage(old, new)))
    if not all(had_settings):
        storage.note(
            "The gallery's settings cannot be read any more: the usual ones of its model were taken, or of the "
            "default model, should that be lost too. For other settings, make a new gallery."
        )
    return backup


def _refuse_other_networks(storage: Storage) -> None:
    with suppress(GalleryError):  # what is damaged says nothing of its networks
        refuse_other_networks(storage.name, storage.settings())


def _indexed_again(storage: Storage, roots: Sequence[str], index_again: IndexAgain) -> Iterator[RunSummary]:
    """The folders are indexed again, with names where photos under them have names of their folders."""
    for root in roots:
        with Database.open(storage.database) as db:
            level = db.people.named_at(root)
        try:
            yield index_again(root, people_from(level))
        except FaceSearchError as error:
            if isinstance(error, GalleryError):
                raise
            storage.note(f"{error} Index it again when it is there.")
