"""The log of what was said about people, and undo."""

import msgspec

from facesearch.forms import people_forms
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation
from facesearch.web.replies import people
from facesearch.web.service import Service
from facesearch.web.words import Rows


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many changes, the newest first; with `before` only those with a lower id."""

    n: Rows = 50
    before: Id | None = None


class ToUndo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The change that is taken back, or else the newest that holds."""

    change: Id | None = None


def list_changes(service: Service, asked: Asked[Log, Nothing]) -> Json:
    """The newest changes."""
    return {"changes": [people_forms.change(each) for each in service.gallery.log(asked.query.n, asked.query.before)]}


def undo_change(service: Service, asked: Asked[Nothing, ToUndo]) -> Json:
    """Takes a change back; an undo that is undone makes its change hold again."""
    with service.writing():
        return people_forms.done(service.gallery.undo(asked.body.change))


OPERATIONS = (
    Operation("GET", "/api/log", "The newest changes", list_changes, Log, reply=people.Changes),
    Operation(
        "POST",
        "/api/undo",
        "Take a change back",
        undo_change,
        body=ToUndo,
        reply=people.Done,
        refusals=(409,),
        example={"change": 41},
    ),
)
