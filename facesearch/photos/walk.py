"""Which files there are under a folder."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

from facesearch.errors import PhotoError, RootError
from facesearch.files import printable
from facesearch.photos import formats, remote
from facesearch.photos.addresses import absolute, is_remote
from facesearch.photos.exclusions import Rules
from facesearch.photos.file import PhotoFile, open_regular
from facesearch.photos.formats import looks_like_photo
from facesearch.photos.header import HEAD
from facesearch.photos.sources import Entry
from facesearch.photos.whereabouts import VANISHED

CannotSee = Callable[[str, OSError], None]


def walk(
    root: str,
    cannot_see: CannotSee = lambda path, error: None,
    rules: Rules | None = None,
    is_deep: bool = True,
) -> Iterator[PhotoFile]:
    """The files under a root, in name order, absolute; the root may be a file. What the rules leave out is left out
    (the usual ones, where none are given), a folder that is reached twice (through a symbolic link) is walked once,
    and `cannot_see` is called with each folder that cannot be listed or whose ignore file cannot be read and each
    file that cannot be examined, but for those that vanish meanwhile. Without `is_deep` its folders are passed over.
    Raises RootError for a root that cannot be read."""
    path = absolute(root)
    if is_remote(path):
        yield from _walk_remote(path, cannot_see, rules or Rules(path))
        return
    try:
        found = os.stat(path)
    except OSError as error:
        raise RootError(
            f"{printable(path)} cannot be read ({error.strerror}); nothing was marked missing: check the path, "
            "or mount its disk."
        ) from error
    if stat.S_ISDIR(found.st_mode):
        yield from _walk_folder(path, cannot_see, rules or Rules(path), is_deep)
    elif stat.S_ISREG(found.st_mode):
        yield PhotoFile.from_stat(path, found)


def _walk_folder(top: str, cannot_see: CannotSee, rules: Rules, is_deep: bool) -> Iterator[PhotoFile]:
    seen: set[tuple[int, int]] = set()
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            status = os.stat(folder)
            if status.st_ino and (status.st_dev, status.st_ino) in seen:  # 0: the disk does not number its files
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listed = sorted(rules.admitted(folder, entries), key=lambda e: e.name)
        except OSError as error:
            _unless_vanished(folder, error, cannot_see)
            continue
        inner = []
        for entry in listed:
            try:
                if entry.is_dir():
                    inner.append(entry.path)
                elif entry.is_file():
                    yield PhotoFile.from_stat(entry.path, entry.stat())
            except OSError as error:
                _unless_vanished(entry.path, error, cannot_see)
        if is_deep:
            folders += reversed(inner)


def _walk_remote(root: str, cannot_see: CannotSee, rules: Rules) -> Iterator[PhotoFile]:
    """All under an address, in the order in which it is listed; when the list breaks off, the root cannot be seen."""
    try:
        is_folder = remote.is_folder(root)
        single = None if is_folder else remote.file_at(root)
    except OSError as error:
        raise RootError(
            f"{printable(root)} cannot be read ({error.strerror}); nothing was marked missing: change that, and run "
            "it again."
        ) from error
    if single:
        yield PhotoFile.from_entry(single)
    if is_folder:
        yield from _listed(root, cannot_see, rules)
    elif not single:
        raise RootError(
            f"There is nothing at {printable(root)}; nothing was marked missing: check the bucket and the folder."
        )


def _listed(root: str, cannot_see: CannotSee, rules: Rules) -> Iterator[PhotoFile]:
    passed: set[str] = set()  # folders that are left out, or whose ignore file cannot be read
    for entry in _all_of(root, cannot_see):
        try:
            rules.hear_of(entry.path)
            hidden = rules.left_out_at(entry.path)
        except OSError as error:  # of an ignore file, which may leave out whatever is in its folder
            folder = os.path.dirname(os.fsdecode(error.filename))
            if folder not in passed:
                passed.add(folder)
                cannot_see(folder, error)
            continue
        if hidden is None:
            yield PhotoFile.from_entry(entry)
        elif hidden == entry.path:
            rules.files += 1
        elif hidden not in passed:
            passed.add(hidden)
            rules.folders += 1


def _all_of(root: str, cannot_see: CannotSee) -> Iterator[Entry]:
    try:
        yield from remote.files_in(root)
    except OSError as error:
        cannot_see(root, error)


def _unless_vanished(path: str, error: OSError, cannot_see: CannotSee) -> None:
    if error.errno not in VANISHED:
        cannot_see(path, error)


def may_be_photo(path: str) -> bool:
    """Whether a file is named like a photo or begins like one."""
    if looks_like_photo(path):
        return True
    if is_remote(path) and not formats.may_be_photo(path):
        return False
    with suppress(OSError, PhotoError), open_regular(path) as opened:
        return formats.format_of(opened.read(HEAD)) is not None
    return False
