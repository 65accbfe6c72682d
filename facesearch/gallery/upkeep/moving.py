"""A library of photos has moved to another place: the gallery follows, and nothing is embedded again."""

import os
import shlex
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from facesearch import limits
from facesearch.errors import FaceSearchError, PhotoError, RootError, UsageError
from facesearch.files import printable
from facesearch.gallery.database import Database
from facesearch.gallery.storage import Storage
from facesearch.gallery.tables.relocation import StoredFile, moved
from facesearch.home import gallery_words
from facesearch.photos import places, remote
from facesearch.photos.addresses import absolute, is_remote, is_under
from facesearch.photos.file import PhotoFile, load

_SAMPLES = 16  # photos whose content is compared; of all others the size is

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What `move` did: between which folders, absolute; how many photos are the same at the new place, and how many
    were looked for there; how many photos the gallery has there, with those that are missing or forgotten."""

    old: str
    new: str
    same: int
    looked_for: int
    photos: int


@dataclass(frozen=True, slots=True)
class _Compared:
    """The photos that are the same, each with what the file system says of it, and the first path that is not."""

    same: list[tuple[StoredFile, PhotoFile]]
    total: int
    first: str


def move(
    storage: Storage, old: str, new: str, partly: bool = False, on_progress: OnProgress = lambda done, total: None
) -> Moved:
    """Makes the gallery look for what it has under the folder `old` under `new`: photos, names, decisions and faces
    stay. The new folder must hold the same photos: all are compared by size, and some by content. With
    `partly` it is enough that one of them is there; the others are for the next `index` to look for. `on_progress`
    hears how many photos, of how many, were compared.

    Raises GalleryError when there is no gallery, FaceSearchError when it knows nothing of `old` or holds other photos
    under `new`, RootError when the photos are not there; GalleryLockedError while another process writes."""
    if not old or not new:
        raise UsageError("An empty name is no folder; name both the old and the new one.")
    old, new = absolute(old), absolute(new)
    with storage.reading() as (db, _), db.snapshot():
        _refuse_unknown(storage, db, old)
        _refuse_absent(new)
        compared = _compared(list(db.relocation.seen(old)), old, new, on_progress)
        _refuse_others(compared, new, partly)
    with storage.writing() as writable, writable.transaction():
        if taken := writable.relocation.move(old, new):
            photos = "1 photo" if taken == 1 else f"{taken:,} photos"
            raise FaceSearchError(
                f"The gallery '{storage.name}' holds {photos} of these paths in {printable(new)} already, so nothing "
                "was changed; facesearch index "
                f"{shlex.quote(printable(new))}{gallery_words(storage.name)} finds moved photos by their content."
            )
        if not any(is_under(new, root) for root in writable.roots.paths()):  # it was a part of a folder
            writable.roots.add([new])
        writable.relocation.note_times(_with_same_time(compared))
        return Moved(old, new, len(compared.same), compared.total, writable.relocation.count(new))


def _refuse_unknown(storage: Storage, db: Database, old: str) -> None:
    if db.removal.is_known(old) and (db.relocation.count(old) or old in db.roots.paths()):
        return
    roots = ", ".join(map(printable, db.roots.paths())) or "none"
    raise FaceSearchError(
        f"The gallery '{storage.name}' knows nothing of {printable(old)}; name one of its folders ({roots}), or one "
        "in them."
    )


def _refuse_absent(new: str) -> None:
    try:
        if is_remote(new):
            remote.is_folder(new)
        else:
            os.stat(new)
    except OSError as error:
        raise RootError(
            f"{printable(new)} cannot be read ({error.strerror}), so nothing was changed; mount its disk, or name "
            "the folder in which the photos are now."
        ) from error


def _refuse_others(compared: _Compared, new: str, partly: bool) -> None:
    differ = compared.total - len(compared.same)
    if not differ or (partly and compared.same):
        return
    advice = "name the folder that has the photos of the old one"
    if compared.same:
        advice += ", or add --partly, and the next index looks for the others there"
    are = "is" if differ == 1 else "are"
    raise RootError(
        f"Of {compared.total:,} photos {differ:,} {are} not the same in {printable(new)} (the first: "
        f"{printable(compared.first)}), so nothing was changed; {advice}."
    )


def _compared(files: Sequence[StoredFile], old: str, new: str, on_progress: OnProgress) -> _Compared:
    same: list[tuple[StoredFile, PhotoFile]] = []
    first = ""
    each_so_many = max(1, len(files) // _SAMPLES)
    for number, stored in enumerate(files):
        path = moved(stored.path, old, new)
        found = _if_same(stored, path, by_content=number % each_so_many == 0)
        if found:
            same.append((stored, found))
        else:
            first = first or path
        on_progress(number + 1, len(files))
    return _Compared(same, len(files), first)


def _if_same(stored: StoredFile, path: str, by_content: bool) -> PhotoFile | None:
    """What the file system says of the file at this path; None where it is not the one that was stored."""
    try:
        if not is_remote(path) and not stat.S_ISREG(os.stat(path).st_mode):
            return None
        found = places.examined(path)
        if found.size != stored.size:
            return None
    except OSError:
        return None
    return found if not by_content or _has_content(stored, found) else None


def _has_content(stored: StoredFile, found: PhotoFile) -> bool:
    if stored.digest is None:
        return True
    try:
        photo = load(found, limits.MEGAPIXELS.most)
    except PhotoError:
        return False
    return photo is not None and photo.digest == stored.digest


def _with_same_time(compared: _Compared) -> list[tuple[int, int]]:
    """The ids and ctimes of photos that `index` need not read: a copy has a ctime of its own."""
    return [(stored.id, file.ctime_ns) for stored, file in compared.same if file.mtime_ns == stored.mtime_ns]
