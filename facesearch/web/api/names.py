"""Names: who a person or a face may be, for whoever types a name."""

from typing import Annotated

import msgspec

from facesearch.errors import UsageError
from facesearch.gallery.names.likely import LikelyName
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation
from facesearch.web.replies import people
from facesearch.web.service import Service

_MOST = 20  # a screen of completions


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom a name is looked for, a person or a face; and what it holds, as far as it has been typed."""

    person: Id | None = None
    face: Id | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""


def list_names(service: Service, asked: Asked[Wanted, Nothing]) -> Json:
    """Whom a person or a face resembles most, then the others by the alphabet."""
    query = asked.query
    if query.person is not None and query.face is not None:
        raise UsageError("A person and a face are named; names are listed for one of them.")
    found = service.state.names.like(query.q, _MOST, person=query.person, face=query.face)
    return {"names": [_name(each) for each in found]}


def _name(record: LikelyName) -> Json:
    return {
        "id": record.person.id,
        "name": record.person.name,
        "faces": record.person.faces,
        "cover": record.person.cover,
        "judged": None if record.judged is None else round(record.judged, 4),
        "same": record.same,
    }


OPERATIONS = (
    Operation(
        "GET",
        "/api/names",
        "Whose name it may be, the likeliest first",
        list_names,
        Wanted,
        reply=people.LikelyNames,
        refusals=(404,),
    ),
)
