"""References inside one document: what they stand for, and when they stand for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from machine.document.references import component, input_schema, is_reusable

PAGE = {"name": "page", "value": 1}
ROOT: dict[str, Any] = {
    "components": {
        "parameters": {"page": PAGE, "a.b-c_d": PAGE, "odd": 1},
        "inputs": {
            "user": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
            "again": {"$ref": "#/components/inputs/user"},
            "loop": {"$ref": "#/components/inputs/loop"},
            "a/b": {"type": "object"},
        },
    }
}


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        pytest.param("$components.parameters.page", PAGE, id="known"),
        pytest.param("$components.parameters.a.b-c_d", PAGE, id="dotted-name"),
        pytest.param("$components.parameters.Page", None, id="other-case"),
        pytest.param("$components.parameters.odd", None, id="not-an-object"),
        pytest.param("$components.inputs.user", None, id="other-kind"),
        pytest.param("components.parameters.page", None, id="no-dollar"),
        pytest.param("{$components.parameters.page}", None, id="braces"),
        pytest.param(7, None, id="not-a-string"),
    ],
)
def test_a_reusable_object_names_a_component_of_its_kind(reference: Any, found: Any) -> None:
    assert component(ROOT, "parameters", {"reference": reference}) is found


@pytest.mark.parametrize("root", [None, [], {}, {"components": []}, {"components": {"parameters": 1}}])
def test_a_document_without_components_has_none(root: Any) -> None:
    assert component(root, "parameters", {"reference": "$components.parameters.page"}) is None


@pytest.mark.parametrize(
    ("item", "expected"), [({"reference": "x", "name": "y"}, True), ({"name": "y"}, False), ("reference", False)]
)
def test_an_entry_with_a_reference_is_reusable(item: Any, expected: bool) -> None:
    assert is_reusable(item) is expected


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        pytest.param("#/components/inputs/user", "user", id="direct"),
        pytest.param("#/components/inputs/again", "user", id="through-another"),
        pytest.param("#/components/inputs/a~1b", "a/b", id="escaped"),
    ],
)
def test_inputs_by_reference_are_the_schema_they_name(reference: str, name: str) -> None:
    assert input_schema(ROOT, {"$ref": reference}) is ROOT["components"]["inputs"][name]


@pytest.mark.parametrize(
    "reference",
    ["#/components/inputs/nobody", "#/components/inputs/loop", "other.yaml#/x", "file:///etc/passwd", "#user", 5],
)
def test_inputs_that_lead_nowhere_are_none(reference: Any) -> None:
    assert input_schema(ROOT, {"$ref": reference}) is None


def test_keywords_beside_a_reference_hold_as_well() -> None:
    user = ROOT["components"]["inputs"]["user"]
    beside = {"$ref": "#/components/inputs/user", "properties": {"age": {}}, "required": ["age"]}

    assert input_schema(ROOT, beside) == {
        "type": "object",
        "properties": {"id": {"type": "string"}, "age": {}},
        "required": ["id", "age"],
        "allOf": [user],
    }


def test_inputs_without_a_reference_are_themselves() -> None:
    inputs = {"type": "object"}

    assert input_schema(ROOT, inputs) is inputs
