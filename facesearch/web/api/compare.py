"""Whether two faces are of one person."""

import msgspec

from facesearch.errors import UsageError
from facesearch.forms import query_forms
from facesearch.gallery.search.probing import Seen
from facesearch.web.api.search import FaceNumber
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation
from facesearch.web.replies import search as replies
from facesearch.web.service import Service


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two faces, each of the gallery (`a_face`), or of a photo that was sent (`a_upload`, of whose faces the one with
    the number `a_number`, 1 for the largest)."""

    a_face: Id | None = None
    a_upload: Id | None = None
    a_number: FaceNumber = 1
    b_face: Id | None = None
    b_upload: Id | None = None
    b_number: FaceNumber = 1


def compare_faces(service: Service, asked: Asked[Pair, Nothing]) -> Json:
    """Compares two faces as the gallery judges them; what that means is said as in a search."""
    pair = asked.query
    a = _which(service, "a", pair.a_face, pair.a_upload, pair.a_number)
    b = _which(service, "b", pair.b_face, pair.b_upload, pair.b_number)
    verdict = service.gallery.compare_faces(a, b)
    return query_forms.verdict(verdict) | {"far": verdict.far, "learned": verdict.learned}


def _which(service: Service, side: str, face: int | None, upload: int | None, number: int) -> int | tuple[Seen, int]:
    if face is not None and upload is None:
        return face
    if upload is None or face is not None:
        raise UsageError(f"Give either {side}_face or {side}_upload.")
    return service.uploads.get(upload).seen, number


OPERATIONS = (
    Operation(
        "GET", "/api/compare", "Compare two faces", compare_faces, Pair, reply=replies.Verdict, refusals=(404, 422)
    ),
)
