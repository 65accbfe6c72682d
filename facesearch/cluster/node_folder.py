"""Where a worker keeps the networks that were sent to it until they are loaded, and its libraries their files: in a
folder of its own under the home of facesearch on its node, as private as that is. It goes when the worker ends; what
one that was killed has left is deleted by the next one there."""

import fcntl
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from facesearch.cluster.ray_records import UnfitError
from facesearch.home import home, private_folder

_LOCK = "in-use"  # held by the worker; the system gives it back when a process ends, however
_LONGEST = 64  # characters of a machine's name, as Linux has them


class NodeFolder:
    """Such a folder, of this process."""

    def __init__(self) -> None:
        self._lock: int | None = None
        self._at: Path | None = None

    def enter(self, files: Mapping[str, bytes]) -> None:
        """Makes the folder the home of this process, with these files in it, by their paths. Raises UnfitError
        where the disk refuses it."""
        try:
            clusters = private_folder(home().absolute() / "cluster")
            prefix = f"{_this_node()}-"
            with _alone(clusters) as is_alone:
                if is_alone:
                    _sweep(clusters, prefix)
                self._lock, self._at = _new_folder(clusters, prefix)
            for name, data in files.items():
                path = self._at / name
                private_folder(path.parent)
                path.write_bytes(data)
                path.chmod(0o600)
        except OSError as error:
            where = error.filename or home()
            raise UnfitError(f"cannot write {where} ({error.strerror}); make room or rights there") from error
        os.environ["FACESEARCH_HOME"] = str(self._at)

    def are_loaded(self) -> None:
        """Deletes the files that it was given."""
        if self._at is not None:
            shutil.rmtree(self._at / "models", ignore_errors=True)

    def leave(self) -> None:
        """Deletes the folder."""
        if self._lock is not None and self._at is not None:
            shutil.rmtree(self._at, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def _this_node() -> str:
    """The machine's name as a file's may be: its home may lie on a share where locks of others are not seen."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", platform.node())[:_LONGEST] or "_"


def _new_folder(clusters: Path, prefix: str) -> tuple[int, Path]:
    """A folder of this process's own, and the handle of its lock."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=clusters))
    handle = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle, folder


@contextmanager
def _alone(clusters: Path) -> Iterator[bool]:
    """While it is so, no other worker of this node makes its folder or deletes those of others."""
    handle = os.open(clusters, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        is_alone = True
    except OSError:  # of a folder of a network's disk
        is_alone = False
    try:
        yield is_alone
    finally:
        os.close(handle)


def _sweep(clusters: Path, prefix: str) -> None:
    """Deletes the folders of this machine whose workers have ended."""
    for folder in clusters.iterdir():
        if folder.name.rpartition("-")[0] + "-" != prefix:
            continue
        with suppress(OSError):
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)
