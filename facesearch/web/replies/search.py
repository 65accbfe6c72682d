"""Photos that were sent, and who is alike."""

import msgspec

from facesearch.web.replies.people import Box, Share


class FaceOfUpload(msgspec.Struct, frozen=True):
    """A face of a photo that was sent; number 1 is the largest."""

    number: int
    box: Box
    score: float
    quality: Share | None


class Ready(msgspec.Struct, frozen=True):
    """Whether the networks are loaded."""

    ready: bool


class Upload(msgspec.Struct, frozen=True):
    """A photo that was sent, `width` by `height` pixels as it is shown. It is kept for some minutes, under the id
    `upload`."""

    upload: int
    width: int
    height: int
    faces: list[FaceOfUpload]


class Sighting(msgspec.Struct, frozen=True, omit_defaults=True):
    """A face that is asked about: of `faces` faces of its photo the one with the number `face`."""

    photo: str
    box: Box
    score: float
    quality: Share | None
    face: int | msgspec.UnsetType = msgspec.UNSET
    faces: int | msgspec.UnsetType = msgspec.UNSET


class Match(msgspec.Struct, frozen=True):
    """Somebody who is alike, by the face that is nearest. `judged` is what counts, by all of their faces; `same` says
    whether it reaches the threshold."""

    person: str | None
    person_id: int | None
    label: str | None
    stranger: bool
    faces: int
    similarity: float
    judged: float
    same: bool | None
    quality: Share | None
    photo_id: int
    photo: str
    taken: str | None
    alike: list[str]
    box: Box
    face_id: int


class Answer(msgspec.Struct, frozen=True):
    """The nearest people, the most alike first. From the judged value `threshold` on two faces count as one person;
    `far` is the share of pairs of strangers that reach it, so that about `by_chance` of the `compared` faces do."""

    query: Sighting
    also: list[Sighting]
    person: str | None
    person_id: int | None
    model: str
    threshold: float | None
    far: float | None
    learned: bool
    cohort: int
    compared: int
    by_chance: float | None
    matches: list[Match]
    undated: int
    store: str | None


class Found(msgspec.Struct, frozen=True):
    """The answer to a search."""

    answer: Answer


class FoundByPhoto(Upload, frozen=True, kw_only=True):
    """The photo that was sent, and the answer to the search."""

    answer: Answer


class Verdict(msgspec.Struct, frozen=True):
    """Whether two faces are of one person: whether `judged` reaches `threshold`."""

    same: bool | None
    similarity: float
    judged: float
    cohort: int
    threshold: float | None
    far: float | None
    learned: bool
    model: str
    pairs: int
    chance: float | None
    a: Sighting
    b: Sighting
