"""The interface as an OpenAPI document, made from the table of operations and the types that it names."""

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from facesearch import __version__
from facesearch.web.operations import GREATEST_ID, Asked, Json, Nothing, Operation, Picture
from facesearch.web.replies.errors import Error
from facesearch.web.service import Service

_SCHEMA = "#/components/schemas/{name}"
_ID = re.compile(r"{(\w+)}")
_ABOUT = """What the page of `facesearch web` uses, for other programs on this machine.

All ids are numbers; no path is ever taken. A GET changes nothing. What a POST about people does is one change, which
POST /api/undo takes back. Answers may have more keys in time."""
_REFUSALS = {  # by status: when it comes, and an example, its `error` and its `message`
    400: ("What was sent does not fit.", "usage", "A name is needed, and this one is empty."),
    401: ("There is no session, or its token is wrong.", "no_session", "The session has ended; run facesearch web."),
    403: ("Another site asks.", "foreign", "This did not come from this page; use the page itself."),
    404: ("There is nothing of that id.", "unknown_face", "The gallery 'default' has no face 99."),
    408: ("The body did not come to its end.", "too_slow", "The request did not come to its end; send it again."),
    409: (
        "It needs a decision, or something else stands in the way.",
        "name_taken",
        "Ann is @17 already; say whether this is the same person, or somebody else of that name.",
    ),
    410: ("The photo is not on disk.", "photo_gone", "The photo is no longer on disk."),
    413: ("The body is too long.", "too_long", "This has more than 1 MB; send less."),
    414: ("The address is too long.", "too_long", "The address is too long; leave something out."),
    415: ("The body is no JSON, or no photo.", "not_json", "This address takes JSON."),
    421: ("The request names another host.", "wrong_host", "This server is at http://127.0.0.1:8765 alone."),
    422: ("The photo shows no face that can be used.", "no_face", "No face was found; try a larger photo."),
    423: (
        "Another process writes the gallery; reading goes on.",
        "gallery_locked",
        "The gallery 'default' is being written by another process; wait for it to end, or stop it.",
    ),
    500: ("Something unforeseen happened.", "unforeseen", "The terminal of facesearch web shows what."),
    503: ("The gallery or its model cannot be used now.", "gallery", "There is no gallery 'default'."),
}
_ALWAYS = (400, 401, 403, 414, 421, 500, 503)
_OF_BODIES = (404, 408, 413, 415)
_LOCKED = 423
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PHOTOS = ("application/octet-stream", "image/jpeg", "image/png", "image/webp", "image/heic", "image/tiff")


def operation_of(operations: Sequence[Operation]) -> Operation:
    """The operation that answers the document of these operations and of itself."""
    everything = [*operations]

    def get_document(_: Service, __: Asked[Nothing, Nothing]) -> Json:
        """The interface as an OpenAPI 3.1 document."""
        return document(everything)

    everything.append(Operation("GET", "/api/openapi.json", "This document", get_document, reply=dict[str, Any]))
    return everything[-1]


def document(operations: Sequence[Operation]) -> Json:
    """The OpenAPI 3.1 document of these operations."""
    types = list(dict.fromkeys(each for operation in operations for each in _types(operation)))
    schemas = msgspec.json.schema_components([*types, Error], ref_template=_SCHEMA)[1]  # each of a name of its own
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "facesearch", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {name: _plain(schema) for name, schema in schemas.items()},
            "responses": {str(status): _refusal(status) for status in _REFUSALS},
            "securitySchemes": _security(),
        },
    }


def _types(operation: Operation) -> Iterator[Any]:
    if operation.body not in (Nothing, bytes):
        yield operation.body
    if operation.reply not in (Picture, Json):
        yield operation.reply


def _described(operation: Operation) -> Json:
    text = " ".join((inspect.getdoc(operation.answer) or "").split())
    described: Json = {
        "operationId": operation.answer.__name__,
        "summary": operation.summary,
        "description": text,
        "tags": [operation.path.split("/")[2].removesuffix(".json")],
        "parameters": [*_ids(operation), *_words(operation.query)],
        "responses": {"200": _answer(operation), **_refusals(operation)},
    }
    if operation.body is not Nothing:
        described["requestBody"] = _body(operation)
    return described


def _ids(operation: Operation) -> Iterator[Json]:
    for name in _ID.findall(operation.path):
        schema = {"type": "integer", "minimum": 1, "maximum": GREATEST_ID}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _words(query: type) -> Iterator[Json]:
    """What stands behind the question mark. Nobody can say null there, so whatever may be null may be left out."""
    (_, components) = msgspec.json.schema_components([query], ref_template=_SCHEMA)
    for name, schema in components[query.__name__]["properties"].items():
        plain = next((each for each in schema.get("anyOf", ()) if each != {"type": "null"}), schema)
        is_needed = "default" not in schema
        yield {"name": name, "in": "query", "required": is_needed, "schema": plain}


def _body(operation: Operation) -> Json:
    if operation.body is bytes:
        return {"required": True, "content": dict.fromkeys(_PHOTOS, _BINARY)}
    content: Json = {"schema": _reference(operation.body)}
    if operation.example is not None:
        content["example"] = operation.example
    can_be_absent = all(not field.required for field in msgspec.structs.fields(operation.body))
    return {"required": not can_be_absent, "content": {"application/json": content}}


def _answer(operation: Operation) -> Json:
    if operation.reply is Picture:
        return {"description": "The picture.", "content": {"image/webp": _BINARY}}
    return {"description": "Done.", "content": {"application/json": {"schema": _reference(operation.reply)}}}


def _reference(kind: Any) -> Json:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {"$ref": _SCHEMA.format(name=kind.__name__)}
    return {"type": "object"}


def _refusals(operation: Operation) -> Json:
    statuses = {*_ALWAYS, *operation.refusals}
    if _ID.search(operation.path):
        statuses.add(404)
    if operation.method == "POST":
        statuses |= {*_OF_BODIES, _LOCKED}
    if operation.body is bytes:
        statuses.add(422)
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _refusal(status: int) -> Json:
    what, error, message = _REFUSALS[status]
    example = {"error": error, "message": message}
    content = {"schema": {"$ref": _SCHEMA.format(name="Error")}, "example": example}
    return {"description": what, "content": {"application/json": content}}


def _security() -> Json:
    cookie = "The cookie of the page; its name ends in the port. A program takes the token."
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "From the file of --token-file."},
        "session": {"type": "apiKey", "in": "cookie", "name": "facesearch-PORT", "description": cookie},
    }


def _plain(schema: Any) -> Any:
    """A schema whose descriptions are lines without the indentation of the source."""
    if isinstance(schema, dict):
        cleaned = {key: _plain(value) for key, value in schema.items()}
        if isinstance(text := cleaned.get("description"), str):
            cleaned["description"] = " ".join(text.split())
        return cleaned
    return [_plain(each) for each in schema] if isinstance(schema, list) else schema
