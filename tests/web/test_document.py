"""The OpenAPI document of the interface, and the interface by it: whatever it allows is answered as it says, and
whatever it forbids is refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from facesearch.web.api import OPERATIONS
from facesearch.web.app import make_app
from facesearch.web.service import served
from tests import made_galleries

_TRIES, _PHOTOS = 10, 2  # of each operation, as its document allows and as it forbids; networks look at photos
_IDS = 30  # of faces and photos, from 1 on
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """The document of a page whose gallery has people, questions and what has been said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACESEARCH_HOME", str(tmp_path_factory.mktemp("home")))
        gallery = made_galleries.made(photos=[f"/p/{number:02}.jpg" for number in range(30)])
        made_galleries.group(gallery, *(range(first, first + 3) for first in range(1, 22, 3)))
        for one, other in ((1, 4), (7, 10), (13, 28)):
            made_galleries.suggest(gallery, "same", one, other)
        gallery.name_person(1, "Ann")
        with served(gallery) as service:
            yield schemathesis.openapi.from_asgi("/api/openapi.json", make_app(service))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), [(each.method, each.path) for each in OPERATIONS])
def test_the_interface_does_what_its_document_says(
    described: schemathesis.BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = described[path][method]
    tries = _PHOTOS if "photo" in operation.definition.raw["summary"] and method == "POST" else _TRIES

    @settings(
        max_examples=tries, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(operation.as_strategy(generation_mode=mode))
    def is_answered(case: schemathesis.Case[Any]) -> None:
        if mode == GenerationMode.POSITIVE:  # about what is there, for the greater part
            case.path_parameters, case.query, case.body = map(
                _about_what_is_there, (case.path_parameters, case.query, case.body)
            )
        case.call_and_validate(checks=_CHECKS + [negative_data_rejection] * (mode == GenerationMode.NEGATIVE))

    is_answered()


def _about_what_is_there(value: Any) -> Any:
    """The same with ids of what is there in place of large numbers."""
    if isinstance(value, dict):
        return {key: _about_what_is_there(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_about_what_is_there(each) for each in value]
    is_id = isinstance(value, int) and not isinstance(value, bool) and value > _IDS
    return value % _IDS + 1 if is_id else value


def test_each_operation_is_described(described: schemathesis.BaseSchema) -> None:
    paths = described.raw_schema["paths"]
    assert {(each.method, each.path) for each in OPERATIONS} < {
        (method.upper(), path) for path, methods in paths.items() for method in methods
    }
    names = [each["operationId"] for methods in paths.values() for each in methods.values()]
    assert len(names) == len(set(names))
    for methods in paths.values():
        for each in methods.values():
            assert each["description"]
            assert {"200", "400", "401", "503"} <= set(each["responses"])


def test_the_document_is_whole(described: schemathesis.BaseSchema) -> None:
    parts = described.raw_schema["components"]
    named = re.findall(r"'#/components/(\w+)/([^']+)'", str(described.raw_schema))
    assert {kind for kind, _ in named} == {"schemas", "responses"}
    for kind, name in named:
        assert name in parts[kind]


def test_what_is_answered_has_a_type(described: schemathesis.BaseSchema) -> None:
    for each in OPERATIONS:
        answer = described.raw_schema["paths"][each.path][each.method.lower()]["responses"]["200"]["content"]
        (schema,) = [content["schema"] for content in answer.values()]
        assert schema != {"type": "object"}, each.path


def test_the_manual_names_every_call() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    told = set(re.findall(r"`(GET|POST) (/api/[^`?]*)", manual))
    assert told == {(each.method, each.path) for each in OPERATIONS} | {("GET", "/api/openapi.json")}
