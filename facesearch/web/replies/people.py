"""People, their faces, names, questions, and what was done."""

from typing import Annotated, Literal, TypeAlias

import msgspec

Box: TypeAlias = Annotated[
    list[float], msgspec.Meta(min_length=4, max_length=4, description="Left, top, right, bottom, in pixels.")
]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Version: TypeAlias = Annotated[int, msgspec.Meta(description="What was read is of this version of the gallery.")]


class Person(msgspec.Struct, frozen=True):
    """A person, or a group that has no name yet. `label` is the name, or such as @17. `cover` is the id of the face
    that stands for them. `unsure` faces were put there by little. `first` and `last` are dates of photos."""

    id: int
    name: str | None
    label: str
    kind: Literal["person", "stranger"]
    hidden: bool
    made_by: str
    photos: int
    faces: int
    unsure: int
    cover: int | None
    first: str | None
    last: str | None


class People(msgspec.Struct, frozen=True):
    """A part of one list of people, which has `total`."""

    version: Version
    total: int
    people: list[Person]


class Face(msgspec.Struct, frozen=True):
    """A face, in pixels of its photo as that is shown. `person` is the id of whose it is, null where it is nobody's;
    `named_by` who said so: user, xmp, folder or auto (computed)."""

    face_id: int
    photo_id: int
    photo: str
    box: Box
    person: int | None
    label: str | None
    named_by: str | None
    margin: float | None
    unsure: bool
    quality: Share | None
    taken: str | None


class Faces(msgspec.Struct, frozen=True):
    """A part of a list of faces, which has `total`."""

    version: Version
    total: int
    faces: list[Face]


class PhotoOfPeople(msgspec.Struct, frozen=True):
    """A photo, who is in it, and its date."""

    photo_id: int
    photo: str
    people: list[str]
    taken: str | None


class Photos(msgspec.Struct, frozen=True):
    """A part of a list of photos, which has `total`."""

    total: int
    photos: list[PhotoOfPeople]


class LikelyName(msgspec.Struct, frozen=True):
    """Somebody with a name. `judged` is how alike they are to who is asked about, on the scale of the cosine; `same`
    whether that counts as one person."""

    id: int
    name: str
    faces: int
    cover: int | None
    judged: float | None
    same: bool | None


class LikelyNames(msgspec.Struct, frozen=True):
    """At most 20: the likeliest first, then by the alphabet."""

    names: list[LikelyName]


class Question(msgspec.Struct, frozen=True):
    """Whether two faces, and all faces of their people, are one person; or, with `stray`, whether face `a` is the
    person's of face `b`."""

    number: int
    kind: Literal["same", "stray"]
    margin: float
    a: Face
    b: Face
    person_a: Person | None
    person_b: Person | None


class Questions(msgspec.Struct, frozen=True):
    """The questions whose answers tell most; `total` wait."""

    total: int
    questions: list[Question]


class Change(msgspec.Struct, frozen=True):
    """A change of what is known of people; `undone_at` is null while it holds. Times are UTC."""

    change: int
    at: str
    verb: str
    words: str
    undone_at: str | None
    made_by: str


class Changes(msgspec.Struct, frozen=True):
    """Changes, the newest first."""

    changes: list[Change]


class Done(msgspec.Struct, frozen=True):
    """What was done: the id of its change, for undo, null where all was so before; the id of the person that it was
    about, as they are now; of how many faces and people something is other than before; sentences that somebody
    should read."""

    change: int | None
    words: str | None
    person: int | None
    faces: int
    people: int
    notes: list[str]


class Grouped(msgspec.Struct, frozen=True):
    """What a grouping found: of so many `faces`, how many people have a name or a decision, how many groups have
    none, how many faces are `alone`; how many questions wait; of how many faces the person is another one than
    before; whether all faces were looked at."""

    mode: str
    faces: int
    people: int
    groups: int
    alone: int
    questions: int
    moved: int
    whole: bool
    dry_run: bool
    seconds: float
