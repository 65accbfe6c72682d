"""A disk that fails on request: SQLite's own calls through a VFS of ours, and Python's for the file of vectors.

Each write, sync, truncation, renaming and deletion is a step, and has a number. At the step asked for the process
kills itself (before the step, or with half of its bytes written), or the step fails as on a full or broken disk."""

import ctypes
import errno
import os
import shutil
import signal
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

_OK, _FULL = 0, 13
_IOERR = {"write": 778, "truncate": 1546, "sync": 1034, "delete": 2570}  # SQLite's extended codes
_ERRNO = {"full": errno.ENOSPC, "broken": errno.EIO}


@dataclass
class Disk:
    """`how` is kill, torn, full or broken; `lasting` says that every step from then on fails too. 0 never comes."""

    at: int = 0
    how: str = "kill"
    lasting: bool = False
    steps: int = 0
    kinds: list[str] = field(default_factory=list)

    def step(self, kind: str) -> bool:
        """Whether this step is to fail; `tears` says whether half of it is to be done."""
        self.steps += 1
        self.kinds.append(kind)
        if not self.at or (self.steps < self.at if self.lasting else self.steps != self.at):
            return False
        if self.how == "kill" or (self.how == "torn" and kind != "write"):
            die()
        return True

    @property
    def tears(self) -> bool:
        return self.how == "torn"

    @property
    def error(self) -> OSError:
        number = _ERRNO[self.how]
        return OSError(number, os.strerror(number))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods."""

    _fields_: ClassVar[Any] = [("iVersion", c_int)] + [
        (name, c_void_p)
        for name in (  # noqa: SIM905
            "xClose xRead xWrite xTruncate xSync xFileSize xLock xUnlock xCheckReservedLock xFileControl xSectorSize "
            "xDeviceCharacteristics xShmMap xShmLock xShmBarrier xShmUnmap xFetch xUnfetch"
        ).split()
    ]


class _File(ctypes.Structure):
    """sqlite3_file."""

    _fields_: ClassVar[Any] = [("pMethods", POINTER(_Methods))]


class _Vfs(ctypes.Structure):
    """sqlite3_vfs."""

    _fields_: ClassVar[Any] = [
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
    ] + [
        (name, c_void_p)
        for name in (  # noqa: SIM905
            "xOpen xDelete xAccess xFullPathname xDlOpen xDlError xDlSym xDlClose xRandomness xSleep xCurrentTime "
            "xGetLastError xCurrentTimeInt64 xSetSystemCall xGetSystemCall xNextSystemCall"
        ).split()
    ]


_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)

_kept: list[Any] = []  # what SQLite points to


def sqlite_library() -> ctypes.CDLL | None:
    """SQLite as Python's module has it; None where it hides its names."""
    import _sqlite3

    library = ctypes.CDLL(_sqlite3.__file__)
    return library if hasattr(library, "sqlite3_vfs_register") else None


def install(disk: Disk, has_wal: bool = True) -> None:
    """From now on all of this process's files are on that disk. Without `has_wal` it cannot share memory, as some
    that are reached through a network."""
    _install_in_sqlite(disk, has_wal)
    _install_in_python(disk)


def _install_in_sqlite(disk: Disk, has_wal: bool) -> None:
    library = sqlite_library()
    assert library is not None
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    original = library.sqlite3_vfs_find(None).contents
    vfs = _Vfs.from_buffer_copy(original)
    vfs.zName = b"failing"

    def code(kind: str) -> int:
        return _FULL if disk.how == "full" and kind == "write" else _IOERR[kind]

    tables: dict[int, _Methods] = {}

    def methods_of(methods: _Methods) -> _Methods:
        write, truncate = _Write(methods.xWrite), _Truncate(methods.xTruncate)

        def on_write(file: int, data: int, count: int, offset: int) -> int:
            if not disk.step("write"):
                return int(write(file, data, count, offset))
            if disk.tears:
                write(file, data, count // 2, offset)
                die()
            return code("write")

        def on_truncate(file: int, size: int) -> int:
            return code("truncate") if disk.step("truncate") else truncate(file, size)

        def on_sync(*_: int) -> int:
            return code("sync") if disk.step("sync") else _OK  # the system keeps what a killed process has written

        ours = _Methods.from_buffer_copy(methods)
        calls = _Write(on_write), _Truncate(on_truncate), _Sync(on_sync)
        ours.xWrite, ours.xTruncate, ours.xSync = (ctypes.cast(call, c_void_p) for call in calls)
        if not has_wal:
            ours.iVersion = 1
        _kept.extend((calls, ours))
        return ours

    open_file, delete = _Open(original.xOpen), _Delete(original.xDelete)

    def on_open(_: int, name: int, file: int, flags: int, out: int) -> int:
        done = open_file(ctypes.addressof(original), name, file, flags, out)
        opened = ctypes.cast(file, POINTER(_File)).contents
        if done == _OK and opened.pMethods:
            address = ctypes.addressof(opened.pMethods.contents)
            if address not in tables:
                tables[address] = methods_of(opened.pMethods.contents)
            opened.pMethods = ctypes.pointer(tables[address])
        return int(done)

    def on_delete(_: int, name: bytes, sync: int) -> int:
        return code("delete") if disk.step("delete") else delete(ctypes.addressof(original), name, 0)

    calls = _Open(on_open), _Delete(on_delete)
    vfs.xOpen, vfs.xDelete = (ctypes.cast(call, c_void_p) for call in calls)
    _kept.extend((calls, vfs, original))
    assert library.sqlite3_vfs_register(ctypes.byref(vfs), 1) == _OK


def _install_in_python(disk: Disk) -> None:
    from facesearch import files

    class _Counting:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> "_Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: bytes) -> int:
            if not disk.step("write"):
                return int(self._file.write(data))
            if disk.tears:
                self._file.write(data[: len(data) // 2])
                self._file.flush()
                die()
            raise disk.error

    def counting(handle: int, mode: str) -> _Counting:
        return _Counting(os.fdopen(handle, mode, buffering=0))

    def copying(source: str, target: str, **named: Any) -> str:
        if not disk.step("write"):
            return str(copyfile(source, target, **named))
        data = Path(source).read_bytes()
        Path(target).write_bytes(data[: len(data) // 2])
        if disk.tears:
            die()
        raise disk.error

    copyfile = shutil.copyfile
    shutil.copyfile = copying  # type: ignore[assignment]
    files.open = counting  # type: ignore[attr-defined]
    os.fsync = _counted(disk, lambda _: None, "sync")
    for name, kind in (("replace", "replace"), ("unlink", "delete"), ("rename", "replace")):
        setattr(os, name, _counted(disk, getattr(os, name), kind))


def _counted(disk: Disk, function: Any, kind: str) -> Any:
    def call(*words: Any, **named: Any) -> Any:
        if disk.step(kind):
            raise disk.error
        return function(*words, **named)

    return call


def is_possible() -> bool:
    """Whether SQLite can be given a disk of ours."""
    return Path("/proc").exists() and sqlite_library() is not None
