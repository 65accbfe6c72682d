"""Makes this machine a node of a cluster for a while: one without processors, so that no work comes here, by which
this process talks to the others. Ray knows no other way in for a program whose results are to be fast.

Run as a program it is what keeps that node: it ends it when its own standard input ends, however that comes about."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from facesearch.cluster.ray_address import RayAddress
from facesearch.errors import FaceSearchError, Note
from facesearch.home import home, private_folder
from facesearch.interruption import out_of_its_reach

_TO_JOIN = 60.0  # seconds
_TO_END = 15.0
_STORE = 200_000_000  # bytes of shared memory: networks go out, small rows come in
_AS_PATHS = ("RAY_AUTH_TOKEN_PATH", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
# A socket's path has 107 bytes at most; below its folder Ray adds a session's name, "sockets" and a name.
_LONGEST = 107 - len("/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store_1")


def is_node(head: RayAddress) -> bool:
    """Whether a node of this cluster runs on this machine. Raises FaceSearchError where no Ray answers."""
    from ray._private import services

    here: set[str] = set(services.find_node_ids())  # type: ignore[no-untyped-call]
    sockets = [socket for node_id, socket in _living(head).items() if node_id in here] if here else []
    if sockets and not any(os.access(socket, os.W_OK) for socket in sockets):
        raise FaceSearchError(
            f"The node of the Ray cluster {head} on this machine is another user's ({sockets[0]} cannot be written); "
            "run it as that user, or start a node of your own."
        )
    return bool(sockets)


def _living(head: RayAddress) -> dict[str, str]:
    """The nodes that live, each with the path of its socket."""
    from ray._private.services import canonicalize_bootstrap_address
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    try:
        client = GcsClient(address=canonicalize_bootstrap_address(str(head)))
        found = client.get_all_node_info(timeout=10)
    except Exception as error:
        if type(error).__name__ == "AuthenticationError":
            raise FaceSearchError(
                f"The Ray cluster {head} lets nobody in without its token; set RAY_AUTH_MODE=token, and "
                "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH."
            ) from error
        raise FaceSearchError(
            f"What answers at {head} is no Ray cluster that this Ray understands; name the port of its head, which "
            "is 6379 by default."
        ) from error
    return {node_id.hex(): each.raylet_socket_name for node_id, each in found.items() if each.state == 0}


@contextmanager
def joined(head: RayAddress, note: Note) -> Iterator[None]:
    """This machine as a node. Raises FaceSearchError where it cannot become one."""
    note(f"This machine becomes a node of the Ray cluster {head}, without processors, for this run.")
    with _folder() as folder, (folder / "output").open("w+b") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "facesearch.cluster.ray_joining", str(head), str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            **out_of_its_reach(),
        )
        try:
            _wait_until_joined(head, keeper, folder / "output")
            yield
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(_TO_END)
            keeper.kill()
            keeper.wait()


def _wait_until_joined(head: RayAddress, keeper: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + _TO_JOIN
    while not is_node(head):
        if keeper.poll() is not None or time.monotonic() > deadline:
            lines = [line.strip() for line in output.read_text(errors="replace").splitlines() if line.strip()]
            why = lines[-1][:200] if lines else "slow"
            raise FaceSearchError(
                f"This machine cannot become a node of the Ray cluster {head} ({why}); make it one "
                f"with: ray start --address={head} --num-cpus=0 --disable-usage-stats"
            )
        time.sleep(0.2)


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty folder under the home for Ray's files; where its path is too long for a socket, a short link to it."""
    try:
        made = Path(tempfile.mkdtemp(prefix="r", dir=private_folder(home().absolute() / "ray")))
    except OSError as error:
        raise FaceSearchError(f"{error.filename or home()} cannot be written: {error.strerror}.") from error
    link = Path(tempfile.gettempdir()) / f"facesearch-{os.getpid()}-{made.name}"
    try:
        if len(bytes(made)) <= _LONGEST:
            yield made
        else:
            link.symlink_to(made)
            yield link
    finally:
        with suppress(OSError):
            link.unlink(missing_ok=True)
        shutil.rmtree(made, ignore_errors=True)


def _keep(head: str, folder: Path) -> int:
    """Runs the node until the standard input ends, or it ends itself, and deletes its folder; its exit code."""
    try:
        with subprocess.Popen(_command(head, folder), stdin=subprocess.DEVNULL, cwd=folder, env=_settings()) as node:
            threading.Thread(target=_end_with_input, args=(node,), daemon=True).start()
            return node.wait()
    finally:  # whoever made it may have been killed
        shutil.rmtree(folder.resolve(), ignore_errors=True)
        if folder.is_symlink():
            folder.unlink(missing_ok=True)


def _command(head: str, folder: Path) -> list[str]:
    start = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", f"--address={head}", "--block"]
    none = ["--num-cpus=0", "--num-gpus=0", "--disable-usage-stats", f"--temp-dir={folder}"]
    return [*start, *none, f"--object-store-memory={_STORE}"]


def _settings() -> dict[str, str]:
    """The environment of a node whose processes run in another folder than this one. Nothing runs on it, so it has
    nothing to wait for when it ends."""
    paths = {name: str(Path(os.environ[name]).absolute()) for name in _AS_PATHS if os.environ.get(name)}
    return os.environ | paths | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}


def _end_with_input(node: "subprocess.Popen[bytes]") -> None:
    sys.stdin.buffer.read()
    node.terminate()


if __name__ == "__main__":
    sys.exit(_keep(sys.argv[1], Path(sys.argv[2])))
