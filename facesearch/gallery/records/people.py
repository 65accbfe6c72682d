"""What a gallery gives its callers about people: who there is, their faces, questions, and changes."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from facesearch.geometry.face import Box

QuestionKind: TypeAlias = Literal["same", "stray"]
Reply: TypeAlias = Literal["yes", "no", "not_a_face", "stranger"]


@dataclass(frozen=True, slots=True)
class FaceOf:
    """A face of the gallery, and whose it is. `person` is that person's id, None where it is nobody's; `named_by`
    says who said so: `user`, `xmp`, `folder` or `auto` (computed). `margin` says of a computed one how far over its
    bar it lies, as a difference of similarities; `is_unsure` that this is little. `taken` is the photo's date by its
    own clock; `quality`, 0..1, may not be known. The box is in pixels of the photo as it is shown. `name` is that of
    the person, None for one without."""

    face_id: int
    photo: str
    box: Box
    person: int | None
    named_by: str | None
    margin: float | None
    quality: float | None
    is_unsure: bool = False
    is_face: bool = True
    taken: str | None = None
    photo_id: int = 0
    name: str | None = None

    @property
    def label(self) -> str | None:
        """How the person is called: by their name, or `@17`; None where the face is nobody's."""
        return self.name or (None if self.person is None else f"@{self.person}")


@dataclass(frozen=True, slots=True)
class MarkOf:
    """Somebody in a photo of whom there is no face that can be used: the mark's id, its box in pixels of the photo as
    it is shown, whose it is, and how they are called."""

    mark: int
    box: Box
    person: int
    label: str


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """A photo of the gallery, `width` by `height` pixels as it is shown, None where that is not known. `taken` is its
    date by its own clock, None where it has none; `reason` says what is wrong with it. `repeats` says that one person
    may be there twice. Its faces are the largest first, without those that the user said are none. `previous` and
    `next` are the ids of its neighbours in the order of paths, or among the photos of a person as `find` orders
    them; None at an end."""

    photo_id: int
    photo: str
    width: int | None
    height: int | None
    taken: str | None
    status: str
    reason: str | None
    repeats: bool
    faces: tuple[FaceOf, ...]
    marks: tuple[MarkOf, ...]
    previous: int | None
    next: int | None


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """A person of the gallery, or a group that has no name yet. So many `faces` in so many `photos` are theirs, of
    which `unsure` were put there by little; `first` and `last` are the dates of their photos, None where no date is
    known. `cover` is the id of the face that stands for them, None for who has no face. `kind` is `stranger` for who
    is not to be asked about. `made_by` says where the person came from: `user`, `xmp`, `folder` or `auto`."""

    id: int
    name: str | None
    kind: str
    faces: int
    photos: int
    unsure: int
    cover: int | None
    first: str | None = None
    last: str | None = None
    hidden: bool = False
    made_by: str = "user"

    @property
    def label(self) -> str:
        """The name, or `@17` for who has none."""
        return self.name or f"@{self.id}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked about two faces: with `same`, whether they and all faces of their people are one person;
    with `stray`, whether face `a` is the person's of face `b`. A face that is nobody's stands for itself.
    `margin` is how much an answer is expected to change, as a logarithm: the most telling question has the greatest.
    `person_a` and `person_b` are None for who is nobody's yet."""

    kind: QuestionKind
    a: FaceOf
    b: FaceOf
    margin: float
    person_a: PersonFacts | None = None
    person_b: PersonFacts | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of what is known of people. `at` is its time in UTC, ISO 8601; `words` say what was done, with names
    as they are now. `undone_at` is None while the change holds. `made_by` is `user`, or `auto` for a computation."""

    id: int
    at: str
    verb: str
    words: str
    undone_at: str | None = None
    made_by: str = "user"


@dataclass(frozen=True, slots=True)
class Done:
    """What a verb did: its change, for `undo`; the person that it was about, as they are now, None where it was about
    nobody or several; how many faces are another's than before, or are now fixed; and of how many people something
    is other than before. `notes` are sentences that the user should read. `change` is None where all was so before
    and nothing was written."""

    change: Change | None
    person: int | None = None
    faces: int = 0
    people: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouped:
    """What a grouping found: of `faces`, how many `people` have a name or a decision and how many `groups` nobody has
    named, how many faces are `alone`, how many `questions` wait; of how many faces the person is another one than
    before. `is_whole` says that all faces were looked at, `is_dry` that nothing was written."""

    mode: str
    faces: int
    people: int
    groups: int
    alone: int
    questions: int
    moved: int
    seconds: float
    is_whole: bool = True
    is_dry: bool = False
