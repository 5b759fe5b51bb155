from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from machine.plan.model import Plan
from machine.plan.needs import file_inputs

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
