"""What a document says about doubt, compiled and stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.errors import DocumentError
from machine.plan.effect import EffectPolicy
from machine.plan.model import Plan

PROBE: dict[str, Any] = {
    "operationId": "getThing",
    "found": [{"condition": "$statusCode == 200"}],
    "match": {"/n": "$inputs.n", "/fixed": 1},
}


def made(**effect: Any) -> dict[str, Any]:
    return {"stepId": "m", "operationId": "makeThing", "x-machine": {"effect": effect}}


def test_nothing_said_holds_for_two_minutes_of_settling() -> None:
    assert EffectPolicy() == EffectPolicy(on_doubt="hold", probe=None, settle=120.0, key=None, on_conflict="fail")


def test_everything_said_survives_being_stored(built: Callable[..., Plan]) -> None:
    effect = {
        "kind": "create",
        "onDoubt": "probe",
        "probe": PROBE,
        "settle": "30s",
        "idempotencyKey": {"in": "header", "name": "X-Key", "window": "2h"},
        "onConflict": "adopt",
    }
    plan = built([made(**effect)], inputs={"n": {"type": "string"}})
    policy = plan.calls["m"].effect
    again = Plan.from_json(json.loads(plan.text()))

    assert (policy.on_doubt, policy.settle, policy.on_conflict) == ("probe", 30.0, "adopt")
    assert policy.key is not None
    assert (policy.key.name, policy.key.window) == ("X-Key", 7200.0)
    assert policy.probe is not None
    assert (policy.probe.operation.operation_id, list(policy.probe.match)) == ("getThing", ["/n", "/fixed"])
    assert again.text() == plan.text()
    assert EffectPolicy.from_json(policy.to_json()).to_json() == policy.to_json()


def test_a_probe_that_would_change_something_is_refused(built: Callable[..., Plan]) -> None:
    with pytest.raises(DocumentError) as refused:
        built([made(onDoubt="probe", probe={**PROBE, "operationId": "makeThing"})])

    assert [one.code for one in refused.value.findings] == ["AZM-P017"]


def test_a_probe_that_is_not_there_is_refused(built: Callable[..., Plan]) -> None:
    with pytest.raises(DocumentError) as refused:
        built([made(onDoubt="probe", probe={**PROBE, "operationId": "lookAtThing"})])

    assert "lookAtThing" in str(refused.value)
