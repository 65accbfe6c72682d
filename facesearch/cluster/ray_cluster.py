"""Which cluster a run is to embed on."""

from dataclasses import dataclass

from facesearch import limits
from facesearch.cluster.ray_address import RayAddress


@dataclass(frozen=True, slots=True)
class Cluster:
    """The Ray cluster that a run is to embed on: `address` is HOST:PORT, or `auto` for that of RAY_ADDRESS or of this
    machine. So many `workers`, each of `cores` processors; None: as many as the cluster has room for. With
    `gpu_share` each has that part of a GPU, up to all of one."""

    address: str = "auto"
    workers: int | None = None
    gpu_share: float | None = None
    cores: int = 1

    def __post_init__(self) -> None:
        """Raises UsageError for what is no address, and for a number that is out of range."""
        if self.address != "auto":
            RayAddress.parse(self.address)
        limits.check("workers", self.workers, limits.WORKERS)
        limits.check("gpu_share", self.gpu_share, limits.GPU_SHARE)
        limits.check("threads", self.cores, limits.THREADS)
