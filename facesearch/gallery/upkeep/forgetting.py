"""Forgetting: faces of a person, photos, folders, and what is no longer on disk leave a gallery."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from facesearch.errors import FaceSearchError, UsageError
from facesearch.files import printable
from facesearch.gallery import contents
from facesearch.gallery.database import Database
from facesearch.gallery.records.facts import Forgotten
from facesearch.gallery.references import AmbiguousNameError, did_you_mean, several
from facesearch.gallery.storage import Storage
from facesearch.gallery.store.stores import follow, follow_forgotten
from facesearch.gallery.tables.removal import Removal, StoredPhoto
from facesearch.gallery.tables.sqlite import BUSY_SECONDS, temporary_files_in
from facesearch.gallery.vectors.lagging import has_followed
from facesearch.photos import places
from facesearch.photos.addresses import absolute, folder_of, is_absolute, is_under
from facesearch.photos.whereabouts import Away, is_gone, whereabouts, why_away

Kind: TypeAlias = Literal["person", "photo"]

_SHOWN = 3  # paths: enough to see whether the right photos are meant


class AmbiguousError(UsageError):
    """What is to be forgotten names a person and a photo or folder."""


class UnknownError(UsageError):
    """The gallery knows nothing of that name."""


class LeftBehindError(FaceSearchError):
    """What was forgotten is found no longer, but its bytes are not gone yet."""


@dataclass(frozen=True, slots=True)
class GoneRoot:
    """A folder that a gallery looks after and that has vanished, with what is known of it."""

    path: str
    photos: int
    faces: int


@dataclass(frozen=True, slots=True)
class ToForget:
    """What would go: photos and faces in them, the first few paths, and roots; `away` stays."""

    photos: int
    faces: int
    paths: tuple[str, ...]
    roots: tuple[str, ...] = ()
    gone_roots: tuple[GoneRoot, ...] = ()
    away: tuple[Away, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing would change."""
        return not (self.photos or self.roots or self.gone_roots)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Photos that lose their faces: `gone` go altogether, `kept` are remembered as forgotten; and people who go."""

    gone: list[StoredPhoto]
    kept: list[StoredPhoto]
    roots: tuple[str, ...] = ()
    away: tuple[Away, ...] = ()
    people: tuple[int, ...] = ()

    def counted(self, gone_roots: tuple[GoneRoot, ...] = ()) -> ToForget:
        photos = sorted((*self.gone, *self.kept), key=lambda photo: photo.path)
        first = tuple(photo.path for photo in photos[:_SHOWN])
        faces = sum(photo.faces for photo in photos)
        return ToForget(len(photos), faces, first, self.roots, gone_roots, self.away)


def to_forget(storage: Storage, what: str, kind: Kind | None = None) -> ToForget:
    """What `forget` would delete; nothing is written. Raises AmbiguousError where `kind` must say whether a person or
    a photo (or folder) of that name is meant, AmbiguousNameError where several people have it, UnknownError where the
    gallery knows neither."""
    with storage.reading() as (db, _), db.snapshot():
        return _choose(storage, db, what, kind).counted()


def kind_of(storage: Storage, what: str, kind: Kind | None = None) -> Kind:
    """What `forget` would take this for. Raises as `to_forget`, and looks at no photo for that."""
    with storage.reading() as (db, _), db.snapshot():
        return _meant(storage, db, what, kind)[0]


def forget(storage: Storage, what: str, kind: Kind | None = None) -> Forgotten:
    """Deletes all faces of the person with this name or id (such as @17); or all faces of the photo with this path
    and of its copies; or all that is known of the photos under this folder: from the database, from its log and from
    the file of vectors. Photos that may be met again by `index` are not looked at again until `index` is told so.
    When the gallery knows nothing of that name, and an earlier deletion had to leave bytes behind, that one is
    finished.

    Raises as `to_forget`, and LeftBehindError where bytes must stay for the time being."""
    try:
        kind = kind_of(storage, what, kind)
    except UnknownError:
        if finish(storage):
            return Forgotten(0, 0, finished=True)
        raise

    def delete(db: Database) -> Forgotten:
        choice = _choose(storage, db, what, kind)
        if kind == "person":
            db.removal.people(choice.people)
        else:
            db.removal.roots(choice.roots)
            db.removal.photos(choice.gone, choice.kept)
        return _counts(choice)

    return _forgotten(storage, delete)


def to_forget_missing(storage: Storage) -> ToForget:
    """What `forget_missing` would delete, given all roots that are gone; nothing is written."""
    with storage.reading() as (db, _), db.snapshot():
        gone = [root for root in db.roots.paths() if is_gone(root)]
        roots = tuple(_gone_root(db.removal, root) for root in gone)
        return _choose_missing(db, gone).counted(roots)


def forget_missing(storage: Storage, roots: Sequence[str] = ()) -> Forgotten:
    """As `forget`, for all photos that are no longer on disk, and for these roots, of those that have vanished, with
    all photos that were under them. Photos that are only away, or there again, stay."""
    return _forgotten(storage, lambda db: _delete_missing(db, [root for root in roots if is_gone(root)]))


def finish(storage: Storage) -> bool:
    """Whether bytes that an earlier `forget` had to leave are gone now. Raises LeftBehindError while they are not."""
    with storage.reading() as (db, _):
        if not db.removal.is_unfinished():
            return False
    with storage.writing() as db:  # tries it
        if db.removal.is_unfinished():
            _erase(storage, db)
    return True


def kinds(removal: Removal, what: str) -> tuple[Kind, ...]:
    """What a gallery knows of that name."""
    found: list[Kind] = []
    if removal.people_called(what):
        found.append("person")
    if removal.is_known(absolute(what)):
        found.append("photo")
    return tuple(found)


def _choose(storage: Storage, db: Database, what: str, kind: Kind | None) -> _Choice:
    kind, people = _meant(storage, db, what, kind)
    if kind == "person":
        return _Choice([], db.removal.photos_of(people), people=people)
    return _choose_path(db, absolute(what))


def _meant(storage: Storage, db: Database, what: str, kind: Kind | None) -> tuple[Kind, tuple[int, ...]]:
    """What is meant, and who where it is a person. Raises as `to_forget`."""
    found = kinds(db.removal, what)
    if kind is not None:
        found = tuple(each for each in found if each == kind)
    if not found:
        neither = {"person": "no person", "photo": "no photo or folder", None: "neither a person nor a photo"}[kind]
        near = "" if kind == "photo" else did_you_mean(what, (name for _, name in db.people.named()))
        advice = near or "give a name, or the path of a photo or of a folder."
        raise UnknownError(f"The gallery '{storage.name}' knows {neither} {printable(what)}; {advice}")
    if len(found) > 1:
        raise AmbiguousError(
            f"{printable(what)} is a person and also a photo or folder; say which is meant: --person or --photo."
        )
    people = db.removal.people_called(what) if found == ("person",) else []
    if len(people) > 1:
        raise AmbiguousNameError(several(what, people), people)
    return found[0], tuple(people)


def _choose_path(db: Database, path: str) -> _Choice:
    """A folder's photos go altogether when no other root would bring them back; of those that a root still holds,
    the ones that are gone. A photo goes with its copies."""
    roots, photos = db.roots.paths(), db.removal.under(path)
    if any(photo.path == path for photo in photos) and not places.is_folder(path):
        photos = db.removal.photo(path)
        gone = set(whereabouts([photo.path for photo in photos], folder_of(path)).gone)
        return _parted(photos, gone, tuple(root for root in roots if root == path))
    inner = tuple(root for root in roots if is_under(root, path))
    holding = [root for root in roots if root not in inner and is_under(path, root)]
    gone = {photo.path for photo in photos}
    if holding:
        gone = set(whereabouts(gone, min(holding, key=len)).gone)
    return _parted(photos, gone, inner)


def _parted(photos: list[StoredPhoto], gone: set[str], roots: tuple[str, ...]) -> _Choice:
    kept = [photo for photo in photos if photo.path not in gone]
    return _Choice([photo for photo in photos if photo.path in gone], kept, roots)


def _gone_root(removal: Removal, root: str) -> GoneRoot:
    photos = removal.under(root)
    return GoneRoot(root, len(photos), sum(photo.faces for photo in photos))


def _choose_missing(db: Database, gone_roots: Sequence[str]) -> _Choice:
    """Whatever was under the roots, and each missing photo that has really vanished, or that is met under another
    name."""
    chosen = {photo.id: photo for root in gone_roots for photo in db.removal.under(root)}
    missing = [photo for photo in db.removal.missing() if photo.id not in chosen]
    chosen |= {photo.id: photo for photo in missing if not is_absolute(photo.path)}  # set aside by a killed run
    away: list[Away] = []
    roots = set(db.roots.paths())
    by_root: dict[str, list[StoredPhoto]] = {}
    for photo in missing:
        if is_absolute(photo.path):
            by_root.setdefault(_outermost(photo.path, roots), []).append(photo)
    for root, photos in by_root.items():
        found = whereabouts([photo.path for photo in photos], root)
        away += found.away
        gone, there = set(found.gone), set(found.there)
        chosen |= {
            photo.id: photo for photo in photos if photo.path in gone or (photo.path in there and photo.has_twin)
        }
    away += [
        Away(root, reason, len(db.removal.under(root))) for root in db.roots.paths() if (reason := why_away(root))
    ]
    return _Choice(list(chosen.values()), [], tuple(gone_roots), _merged(away))


def _merged(away: Iterable[Away]) -> tuple[Away, ...]:
    """One for each folder: a root's own counts all that is in it."""
    return tuple({each.folder: each for each in away}.values())


def _outermost(path: str, roots: set[str]) -> str:
    """The highest root that holds a photo; where none does, its own folder."""
    chosen = above = folder_of(path)
    while True:
        if above in roots:
            chosen = above
        if above == os.path.dirname(above):
            return chosen
        above = os.path.dirname(above)


def _delete_missing(db: Database, roots: Sequence[str]) -> Forgotten:
    choice = _choose_missing(db, roots)
    db.removal.photos(choice.gone, choice.kept)
    db.removal.roots(roots)
    return _counts(choice)


def _counts(choice: _Choice) -> Forgotten:
    photos = [*choice.gone, *choice.kept]
    return Forgotten(len(photos), sum(photo.faces for photo in photos), choice.roots)


def _forgotten(storage: Storage, delete: Callable[[Database], Forgotten]) -> Forgotten:
    with storage.reading() as (_, settings):
        pass
    with storage.writing() as db:
        with temporary_files_in(storage.directory), db.transaction():
            done = delete(db)
        try:
            _erase(storage, db)
        finally:
            if not has_followed(db, storage.vectors):
                storage.sync(db, settings)
            (follow_forgotten if done.faces else follow)(storage, db, settings)
    backups = contents.backups(storage.directory)
    if backups:
        storage.note(f"Backups still hold what was there before: {', '.join(map(str, backups))}; delete them too.")
    return done


def _erase(storage: Storage, db: Database) -> None:
    try:
        storage.erase(db, BUSY_SECONDS)
    except FaceSearchError as error:
        raise LeftBehindError(
            f"What was to be forgotten is found no longer, but its bytes are still in {storage.directory}: {error} "
            "The next command that writes to the gallery removes them, or the same one again."
        ) from error
