"""People: lists of them, and what is said about them."""

from typing import Annotated, Literal

import msgspec

from facesearch.forms import people_forms
from facesearch.gallery.people_records import PersonFacts
from facesearch.web.operations import Asked, Json, Nothing, Operation
from facesearch.web.service import Service

WhichPeople = Literal["named", "groups", "strangers", "hidden"]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a long list: `n` of it, from the one with this number, counted from 0."""

    first: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    n: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class People(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which people."""

    list: WhichPeople = "named"


def list_people(service: Service, asked: Asked[People, Nothing]) -> Json:
    """Those of one list, as people_list orders them."""
    query = asked.query
    found = [each for each in service.gallery.people() if _list_of(each) == query.list]
    shown = found[query.first : query.first + query.n]
    return {"total": len(found), "people": [people_forms.person(each) for each in shown]}


def _list_of(person: PersonFacts) -> WhichPeople:
    if person.hidden:
        return "hidden"
    if person.kind == "stranger":
        return "strangers"
    return "named" if person.name else "groups"


OPERATIONS = (Operation("GET", "/api/people", "People of one list", list_people, People),)
