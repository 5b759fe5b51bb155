from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from machine.document.findings import Finding
from machine.plan.build import build_plan
from machine.plan.inspect import inspect
from machine.plan.model import Plan
from machine.plan.needs import file_inputs
from machine.sources.description import Description

Built = Callable[..., Plan]


@pytest.mark.parametrize(
    ("schema", "payload", "content_type", "expected"),
    [
        pytest.param({"type": "string", "format": "binary"}, {}, "", True, id="openapi-3.0-says-so"),
        pytest.param({"contentMediaType": "image/png"}, {}, "", True, id="json-schema-says-so"),
        pytest.param(
            {"contentMediaType": "image/png", "contentEncoding": "base64"}, {}, "", False, id="bytes-written-as-text"
        ),
        pytest.param({"contentMediaType": "application/json"}, {}, "", False, id="json"),
        pytest.param({"type": "string"}, {"f": "$inputs.f"}, "multipart/form-data", True, id="a-part"),
        pytest.param({"type": "string"}, {"f": ["$inputs.f"]}, "multipart/form-data", True, id="one-of-several-parts"),
        pytest.param({"type": "string"}, {"f": "x {$inputs.f}"}, "multipart/form-data", False, id="text-in-a-part"),
        pytest.param({"type": "string"}, {"f": {"g": "$inputs.f"}}, "multipart/form-data", False, id="inside-a-part"),
        pytest.param({"type": "string"}, "$inputs.f", "application/octet-stream", True, id="the-whole-body"),
        pytest.param({"type": "string"}, "$inputs.f", "application/json", False, id="a-json-body"),
        pytest.param({"type": "string"}, {"f": "$inputs.f"}, "", False, id="the-operation-says-json"),
    ],
)
def test_an_input_that_is_sent_as_a_file_is_known(
    built: Built, schema: dict[str, Any], payload: Any, content_type: str, expected: bool
) -> None:
    body = {"payload": payload, **({"contentType": content_type} if content_type else {})}
    plan = built([{"stepId": "a", "operationId": "makeThing", "requestBody": body}], inputs={"f": schema})

    assert file_inputs(plan) == (frozenset({"f"}) if expected else frozenset())


def test_a_secret_is_never_sent_as_a_file(built: Built, things_api: dict[str, Any]) -> None:
    api = copy.deepcopy(things_api)
    api["paths"]["/things"]["post"]["requestBody"]["content"] = {"multipart/form-data": {}}
    step = {"stepId": "a", "operationId": "makeThing", "requestBody": {"payload": {"a": "$inputs.token"}}}

    assert file_inputs(built([step], inputs={"token": {"type": "string"}}, api=api)) == frozenset()


def test_a_file_may_be_handed_to_the_workflow_that_sends_it(composed: Built) -> None:
    body = {"contentType": "application/octet-stream", "payload": "$inputs.f"}
    sends = {"workflowId": "sends", "steps": [{"stepId": "a", "operationId": "makeThing", "requestBody": body}]}
    given = [{"name": "f", "value": "$inputs.mine"}, {"name": "g", "value": "$inputs.other"}]
    runs = {"stepId": "r", "workflowId": "sends", "parameters": given}
    waits = {"stepId": "s", "workflowId": "sends"}

    assert file_inputs(composed({"workflowId": "root", "steps": [runs]}, sends)) == {"mine"}
    assert file_inputs(composed({"workflowId": "root", "steps": [waits]}, sends)) == frozenset()


SCHEMES: dict[str, Any] = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "user": {"type": "http", "scheme": "basic"},
    "digest": {"type": "http", "scheme": "digest"},
    "cert": {"type": "mutualTLS"},
}
KEY_SENT = [{"name": "x-key", "in": "header", "value": "k"}]


@pytest.fixture
def told(describe_things: Callable[..., Description], things_api: dict[str, Any]) -> Callable[..., list[Finding]]:
    """What is found about credentials of two steps that call the same operation."""

    def find(security: list[Any], parameters: list[Any], workflow: dict[str, Any]) -> list[Finding]:
        api = copy.deepcopy(things_api)
        api["components"] = {**api.get("components", {}), "securitySchemes": SCHEMES}
        api["paths"]["/things"]["post"]["security"] = security
        steps = [{"stepId": name, "operationId": "makeThing", "parameters": parameters} for name in ("a", "b")]
        description = describe_things(steps, api=api, workflow=workflow, trusted=True)
        found = inspect(description, build_plan(description))
        return [one for one in found if one.code in ("AZM-L034", "AZM-L035")]

    return find


@pytest.mark.parametrize(
    ("security", "parameters", "workflow", "expected"),
    [
        pytest.param([], [], {}, [], id="nothing-is-demanded"),
        pytest.param([{"key": []}], KEY_SENT, {}, [], id="the-document-sends-it"),
        pytest.param([{"key": []}, {}], [], {}, [], id="it-can-be-done-without"),
        pytest.param([{"key": []}], [], {"x-machine": {"auth": {"things.key": "@env:K"}}}, [], id="named-already"),
        pytest.param(
            [{"key": []}],
            [],
            {},
            [("AZM-L034", "info", "things.key", "--auth things.key=@env:NAME")],
            id="to-be-given",
        ),
        pytest.param(
            [{"cert": []}, {"key": [], "user": []}],
            [],
            {},
            [
                (
                    "AZM-L034",
                    "info",
                    "things.key and things.user",
                    "--auth things.key=@env:NAME --auth things.user=@env:NAME",
                )
            ],
            id="of-alternatives-those-that-can-be-given",
        ),
        pytest.param(
            [{"cert": []}, {"digest": []}],
            [],
            {},
            [("AZM-L035", "warning", "things.cert or things.digest", "")],
            id="none-can-be-given",
        ),
    ],
)
def test_a_credential_nobody_gives_is_told_once_for_all_steps(
    told: Callable[..., list[Finding]],
    security: list[Any],
    parameters: list[Any],
    workflow: dict[str, Any],
    expected: list[tuple[str, str, str, str]],
) -> None:
    found = told(security, parameters, workflow)

    assert [(one.code, one.severity) for one in found] == [(code, severity) for code, severity, _, _ in expected]
    for one, (_, _, keys, flags) in zip(found, expected, strict=True):
        assert one.message.startswith("a, b: ")
        assert keys in one.message
        assert one.suggestion.endswith(flags)
        assert one.place.pointer == "/workflows/0/steps/0"
