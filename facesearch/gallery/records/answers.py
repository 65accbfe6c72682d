"""What a gallery answers: who a face is, in which photos people are, and whether two photos show the same person."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesearch.geometry.face import Box
from facesearch.photos.status import Status

if TYPE_CHECKING:
    pass


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
