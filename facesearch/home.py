"""Where facesearch keeps its own files, what they may be called, and that they are their owner's alone; and what this
machine has: processors and memory."""

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs

from facesearch.errors import UsageError

_NAME = re.compile(r"\w[\w.-]*")
_LONGEST = 100  # characters: a file's name has 255 bytes, and a name gets endings
_OTHERS = 0o077  # the rights of others
_OURS = ("models", "indexes", "cache", "web", "cluster", "ray")


def home() -> Path:
    """The directory that holds `models/` and `indexes/`: FACESEARCH_HOME, else the platform's data directory."""
    chosen = os.environ.get("FACESEARCH_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("facesearch"))


def valid_name(name: str, what: str) -> str:
    """The name, if it can name a `what` (a gallery, a model): it becomes a folder's name, and must never lead to
    another folder. Raises UsageError."""
    if not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > _LONGEST:
        shown = name.encode("unicode_escape").decode() if len(name) <= _LONGEST else f"{name[:_LONGEST]!r}..."
        raise UsageError(
            f"'{shown}' cannot name a {what}; use up to {_LONGEST} letters, digits, '.', '_' and '-', with a letter "
            "or a digit first."
        )
    return name


def gallery_words(name: str) -> str:
    """The option that names this gallery, for a command that is shown to the user; nothing for the usual one."""
    return "" if name == "default" else f" --gallery {name}"


def private_folder(path: Path) -> Path:
    """Makes a folder, and those above it that are not there yet, for its owner alone, whatever the umask. Raises
    OSError: FileExistsError too where something else has its name."""
    if not path.is_dir():
        if path.parent != path:
            private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def gallery_dir(name: str) -> Path:
    """The directory of one gallery: its database and its vectors."""
    return home() / "indexes" / name


def model_dir(name: str) -> Path:
    """The directory of one model's exported networks."""
    return home() / "models" / name


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_running(pid: int) -> bool:
    """Whether there is a process of this number; on Windows, which does not say it so simply, as far as is known."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's, or no number of a process
        return True
    return True


def memory() -> int | None:
    """How many bytes of memory this machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows does not have the function
        return None


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
            "does not have such rights."
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
    """Whether the folder serves as facesearch's home alone. FACESEARCH_HOME may name one that has another use: the
    user's own home, one that everybody writes to, the top of a disk."""
    try:
        is_shared = bool(top.stat().st_mode & stat.S_ISVTX)
        return not is_shared and not os.path.ismount(top) and not top.samefile(Path.home())
    except (OSError, RuntimeError):  # the user does not have a home
        return True


def _narrow(path: Path) -> bool | None:
    """True where the rights of others are gone now, False where they remain, None where there were none."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or not found.st_mode & _OTHERS:
            return None
        if found.st_uid == os.geteuid():
            with suppress(PermissionError, NotImplementedError):
                path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
        return not path.lstat().st_mode & _OTHERS  # some disks take it and do nothing
    except FileNotFoundError:  # it has just been removed
        return None
    except OSError:
        return False
