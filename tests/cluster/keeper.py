"""A Ray cluster on loopback, in a process that ends with its standard input: a test that is killed leaves nothing.

Says its address, then answers every line of its input with one of its own:

    add NAME [FOLDER [PYTHONPATH]]   a node of one CPU, whose processes run in that folder and import from there first
    kill NAME                        its raylet and its workers are gone at once
    kill head                        so is what holds the cluster together; it does not come back
"""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

_STORE = 150 << 20  # bytes of a node's object store
_SIGNAL_AT_PARENTS_END, _ADOPT = 1, 36  # PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER, linux/prctl.h
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # a token would be looked for in the user's home
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # with it the address would not be that of loopback
    "RAY_memory_monitor_refresh_ms": "0",  # else a neighbour's memory gets our workers killed
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "1000",
}


def main() -> None:
    os.environ.update(_SETTINGS)
    signal.signal(signal.SIGTERM, _end)
    libc = ctypes.CDLL(None)
    libc.prctl(_SIGNAL_AT_PARENTS_END, signal.SIGTERM, 0, 0, 0)  # should it be killed while a node is being started
    libc.prctl(_ADOPT, 1, 0, 0, 0)  # what a process that ended had begun becomes ours, and is found at the end
    folder = tempfile.mkdtemp(prefix="fs", dir="/tmp")  # the path of a socket has at most 107 bytes
    os.environ["RAY_TMPDIR"] = folder  # with it goes the note which cluster is the newest
    try:
        try:
            _keep()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it comes with the end of the input
    finally:
        _end_all()
        shutil.rmtree(folder, ignore_errors=True)


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing breaks off what follows
    sys.exit(1)


def _keep() -> None:
    from ray.cluster_utils import Cluster

    here = Path.cwd()
    head = {"num_cpus": 0, "object_store_memory": _STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head, shutdown_at_exit=False)
    nodes: dict[str, Any] = {"head": cluster.head_node}
    _say(cluster.address)
    for line in sys.stdin:
        word, name, *places = line.split()
        if word == "add":
            os.chdir(places[0] if places else here)
            env = {"PYTHONPATH": places[1]} if places[1:] else None
            nodes[name] = cluster.add_node(num_cpus=1, object_store_memory=_STORE, node_name=name, env_vars=env)
            os.chdir(here)
        else:
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
        _say("done")


def _say(line: str | None) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _end_all() -> None:
    """Ends every process that this one or its own have begun, whoever their parent is by now."""
    import psutil

    while children := psutil.Process().children(recursive=True):
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=1)
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
