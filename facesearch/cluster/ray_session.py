"""A connection to a Ray cluster, for the time of a run."""

import atexit
import os
import platform
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from facesearch import libraries
from facesearch.cluster.ray_address import HOW_TO_START, RayAddress, of_environment
from facesearch.errors import FaceSearchError, Note
from facesearch.files import printable
from facesearch.interruption import STUCK
from facesearch.packages import required

_TO_PART = 5.0  # seconds: from a cluster that is gone Ray parts slowly
_TO_ANSWER = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster, or what Ray takes for one, with the processors and GPUs that Ray gives out there, and
    the address at which its own process answers."""

    id: str
    name: str
    cpus: float
    gpus: float
    address: RayAddress | None = None

    def answers(self) -> bool:
        """Whether it is there: the cluster itself notices much later that a node has gone."""
        return self.address is None or self.address.answers()


class Session:
    """An open connection."""

    def __init__(self, ray: Any, address: RayAddress) -> None:
        self.ray, self.address = ray, address
        self._line = _to_own_node()
        self._is_gone = False

    def refuse_cut(self) -> None:
        """Raises FaceSearchError where the node on this machine, by which all is said, has ended. Whoever calls Ray
        after that is ended by it, without a word."""
        if self.is_cut:
            raise self.gone()

    @property
    def is_cut(self) -> bool:
        try:
            return self._line is not None and not self._line.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def is_usable(self) -> bool:
        """Whether Ray can be called without waiting for minutes, as far as is known."""
        return not self._is_gone and not self.is_cut and self.address.answers()

    def gone(self) -> FaceSearchError:
        """What is to be said of a cluster that went. Nothing is asked of it any more."""
        self._is_gone = True
        return FaceSearchError(
            f"The Ray cluster {self.address} is gone; what came before is stored: when it is there again, run the "
            "same command."
        )

    def close(self) -> None:
        """Leaves the connection to whoever opened it."""
        if self._line is not None:
            self._line.close()

    def part(self) -> None:
        """Ends the connection; one to a cluster that is gone is left behind."""
        is_usable = self.is_usable
        self.close()
        parting = threading.Thread(target=_shut_down, args=(self.ray,), name=STUCK, daemon=True)
        if is_usable:
            parting.start()
            parting.join(_TO_PART)
        else:  # threads of Ray that still ask for the cluster crash a process that takes them down as it ends
            threading.Thread(target=threading.Event().wait, name=STUCK, daemon=True).start()
        if not is_usable or parting.is_alive():
            atexit.unregister(self.ray.shutdown)  # which would wait when this process ends

    def nodes(self) -> list[Node] | None:
        """The nodes that live; None where the cluster does not say so in time: Ray itself would ask for minutes."""
        found: list[list[Node]] = []

        def ask() -> None:
            with suppress(Exception):
                found.append([_node(each) for each in self.ray.nodes() if each["Alive"]])

        asking = threading.Thread(target=ask, name=STUCK, daemon=True)
        asking.start()
        asking.join(_TO_ANSWER)
        return found[0] if found else None


@contextmanager
def connected(address: str, note: Note) -> Iterator[Session]:
    """A connection to the cluster at HOST:PORT, or to that of RAY_ADDRESS or of this machine (`auto`). A machine that
    is no node of it becomes one, without processors, for so long. Raises UsageError for what is no address,
    FaceSearchError where there is no cluster, no Ray is installed, or this one is another."""
    head = of_environment() if address == "auto" else RayAddress.parse(address)
    ray = _imported(head)
    with ExitStack() as stack:
        if ray.is_initialized():  # by the program that calls us
            with closing(Session(ray, RayAddress.parse(ray.get_runtime_context().gcs_address))) as session:
                yield session
            return
        head = head or _of_this_machine()
        head.refuse_silent()
        _join(head, stack, note)
        stack.enter_context(_silent())
        _connect(ray, head)
        session = Session(ray, head)
        stack.callback(session.part)
        yield session


def _imported(head: RayAddress | None) -> Any:
    libraries.settle("ray")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # or a call after a failed connection starts a cluster here
    if head and head.is_loopback and not head.is_elsewhere_too():
        # Ray would go on to this machine's other address, at which this head is not.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    return required("ray")


def _of_this_machine() -> RayAddress:
    from ray._private import services

    try:
        found = services.get_ray_address_from_environment("auto", None)
    except ConnectionError as error:
        raise FaceSearchError(
            f"No Ray cluster runs on this machine; start one with: {HOW_TO_START}, or name the HOST:PORT of another."
        ) from error
    return RayAddress.parse(found)


def _join(head: RayAddress, stack: ExitStack, note: Note) -> None:
    from facesearch.cluster.ray_joining import is_node, joined

    if not is_node(head):
        stack.enter_context(joined(head, note))


def _connect(ray: Any, head: RayAddress) -> None:
    """Raises FaceSearchError with the first line of what Ray says."""
    handler = signal.getsignal(signal.SIGTERM) if _is_main_thread() else None
    try:
        config = ray.job_config.JobConfig()
        config._py_driver_sys_path = _Nowhere()
        ray.init(
            address=str(head),
            job_config=config,
            log_to_driver=False,
            configure_logging=False,
            logging_level="CRITICAL",
        )
    except Exception as error:
        raise FaceSearchError(_why_not(head, error)) from error
    finally:
        if _is_main_thread() and handler is not None:  # Ray takes it for its own
            signal.signal(signal.SIGTERM, handler)


@contextmanager
def _silent() -> Iterator[None]:
    """Inside, what Ray's processes have to say of workers that ended is not printed: Ray would, on the standard
    output, whatever it was told of logs."""
    from ray._private import worker

    printed = getattr(worker, "print_to_stdstream", None)
    if printed is None:
        yield
        return
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = printed


class _Nowhere(list[str]):
    """The folders from which workers import before all others: none. Ray would add the current one of this process,
    where a stranger's json.py may lie among the photos."""

    def extend(self, _: Iterable[str]) -> None:
        return


def _why_not(head: RayAddress, error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "ersion mismatch" in str(error):
        found = ", ".join(line for line in lines[1:3] if line.startswith(("Ray:", "Python:")))
        import ray

        return (
            f"The Ray cluster {head} is of another version ({found or 'unknown'}; here Ray: {ray.__version__}, "
            f"Python: {platform.python_version()}); install the same here or there."
        )
    cause = error.__cause__ or error
    said = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return (
        f"The Ray cluster {head} cannot be used ({printable(said[0] if said else type(error).__name__)[:300]}); look "
        "with: ray status"
    )


def _to_own_node() -> socket.socket | None:
    """An open line to the node's own process, over which nothing is said: when that process ends, so does the
    line. None where Ray does not say where it is."""
    from ray._private import worker

    path = getattr(getattr(worker, "_global_node", None), "raylet_socket_name", None)
    if not path or not hasattr(socket, "AF_UNIX"):
        return None
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(path)
    except OSError:
        line.close()
        return None
    line.setblocking(False)
    return line


def _shut_down(ray: Any) -> None:
    with suppress(Exception):
        ray.shutdown()


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _node(found: dict[str, Any]) -> Node:
    resources = found["Resources"]
    address, name = found["NodeManagerAddress"], found["NodeName"]
    known_as = name if name and name != address else found["NodeManagerHostname"]
    return Node(
        found["NodeID"],
        printable(f"{known_as} ({address}, {found['NodeID'][:8]})"),
        resources.get("CPU", 0.0),
        resources.get("GPU", 0.0),
        RayAddress(address, found["NodeManagerPort"]),
    )
