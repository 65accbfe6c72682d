"""What a gallery gives of a run of indexing: what was done with each photo, in sum, and what would be done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facesearch.gallery.records.people import Grouped
from facesearch.models.engines import Engine
from facesearch.photos.kinds import WAITING
from facesearch.photos.status import FAILURES, Cause, Status

if TYPE_CHECKING:
    from facesearch.cluster.ray_records import Use


@dataclass(frozen=True, slots=True)
class Outcome:
    """What indexing did with one photo. `done` says why nothing was computed: `unchanged` (path, size and times
    agree, or it was tried again and failed as before), `moved` or `copied` (the content is known); it is `indexed`
    where something was. `cause` says where the reason of a failure lies; None where that is not known."""

    path: str
    status: Status
    faces: int
    done: str = "indexed"
    reason: str | None = None
    cause: Cause | None = None

    @property
    def is_failure(self) -> bool:
        """Whether the photo should have been read. Of a kind that no package here reads it should not."""
        return self.status in FAILURES and not self.is_of_another_kind

    @property
    def is_of_another_kind(self) -> bool:
        """Whether its content is not an image, or of a kind that no package here reads."""
        return self.status == Status.UNSUPPORTED and self.cause in (None, Cause.FILE)


@dataclass(frozen=True, slots=True)
class RootFailure:
    """A folder or photo that was to be indexed and could not; `reason` is a sentence."""

    root: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Files of a kind that were not looked at. `needs` is the module of the package that reads them; empty where
    none does."""

    kind: str
    files: int
    needs: str = ""


@dataclass(frozen=True, slots=True)
class OtherFilesFound:
    """How many files under a root are no photos, by kind."""

    root: str
    counts: dict[str, int]


def skipped(others: Mapping[str, int], photos: Mapping[str, int]) -> tuple[Skipped, ...]:
    """What is left out, by kind: files that are no photos, and photos that wait for a package, which are counted by
    status."""
    waiting = [
        Skipped(kind, photos[status], needs) for status, (kind, needs) in WAITING.items() if photos.get(status)
    ]
    return *(Skipped(kind, files) for kind, files in sorted(others.items(), key=lambda one: -one[1])), *waiting


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run of indexing did. `photos` counts by status or by `unchanged`, `moved`, `copied`. `failing` counts,
    by status, the photos among those looked at that cannot be read, in whatever run that was found; `failures` are
    the first of them. `unsupported` counts by reason the files of kinds that no package here reads, which are not
    failures. `skipped` are other files, and photos that wait for a package. `first_frames` counts animations and
    files of several pages, of which the first was looked at. `roots_failed` are those that could not be indexed at
    all. `engine` is what embedded; None where nothing had to be computed. `cluster` is what a run on a cluster
    had of it, None where nothing was sent there. `grouped` is what grouping found, None where nothing was new."""

    photos: dict[str, int]
    faces: int
    seconds: float
    photos_per_second: float
    gallery: str
    failures: tuple[Outcome, ...]
    failing: dict[str, int] = field(default_factory=dict)
    unsupported: dict[str, int] = field(default_factory=dict)
    roots_failed: tuple[RootFailure, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    first_frames: int = 0
    engine: Engine | None = None
    cluster: "Use | None" = None
    grouped: Grouped | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of indexing would do. `photos` counts those that are `new`, `changed` (or worth another try),
    `moved` (or there again), `copied`, `gone`, `excluded` (known, and left out from now on), `away` and `unchanged`;
    so many folders and files are left out altogether. It would take about so many `seconds` at so many
    `photos_per_second`, those of the gallery's last run, or else a guess. `roots_failed` could not be looked at."""

    gallery: str
    photos: dict[str, int]
    folders_left_out: int
    files_left_out: int
    seconds: float
    photos_per_second: float
    is_guess: bool
    roots_failed: tuple[RootFailure, ...] = ()
    engine: Engine | None = None
