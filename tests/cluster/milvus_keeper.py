"""Keeps a real Milvus alive for its parent process: `python milvus_keeper.py BIN FOLDER`.

Milvus 2.3.5 listens on every address of the machine, its etcd on two fixed ports, and it writes to /run and /tmp.
So it gets a network of its own, in which there is nothing but a loopback, an empty /run and an empty /tmp; one port
of the machine's own loopback is forwarded to it. What it prints, a JSON object a line:
{"port": 40001} at first, then {"pid": 123, "seconds": 2.4} for each line "start" on its standard input, or
{"refused": "why"}, or {"denied": "why"} where it is the machine that does. At the end of its input it ends the
server, and the kernel does that where this process is killed.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000  # CLONE_NEW..., linux/sched.h
_BIND, _PRIVATE_FROM_HERE = 0x1000, 0x4000 | 0x40000  # MS_BIND, and MS_REC | MS_PRIVATE, linux/mount.h
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS and IFF_UP, linux/sockios.h and linux/if.h
_GRPC, _HEALTH = 19530, "http://127.0.0.1:9091/healthz"  # the ports of Milvus, which are all free in a new network
_BINARIES, _FOLDER = Path("/run/binaries"), Path("/run/folder")  # where the server sees the two folders
_START_S = 120  # 3 s here; minutes where eight others share two processors


def main() -> None:
    """Listens first, in the machine's network, and only then moves to a network of its own."""
    _call(_LIBC.prctl, _DIE_WITH_PARENT, signal.SIGTERM, 0, 0, 0)
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        _move_to_own_network()
    except OSError as error:
        _say(denied=f"this machine gives no network of its own to a process: {error}")
        return
    _say(port=listener.getsockname()[1])
    asyncio.run(_keep(listener))


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _call(function: Callable[..., int], *args: object) -> None:
    if function(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _move_to_own_network() -> None:
    """Root may do it as it is; others become the root of a new user namespace, where the machine lets them."""
    user, group = os.geteuid(), os.getegid()
    _call(_LIBC.unshare, _NEW_MOUNTS | _NEW_NETWORK | (_NEW_USER if user else 0))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call(_LIBC.mount, b"none", b"/", None, _PRIVATE_FROM_HERE, None)
    _call(_LIBC.mount, b"tmpfs", b"/run", b"tmpfs", 0, None)
    for here, there in zip(sys.argv[1:], (_BINARIES, _FOLDER), strict=True):
        there.mkdir()
        _call(_LIBC.mount, here.encode(), str(there).encode(), None, _BIND, None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


async def _keep(listener: socket.socket) -> None:
    forwarder = await asyncio.start_server(_forward, sock=listener)
    commands, server = asyncio.StreamReader(), None
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while await commands.readline():
        _end(server)
        server = _started()
        await _report(server)
    _end(server)
    forwarder.close()


def _end(server: subprocess.Popen[bytes] | None) -> None:
    if server is not None:
        server.kill()  # it takes more than 30 s to heed SIGTERM
        server.wait()


def _started() -> subprocess.Popen[bytes]:
    environment = {
        "LD_LIBRARY_PATH": str(_BINARIES),
        "MILVUSCONF": str(_FOLDER / "configs"),
        "DEPLOY_MODE": "STANDALONE",
    }
    command = [str(_BINARIES / "milvus"), "run", "standalone"]
    with (_FOLDER / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=_FOLDER,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_within_bounds,
        )


def _within_bounds() -> None:
    """In the server's process alone: Python may still need what lies in /tmp."""
    _call(_LIBC.prctl, _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _call(_LIBC.unshare, _NEW_MOUNTS)
    _call(_LIBC.mount, b"tmpfs", b"/tmp", b"tmpfs", 0, None)


async def _report(server: subprocess.Popen[bytes]) -> None:
    begin = time.monotonic()
    while server.poll() is None and time.monotonic() - begin < _START_S:
        if await asyncio.to_thread(_healthy):
            _say(pid=server.pid, seconds=round(time.monotonic() - begin, 2))
            return
        await asyncio.sleep(0.05)
    _say(refused=f"Milvus did not start: it ended with {server.poll()}")


def _healthy() -> bool:
    try:
        with urllib.request.urlopen(_HEALTH, timeout=2) as reply:
            return b"OK" in reply.read()
    except OSError:
        return False


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both ways until either end closes; a caller of a server that is down is hung up on."""
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", _GRPC)
    except OSError:
        writer.close()
        return
    with suppress(asyncio.CancelledError):  # at the end of all
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # an end was killed: the other one is closed all the same
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
