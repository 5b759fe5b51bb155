"""Declared members: found through references, combinations, members and items, however the description is made."""

from __future__ import annotations

from typing import Any

import pytest

from machine.plan.members import response_members
from machine.sources.model import Operation
from machine.sources.openapi import read_openapi


def operation(schema: Any, schemas: Any = None, *, status: str = "200") -> Operation:
    response = {"content": {"application/json": {"schema": schema}}}
    api = {
        "openapi": "3.1.0",
        "paths": {"/x": {"get": {"operationId": "x", "responses": {status: response}}}},
        "components": {"schemas": schemas or {}},
    }
    return read_openapi(api, name="a", uri="a.json", sha256="").operations["x"]


ITEM = {"$ref": "#/components/schemas/I"}
PROPERTIES = {"type": "object", "properties": {"state": {}, "items": {"type": "array", "items": ITEM}}}
SCHEMAS = {
    "I": {"allOf": [{"properties": {"id": {}}}, {"oneOf": [{"properties": {"sku": {}}}, ITEM]}]},
    "E": PROPERTIES,
}


@pytest.mark.parametrize(
    ("schema", "path", "names"),
    [
        (PROPERTIES, (), {"state", "items"}),
        ({"$ref": "#/components/schemas/E"}, (), {"state", "items"}),
        (PROPERTIES, ("items",), set()),
        (PROPERTIES, ("items", "0"), {"id", "sku"}),
        ({"anyOf": [PROPERTIES, {"properties": {"error": {}}}]}, (), {"state", "items", "error"}),
        ({"type": "array", "items": PROPERTIES}, (), set()),
        (PROPERTIES, ("none", "0", "deeper"), set()),
        ({"properties": 5, "allOf": {}}, (), set()),
        (True, (), set()),
        ({"$ref": "#/components/schemas/nowhere"}, (), set()),
    ],
)
def test_the_names_of_an_object_are_found_wherever_they_are_declared(
    schema: Any, path: tuple[str, ...], names: set[str]
) -> None:
    assert response_members(operation(schema, SCHEMAS), path) == names


def test_every_status_counts() -> None:
    assert response_members(operation(PROPERTIES, status="default"), ()) == {"state", "items"}


def test_schemas_that_fan_out_without_end_are_looked_at_for_a_while_only() -> None:
    schemas = {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 50} for n in range(60)}

    assert response_members(operation({"$ref": "#/components/schemas/S0"}, schemas), ()) == frozenset()
