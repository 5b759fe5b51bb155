"""Input schemas that stand alone: every reference followed, and nothing needed of the document any more."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from machine.document.schemas import InputSchemas

USER = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
ROOT: dict[str, Any] = {
    "components": {
        "inputs": {
            "user": USER,
            "again": {"$ref": "#/components/inputs/user"},
            "loop": {"$ref": "#/components/inputs/loop"},
            "a/b": {"type": "object"},
            "named": {"$anchor": "amount", "type": "integer"},
            "tree": {"type": "object", "properties": {"left": {"$ref": "#"}}, "additionalProperties": False},
            "known": {"$id": "https://a.test/known", "$defs": {"x": {"type": "boolean"}}},
            "local": {"type": "object", "properties": {"x": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "null"}}},
        },
    },
    "workflows": [{"inputs": {"properties": {"deep": {"$anchor": "deep", "type": "string"}}}}],
}


def alone(inputs: dict[str, Any]) -> Any:
    return InputSchemas(ROOT).alone(inputs)


def accepts(schema: Any, value: Any) -> bool:
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        pytest.param("#/components/inputs/user", "user", id="direct"),
        pytest.param("#/components/inputs/again", "user", id="through-another"),
        pytest.param("#/components/inputs/a~1b", "a/b", id="escaped"),
    ],
)
def test_inputs_by_reference_are_the_schema_they_name(reference: str, name: str) -> None:
    assert alone({"$ref": reference}) == ROOT["components"]["inputs"][name]


@pytest.mark.parametrize(
    "reference",
    ["#/components/inputs/nobody", "#/components/inputs/loop", "other.yaml#/x", "file:///etc/passwd", "#nobody", 5],
)
def test_inputs_that_lead_nowhere_are_none(reference: Any) -> None:
    assert alone({"$ref": reference}) is None
    assert [told[:2] for told in InputSchemas(ROOT).dangling({"$ref": reference})] == [("/$ref", reference)]


def test_keywords_beside_a_reference_hold_as_well() -> None:
    beside = {"$ref": "#/components/inputs/user", "properties": {"age": {}}, "required": ["age"]}

    assert alone(beside) == {
        "type": "object",
        "properties": {"id": {"type": "string"}, "age": {}},
        "required": ["id", "age"],
        "allOf": [USER],
    }


def test_inputs_without_a_reference_are_themselves() -> None:
    inputs = {"type": "object", "default": {"$ref": "#/nowhere"}}

    assert alone(inputs) is inputs


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"$ref": "#/components/inputs/user"}, {"id": "1"}, {"id": 1}),
        ({"$ref": "#amount"}, 1, "1"),
        ({"$ref": "#deep"}, "1", 1),
        ({"$ref": "https://a.test/known#/$defs/x"}, True, "x"),
        ({"$ref": "#/workflows/0/inputs/properties/deep"}, "1", 1),
        ({"$ref": "#/components/inputs/tree"}, {"left": {"left": {}}}, {"left": {"left": {"right": 1}}}),
        ({"$ref": "#/components/inputs/local"}, {"x": None}, {"x": 1}),
        ({"type": "array", "items": {"$ref": "#/$defs/mine"}}, [1.5], ["x"]),
        ({"properties": {"default": {"$ref": "#amount"}}}, {"default": 1}, {"default": "x"}),
        ({"enum": [{"$ref": "x"}], "allOf": [{"$ref": "#/components/inputs/a~1b"}]}, {"$ref": "x"}, {}),
    ],
    ids=["pointer", "anchor", "deep anchor", "id", "elsewhere", "circle", "own", "defs", "name", "data"],
)
@pytest.mark.parametrize("where", ["property", "deeper"])
def test_a_reference_anywhere_in_the_inputs_is_followed(schema: Any, right: Any, wrong: Any, where: str) -> None:
    inner = schema if where == "property" else {"type": "object", "properties": {"b": schema}}
    made = alone({"type": "object", "properties": {"a": inner}, "$defs": {"mine": {"type": "number"}}})

    assert accepts(made, {"a": right if where == "property" else {"b": right}})
    assert not accepts(made, {"a": wrong if where == "property" else {"b": wrong}})


def test_a_property_by_reference_keeps_what_it_says_itself() -> None:
    made = alone({"properties": {"n": {"$ref": "#amount", "default": 3}, "empty": None, "any": True}})

    assert made["properties"]["n"]["type"] == "integer"
    assert made["properties"]["n"]["default"] == 3
    assert (made["properties"]["empty"], made["properties"]["any"]) == (None, True)


def test_what_many_use_is_copied_once() -> None:
    schemas = InputSchemas(ROOT)
    inputs = {"properties": {"a": {"items": {"$ref": "#/components/inputs/user"}}}}
    first, second = schemas.alone(inputs), schemas.alone({**inputs, "title": "another"})

    assert first is not None
    assert second is not None
    assert next(iter(first["$defs"].values())) is next(iter(second["$defs"].values()))


def test_every_reference_that_leads_nowhere_is_told_with_its_place() -> None:
    inputs = {"properties": {"a": {"items": {"$ref": "#/no"}}, "b": {"$ref": "#amount"}, "c": {"$ref": []}}}

    assert list(InputSchemas(ROOT).dangling(inputs)) == [
        ("/properties/a/items/$ref", "#/no", "leads nowhere"),
        ("/properties/c/$ref", [], "leads nowhere"),
    ]
    assert alone(inputs) is None


@pytest.mark.parametrize("inputs", [{"$ref": "#/components/inputs/r"}, {"items": {"$ref": "#/components/inputs/s"}}])
def test_references_that_lead_round_in_a_ring_are_told_as_one(inputs: dict[str, Any]) -> None:
    ring = {"r": {"$ref": "#/components/inputs/s"}, "s": {"$ref": "#/components/inputs/r"}}
    told = list(InputSchemas({"components": {"inputs": ring}}).dangling(inputs))

    assert [(pointer[-5:], why) for pointer, _, why in told] == [
        ("/$ref", "leads round in a ring and never to a schema")
    ]


def test_how_much_a_schema_leads_to_is_bounded() -> None:
    shelf: dict[str, Any] = {str(n): {"items": {"$ref": f"#/components/inputs/{n + 1}"}} for n in range(5000)}
    shelf["5000"] = {}
    schemas = InputSchemas({"components": {"inputs": shelf}})

    assert schemas.alone({"items": {"$ref": "#/components/inputs/0"}}) is None
    assert schemas.alone({"items": {"$ref": "#/components/inputs/4990"}}) is not None
