"""The numbers that a user may give, and between which limits: one table for the command line and for Python."""

import math
from typing import NamedTuple

from facesearch.errors import UsageError


class Range(NamedTuple):
    """Least and most, both allowed."""

    least: float
    most: float


MATCHES = Range(1, 1_000_000)  # people or faces of an answer
FACE = Range(1, 10_000)  # of a photo, by size
ROWS = Range(1, 1_000_000)  # of a list
CHANGE = Range(1, 10**15)  # a number in the log
SIMILARITY = Range(-1, 1)
QUALITY = Range(0, 1)
MIN_FACE_PX = Range(12, 10_000)  # the detector's first network sees 12 pixels
MAX_SIDE_PX = Range(0, 100_000)  # 0: of any size
THREADS = Range(1, 1_024)
BATCH = Range(1, 4_096)  # photos
WORKERS = Range(1, 10_000)
GPU_SHARE = Range(0.01, 1)  # of one GPU
MEGAPIXELS = Range(1, 10_000)
FAR = Range(1e-6, 0.1)  # the share of strangers that pass for one person
SEED = Range(0, 2**32 - 1)  # what NumPy takes


def check(name: str, value: float | None, allowed: Range) -> None:
    """Raises UsageError for a number that is not in its range, or is none; None is not given."""
    if value is None or (math.isfinite(value) and allowed.least <= value <= allowed.most):
        return
    raise UsageError(f"{name} must be from {allowed.least:,g} to {allowed.most:,g}, not {_short(value)}.")


def _short(value: float) -> str:
    text = str(value)
    return text if len(text) <= 30 else f"{text[:30]}..."
