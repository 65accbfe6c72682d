"""What a gallery holds, and what an upkeep of it has changed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.gallery.records.run import Outcome, Skipped
from facesearch.gallery.records.settings import ActiveThreshold, GallerySettings, IndexStamp
from facesearch.gallery.records.store import StoreFacts
from facesearch.models.engines import Engine
from facesearch.photos.exclusions import Exclusions

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many photos, and faces in them, were deleted from a gallery, and which roots it no longer looks after.
    `finished` says that what an earlier `forget` had to leave in the files has left them, too."""

    photos: int
    faces: int
    roots: tuple[str, ...] = ()
    finished: bool = False


@dataclass(frozen=True, slots=True)
class SetAside:
    """A photo with faces that have no embedding of the gallery's model, why (half a sentence), and how many they
    are."""

    photo: str
    reason: str
    faces: int


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a change of a gallery's model did. `faces` have an embedding of `model` now; where `is_new` is off the
    gallery had that model already. `set_aside` faces, in `photos_set_aside`, have none, from this change of the model
    or an earlier one; `back` counts those that were set aside before and take part in searches again. `photos` were
    worked on in `seconds`, at so many `photos_per_second` without the time that the network took to load.
    `lost_threshold` says that a threshold was dropped that had been learned from the old embeddings."""

    gallery: str
    model_before: str
    model: str
    is_new: bool
    faces: int
    set_aside: int
    photos_set_aside: int
    back: int
    photos: int
    seconds: float
    photos_per_second: float
    lost_threshold: bool


@dataclass(frozen=True, slots=True)
class GalleryFacts:
    """What a gallery holds. `failing` counts the photos that cannot be read by status, `failures` are the first of
    them; `unsupported` counts the files of kinds that no package here reads, by reason. `set_aside` counts the
    faces that take no part in searches, for they have no embedding of the model; `faces` does not. `changing_to`
    is the model of a `migrate` that was not finished. `exclusions` are left out of its roots, `skipped` are files
    that are no photos, and photos that wait for a package. Own thresholds are measured by a `cohort` of so many
    distinct people. `engines` embedded in its runs, the newest first. `people` have a name, `groups` have none;
    `unsure` faces were put into one of them by little, and so many `questions` wait. `store` is what the database
    knows of its vector store, None where it has none."""

    name: str
    directory: Path
    settings: GallerySettings
    photos: dict[str, int]
    faces: int
    people: int
    roots: tuple[str, ...]
    index: IndexStamp | None
    threshold: ActiveThreshold | None
    bytes_on_disk: int
    last_run: str | None
    failures: tuple[Outcome, ...]
    failing: dict[str, int] = field(default_factory=dict)
    unsupported: dict[str, int] = field(default_factory=dict)
    cohort: int = 0
    set_aside: int = 0
    changing_to: str | None = None
    exclusions: Exclusions = field(default_factory=Exclusions)
    skipped: tuple[Skipped, ...] = ()
    engines: tuple[Engine, ...] = ()
    groups: int = 0
    unsure: int = 0
    questions: int = 0
    store: StoreFacts | None = None
