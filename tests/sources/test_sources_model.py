"""The JSON forms of Operation and Request, and the small questions an Operation answers."""

from __future__ import annotations

import json

import pytest

from machine.sources import Operation, ParameterSpec, Request, SecurityScheme, is_json_type, media_type
from machine.values import MISSING, SecretRef, SecretText, Value

OPERATION = Operation(
    source="pets",
    operation_id="getPet",
    method="GET",
    path="/pets/{id}",
    server="https://example.test/v1",
    parameters=(
        ParameterSpec(name="id", location="path", required=True, style="simple", schema={"type": "string"}),
        ParameterSpec(name="X-Trace", location="header", style="simple"),
    ),
    body_types=("application/json",),
    body_required=True,
    security=(
        SecurityScheme(name="key", type="http", location="header", parameter_name="Authorization", scheme="bearer"),
    ),
    responses={"404": {"description": "none"}, "201": {}, "200": {}, "2XX": {}, "default": {}},
)


def test_success_statuses_are_the_declared_2xx_numbers_in_order() -> None:
    assert OPERATION.success_statuses() == (200, 201)


def test_an_operation_keeps_what_a_plan_needs_through_json() -> None:
    written = OPERATION.to_json()
    again = Operation.from_json(json.loads(json.dumps(written)))

    assert again.to_json() == written
    assert again.success_statuses() == (200, 201)
    assert again.security == OPERATION.security
    assert again.parameters[1] == OPERATION.parameters[1]
    assert again.parameters[0].schema is None


@pytest.mark.parametrize(
    ("name", "location", "found"),
    [("id", "path", True), ("ID", "path", False), ("id", "query", False), ("x-trace", "header", True)],
)
def test_only_header_names_compare_without_case(name: str, location: str, found: bool) -> None:
    assert (OPERATION.parameter(name, location) is not None) is found


@pytest.mark.parametrize(
    "body",
    [
        MISSING,
        None,
        {"$secret": "no mark", "list": [1, 2.5, SecretRef("a")]},
        "text",
        SecretText(("a", SecretRef("b"))),
    ],
    ids=["no body", "null", "object", "text", "secret text"],
)
def test_a_request_survives_json(body: Value) -> None:
    request = Request(
        source="pets",
        method="POST",
        target=SecretText(("/pets?key=", SecretRef("key", "percent"))),
        headers=(("Authorization", SecretText(("Bearer ", SecretRef("token")))), ("Accept", "text/plain")),
        body=body,
        content_type="application/json",
    )

    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/json; charset=utf-8", True),
        ("application/jsonl", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_json_types_are_recognised_by_name_and_suffix(content_type: str, expected: bool) -> None:
    assert is_json_type(content_type) is expected


def test_a_media_type_is_bare_and_lower_case() -> None:
    assert media_type("Text/HTML ; charset=utf-8") == "text/html"
