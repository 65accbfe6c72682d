"""People: lists of them, and what is said about them."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from facesearch.errors import UsageError
from facesearch.forms import people_forms, query_forms
from facesearch.gallery.references import Who
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation
from facesearch.web.people_lists import WhichPeople
from facesearch.web.replies import people
from facesearch.web.service import Service
from facesearch.web.words import GivenName, Ids, Part, SomeFaces


class People(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which people."""

    list: WhichPeople = "named"


class ToJoin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who become one: `into`, or else the one who has a name, or most faces. `anyway` takes back that two of them
    are not the same."""

    people: Ids
    into: Id | None = None
    anyway: bool = False


class ToMove(SomeFaces, frozen=True, forbid_unknown_fields=True):
    """Faces, and whose they are: a person's, by id, or of that name; with `other` somebody else of that name."""

    to: Id | str
    other: bool = False


class ToIgnore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is not to be asked about: people, those whose faces these are, all without a name who have fewer faces."""

    people: Ids | None = None
    faces: Ids | None = None
    unnamed_below: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


class ToHide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is left out of lists, or with `hidden` off is shown again."""

    people: Ids
    hidden: bool = True


class ToCover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The face that stands for a person."""

    face: Id


def list_people(service: Service, asked: Asked[People, Nothing]) -> Json:
    """Those of one list, as people_list orders them."""
    query = asked.query
    version, total, found = service.state.people(query.list, query.first, query.n)
    return {"version": version, "total": total, "people": [people_forms.person(each) for each in found]}


def get_person(service: Service, asked: Asked[Nothing, Nothing]) -> Json:
    """A person; an id that was joined into another one stands for that one."""
    return people_forms.person(service.gallery.person(asked.ids["person"]))


def list_faces_of_person(service: Service, asked: Asked[Part, Nothing]) -> Json:
    """The faces of a person, the least sure last."""
    version, total, faces = service.state.faces_of(asked.ids["person"], asked.query.first, asked.query.n)
    return {"version": version, "total": total, "faces": [people_forms.face(each) for each in faces]}


def list_photos_of_person(service: Service, asked: Asked[Part, Nothing]) -> Json:
    """The photos of a person, the newest first."""
    total, photos = service.gallery.photos_of(asked.ids["person"], asked.query.first, asked.query.n)
    return {"total": total, "photos": [query_forms.photo_of_people(each) for each in photos]}


def name_person(service: Service, asked: Asked[Nothing, GivenName]) -> Json:
    """Gives a person a name."""
    body = asked.body
    with service.writing():
        done = service.gallery.name_person(asked.ids["person"], body.name, same=body.same, other=body.other)
    return people_forms.done(done)


def join_people(service: Service, asked: Asked[Nothing, ToJoin]) -> Json:
    """Makes several people one."""
    body = asked.body
    with service.writing():
        return people_forms.done(service.gallery.join(body.people, body.into, anyway=body.anyway))


def part_faces(service: Service, asked: Asked[Nothing, SomeFaces]) -> Json:
    """Takes faces from a person."""
    with service.writing():
        return people_forms.done(service.gallery.part(asked.ids["person"], asked.body.faces))


def choose_cover(service: Service, asked: Asked[Nothing, ToCover]) -> Json:
    """Chooses the face that stands for a person."""
    with service.writing():
        return people_forms.done(service.gallery.cover(asked.ids["person"], asked.body.face))


def move_faces(service: Service, asked: Asked[Nothing, ToMove]) -> Json:
    """Gives faces to a person, out of whoever has them."""
    with service.writing():
        return people_forms.done(service.gallery.move(asked.body.faces, asked.body.to, other=asked.body.other))


def ignore_people(service: Service, asked: Asked[Nothing, ToIgnore]) -> Json:
    """Makes strangers of people."""
    body = asked.body
    if body.people is None and body.faces is None and body.unnamed_below is None:
        raise UsageError("Nobody is named; say who is to be ignored: people, faces or unnamed_below.")
    whos: list[Who] = [*(body.people or ())]
    with service.writing():
        return people_forms.done(
            service.gallery.ignore(whos, faces=body.faces or (), unnamed_below=body.unnamed_below)
        )


def hide_people(service: Service, asked: Asked[Nothing, ToHide]) -> Json:
    """Leaves people out of lists, or shows them again."""
    with service.writing():
        return people_forms.done(service.gallery.hide(asked.body.people, asked.body.hidden))


_LISTS = (
    Operation("GET", "/api/people", "People of one list", list_people, People, reply=people.People),
    Operation("GET", "/api/people/{person}", "One person", get_person, reply=people.Person),
    Operation(
        "GET",
        "/api/people/{person}/faces",
        "A person's faces, the least sure last",
        list_faces_of_person,
        Part,
        reply=people.Faces,
    ),
    Operation(
        "GET",
        "/api/people/{person}/photos",
        "A person's photos, newest first",
        list_photos_of_person,
        Part,
        reply=people.Photos,
    ),
)


def _does(path: str, summary: str, answer: Callable[[Service, Any], Json], body: type, example: Json) -> Operation:
    return Operation("POST", path, summary, answer, body=body, reply=people.Done, refusals=(409,), example=example)


_VERBS = (
    _does("/api/people/{person}/name", "Name a person", name_person, GivenName, {"name": "Ann"}),
    _does("/api/people/{person}/part", "Take faces from a person", part_faces, SomeFaces, {"faces": [812, 3031]}),
    _does("/api/people/{person}/cover", "Choose a person's face", choose_cover, ToCover, {"face": 812}),
    _does("/api/people/join", "Make several people one", join_people, ToJoin, {"people": [17, 23]}),
    _does("/api/people/move", "Give faces to a person", move_faces, ToMove, {"faces": [812, 3031], "to": "Ann"}),
    _does("/api/people/ignore", "Never ask about people", ignore_people, ToIgnore, {"unnamed_below": 3}),
    _does("/api/people/hide", "Hide people, or show them again", hide_people, ToHide, {"people": [17]}),
)

OPERATIONS = (*_LISTS, *_VERBS)
