"""Inputs of the workflows a run depends on: given from outside, because a document has no place for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from machine.errors import InputError
from machine.plan.dependencies import dependency_inputs, with_dependency_inputs
from machine.plan.model import Plan
from machine.runtime.prepare import prepare

ONE = [{"name": "id", "in": "path", "value": "one"}]
INPUTS = {"type": "object", "properties": {"u": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object"}}}


@pytest.fixture
def plan(composed: Callable[..., Plan]) -> Plan:
    secret = {"properties": {**INPUTS["properties"], "token": {"type": "string", "format": "password"}}}
    seen = [*ONE, {"name": "q", "in": "query", "value": "{$inputs.u}-{$inputs.n}-{$inputs.o}"}]
    return composed(
        {
            "workflowId": "root",
            "dependsOn": ["login"],
            "inputs": INPUTS,
            "steps": [{"stepId": "s", "operationId": "getThing", "parameters": ONE}],
        },
        {
            "workflowId": "login",
            "inputs": {**INPUTS, **secret},
            "steps": [{"stepId": "l", "operationId": "getThing", "parameters": seen}],
        },
    )


def test_what_is_given_to_a_dependency_stands_above_what_is_passed_on(plan: Plan, drive: Callable[..., Any]) -> None:
    given = {("login", "n"): "7", ("login", "o"): '{"a": ["$inputs.u"]}'}
    changed = Plan.from_json(with_dependency_inputs(plan, given).to_json())
    run = drive(changed, {"u": "me", "n": 1})

    assert run.snapshot.frame.inputs == {"u": "me", "n": 7, "o": {"a": ["$inputs.u"]}}
    assert with_dependency_inputs(plan, {}) is plan


def test_other_inputs_of_a_dependency_are_another_run(plan: Plan) -> None:
    given = [{}, {("login", "n"): "7"}, {("login", "n"): "8"}]
    prepared = [prepare(with_dependency_inputs(plan, one), {"u": "me"}) for one in given]

    assert len({one.sha256 for one in prepared}) == 3
    assert dependency_inputs(with_dependency_inputs(plan, given[1])) == {"login": {"n": {"lit": 7}}}


@pytest.mark.parametrize(
    ("given", "code", "advice"),
    [
        pytest.param({("logout", "n"): "1"}, "AZM-I011", "login", id="no-dependency"),
        pytest.param({("root", "n"): "1"}, "AZM-I011", "login", id="itself"),
        pytest.param({("login", "x"): "1"}, "AZM-I012", "it has: u, n, o", id="no-such-input"),
        pytest.param({("login", "token"): "t0ken"}, "AZM-I012", "under the same name", id="a-secret"),
        pytest.param({("login", "n"): "one"}, "AZM-I002", "", id="a-misfit"),
    ],
)
def test_what_no_dependency_takes_is_refused(
    plan: Plan, given: Mapping[tuple[str, str], str], code: str, advice: str
) -> None:
    with pytest.raises(InputError) as refused:
        with_dependency_inputs(plan, given)

    assert (refused.value.code, advice in refused.value.next) == (code, True)
    assert "t0ken" not in str(refused.value)
