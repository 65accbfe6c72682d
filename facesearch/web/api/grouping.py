"""Who is who: faces are put into groups anew."""

from typing import Literal

import msgspec

from facesearch.forms import people_forms
from facesearch.web.operations import Asked, Json, Nothing, Operation
from facesearch.web.replies import people
from facesearch.web.service import Service


class ToGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How readily two groups are taken for one person, as before where no `mode` is given. Faces that are new are
    put into groups; with another mode than before, or with `again`, all faces whose person nobody has said."""

    mode: Literal["careful", "balanced", "eager"] | None = None
    again: bool = False


def group_people(service: Service, asked: Asked[Nothing, ToGroup]) -> Json:
    """Finds out who is who; what somebody said stays."""
    with service.writing():
        return people_forms.grouped(service.gallery.group(asked.body.mode, again=asked.body.again))


OPERATIONS = (
    Operation(
        "POST",
        "/api/people/group",
        "Put faces into groups",
        group_people,
        body=ToGroup,
        reply=people.Grouped,
        example={"mode": "careful", "again": True},
    ),
)
