"""What was said about people, and what may change it: rules about rows, without a database.

Who said something counts: a user more than the names in a photo's file, those more than its folder's name, and that
more than a computation. What is stronger overrides what is weaker, never the reverse."""

from collections.abc import Mapping
from typing import NamedTuple

_STRENGTH = {None: 0, "auto": 1, "folder": 2, "xmp": 3, "user": 4}
WHO_SAYS = ("auto", "folder", "xmp", "user")  # the weakest first
# A face that lies no further over its bar than this, in units of its model's card, was put there by little. Of the
# faces that "careful" grouped in LFW by dlib-resnet these are 11 % (retail-0095: 2.3 %), and 64 % (29 %) of those in
# a wrong group: 1 of 10 (1 of 8) is wrong, of the others 1 of 140 (1 of 138).
UNSURE_UNITS = 1 / 3


class FaceState(NamedTuple):
    """Whose a face is (None: nobody's), who said so, how far over its bar it lies where that was computed, and
    whether it is a face at all (0: the user said that it is none)."""

    person: int | None = None
    named_by: str | None = None
    margin: float | None = None
    is_face: int = 1

    @property
    def is_computed(self) -> bool:
        """Whether nobody has said anything of it, so that a computation may put it elsewhere."""
        return self.named_by in (None, "auto") and bool(self.is_face)

    def is_unsure(self, below: float) -> bool:
        """Whether it was put where it is by little: its margin lies below this."""
        return self.named_by == "auto" and (self.margin is None or self.margin < below)

    def fixed(self, person: int) -> "FaceState":
        """The face once the user has said whose it is. Who looks through a person's faces sees the least sure ones
        last after naming them, too."""
        return FaceState(person, "user", self.margin if person == self.person else None, self.is_face)


class PersonState(NamedTuple):
    """A person's row, without its id."""

    name: str | None = None
    kind: str = "person"
    hidden: int = 0
    cover_face: int | None = None
    made_by: str = "user"
    joined_into: int | None = None

    def decided(self) -> "PersonState":
        """The person once a user has said something about them: no computation may delete them."""
        return self._replace(made_by="user") if self.made_by == "auto" else self


NOT_A_FACE = FaceState(None, "user", None, 0)
FREE = FaceState()


def outranks(one: str | None, other: str | None) -> bool:
    """Whether what one has said overrides what the other said; `named_by` of both."""
    return _STRENGTH[one] > _STRENGTH[other]


def agrees(now: FaceState, then: FaceState) -> bool:
    """Whether nobody has decided anything about a face since then: computations may have moved it."""
    return now == then or (now.is_computed and then.is_computed)


def best_anchor(faces: Mapping[int, FaceState]) -> int | None:
    """The face, by its id, that is most surely the person's, so that a decision about the person can hold to it:
    what was said before what was computed, then the greatest margin, then the lowest id."""

    def rank(face: int) -> tuple[int, float, int]:
        state = faces[face]
        return -_STRENGTH[state.named_by], -(state.margin or 0.0), face

    return min(faces, key=rank, default=None)


def root_of(person: int, joined_into: Mapping[int, int | None]) -> int:
    """Whom an id stands for: whom that person was joined into, and whom that one was. A circle, which no verb makes,
    ends at its start."""
    seen = {person}
    while (following := joined_into.get(person)) is not None and following not in seen:
        seen.add(following)
        person = following
    return person
