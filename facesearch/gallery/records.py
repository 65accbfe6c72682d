"""What a gallery gives its callers: records of runs, of answers and of what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from facesearch.gallery.people_records import Grouped
from facesearch.gallery.store_table import StoreFacts
from facesearch.geometry.face import Box
from facesearch.models.engines import Engine
from facesearch.photos.exclusions import Exclusions
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
class Sighting:
    """A face in a photo that was asked about. `faces` is how many faces that photo shows, `number` which of them this
    is, 1 for the largest; `quality`, 0..1, says how good it is to recognise somebody by."""

    photo: str
    box: Box
    score: float
    faces: int
    quality: float | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class Match:
    """A face of the gallery beside the one that was asked about. `similarity` is the cosine, -1..1; `judged` is what
    counts: the similarity less the mean of how much higher the own thresholds of both faces lie. `same` says whether
    that reaches the threshold; None where none is known, or both faces are too small to tell. `quality`, 0..1, says
    how good the face is to recognise somebody by; None where an earlier facesearch stored it. `taken` is the photo's
    date by its own clock (such as 2024-07-31T18:05:59), None where it has none. `alike` are the paths of the other
    photos that show the same: copies, resized copies, and those of the same burst.

    `person` is the name of whose face it is, None where they have none; `person_id` is that person's id, None where
    the face is nobody's. `is_stranger` says that the user does not want to be asked about them. Where the row stands
    for a person, it shows the face that is judged nearest, of which the similarity is, and `judged` is by so many
    `faces` of theirs. `photo_id` is the photo's."""

    person: str | None
    similarity: float
    photo: str
    box: Box
    face_id: int
    judged: float
    same: bool | None = None
    quality: float | None = None
    taken: str | None = None
    alike: tuple[str, ...] = ()
    person_id: int | None = None
    is_stranger: bool = False
    faces: int = 1
    photo_id: int = 0

    @property
    def label(self) -> str | None:
        """How the person is called: by their name, or `@17`; None where the face is nobody's."""
        return self.person or (None if self.person_id is None else f"@{self.person_id}")

    @property
    def photos(self) -> tuple[str, ...]:
        """The photo, and those that show the same."""
        return (self.photo, *self.alike)


@dataclass(frozen=True, slots=True)
class Answer:
    """The nearest people to the face that was asked about, highest judged value first. From the judged value
    `threshold` on two faces count as one person; `far` is the share of pairs of strangers that reach it, so that
    about far * compared of the gallery's faces do by chance. `learned` says that it comes from the gallery's own
    photos, not from the card. Both are None for a model whose threshold nobody has measured. `cohort` is the number
    of the gallery's distinct people by whom own thresholds were measured; with none, judged values are
    similarities. `also` are the other faces of a question that has several: values are then means over all of them.
    `person` is how who was asked about is called, and `person_id` their id. `roots` are the gallery's folders, and
    `undated` counts the photos that were left out because no date of theirs is known. `store` is the address of the
    vector store that found them; None where this machine's own vectors did."""

    query: Sighting
    model: str
    threshold: float | None
    far: float | None
    learned: bool
    compared: int
    matches: tuple[Match, ...]
    cohort: int = 0
    also: tuple[Sighting, ...] = ()
    person: str | None = None
    roots: tuple[str, ...] = ()
    undated: int = 0
    person_id: int | None = None
    store: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoOfPeople:
    """A photo that shows all the people who were looked for: everybody in it who has a name, and its date, None where
    it has none."""

    photo: str
    people: tuple[str, ...]
    taken: str | None = None
    photo_id: int = 0


@dataclass(frozen=True, slots=True)
class PhotosOfPeople:
    """The photos with all of some people, newest date first and those without a date last; the gallery's folders; how
    many photos were left out because no date of theirs is known."""

    photos: tuple[PhotoOfPeople, ...]
    roots: tuple[str, ...] = ()
    undated: int = 0


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A photo of a batch of queries that shows no face or cannot be read."""

    photo: str
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether two photos show the same person: judged >= threshold. `judged` is the similarity less the mean of how
    much higher the own thresholds of both faces lie, by the `cohort` of so many people of a gallery; with none it is
    the similarity. `far` is the share of pairs of strangers that reach the threshold, None where it is one that the
    user gave; `learned` says that it comes from a gallery's own photos. `same` and `threshold` are None for a model
    whose threshold nobody has measured; `same` alone where both faces are too small to tell, unless the user gave the
    threshold. `pairs` counts the pairs of faces among which this was the best one."""

    same: bool | None
    similarity: float
    judged: float
    threshold: float | None
    far: float | None
    model: str
    a: Sighting
    b: Sighting
    learned: bool = False
    cohort: int = 0
    pairs: int = 1

    @property
    def chance(self) -> float | None:
        """How likely one of so many pairs of strangers reaches the threshold; None where `far` is not known."""
        return None if self.far is None else 1 - (1 - self.far) ** self.pairs


@dataclass(frozen=True, slots=True)
class IndexStamp:
    """What a file of vectors must be to belong to its database. A file whose size and time agree is taken
    for unchanged, else its SHA-256 decides. `recall` is recall@1 against exact search, measured when an
    approximate index was built. `removed` is the number of the last deletion (of `Removed`) that the file has
    followed; None in a stamp of an earlier facesearch, which did not number them."""

    recipe: str
    model: str
    count: int
    newest_id: int
    size: int
    mtime_ns: int
    sha256: str
    recall: float | None
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class GallerySettings:
    """What is fixed when a gallery is made, so that all its embeddings are comparable."""

    model: str
    detector: str
    dim: int
    min_face_px: float
    max_side: int = 0
    identity: str = (
        ""  # of both models (see `facesearch.models.identity`); empty in a gallery of an earlier facesearch
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold learned from a gallery's own photos: `far` of its `strangers` (pairs of faces that share one of
    `photos`) reach it; with 95 % confidence no more than `far_at_most` of all such pairs do. `likely_accepted` is the
    share of the `likely` pairs of one person that reach it, None where there are none; `card_far` is the share of
    the strangers that reach the threshold of the model's card, where that has one."""

    model: str
    threshold: float
    far: float
    far_at_most: float
    strangers: int
    photos: int
    likely: int
    likely_accepted: float | None
    card_threshold: float | None
    card_far: float | None


@dataclass(frozen=True, slots=True)
class ActiveThreshold:
    """The judged value from which two faces count as one person, the share of pairs of strangers that reach it (None
    where that is not known, as of one that the user gave), and whether it was learned from the gallery. One that
    was learned from similarities `judges` nothing else."""

    similarity: float
    far: float | None
    learned: bool = False
    judges: bool = True


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
