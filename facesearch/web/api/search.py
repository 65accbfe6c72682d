"""Search: who is on a photo that was dropped, and who looks like a face of the gallery."""

from typing import Annotated

import msgspec

from facesearch.errors import UsageError
from facesearch.forms import query_forms
from facesearch.gallery.records.answers import Answer
from facesearch.gallery.search.questions import QueryOptions
from facesearch.web.api.images import PhotoSize
from facesearch.web.operations import Asked, Id, Json, Nothing, Operation, Picture
from facesearch.web.replies import search as replies
from facesearch.web.service import Service
from facesearch.web.uploads import Upload

FaceNumber = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=100)]


class NewSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `k` nearest people to one face of the photo that is sent, 1 for the largest; with `group` off the nearest
    faces."""

    k: Count = 20
    face: FaceNumber = 1
    group: bool = True


class Search(NewSearch, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `k` nearest people to a face of the gallery, or to one face of a photo that was sent before."""

    face_id: Id | None = None
    upload: Id | None = None


def prepare_search(service: Service, _: Asked[Nothing, Nothing]) -> Json:
    """Begins to load the networks where they are not loaded yet."""
    return {"ready": service.uploads.prepare()}


def upload_photo(service: Service, asked: Asked[Nothing, bytes]) -> Json:
    """Looks at a photo and keeps it for some minutes; its faces, the largest first."""
    return service.uploads.add(asked.body).facts


def upload_image(service: Service, asked: Asked[PhotoSize, Nothing]) -> Picture:
    """The photo that was sent."""
    return Picture(service.uploads.picture(asked.ids["upload"], asked.query.side))


def search_photo(service: Service, asked: Asked[NewSearch, bytes]) -> Json:
    """As upload_photo, and who one of its faces is."""
    upload = service.uploads.add(asked.body)
    return upload.facts | {"answer": _answer(service, upload, asked.query)}


def search(service: Service, asked: Asked[Search, Nothing]) -> Json:
    """Who a face is: the nearest people, and what their similarity means."""
    query = asked.query
    if (query.face_id is None) == (query.upload is None):
        raise UsageError("Give either face_id or upload.")
    if query.upload is not None:
        return {"answer": _answer(service, service.uploads.get(query.upload), query)}
    return {"answer": answer(service.gallery.query_face(query.face_id or 0, _options(query)))}


def _answer(service: Service, upload: Upload, query: NewSearch) -> Json:
    return answer(service.gallery.query_seen(upload.seen, query.face, _options(query)))


def _options(query: NewSearch) -> QueryOptions:
    """The page needs nobody but this machine, so no vector store is asked."""
    return QueryOptions(query.k, query.group, here=True)


def answer(record: Answer) -> Json:
    """The answer as the command line gives it, and what else "same" means: about `by_chance` of the `compared` faces
    reach the threshold though they are strangers'."""
    form = query_forms.answer(record)
    by_chance = None if record.far is None else round(record.far * record.compared, 2)
    meaning = {"far": record.far, "learned": record.learned, "compared": record.compared, "by_chance": by_chance}
    return form | meaning


OPERATIONS = (
    Operation(
        "GET",
        "/api/search/ready",
        "Prepare for searches: the networks are loaded, which takes a second or two",
        prepare_search,
        reply=replies.Ready,
    ),
    Operation("POST", "/api/uploads", "Send a photo", upload_photo, body=bytes, reply=replies.Upload),
    Operation(
        "GET",
        "/api/uploads/{upload}/image",
        "A photo that was sent, as WebP",
        upload_image,
        PhotoSize,
        reply=Picture,
        refusals=(413, 415),
    ),
    Operation(
        "POST",
        "/api/search",
        "Send a photo and search for one of its faces",
        search_photo,
        NewSearch,
        bytes,
        replies.FoundByPhoto,
    ),
    Operation("GET", "/api/search", "Search for a face", search, Search, reply=replies.Found, refusals=(404, 422)),
)
