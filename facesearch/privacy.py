"""All that lies under the home is its owner's alone, whatever the umask was when it was made, and whoever made it."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from facesearch.home import home

_OTHERS = 0o077
_OURS = ("models", "indexes", "cache")


def narrow_home(note: Callable[[str], None]) -> None:
    """Takes the rights of others from the home and from all that is ours in it, and says so, or that it cannot. What
    a symbolic link leads to stays as it is. Windows has no such rights: there a user's folders are private by their
    place. Never raises."""
    if not hasattr(os, "geteuid"):
        return
    top = home()
    narrowed, others = 0, 0
    for path in _all_of_ours(top):
        done = _narrow(path)
        narrowed += done is True
        others += done is False
    if narrowed:
        note(f"Others could read {top} or what is in it; now its owner alone can.")
    if others:
        note(
            f"Others can read {top} or what is in it, and that cannot be changed: it is another user's, or its disk "
            "knows no such rights."
        )


def _all_of_ours(top: Path) -> Iterator[Path]:
    if not os.path.isdir(top):  # noqa: PTH112 (never raises)
        return
    if _is_home_alone(top):
        yield top.resolve()
    for name in _OURS:
        yield from _below(top / name)


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    for inside, folders, files in os.walk(folder):  # does not follow links
        yield from (Path(inside, name) for name in (*folders, *files))


def _is_home_alone(top: Path) -> bool:
    """Not a folder that FACESEARCH_HOME names although it has another use: the user's own home, one that all write
    to, the top of a disk."""
    try:
        is_shared = bool(top.stat().st_mode & stat.S_ISVTX)
        return not is_shared and not os.path.ismount(top) and not top.samefile(Path.home())
    except (OSError, RuntimeError):  # the user has no home
        return True


def _narrow(path: Path) -> bool | None:
    """Whether it was narrowed; None where that is not needed."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or not found.st_mode & _OTHERS:
            return None
        if found.st_uid == os.geteuid():
            with suppress(PermissionError, NotImplementedError):
                path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
        return not path.lstat().st_mode & _OTHERS  # some disks take it and do nothing
    except FileNotFoundError:  # it has just gone
        return None
    except OSError:
        return False
