"""The options of `index` that name a Ray cluster, and what is said of one."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import show
from facesearch.errors import UsageError

if TYPE_CHECKING:
    from facesearch.cluster.ray_cluster import Cluster
    from facesearch.cluster.ray_records import Use

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Look at what is new on the machines of a Ray cluster, which see the photos at the same paths: "
        "HOST:PORT of its head, or auto for that of RAY_ADDRESS or of this machine.",
        metavar="auto|HOST:PORT",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="With --ray: how many work, a core each or as many as --threads says; by default one on each core of "
        "the cluster.",
        min=limits.WORKERS.least,
        max=limits.WORKERS.most,
    ),
]
GpuShare = Annotated[
    float | None,
    typer.Option(
        "--gpu-share",
        help="With --ray: each worker has this part of a GPU, as 0.5.",
        min=limits.GPU_SHARE.least,
        max=limits.GPU_SHARE.most,
    ),
]


def cluster_of(
    ray: str | None,
    workers: int | None,
    gpu_share: float | None,
    threads: int | None,
    device: Literal["auto", "cpu", "gpu"],
) -> "Cluster | None":
    """The cluster that these options name. Raises UsageError where they do not fit together."""
    if ray is None:
        if workers is not None or gpu_share is not None:
            alone = "--workers" if workers is not None else "--gpu-share"
            raise UsageError(f"{alone} is for a cluster; name one with --ray auto or --ray HOST:PORT.")
        return None
    if gpu_share is not None and device == "cpu":
        raise UsageError("--device cpu and --gpu-share do not go together; name one of them.")
    from facesearch.cluster.ray_cluster import Cluster

    return Cluster(ray, workers, 1.0 if device == "gpu" and gpu_share is None else gpu_share, threads or 1)


def show_use(use: "Use | None") -> None:
    """Says what a run had of a cluster."""
    if use is None:
        return
    nodes = f"{show.count(use.workers, 'worker')} on {show.count(use.nodes, 'node')}"
    show.console().print(f"Looked at by {nodes} of the cluster.")
    for sentence in use.refused:
        show.note(sentence)
