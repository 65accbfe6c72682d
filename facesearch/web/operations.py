"""An operation of the JSON interface: what it takes, what it does, and how its answer or its failure is sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facesearch.errors import ExitCode, FaceSearchError, UsageError
from facesearch.gallery.references import UnknownFaceError, UnknownPersonError, UnknownPhotoError
from facesearch.web.service import Service

Json: TypeAlias = dict[str, Any]
Query = TypeVar("Query")
Body = TypeVar("Body")

_GREATEST_ID = 2**63 - 1
_STATUS = {  # of an error, by its exit code
    ExitCode.NO: 404,
    ExitCode.USAGE: 400,
    ExitCode.NO_FACE: 422,
    ExitCode.GALLERY: 503,
    ExitCode.MODEL: 503,
    ExitCode.LOCKED: 423,
}


_NOT_THERE = (UnknownPersonError, UnknownFaceError, UnknownPhotoError)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No words are taken."""


class NotThereError(FaceSearchError):
    """There is nothing of that id."""

    exit_code = ExitCode.NO


@dataclass(frozen=True, slots=True)
class Asked(Generic[Query, Body]):
    """One request: the ids of its address by name, what stands behind the question mark, and its body."""

    ids: Mapping[str, int]
    query: Query
    body: Body


@dataclass(frozen=True, slots=True)
class Picture:
    """An answer that is no JSON: the bytes of a picture that facesearch itself encoded."""

    data: bytes
    media_type: str = "image/webp"


@dataclass(frozen=True, slots=True)
class Operation:
    """`answer` runs in a thread. `query` and `body` are msgspec structs; the body may be `bytes`, a raw photo."""

    method: Literal["GET", "POST"]
    path: str
    summary: str
    answer: Callable[[Service, Any], Json | Picture]
    query: type = Nothing
    body: type = Nothing


def route(operation: Operation) -> Route:
    """The route of an operation."""

    async def endpoint(request: Request) -> Response:
        try:
            asked = Asked(_ids(request), _query(request, operation.query), await _body(request, operation.body))
            found = await run_in_threadpool(operation.answer, request.app.state.service, asked)
        except FaceSearchError as error:
            return refused(error)
        if isinstance(found, Picture):
            return Response(found.data, media_type=found.media_type)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return Route(operation.path, endpoint, methods=[operation.method], name=operation.answer.__name__)


def refused(error: FaceSearchError) -> Response:
    """The answer to a request that cannot be done: its sentence, and what kind of error it is, in snake case."""
    content: Json = {"error": _kind(error), "message": str(error)}
    if people := getattr(error, "people", None):
        content["people"] = list(people)
    content |= getattr(error, "more", {})
    return Response(msgspec.json.encode(content), _status(error), media_type="application/json")


def _kind(error: FaceSearchError) -> str:
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _status(error: FaceSearchError) -> int:
    if isinstance(error, _NOT_THERE):
        return 404
    own: int | None = getattr(error, "http_status", None)
    return own or _STATUS.get(error.exit_code, 500)


def _ids(request: Request) -> dict[str, int]:
    for value in request.path_params.values():
        if value > _GREATEST_ID:
            raise NotThereError(f"Nothing has the number {str(value)[:30]}.")
    return dict(request.path_params)


def _query(request: Request, kind: type) -> Any:
    pairs = request.query_params.multi_items()
    if len(pairs) != len(dict(pairs)):
        raise UsageError("The address says something twice.")
    try:
        return msgspec.convert(dict(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"The address cannot be understood: {error}.") from error


async def _body(request: Request, kind: type) -> Any:
    data = await request.body()
    if kind is bytes:
        return data
    if kind is Nothing and not data:
        return Nothing()
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"The request's body cannot be understood: {error}.") from error
