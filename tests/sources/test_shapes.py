"""What a schema lets one foresee of a body."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from machine.sources.nodes import File, Node
from machine.sources.shapes import choices, put, requires, sample

ROOT: dict[str, Any] = {
    "Endpoint": {
        "type": "object",
        "required": ["name", "status"],
        "properties": {
            "name": {"type": "string"},
            "status": {"$ref": "#/Status"},
            "parts": {"type": "array", "items": {"$ref": "#/Endpoint"}},
        },
    },
    "Status": {
        "allOf": [
            {"type": "object", "required": ["state"], "properties": {"state": {"$ref": "#/State"}}},
            {"type": "object", "properties": {"done": {"type": "boolean"}}},
        ]
    },
    "State": {"type": "string", "enum": ["pending", "running"], "description": "what it does"},
    "Either": {"oneOf": [{"properties": {"kind": {"const": "a"}}}, {"properties": {"kind": {"enum": ["b", 1, True]}}}]},
    "Loop": {"allOf": [{"$ref": "#/Loop"}], "properties": {"next": {"$ref": "#/Loop"}}},
    "Odd": {"enum": "x", "properties": [], "required": 5, "items": 3, "type": {"a": 1}, "allOf": {}},
    "List": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer", "minimum": 7}}}},
    "Beside": {"$ref": "#/Status", "properties": {"more": {"enum": [None, 2.5]}}, "required": ["more"]},
}


def node(name: str) -> Node:
    return File(value=ROOT).root.get(name)


@pytest.mark.parametrize(
    ("name", "tokens", "values"),
    [
        ("Endpoint", ("status", "state"), ("pending", "running")),
        ("Endpoint", ("status", "done"), (True, False)),
        ("Endpoint", ("parts", "0", "status", "state"), ("pending", "running")),
        ("Either", ("kind",), ("a", "b", 1, True)),
        ("Beside", ("state",), ("pending", "running")),
        ("Beside", ("more",), (None, 2.5)),
        ("State", (), ("pending", "running")),
    ],
)
def test_the_values_a_schema_lists_are_found_where_they_stand(name: str, tokens: tuple[str, ...], values: Any) -> None:
    found = choices(node(name))[tokens]

    assert [(type(one), one) for one in found] == [(type(one), one) for one in values]


@pytest.mark.parametrize("name", ["Odd", "Loop", "none", "List"])
def test_a_schema_that_lists_nothing_says_nothing(name: str) -> None:
    assert choices(node(name)) == {}


@pytest.mark.parametrize(
    ("name", "tokens", "expected"),
    [
        ("Endpoint", ("name",), True),
        ("Endpoint", ("parts",), False),
        ("Endpoint", ("status", "state"), True),
        ("Endpoint", ("status", "done"), False),
        ("Endpoint", ("parts", "3", "name"), True),
        ("Beside", ("more",), True),
        ("Beside", ("state",), True),
        ("Either", ("kind",), False),
        ("Endpoint", ("nothing", "name"), False),
        ("Odd", ("x",), False),
        ("Endpoint", (), False),
    ],
)
def test_what_a_body_must_have_is_known(name: str, tokens: tuple[str, ...], expected: bool) -> None:
    assert requires(node(name), tokens) is expected


@pytest.mark.parametrize("name", ["Status", "State", "Either", "List", "Beside"])
def test_a_sample_is_a_body_the_schema_accepts(name: str) -> None:
    validator = jsonschema.Draft202012Validator({**ROOT, "$ref": f"#/{name}"})

    assert list(validator.iter_errors(sample(node(name)))) == []


@pytest.mark.parametrize("name", ["Loop", "Odd", "none", "Endpoint"])
def test_a_sample_of_any_schema_ends(name: str) -> None:
    assert len(str(sample(node(name)))) < 100_000


@pytest.mark.parametrize(
    ("body", "tokens", "expected"),
    [
        (None, (), 1),
        (None, ("a", "b"), {"a": {"b": 1}}),
        ({"a": {"c": 2}}, ("a", "b"), {"a": {"c": 2, "b": 1}}),
        ([{"a": 0}], ("0", "a"), [{"a": 1}]),
        ({}, ("list", "0", "x"), {"list": [{"x": 1}]}),
        ([], ("2",), [None, None, 1]),
        ("text", ("a",), {"a": 1}),
    ],
)
def test_a_value_is_put_where_a_pointer_says(body: Any, tokens: tuple[str, ...], expected: Any) -> None:
    assert put(body, tokens, 1) == expected
