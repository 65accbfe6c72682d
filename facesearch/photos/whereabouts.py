"""What became of photos that a run did not find: gone for good, or only away, as on a disk that is not mounted."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from facesearch.photos import remote
from facesearch.photos.addresses import folder_of, is_remote, is_under

VANISHED = (errno.ENOENT, errno.ENOTDIR)  # any other error says that a file may well be there


_FEW = 100  # photos that are asked for one by one: as many requests as list 100,000


@dataclass(frozen=True, slots=True)
class Away:
    """Photos that cannot be reached at the moment: in or below which folder, why (the end of a sentence that begins
    with the folder), and how many they are."""

    folder: str
    reason: str
    photos: int


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Paths of photos by what became of them: `gone` for good, `there` after all, and `away`, one record a folder."""

    gone: tuple[str, ...]
    there: tuple[str, ...]
    away: tuple[Away, ...]


@dataclass(frozen=True, slots=True)
class _Hidden:
    """What hides a path, and why."""

    folder: str
    reason: str


_GONE, _THERE = "gone", "there"
_NOTHING = "holds nothing now"  # of an address
_Found = _Hidden | str


def whereabouts(paths: Iterable[str], root: str, unseen: Mapping[str, str] | None = None) -> Whereabouts:
    """What became of photos under a root. Only what has vanished from a folder that can be seen and holds something
    is gone. `unseen` are files and folders that could not be seen a moment ago, each with the reason. At an address
    all else is gone that is not in a list that could be read to its end, if that holds something."""
    elsewhere: dict[str, list[str]] = {}  # by folder: copies that are reached in another way

    def here() -> Iterator[str]:
        for path in paths:
            if is_under(path, root) if is_remote(root) else not is_remote(path):
                yield path
            else:
                elsewhere.setdefault(folder_of(path), []).append(path)

    look = _whereabouts_there if is_remote(root) else _whereabouts_here
    found = [look(here(), root, unseen or {})]
    for folder, copies in elsewhere.items():
        found.append(whereabouts(copies, folder))
    return Whereabouts(
        tuple(path for each in found for path in each.gone),
        tuple(path for each in found for path in each.there),
        tuple(away for each in found for away in each.away),
    )


def _whereabouts_here(paths: Iterable[str], root: str, unseen: Mapping[str, str]) -> Whereabouts:
    places: dict[str, _Found] = {path: _Hidden(path, reason) for path, reason in unseen.items()}
    gone: list[str] = []
    there: list[str] = []
    away: dict[_Hidden, int] = {}
    for path in paths:
        found = _of_photo(path, root, places)
        if isinstance(found, _Hidden):
            away[found] = away.get(found, 0) + 1
        else:
            (gone if found == _GONE else there).append(path)
    return Whereabouts(tuple(gone), tuple(there), _folders(away))


def _folders(away: Mapping[_Hidden, int]) -> tuple[Away, ...]:
    return tuple(Away(hidden.folder, hidden.reason, photos) for hidden, photos in away.items())


def why_away(root: str) -> str | None:
    """Why a root cannot be seen, half a sentence; None where it can be, and where it is gone. An address that holds
    nothing cannot be."""
    if is_remote(root):
        return _why_unanswered(root)
    found = _of_folder(root, root, {})
    if isinstance(found, _Hidden):
        return found.reason if found.folder == root else f"is behind {found.folder}, which {found.reason}"
    return None


def is_gone(root: str) -> bool:
    """Whether a root has vanished, as far as the file system can tell; never so of an address, where nothing tells
    an emptied folder from one of another bucket."""
    return not is_remote(root) and not os.path.lexists(root) and why_away(root) is None


def _whereabouts_there(paths: Iterable[str], root: str, unseen: Mapping[str, str]) -> Whereabouts:
    away: dict[_Hidden, int] = {}
    asked: list[str] = []
    for path in paths:
        if hidden := _hidden_there(path, root, unseen):
            away[hidden] = away.get(hidden, 0) + 1
        else:
            asked.append(path)
    there: set[str] = set()
    try:
        there = _there_still(asked, root) if asked else there
        if asked and not there and not _is_there(root):  # all at once, as when the wrong bucket is named
            return Whereabouts((), (), (*_folders(away), Away(root, _NOTHING, len(asked))))
    except OSError as error:
        return Whereabouts((), (), (*_folders(away), Away(root, _unreadable(error), len(asked))))
    gone = tuple(path for path in asked if path not in there)
    return Whereabouts(gone, tuple(path for path in asked if path in there), _folders(away))


def _hidden_there(path: str, root: str, unseen: Mapping[str, str]) -> _Hidden | None:
    """The outermost folder at or below an address that could not be seen and holds a path."""
    found = None
    while unseen and len(path) >= len(root):
        found = _Hidden(path, unseen[path]) if path in unseen else found
        path = os.path.dirname(path)
    return found


def _there_still(paths: list[str], root: str) -> set[str]:
    """Those that are there: a few are asked for one by one, more are looked for in the list. Raises OSError."""
    if len(paths) <= _FEW:
        remote.is_folder(root)  # says so where there is no bucket, of which no photo is known to be gone
        return {path for path in paths if remote.file_at(path)}
    wanted = set(paths)
    return {entry.path for entry in remote.files_in(root) if entry.path in wanted}


def _why_unanswered(root: str) -> str | None:
    try:
        return None if _is_there(root) else _NOTHING
    except OSError as error:
        return _unreadable(error)


def _is_there(root: str) -> bool:
    """Whether an address is a photo's, or a folder's that holds something. Raises OSError."""
    return remote.is_folder(root) or remote.file_at(root) is not None


def _of_photo(path: str, root: str, places: dict[str, _Found]) -> _Found:
    if isinstance(places.get(path), _Hidden):  # it was listed, but could not be examined
        return _Hidden(os.path.dirname(path), places[path].reason)  # type: ignore[union-attr]
    folder = os.path.dirname(path)
    found = _of_folder(folder, root, places)
    if found != _THERE:
        return found
    try:
        os.stat(path)
    except OSError as error:
        if error.errno not in VANISHED:
            return _Hidden(folder, _unreadable(error))
        return _Hidden(folder, "holds links that lead to nothing") if os.path.islink(path) else _GONE
    return _THERE


def _of_folder(folder: str, root: str, places: dict[str, _Found]) -> _Found:
    """Whether photos in a folder could be seen; `places` remembers the answers."""
    upwards = [folder]
    while upwards[-1] not in places and len(upwards[-1]) > len(root):
        upwards.append(os.path.dirname(upwards[-1]))
    found: _Found = _THERE
    for each in reversed(upwards):
        if each not in places:
            places[each] = found if found != _THERE else _state_of(each, root)
        found = places[each]
    return found


def _state_of(folder: str, root: str) -> _Found:
    try:
        with os.scandir(folder) as entries:
            # As a folder is on which no disk is mounted; that a root's own parents are empty says nothing.
            is_bare = next(entries, None) is None and len(folder) >= len(root)
    except OSError as error:
        if error.errno not in VANISHED:
            return _Hidden(folder, _unreadable(error))
        link = folder if os.path.islink(folder) else _dangling_link_above(folder) if folder == root else None
        return _Hidden(link, "is a link that leads to nothing") if link else _GONE
    return _Hidden(folder, "is empty now") if is_bare else _THERE


def _dangling_link_above(root: str) -> str | None:
    """The link through which a root was reached, if it leads to nothing."""
    above = os.path.dirname(root)
    while above != os.path.dirname(above) and not os.path.exists(above):
        if os.path.islink(above):
            return above
        above = os.path.dirname(above)
    return None


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror})"
