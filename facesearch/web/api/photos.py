"""A photo: its faces and who they are, and the photos beside it."""

import msgspec

from facesearch.forms import people_forms
from facesearch.gallery.records.people import MarkOf, PhotoFacts
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation
from facesearch.web.replies import gallery, people
from facesearch.web.service import Service
from facesearch.web.words import GivenName


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Among whose photos the neighbours are to be; None: among all."""

    person: Id | None = None


class ToMark(GivenName, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A name, and where: left, top, right, bottom in pixels of the photo as it is shown."""

    box: tuple[float, float, float, float]


def show_photo(service: Service, asked: Asked[Beside, Nothing]) -> Json:
    """Who is in a photo, and where."""
    return _photo(service.gallery.photo(asked.ids["photo"], asked.query.person))


def mark_person(service: Service, asked: Asked[Nothing, ToMark]) -> Json:
    """Says who is to be seen at a place in a photo: names the face that lies there, or keeps the place."""
    body = asked.body
    with service.writing():
        done = service.gallery.mark(asked.ids["photo"], body.box, body.name, same=body.same, other=body.other)
    return people_forms.done(done)


def _photo(record: PhotoFacts) -> Json:
    return {
        "photo_id": record.photo_id,
        "photo": record.photo,
        "width": record.width,
        "height": record.height,
        "taken": record.taken,
        "status": record.status,
        "reason": record.reason,
        "repeats": record.repeats,
        "faces": [people_forms.face(face) for face in record.faces],
        "marks": [_mark(mark) for mark in record.marks],
        "previous": record.previous,
        "next": record.next,
    }


def _mark(record: MarkOf) -> Json:
    box = [round(edge, 1) for edge in record.box]
    return {"mark": record.mark, "box": box, "person": record.person, "label": record.label}


OPERATIONS = (
    Operation("GET", "/api/photos/{photo}", "A photo, and who is in it", show_photo, Beside, reply=gallery.Photo),
    Operation(
        "POST",
        "/api/photos/{photo}/people",
        "Say who is there in a photo",
        mark_person,
        body=ToMark,
        reply=people.Done,
        refusals=(409,),
        example={"name": "Ann", "box": [120, 80, 180, 150]},
    ),
)
