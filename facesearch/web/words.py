"""What requests say, in several of the interface's subjects."""

from typing import Annotated, TypeAlias

import msgspec

from facesearch.web.operations import Id

MOST_AT_ONCE = 500  # rows of a list
_MOST_IDS = 10_000  # in one change
Ids: TypeAlias = Annotated[list[Id], msgspec.Meta(min_length=1, max_length=_MOST_IDS)]
Rows: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MOST_AT_ONCE)]
Name: TypeAlias = str  # what a name may be is for people/names.py to say


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a long list: `n` of it, from the one with this number, counted from 0."""

    first: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    n: Rows = 100


class GivenName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name. Where somebody else has it, `same` joins the two, and `other` makes them two people who share it."""

    name: Name
    same: bool = False
    other: bool = False


class SomeFaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some faces, by their ids."""

    faces: Ids
