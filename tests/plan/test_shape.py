"""What in a schema is none, told where it stands."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.plan.shape import wrong_in

WRONG: list[Any] = [
    ({"properties": 5}, "/properties", "properties is an object of schemas by their names, not 5"),
    ({"properties": [None]}, "/properties", "properties is an object of schemas by their names, not a list of 1"),
    ({"properties": {"a": 5}}, "/properties/a", "a schema is an object, not 5"),
    ({"properties": {"a": {"type": "strin"}}}, "/properties/a/type", "there is no type 'strin'; did you mean string?"),
    ({"type": ["string", 5]}, "/type", "there is no type 5; there are string, boolean, null"),
    ({"type": []}, "/type", "type is a name or a list of names"),
    ({"items": {"pattern": "("}}, "/items/pattern", "the pattern '(' cannot be used: "),
    ({"pattern": 1}, "/pattern", "pattern is a text, not 1"),
    ({"anyOf": {}}, "/anyOf", "anyOf is a list of schemas, not an object with 0"),
    ({"allOf": [{"minLength": -1}]}, "/allOf/0/minLength", "minLength is a whole number from 0 on, not -1"),
    ({"maxItems": float("inf")}, "/maxItems", "maxItems is a whole number from 0 on, not "),
    ({"minimum": "1"}, "/minimum", "minimum is a number, not '1'"),
    ({"required": True}, "/required", "required is a list of names, beside properties, not true"),
    ({"enum": "a"}, "/enum", "enum is a list of values, not 'a'"),
]


@pytest.mark.parametrize(("schema", "pointer", "why"), WRONG)
def test_what_is_no_schema_is_told_where_it_stands(schema: Any, pointer: str, why: str) -> None:
    ((at, told),) = wrong_in(schema)

    assert at == pointer
    assert told.startswith(why)


RIGHT = [
    {},
    True,
    {"properties": {"type": {"type": ["string", "null"]}, "pattern": {"default": {"type": 5}}}},
    {"x-machine": {"type": 5}, "nullable": True, "items": False, "enum": [], "examples": 1},
    {"$ref": "#/components/inputs/x", "required": ["a"], "maxLength": 2.0, "exclusiveMinimum": 1},
]


@pytest.mark.parametrize("schema", RIGHT)
def test_what_a_schema_may_say_is_left_alone(schema: Any) -> None:
    assert list(wrong_in(schema)) == []


def test_a_schema_that_holds_itself_ends() -> None:
    schema: dict[str, Any] = {"properties": {}}
    schema["properties"]["again"] = schema

    assert list(wrong_in(schema)) == []


VALUES = st.sampled_from([1, -1, 1.5, "a", "string", True, None, [], ["a"], [1], {}, {"a": {}}, {"a": 1}, [{}]])
KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "allOf", "required", "minLength", "minimum", "multipleOf", "pattern", "uniqueItems"]
)


@given(st.dictionaries(KEYWORDS, VALUES, max_size=2))
def test_it_agrees_with_the_schema_of_schemas(schema: dict[str, Any]) -> None:
    said = {error.validator for error in jsonschema.Draft202012Validator(META).iter_errors(schema)}

    # An empty list of schemas is refused there and harms nobody.
    assert bool(said - {"minItems"}) <= bool(list(wrong_in(schema)))


META = jsonschema.Draft202012Validator.META_SCHEMA
