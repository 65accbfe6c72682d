"""A photo: its faces and who they are, and the photos beside it."""

from typing import Annotated

import msgspec

from facesearch.forms import people_forms
from facesearch.gallery.people_records import MarkOf, PhotoFacts
from facesearch.web.operations import Asked, Json, Nothing, Operation
from facesearch.web.service import Service


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Among whose photos the neighbours are to be; None: among all."""

    person: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None


def show_photo(service: Service, asked: Asked[Beside, Nothing]) -> Json:
    """Who is in a photo, and where."""
    return _photo(service.gallery.photo(asked.ids["photo"], asked.query.person))


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


OPERATIONS = (Operation("GET", "/api/photos/{photo}", "A photo, and who is in it", show_photo, Beside),)
