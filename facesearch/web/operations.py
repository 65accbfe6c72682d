"""An operation of the JSON interface: what it takes, what it does, and how its answer or its failure is sent."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutinefunction
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar, cast
from urllib.parse import unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.web.sentences import for_page
from facesearch.web.service import Service

Json: TypeAlias = dict[str, Any]
Query = TypeVar("Query")
Body = TypeVar("Body")

GREATEST_ID = 2**63 - 1
Id: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=GREATEST_ID)]

_JSON = "application/json"
_WRITE = "facesearch-write"  # a header: what the page calls a write, the same when it is sent again
_GALLERY = "facesearch-gallery"  # a header: of which gallery the ids are
_STATUS_OF_KIND = {  # of an error, by its kind
    "not_there": 404,
    "unknown_person": 404,
    "unknown_face": 404,
    "unknown_photo": 404,
    "photo_gone": 410,
    "name_taken": 409,  # these need a decision
    "ambiguous_name": 409,
    "two_names": 409,
    "not_same": 409,
    "in_the_way": 409,
    "nothing_to_undo": 409,
    "other_gallery": 409,
}
_STATUS_OF_EXIT = {  # and of the others by their exit code
    ExitCode.NO: 404,
    ExitCode.USAGE: 400,
    ExitCode.NO_FACE: 422,
    ExitCode.GALLERY: 503,
    ExitCode.MODEL: 503,
    ExitCode.LOCKED: 423,
}


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No words are taken."""


class NotThereError(FaceSearchError):
    """There is nothing of that id."""

    exit_code = ExitCode.NO


class OtherGalleryError(FaceSearchError):
    """The ids of a page are of another gallery than the one that is served."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Query, Body]):
    """One request: the ids of its address by name, what stands behind the question mark, and its body. `is_gone` says
    whether who asks has hung up."""

    ids: Mapping[str, int]
    query: Query
    body: Body
    is_gone: Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Picture:
    """An answer that is no JSON: the bytes of a picture that facesearch itself encoded."""

    data: bytes
    media_type: str = "image/webp"


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` names its ids in braces: `/api/people/{person}`. `answer` runs in a thread, unless it is a
    coroutine; its name is the operation's in the document. `query`, `body` and `reply` are msgspec structs; the body
    may be `bytes`, a raw photo; the reply may be `Picture`. `refusals` are the statuses of errors that are its own,
    beside those that follow from what it takes; `example` is a body."""

    method: Literal["GET", "POST"]
    path: str
    summary: str
    answer: Callable[[Service, Any], Json | Picture | Awaitable[Json | Picture]]
    query: type = Nothing
    body: type = Nothing
    reply: Any = Json
    refusals: tuple[int, ...] = ()
    example: Json | None = None


class IdConvertor(Convertor[int]):
    """An id in an address. That of more digits than any id has is no address."""

    regex = "[0-9]{1,40}"

    def convert(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """The digits."""
        return str(value)


register_url_convertor("id", IdConvertor())


def route(operation: Operation) -> Route:
    """The route of an operation."""

    async def endpoint(request: Request) -> Response:
        try:
            found = await _answer(operation, request)
        except FaceSearchError as error:
            return refused(error)
        if isinstance(found, Picture):
            return Response(found.data, media_type=found.media_type)
        return Response(as_bytes(found), media_type=_JSON)

    path = operation.path.replace(":int}", "}").replace("}", ":id}")
    return Route(path, endpoint, methods=[operation.method], name=operation.answer.__name__)


async def _answer(operation: Operation, request: Request) -> Json | Picture:
    service: Service = request.app.state.service
    _check_gallery(request, service.gallery.name)
    query, body = _query(request, operation.query), await _body(request, operation.body)
    asked = Asked(_ids(request), query, body, request.is_disconnected)
    answer: Callable[..., Any] = operation.answer
    if iscoroutinefunction(answer):
        return cast("Json | Picture", await answer(service, asked))
    if write := request.headers.get(_WRITE):
        does = partial(answer, service, asked)
        return cast("Json", await run_in_threadpool(service.once.answer, (write, request.url.path), does))
    return cast("Json | Picture", await run_in_threadpool(answer, service, asked))


def _check_gallery(request: Request, served: str) -> None:
    """Another gallery may have come to the port of a page that is still open."""
    wanted = unquote(request.headers.get(_GALLERY, served))
    if wanted != served:
        raise OtherGalleryError(
            f"Gallery {served} is served here by now, and this page shows {wanted}. Load the page anew."
        )


def as_bytes(found: Json) -> bytes:
    """JSON. A path whose bytes are no UTF-8 is written as `--json` writes it: with halves of characters, escaped."""
    try:
        return msgspec.json.encode(found)
    except UnicodeEncodeError:
        return json.dumps(found).encode()


def refused(error: FaceSearchError) -> Response:
    """The answer to a request that cannot be done: its sentence, and what kind of error it is, in snake case."""
    kind = kind_of(error)
    content: Json = {"error": kind, "message": for_page(kind, str(error))}
    if people := getattr(error, "people", None):
        content["people"] = list(people)
    if (change := getattr(error, "change", None)) is not None:
        content["change"] = change
    content |= getattr(error, "more", {})
    return Response(as_bytes(content), status_of(error), media_type=_JSON)


def kind_of(error: FaceSearchError) -> str:
    """Such as `name_taken` of a NameTakenError."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def status_of(error: FaceSearchError) -> int:
    """The status of the answer that refuses with this error: its own, or that of its kind, or of its exit code."""
    own: int | None = getattr(error, "http_status", None)
    return own or _STATUS_OF_KIND.get(kind_of(error)) or _STATUS_OF_EXIT.get(error.exit_code, 500)


def _ids(request: Request) -> dict[str, int]:
    for value in request.path_params.values():
        if value > GREATEST_ID:
            raise NotThereError(f"Nothing has the number {value}; it is too large for an id.")
    return dict(request.path_params)


def _query(request: Request, kind: type) -> Any:
    pairs = request.query_params.multi_items()
    if len(pairs) != len(dict(pairs)):
        raise UsageError("The address says something twice; say it once.")
    try:
        found: Any = msgspec.convert(dict(pairs), kind, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"The address cannot be understood: {error}.") from error
    for name, said in pairs:
        if getattr(found, name) is None:  # msgspec takes the word null for nothing
            raise UsageError(f"The address says {said} for {name}; leave it out, or say which one.")
    return found


async def _body(request: Request, kind: type) -> Any:
    data = await request.body()  # the guard has bounded it, and has seen that it is JSON
    if kind is bytes:
        return data
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(f"The request's body cannot be understood: {error}.") from error
