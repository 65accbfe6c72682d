"""Which folders lie on a disk that another machine serves: its changes are not announced, and must be looked for."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# File systems whose changes the kernel does not announce where another machine makes them, by the names that Linux
# and macOS give them; after "fuse." comes a program's name, and only some of them reach other machines.
_OF_A_NETWORK = re.compile(
    r"9p|afpfs|afs|beegfs|ceph|cifs|coda|davfs|glusterfs|gpfs|lustre|ncpfs|nfs4?|smb3|smbfs|vboxsf|virtiofs|vmhgfs|"
    r"webdav|fuse\.(ceph|curlftpfs|davfs2|gcsfuse|glusterfs|gvfsd-fuse|rclone|s3fs|smbnetfs|sshfs|vmhgfs-fuse)"
)
_REMOTE_DRIVE = 4  # what Windows' GetDriveType says of one
_LINE = re.compile(r" on (?P<place>/.*) \((?P<kind>[^,)]+)")  # of `mount` on macOS


def is_on_network(folder: str) -> bool:
    """Whether a folder, or a disk that is mounted below it, is served by another machine, as far as the system
    says."""
    path = os.path.realpath(folder)
    if sys.platform == "win32":
        return _is_remote_drive(path)
    return reaches_network(path, _mounts())


def reaches_network(path: str, mounts: Iterable[tuple[str, str]]) -> bool:
    """Whether the disk that a path lies on, or one below it, is of a network; of mounts at one place the last one
    counts."""
    kinds = dict(mounts)
    lies_on = max((place for place in kinds if _is_under(path, place)), key=len, default="")
    at_or_below = [lies_on, *(place for place in kinds if _is_under(place, path))]
    return any(_OF_A_NETWORK.fullmatch(kinds.get(place, "")) for place in at_or_below)


def _is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _mounts() -> list[tuple[str, str]]:
    """Where each disk is mounted, and the kind of its file system; none where the system does not say."""
    with suppress(OSError):
        return mounts_in(Path("/proc/self/mountinfo").read_bytes())
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(["/sbin/mount"], capture_output=True, check=True, timeout=5).stdout
        found = map(_LINE.search, os.fsdecode(said).split("\n"))
        return [(each["place"], each["kind"]) for each in found if each]
    return []


def mounts_in(text: bytes) -> list[tuple[str, str]]:
    """See proc_pid_mountinfo(5): the fifth field is the place, and the kind stands behind the one that is "-"."""
    found = []
    for line in text.split(b"\n"):
        fields = line.split(b" ")
        if b"-" in fields[6:-1]:
            place = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 255]), fields[4])
            found.append((os.fsdecode(place), os.fsdecode(fields[fields.index(b"-", 6) + 1])))
    return found


def _is_remote_drive(path: str) -> bool:
    if sys.platform != "win32" or path.startswith("\\\\"):
        return True
    import ctypes

    drive = os.path.splitdrive(path)[0] + "\\"
    return bool(ctypes.windll.kernel32.GetDriveTypeW(drive) == _REMOTE_DRIVE)
