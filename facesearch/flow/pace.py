"""How much is worked on at once."""

from dataclasses import dataclass

from facesearch import limits
from facesearch.home import cores
from facesearch.models.device import Device
from facesearch.models.engines.keras import gpu_is_visible

BATCH = 32  # photos
GPU_BATCH = 256
# Batches and queues are also cut short by their weight, so that large photos do not fill the memory.
BATCH_PIXELS = 6_000_000
LOADED_AHEAD = 64_000_000  # bytes of files that are read and not yet decoded
MOST_WORKERS = 16


@dataclass(frozen=True, slots=True)
class Pace:
    """How many batches are worked on at once, a thread each, and how many photos are in one."""

    threads: int
    batch: int

    @classmethod
    def of_machine(cls, device: Device, threads: int | None = None, batch: int | None = None) -> "Pace":
        """What is not given is chosen: a thread a core, larger batches where there is a GPU. Raises UsageError for
        a number that is out of range."""
        limits.check("threads", threads, limits.THREADS)
        limits.check("batch", batch, limits.BATCH)
        usual = BATCH if device == "cpu" or not gpu_is_visible() else GPU_BATCH
        return cls(threads or min(cores(), MOST_WORKERS), batch or usual)

    @property
    def pixels(self) -> int:
        """How many of them, at most, a batch holds."""
        return self.batch * BATCH_PIXELS // BATCH

    @property
    def bytes_decoded_ahead(self) -> int:
        """Of files that are being decoded, and of the pixels, three bytes each, that come of two batches."""
        return LOADED_AHEAD + 6 * self.pixels

    @property
    def pixels_analysed_ahead(self) -> int:
        """In all batches that are being analysed or wait to be taken."""
        return 4 * self.pixels
