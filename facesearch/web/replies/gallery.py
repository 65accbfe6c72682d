"""The gallery as a whole, its photos, and the run of indexing."""

from typing import Any, Literal

import msgspec

from facesearch.web.replies.people import Box, Face


class Run(msgspec.Struct, frozen=True):
    """A run of indexing, by this page or by another process. What is not known, as how many photos there are, is
    null. `ended` is null while it runs; then it has the summary of the run or the sentence of an error, and neither
    where the run was stopped."""

    source: Literal["page", "other"]
    started_at: str
    stage: Literal["preparing", "checking", "indexing", "finishing"]
    done: int
    total: int | None
    faces: int
    failed: int
    photos_per_second: float | None
    seconds_left: float | None
    ended: dict[str, Any] | None


class State(msgspec.Struct, frozen=True):
    """`version` grows with every change of the gallery, by whichever process. `run` is null where nothing was indexed
    since the page began."""

    gallery: str
    version: int
    run: Run | None


class Failure(msgspec.Struct, frozen=True):
    """A photo that could not be read, and why. `cause` says whether it lies in the file, the machine, an option or a
    missing package."""

    photo: str
    status: str
    reason: str | None
    cause: str | None


class Failures(msgspec.Struct, frozen=True):
    """A part of the list of photos that could not be read, which has `total`."""

    total: int
    failures: list[Failure]


class Mark(msgspec.Struct, frozen=True):
    """Somebody in a photo of whom no face was found."""

    mark: int
    box: Box
    person: int
    label: str


class Photo(msgspec.Struct, frozen=True):
    """A photo, `width` by `height` pixels as it is shown, and who is in it. `previous` and `next` are the ids of its
    neighbours. `repeats` says that one person may be there twice."""

    photo_id: int
    photo: str
    width: int | None
    height: int | None
    taken: str | None
    status: str
    reason: str | None
    repeats: bool
    faces: list[Face]
    marks: list[Mark]
    previous: int | None
    next: int | None


class GalleryFacts(msgspec.Struct, frozen=True):
    """What the gallery holds, as `facesearch info --json` says it."""

    gallery: str
    directory: str
    bytes_on_disk: int
    photos: dict[str, int]
    faces: int
    faces_set_aside: int
    changing_to: str | None
    people: int
    groups: int
    unsure: int
    questions: int
    folders: list[str]
    exclude: list[str]
    default_excludes: bool
    model: str
    detector: str
    min_face: float
    index: dict[str, Any] | None
    store: dict[str, Any] | None
    threshold: dict[str, Any] | None
    cohort: int
    engines: list[dict[str, Any]]
    last_run: str | None
    failing: dict[str, int]
    unsupported: dict[str, int]
    skipped: list[dict[str, Any]]
    failures: list[Failure]
