"""The real Milvus server that the package `milvus` carries, for tests: on loopback alone, in a folder that is given.

It is unpacked once, 246 MB in 5 s, to a folder of this user's beside the temporary files of the machine.
"""

import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from typing import Any, Self

_KEEPER = Path(__file__).with_name("milvus_keeper.py")
_SESSION_S = (
    5  # how long a killed server's parts count as alive, for which its successor waits; 30 if nothing is said
)


class CannotRunError(Exception):
    """Says why the server cannot run."""


class NoMachineForItError(CannotRunError):
    """It is the machine that does not let it run, and nothing that could be installed or mended."""


class Milvus:
    """A running server; it ends with the process that started it, however that ends."""

    def __init__(self, keeper: "subprocess.Popen[str]", folder: Path) -> None:
        self._keeper, self.folder = keeper, folder
        self.port: int = self._reply()["port"]
        self.pid = 0  # of the server, while it runs
        self.seconds = 0.0  # from its start until it called itself healthy

    @property
    def address(self) -> str:
        """Without the name of a collection: milvus://127.0.0.1:40001."""
        return f"milvus://127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """For pymilvus."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Starts the server, on what it left on the disk; the port stays the same.

        Raises:
            CannotRunError: It did not become healthy.
        """
        self._keeper.stdin.write("start\n")  # type: ignore[union-attr]
        self._keeper.stdin.flush()  # type: ignore[union-attr]
        reply = self._reply()
        self.pid, self.seconds = reply["pid"], reply["seconds"]
        return self

    def kill(self) -> None:
        """As a power cut does: nothing is written down."""
        os.kill(self.pid, signal.SIGKILL)

    def pause(self) -> None:
        """From now on it is there and answers nothing. What leads to it is stopped: stopped itself, it would take its
        own parts for dead when it goes on."""
        self._keeper.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it answer again."""
        self._keeper.send_signal(signal.SIGCONT)

    def _reply(self) -> dict[str, Any]:
        line = self._keeper.stdout.readline()  # type: ignore[union-attr]
        reply: dict[str, Any] = json.loads(line or '{"refused": "its keeper ended"}')
        if "denied" in reply:
            raise NoMachineForItError(reply["denied"])
        if "refused" in reply:
            raise CannotRunError(reply["refused"])
        return reply


@contextmanager
def milvus(folder: Path, asks_who: bool = False) -> Iterator[Milvus]:
    """A server whose files lie in `folder`; killed at the end. One that `asks_who` lets in root:Milvus alone.

    Raises:
        CannotRunError: The package is not there, or this machine does not let it be kept to itself.
    """
    binaries = _unpacked()
    _configure(folder, asks_who)
    keeper = subprocess.Popen(
        [sys.executable, str(_KEEPER), str(binaries), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Milvus(keeper, folder).start()
    finally:
        keeper.send_signal(signal.SIGCONT)
        keeper.stdin.close()  # type: ignore[union-attr]
        keeper.wait()
        keeper.stdout.close()  # type: ignore[union-attr]


def _package() -> Path:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise NoMachineForItError("the package milvus has a server for Linux on x86-64 alone")
    spec = util.find_spec("milvus")
    if spec is None or spec.origin is None:
        raise CannotRunError("the package milvus is not installed")
    return Path(spec.origin).parent / "data"


def _unpacked() -> Path:
    """The folder with the server and its libraries; made aside and renamed, so that two may do it at once."""
    source = _package() / "bin"
    ours = Path(tempfile.gettempdir()) / f"facesearch-tests-{os.getuid()}"
    ours.mkdir(mode=0o700, exist_ok=True)
    if ours.stat().st_uid != os.getuid() or ours.stat().st_mode & 0o077:
        raise CannotRunError(f"{ours} belongs to somebody else, who could put programs there; delete it")
    target = ours / f"milvus-{metadata.version('milvus')}"
    if not target.is_dir():
        aside = Path(tempfile.mkdtemp(dir=ours))
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda packed: _unpack(packed, aside / packed.stem), source.glob("*.lzma")))
        try:
            aside.rename(target)
        except OSError:  # another process was quicker
            shutil.rmtree(aside)
    return target


def _unpack(packed: Path, target: Path) -> None:
    with lzma.open(packed) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    target.chmod(0o700)


def _configure(folder: Path, asks_who: bool) -> None:
    """The package's own settings, with the folders and addresses filled in."""
    template = (_package() / "config.yaml.template").read_text()

    def filled(match: re.Match[str]) -> str:
        name, _, usual = (part.strip() for part in match.group(1).partition(":"))
        return name if name.endswith(("_dir", "system_log_path")) else usual  # folders are made where it runs

    text = re.sub(r"{{(.*?)}}", filled, template)
    text = re.sub(r"(?m)^( +)ip:.*$", r"\1ip: 127.0.0.1", text)
    text = re.sub(r"(?m)^(  session:\n    ttl:) 30", rf"\1 {_SESSION_S}", text)
    text = text.replace("authorizationEnabled: false", f"authorizationEnabled: {str(asks_who).lower()}")
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "milvus.yaml").write_text(text)
    shutil.copy(_package() / "glog.conf", folder / "configs")  # without it the server ends without a word
